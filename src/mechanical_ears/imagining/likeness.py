"""The instrument like recordings: the timbre that fits them, and the residual that remains.

    recordings → analyse → control grids X → encoder → timbre t, the mean over the recordings
               → gain g: recordings have any level
               → t refined, so that G(t) fits the X
               → X − g − G(t), the residual (residual.py)

The refinement minimises, by Gauss–Newton steps with finite differences for derivatives,

    Σ (X − g − G(t))² / (n σ²)  +  Σ (t − t_0)² / (s · c)²

over the n cells of levels that are known and audible: t_0 is the encoder's estimate, s the standard
deviation of timbres among instruments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.filenames import labels_from_name
from mechanical_ears.errors import EarsError, SoundError
from mechanical_ears.imagining.model import Model
from mechanical_ears.imagining.patch import TIMBRE_SIZE
from mechanical_ears.imagining.recording_detail import MIN_RELEASE_SECONDS
from mechanical_ears.imagining.residual import Residual, grid_differences, round_to_half
from mechanical_ears.listening.ears import listen
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS, Note
from mechanical_ears.pitch import hz_to_midi
from mechanical_ears.resynthesis import control_grid
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_grid import ControlGrid
from mechanical_ears.resynthesis.control_map import SILENCE_DB, ControlMap
from mechanical_ears.resynthesis.grid_features import (
    LEVEL_FIELDS,
    apply_gain,
    peak_level,
    to_features,
)
from mechanical_ears.sound import Sound

MAX_SECONDS: Final = 12.0  # of a recording, that are analysed
DEFAULT_VELOCITY: Final = 100  # where the ears hear none
AUDIBLE_RANGE_DB: Final = 60.0  # below a note's maximum, of the cells that are fitted
LEVEL_ROUNDS: Final = 2  # of estimating the gain and the timbre in turn
NEWTON_STEPS: Final = 2
ERROR_DB: Final = 0.5  # σ, as the mean over cells
PRIOR_DEVIATIONS: Final = 0.5  # c, standard deviations
DIFFERENCE_DEVIATIONS: Final = 0.05  # step of the finite differences, standard deviations
CUT_MARGIN_SECONDS: Final = 0.4  # kept after a cut, so that the last frames do not contain it
MIN_RELEASE_FALL_DB: Final = 30.0  # in half a second, of a note whose key was released
FADE_SECONDS: Final = 0.1  # of a release that is cut
DIED_AWAY_DB: Final = -40.0  # below its maximum, at which a recording may end by itself
EDGE_ROWS: Final = 6  # last known rows, whose mean difference the unknown ones get
_QUIET_POWER: Final = 1e-12  # added to powers before logarithms and divisions


@dataclass(frozen=True, eq=False)
class RecordedNote:
    """A recorded note, analysed.

    Attributes:
        grid: a batch of one; unknown rows are extrapolated.
        pitch: MIDI number at which it sounds, which need not be whole.
        velocity: MIDI velocity 1..127.
        known_rows: bool (64,), rows of partials that the recording's sample rate contains.
        known_bands: bool (40,), bands of noise that it contains.
        has_release: whether the recording goes on after the key-up.
        control_map: its control map.
    """

    grid: ControlGrid
    pitch: float
    velocity: int
    known_rows: NDArray[np.bool_]
    known_bands: NDArray[np.bool_]
    has_release: bool
    control_map: ControlMap


@dataclass(frozen=True, eq=False)
class Likeness:
    """What makes an instrument sound like recordings.

    Attributes:
        timbre: float32 (64,).
        gain: dB, of the recordings relative to what is imagined.
        families: float32 (11,), probabilities in the order of `FAMILIES`.
        residual: what else the recordings have.
    """

    timbre: NDArray[np.float32]
    gain: float
    families: NDArray[np.float32]
    residual: Residual


def analyse_recording(source: Note | Sound | str | Path) -> RecordedNote:
    """Analyse a recorded note.

    Args:
        source: a sound file, whose name may contain key and velocity, a `Sound`, or a `Note`.

    Raises:
        SoundError: it cannot be read, is silent, too short, or has no single pitch.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    try:
        if path is not None:
            labels = labels_from_name(path.stem)
            sound = Sound.load(path, MAX_SECONDS)
            if labels is not None:
                return _analyse(sound, float(labels.pitch), labels.velocity)
            return _analyse(sound)
        if isinstance(source, Note):
            return _analyse(source.sound, float(source.pitch), source.velocity, source)
        assert isinstance(source, Sound)
        return _analyse(source.mono())
    except SoundError as error:
        raise SoundError(error.problem, path=error.path or path, remedy=error.remedy) from error


def _analyse(
    sound: Sound, pitch: float | None = None, velocity: int | None = None, note: Note | None = None
) -> RecordedNote:
    if sound.seconds > MAX_SECONDS:
        sound = Sound(sound.samples[: round(MAX_SECONDS * sound.sample_rate)], sound.sample_rate)
    if pitch is None or velocity is None:
        pitch, velocity = _hear(sound, pitch, velocity)
    if note is not None and abs(sound.seconds - NOTE_SECONDS) < 0.01:
        control_map = analyse(note, pitch)  # as in NSynth, held for 3 s
    else:
        control_map = _analyse_held(sound, pitch)
    rows, bands = control_grid.known_mask(control_map)
    grid = control_grid.to_control_grid(control_map)
    return RecordedNote(
        grid=control_grid.fill_unknown(grid, rows[None], bands[None]),
        pitch=hz_to_midi(control_map.frequency),
        velocity=max(velocity, 1),
        known_rows=rows,
        known_bands=bands,
        has_release=control_map.seconds - control_map.key_up >= MIN_RELEASE_SECONDS,
        control_map=control_map,
    )


def _hear(sound: Sound, pitch: float | None, velocity: int | None) -> tuple[float, int]:
    """Pitch and velocity of a recording, heard where they are not given.

    Raises:
        SoundError: it is silent, or has no single pitch.
    """
    hearing = listen(sound)
    if hearing.onset is None:
        raise SoundError("is silent", remedy="give a recording of a note")
    if velocity is None:
        velocity = hearing.velocity or DEFAULT_VELOCITY
    if pitch is not None:
        return pitch, velocity
    if hearing.frequency is None:
        problem = "has no single pitch that the ears hear"
        raise SoundError(problem, remedy="name the file by its key, such as C4.wav")
    pitch, key = hz_to_midi(hearing.frequency), hearing.pitch
    if key is not None and round(pitch) % 12 == key % 12:
        pitch += key - round(pitch)  # an organ stop that sounds an octave below its key
    return pitch, velocity


def _analyse_held(sound: Sound, pitch: float) -> ControlMap:
    """The control map of a recording, as if its key had been released after 3 s if possible.

    A note that is held longer is cut there; one that has died away earlier is silent until then. A
    release lasts a second at most.
    """
    control_map = analyse(sound, pitch)
    rate, start = sound.sample_rate, round(control_map.onset * sound.sample_rate)
    held = start + round(HOLD_SECONDS * rate)
    if control_map.key_up > HOLD_SECONDS or _is_held_on(sound, control_map):
        if len(sound.samples) <= held:
            return analyse(sound, pitch, key_up=sound.seconds)
        longer = held + round(CUT_MARGIN_SECONDS * rate)
        control_map = analyse(Sound(sound.samples[:longer], rate), pitch, key_up=held / rate)
        return replace(control_map, seconds=control_map.key_up)
    release = control_map.seconds - control_map.key_up
    if release < MIN_RELEASE_SECONDS and _dies_away(sound.samples, rate):
        padded = np.zeros(start + round(NOTE_SECONDS * rate), dtype=np.float32)
        count = min(len(padded), len(sound.samples))
        padded[:count] = sound.samples[:count]
        return analyse(Sound(padded, rate), pitch, key_up=held / rate)
    if release > NOTE_SECONDS - HOLD_SECONDS:
        key_up = control_map.onset + control_map.key_up
        part = sound.samples[: round((key_up + NOTE_SECONDS - HOLD_SECONDS) * rate)].copy()
        fade = round(FADE_SECONDS * rate)
        part[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        return analyse(Sound(part, rate), pitch, key_up=key_up)
    return control_map


def _is_held_on(sound: Sound, control_map: ControlMap) -> bool:
    """Whether a note falls too slowly after its supposed key-up for a released key."""
    rate = sound.sample_rate
    key_up = round((control_map.onset + control_map.key_up) * rate)
    before = sound.samples[max(0, key_up - rate // 20) : key_up]
    after = sound.samples[key_up + rate // 2 : key_up + rate]
    if len(after) < rate // 4 or not len(before):
        return False
    ratio = np.square(after).mean() / max(float(np.square(before).mean()), _QUIET_POWER)
    return bool(ratio > 10 ** (-MIN_RELEASE_FALL_DB / 10))


def _dies_away(samples: NDArray[np.float32], rate: int) -> bool:
    """Whether a sound is quiet at its end."""
    block = max(1, round(0.05 * rate))
    count = len(samples) // block
    if count < 2:
        return False
    power = np.square(samples[len(samples) - count * block :].reshape(count, block)).mean(axis=1)
    return bool(power[-1] < 10 ** (DIED_AWAY_DB / 10) * power.max())


def fit_likeness(model: Model, recordings: Sequence[RecordedNote]) -> Likeness:
    """Find the timbre, the gain and the residual of recordings of one instrument.

    Raises:
        EarsError: there are no recordings.
    """
    if not recordings:
        raise EarsError("no recording is given", remedy="give one or several sound files")
    recorded = control_grid.concatenate_grids([each.grid for each in recordings])
    rounded = np.array([each.pitch for each in recordings], dtype=np.float32)  # as it is stored
    pitches = rounded.astype(np.float64)
    velocities = np.array([each.velocity for each in recordings], dtype=np.float64)
    gain = 0.0
    for level_round in range(LEVEL_ROUNDS + 1):
        encoded = model.encode(apply_gain(recorded, -gain), pitches, velocities)
        timbre = np.asarray(encoded.timbres.mean(axis=0), dtype=np.float32)
        if level_round < LEVEL_ROUNDS:
            imagined = model.generate(timbre, pitches, velocities)
            recorded = _complete_releases(recorded, imagined, recordings)
            gain = float(np.mean(peak_level(recorded) - peak_level(imagined)))
    target = apply_gain(recorded, -gain)
    weights = _cell_weights(target, recordings)
    prior = timbre
    for _ in range(NEWTON_STEPS):
        timbre = _newton_step(model, target, weights, pitches, velocities, timbre, prior)
    imagined = model.generate(timbre, pitches, velocities)
    differences = grid_differences(_complete_releases(target, imagined, recordings), imagined)
    residual = Residual(
        pitches,
        velocities,
        groups=np.zeros(len(recordings), dtype=np.int64),
        shares=np.ones(len(recordings)),
        differences=_extend_known(differences, recordings),
        maps=tuple(each.control_map for each in recordings),
    )
    return Likeness(timbre, gain, encoded.families.mean(axis=0), residual)


def _complete_releases(
    recorded: ControlGrid, imagined: ControlGrid, recordings: Sequence[RecordedNote]
) -> ControlGrid:
    """Recorded grids, with the release of the imagined ones where a recording has none.

    Noise falls at least as fast as all partials together, so that a recording's noise does not
    outlast its note.
    """
    levels = {name: getattr(recorded, name).copy() for name in LEVEL_FIELDS}
    times, noise_times = control_grid.grid_times(), control_grid.grid_noise_times()
    for number, each in enumerate(recordings):
        if each.has_release:
            continue
        power = (10 ** (imagined.partials[number] / 10)).sum(axis=0)
        tone = 10 * np.log10(power + _QUIET_POWER)
        tone_fall = tone - tone[_release_frame("partials") - 1]
        for name, rows in levels.items():
            first = _release_frame(name)
            model_rows = getattr(imagined, name)[number]
            falls = model_rows[:, first:] - model_rows[:, first - 1 : first]
            if name == "noise":
                falls = np.minimum(falls, np.interp(noise_times, times, tone_fall)[first:])
            rows[number, :, first:] = rows[number, :, first - 1 : first] + np.minimum(falls, 0)
    levels = {name: np.maximum(rows, SILENCE_DB) for name, rows in levels.items()}
    return replace(recorded, **levels)


def _release_frame(name: str) -> int:
    """The first frame of the release, in partials and slots or in noise."""
    times = control_grid.grid_noise_times() if name == "noise" else control_grid.grid_times()
    return int(np.searchsorted(times, HOLD_SECONDS + 1e-6))


def _cells(grid: ControlGrid) -> NDArray[np.float32]:
    """Features of all levels, a row for each note, float32 (n, cells)."""
    features = to_features(grid)
    return np.concatenate([features[name].reshape(len(grid), -1) for name in LEVEL_FIELDS], axis=1)


def _cell_weights(grid: ControlGrid, recordings: Sequence[RecordedNote]) -> NDArray[np.float32]:
    """Weights of the cells to fit, which sum to one in each note, float32 (n, cells)."""
    levels = _cells(grid)
    rows = np.stack([each.known_rows for each in recordings])
    bands = np.stack([each.known_bands for each in recordings])
    slots = np.ones((len(grid), grid.slots[0].size), dtype=np.bool_)
    partials = rows.repeat(control_grid.GRID_FRAMES, axis=1)
    noise = bands.repeat(control_grid.GRID_NOISE_FRAMES, axis=1)
    known = np.concatenate([partials, slots, noise], axis=1)
    has_release = np.array([each.has_release for each in recordings])[:, None]
    audible = levels > levels.max(axis=1, keepdims=True) - AUDIBLE_RANGE_DB
    fitted = known & (has_release | _held_cells()) & audible
    return np.asarray(fitted / np.maximum(fitted.sum(axis=1, keepdims=True), 1), dtype=np.float32)


def _held_cells() -> NDArray[np.bool_]:
    """Which cells of a note are before the key-up, bool (cells,)."""
    fields = []
    for name in LEVEL_FIELDS:
        rows, frames = control_grid.GRID_SHAPES[name]
        fields.append(np.tile(np.arange(frames) < _release_frame(name), rows))
    return np.concatenate(fields)


def _newton_step(
    model: Model,
    target: ControlGrid,
    weights: NDArray[np.float32],
    pitches: NDArray[np.float64],
    velocities: NDArray[np.float64],
    timbre: NDArray[np.float32],
    prior: NDArray[np.float32],
) -> NDArray[np.float32]:
    """One Gauss–Newton step from ``timbre`` to one that fits better, float32 (64,)."""
    spread = np.maximum(model.spread, 1e-6)
    steps = np.diag(DIFFERENCE_DEVIATIONS * spread).astype(np.float32)
    candidates = np.concatenate([timbre[None], timbre + steps])
    count = len(pitches)
    timbres = np.repeat(candidates, count, axis=0)
    keys, forces = (np.tile(each, len(candidates)) for each in (pitches, velocities))
    generated = _cells(model.generate(timbres, keys, forces)).reshape(len(candidates), count, -1)
    root = np.sqrt(weights / count) / np.float32(ERROR_DB)
    error = (root * (_cells(target) - generated[0])).ravel().astype(np.float64)
    slope = root * (generated[1:] - generated[0]) / np.float32(DIFFERENCE_DEVIATIONS)
    slope = slope.reshape(TIMBRE_SIZE, -1).astype(np.float64)
    start = (timbre - prior) / spread / PRIOR_DEVIATIONS
    # in units of s: minimise |error − slopeᵀ d|² + |start + d / c|²
    normal = slope @ slope.T + np.eye(TIMBRE_SIZE) / PRIOR_DEVIATIONS**2
    step = np.linalg.solve(normal, slope @ error - start / PRIOR_DEVIATIONS)
    return np.asarray(timbre + step * spread, dtype=np.float32)


def _extend_known(
    differences: Mapping[str, NDArray[np.float32]], recordings: Sequence[RecordedNote]
) -> dict[str, NDArray[np.float32]]:
    """Differences, with the mean of the last known rows where a sample rate ends."""
    extended = {name: values.copy() for name, values in differences.items()}
    for number, each in enumerate(recordings):
        for name, known in (("partials", each.known_rows), ("noise", each.known_bands)):
            rows, count = extended[name][number], int(known.sum())
            if count < len(rows):
                rows[count:] = rows[max(0, count - EDGE_ROWS) : count].mean(axis=0) if count else 0
    return round_to_half(extended)
