"""From recordings of an instrument to the timbre that sounds like it, and what is left over.

    recordings → analyse → outlines X → encoder → timbre t, the mean over the recordings
               → gain g: recordings come at any level
               → t refined, so that G(t) meets the X
               → X − g − G(t), to be carried (carried.py)

Refining minimises, by Gauss–Newton steps with differences for derivatives,

    Σ (X − g − G(t))² / (n σ²)  +  Σ (t − t_0)² / (s · c)²

over the n cells of the levels that are known and heard: t_0 is the encoder's answer, s the spread
of timbres among instruments.
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
from mechanical_ears.imagining.recording_detail import RELEASED
from mechanical_ears.imagining.residual import LEVELS, Residual, differences, halved, louder, told
from mechanical_ears.listening.ears import listen
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS, Note
from mechanical_ears.pitch import hz_to_midi
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_grid import (
    GRID_SHAPES,
    ControlGrid,
    concatenate_grids,
    fill_unknown,
    grid_noise_times,
    grid_times,
    known_mask,
    to_control_grid,
)
from mechanical_ears.resynthesis.control_map import SILENCE_DB, ControlMap
from mechanical_ears.sound import Sound

LONGEST: Final = 12.0  # s of a recording that are analysed
AGREES: Final = 0.6  # semitones, within which a file's name and the ears agree
HEARD: Final = 60.0  # dB below a note's maximum, of the cells that are to be met
ROUNDS: Final = 2  # of finding the level and the timbre in turn
STEPS: Final = 2  # of Gauss and Newton
ERROR: Final = 0.5  # σ, dB, as the mean over cells
LEASH: Final = 0.5  # c, standard deviations
BEHIND: Final = 0.4  # s behind a cut, so that it is not heard in the last frames
GOES_ON: Final = -30.0  # dB, a fall in half a second, at the least, after a key was let go
FADED: Final = 0.1  # s, of a release that is cut
DIED_AWAY: Final = -40.0  # dB below its loudest, at which a recording may end by itself
NUDGE: Final = 0.05  # standard deviations, of the differences
EDGE_ROWS: Final = 6  # known rows, whose mean difference those behind them get


@dataclass(frozen=True, eq=False)
class Recording:
    """A recorded note, outlined.

    Attributes:
        outline: a batch of one, what is not known drawn on.
        pitch: MIDI number at which it sounds, which need not be whole.
        velocity: MIDI velocity 1..127.
        partials: bool (64,), the rows that are known.
        noise: bool (40,), the bands that are known.
        released: whether it tells what follows when the key is let go.
        controls: its map.
    """

    outline: ControlGrid
    pitch: float
    velocity: int
    partials: NDArray[np.bool_]
    noise: NDArray[np.bool_]
    released: bool = True
    controls: ControlMap | None = None


@dataclass(frozen=True, eq=False)
class Likeness:
    """An instrument that sounds like recordings.

    Attributes:
        timbre: float32 (64,).
        gain: dB, of the recordings beside what is imagined.
        families: float32 (11,), probabilities in the order of `FAMILIES`.
        carried: what else the recordings have.
    """

    timbre: NDArray[np.float32]
    gain: float
    families: NDArray[np.float32]
    carried: Residual


def recording(what: Note | Sound | str | Path) -> Recording:
    """Take a recorded note apart.

    Args:
        what: a sound file, whose name may tell key and velocity, a `Sound`, or a `Note`.

    Raises:
        SoundError: it cannot be read, is silent, too short, or has no single pitch.
    """
    path = Path(what) if isinstance(what, str | Path) else None
    try:
        if path is not None:
            return _outlined(Sound.load(path, LONGEST), *_named(path))
        if isinstance(what, Note):
            return _outlined(what.sound, float(what.pitch), what.velocity, what)
        assert isinstance(what, Sound)
        return _outlined(what, None, None)
    except SoundError as error:
        raise SoundError(error.problem, path=error.path or path, remedy=error.remedy) from error


def _named(path: Path) -> tuple[float | None, int | None]:
    """Key and velocity that a file's name tells."""
    labels = labels_from_name(path.stem)
    return (None, None) if labels is None else (float(labels.pitch), labels.velocity)


def _outlined(
    sound: Sound, pitch: float | None, velocity: int | None, note: Note | None = None
) -> Recording:
    if sound.seconds > LONGEST:
        sound = Sound(sound.samples[: round(LONGEST * sound.sample_rate)], sound.sample_rate)
    if pitch is None or velocity is None:
        hearing = listen(sound)
        if hearing.onset is None:
            raise SoundError("is silent", remedy="give a recording of a note")
        velocity = hearing.velocity or 100 if velocity is None else velocity
        if pitch is None and hearing.frequency is None:
            raise SoundError(
                "has no single pitch that the ears hear",
                remedy="name the file by its key, such as C4.wav",
            )
        if pitch is None and hearing.frequency is not None:
            pitch = hz_to_midi(hearing.frequency)
            key = hearing.pitch
            if key is not None and round(pitch) % 12 == key % 12:
                pitch += key - round(pitch)  # a stop that sounds an octave below its key
    assert pitch is not None
    if note is not None and abs(sound.seconds - NOTE_SECONDS) < 0.01:
        controls = analyse(note, pitch)  # as in NSynth, held for 3 s
    else:
        controls = _held_as_others(sound, pitch)
    rows, bands = known_mask(controls)
    return Recording(
        fill_unknown(to_control_grid(controls), rows[None], bands[None]),
        hz_to_midi(controls.frequency),
        max(velocity, 1),
        rows,
        bands,
        controls.seconds - controls.key_up >= RELEASED,
        controls,
    )


def _held_as_others(sound: Sound, pitch: float) -> ControlMap:
    """The map of a recording, as near as may be to a key that is let go after 3 s.

    What is held longer is cut there; what has died away before is silent until then. A release is
    heard for a second.
    """
    controls = analyse(sound, pitch)
    rate, start = sound.sample_rate, round(controls.onset * sound.sample_rate)
    held = start + round(HOLD_SECONDS * rate)
    if controls.key_up > HOLD_SECONDS or _goes_on(sound, controls):
        if len(sound.samples) <= held:
            return analyse(sound, pitch, key_up=sound.seconds)
        longer = held + round(BEHIND * rate)
        controls = analyse(Sound(sound.samples[:longer], rate), pitch, key_up=held / rate)
        return replace(controls, seconds=controls.key_up)
    if controls.seconds - controls.key_up < RELEASED and _died_away(sound.samples, rate):
        whole = np.zeros(start + round(NOTE_SECONDS * rate), dtype=np.float32)
        count = min(len(whole), len(sound.samples))
        whole[:count] = sound.samples[:count]
        return analyse(Sound(whole, rate), pitch, key_up=held / rate)
    release = NOTE_SECONDS - HOLD_SECONDS
    if controls.seconds - controls.key_up > release:
        key_up = controls.onset + controls.key_up
        part = sound.samples[: round((key_up + release) * rate)].copy()
        faded = round(FADED * rate)
        part[-faded:] *= np.linspace(1, 0, faded, dtype=np.float32)
        return analyse(Sound(part, rate), pitch, key_up=key_up)
    return controls


def _goes_on(sound: Sound, controls: ControlMap) -> bool:
    """Whether a note sounds on behind its key-up as none would that was let go."""
    rate = sound.sample_rate
    key_up = round((controls.onset + controls.key_up) * rate)
    before = sound.samples[max(0, key_up - rate // 20) : key_up]
    after = sound.samples[key_up + rate // 2 : key_up + rate]
    if len(after) < rate // 4 or not len(before):
        return False
    fall = np.square(after).mean() / max(float(np.square(before).mean()), 1e-12)
    return bool(fall > 10 ** (GOES_ON / 10))


def _died_away(samples: NDArray[np.float32], rate: int) -> bool:
    """Whether a sound ends softly by itself."""
    block = max(1, round(0.05 * rate))
    count = len(samples) // block
    if count < 2:
        return False
    power = np.square(samples[len(samples) - count * block :].reshape(count, block)).mean(axis=1)
    return bool(power[-1] < 10 ** (DIED_AWAY / 10) * power.max())


def likeness(imagination: Model, recordings: Sequence[Recording]) -> Likeness:
    """The instrument that sounds like recordings of one.

    Raises:
        EarsError: there are none.
    """
    if not recordings:
        raise EarsError("no recording is given", remedy="give one or several sound files")
    recorded = concatenate_grids([each.outline for each in recordings])
    as_saved = np.array([each.pitch for each in recordings], dtype=np.float32)
    pitches = as_saved.astype(np.float64)
    velocities = np.array([each.velocity for each in recordings], dtype=np.float64)
    gain = 0.0
    for turn in range(ROUNDS + 1):
        encoded = imagination.encode(louder(recorded, -gain), pitches, velocities)
        timbre = np.asarray(encoded.timbres.mean(axis=0), dtype=np.float32)
        if turn < ROUNDS:
            imagined = imagination.generate(timbre, pitches, velocities)
            recorded = _with_release(recorded, imagined, recordings)
            gain = float(np.mean(told(recorded)["level"] - told(imagined)["level"]))
    level = louder(recorded, -gain)
    weights = _weights(level, recordings)
    for _ in range(STEPS):
        timbre = _refined(imagination, level, weights, pitches, velocities, timbre, encoded.timbres)
    imagined = imagination.generate(timbre, pitches, velocities)
    rest = differences(_with_release(level, imagined, recordings), imagined)
    return Likeness(
        timbre,
        gain,
        encoded.families.mean(axis=0),
        Residual(
            pitches,
            velocities,
            np.zeros(len(recordings), dtype=np.int64),
            np.ones(len(recordings)),
            _known_only(rest, recordings),
            _maps(recordings),
        ),
    )


def _with_release(
    recorded: ControlGrid, imagined: ControlGrid, recordings: Sequence[Recording]
) -> ControlGrid:
    """Outlines that fall as imagined ones, where a recording does not tell its own release.

    Noise falls at least as the whole tone does: a recording's hiss is not to outlast its note.
    """
    parts = {name: getattr(recorded, name).copy() for name in LEVELS}
    times, noise_times = grid_times(), grid_noise_times()
    for number, each in enumerate(recordings):
        if each.released:
            continue
        tone = 10 * np.log10((10 ** (imagined.partials[number] / 10)).sum(axis=0) + 1e-12)
        whole = tone - tone[_release_begins("partials") - 1]
        for name, rows in parts.items():
            first = _release_begins(name)
            theirs = getattr(imagined, name)[number]
            falls = theirs[:, first:] - theirs[:, first - 1 : first]
            if name == "noise":
                falls = np.minimum(falls, np.interp(noise_times, times, whole)[first:])
            rows[number, :, first:] = rows[number, :, first - 1 : first] + np.minimum(falls, 0)
    return replace(recorded, **{name: np.maximum(rows, SILENCE_DB) for name, rows in parts.items()})


def _release_begins(name: str) -> int:
    """The first frame of the release, in partials and slots or in noise."""
    times = grid_noise_times() if name == "noise" else grid_times()
    return int(np.searchsorted(times, HOLD_SECONDS + 1e-6))


def _maps(recordings: Sequence[Recording]) -> tuple[ControlMap, ...]:
    """All maps, or none where one is not kept."""
    maps = [each.controls for each in recordings if each.controls is not None]
    return tuple(maps) if len(maps) == len(recordings) else ()


def _cells(outlines: ControlGrid) -> NDArray[np.float32]:
    """All levels in one row a note, as they are compared, float32 (n, cells)."""
    numbers = told(outlines)
    return np.concatenate([numbers[name].reshape(len(outlines), -1) for name in LEVELS], axis=1)


def _weights(outlines: ControlGrid, recordings: Sequence[Recording]) -> NDArray[np.float32]:
    """Weights of the cells to be met, which add to one in each note, float32 (n, cells)."""
    levels = _cells(outlines)
    sure = np.stack(
        [
            np.concatenate(
                [
                    np.repeat(each.partials, outlines.partials.shape[2]),
                    np.ones(outlines.slots[0].size, dtype=np.bool_),
                    np.repeat(each.noise, outlines.noise.shape[2]),
                ]
            )
            for each in recordings
        ]
    )
    released = np.array([each.released for each in recordings])[:, None]
    heard = sure & (released | _held()) & (levels > levels.max(axis=1, keepdims=True) - HEARD)
    return np.asarray(heard / np.maximum(heard.sum(axis=1, keepdims=True), 1), dtype=np.float32)


def _held() -> NDArray[np.bool_]:
    """Which cells of a note lie before the key-up, bool (cells,)."""
    parts = []
    for name in LEVELS:
        held = np.ones(GRID_SHAPES[name], dtype=np.bool_)
        held[:, _release_begins(name) :] = False
        parts.append(held.ravel())
    return np.concatenate(parts)


def _refined(
    imagination: Model,
    level: ControlGrid,
    weights: NDArray[np.float32],
    pitches: NDArray[np.float64],
    velocities: NDArray[np.float64],
    timbre: NDArray[np.float32],
    estimates: NDArray[np.float32],
) -> NDArray[np.float32]:
    """One step from ``timbre`` to where the recordings are met better, float32 (64,)."""
    spread = np.maximum(imagination.spread, 1e-6)
    steps = np.diag(NUDGE * spread).astype(np.float32)
    tried = np.concatenate([timbre[None], timbre + steps])
    count = len(pitches)
    made = _cells(
        imagination.generate(
            np.repeat(tried, count, axis=0),
            np.tile(pitches, len(tried)),
            np.tile(velocities, len(tried)),
        )
    ).reshape(len(tried), count, -1)
    root = np.sqrt(weights / count) / np.float32(ERROR)
    error = (root * (_cells(level) - made[0])).ravel().astype(np.float64)
    slope = (root * (made[1:] - made[0]) / np.float32(NUDGE)).reshape(TIMBRE_SIZE, -1)
    slope = slope.astype(np.float64)
    start = (timbre - estimates.mean(axis=0)) / spread / LEASH
    # in units of s: minimise |error − slopeᵀ d|² + |start + d / c|²
    normal = slope @ slope.T + np.eye(TIMBRE_SIZE) / LEASH**2
    step = np.linalg.solve(normal, slope @ error - start / LEASH)
    return np.asarray(timbre + step * spread, dtype=np.float32)


def _known_only(
    rest: Mapping[str, NDArray[np.float32]], recordings: Sequence[Recording]
) -> dict[str, NDArray[np.float32]]:
    """Differences, where the recordings' sample rates tell none that of the rows before."""
    filled_up = {name: values.copy() for name, values in rest.items()}
    for number, each in enumerate(recordings):
        for name, sure in (("partials", each.partials), ("noise", each.noise)):
            rows, count = filled_up[name][number], int(sure.sum())
            if count < len(rows):
                rows[count:] = rows[max(0, count - EDGE_ROWS) : count].mean(axis=0) if count else 0
    return halved(filled_up)
