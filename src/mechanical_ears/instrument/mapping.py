"""From a folder of recordings to an instrument: the job that people do by hand with their samples.

    files → keys, cents (recordings.py) → layers by loudness → silence trimmed, loops → zones

Loudness is the level; where all files were brought to the same peak and the level tells nothing, it
is how bright they are and what the ears take for their velocity. The number of layers is the
commonest number of recordings of a key. Where a key has as many, they are layers in the order of
their loudness; where it has fewer, each belongs to the layer whose loudness at the nearest keys is
nearest to its own; where it has more, the surplus is set aside. Each layer tiles all keys by
itself, so that a gap in one is filled by its own neighbours.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.filenames import family_and_source_from_name
from mechanical_ears.instrument.autosampler import (
    FALLS,
    UNHEARD,
    heard_part,
    own_release,
    sample_name,
    to_peak,
)
from mechanical_ears.instrument.loops import find_loop
from mechanical_ears.instrument.playable import Progress
from mechanical_ears.instrument.recordings import (
    Recording,
    SetAside,
    hear_folder,
    settled,
)
from mechanical_ears.instrument.sampled import Sample, SampledInstrument
from mechanical_ears.instrument.velocity_curve import DEFAULT_POWER, LayerCurve, fit_layer_curves
from mechanical_ears.instrument.zones import (
    KEY_RANGE,
    MAX_LAYERS,
    Envelope,
    InstrumentError,
    Loop,
    VelocityResponse,
    Zone,
    layer_ranges,
    tile_range,
)
from mechanical_ears.pitch import midi_to_hz, midi_to_name
from mechanical_ears.sound import Sound

Trust = Literal["ears", "names"]

BEFORE: Final = 0.002  # s before the onset that are kept
FADE_IN: Final = 0.001  # s
LEAST_HELD: Final = 0.8  # s of a note that is looped
DROP: Final = 6.0  # dB below its middle, to where a note is held
UNSURE: Final = 0.5  # probability of a key, below which it is worth a check
NAMED: Final = 2  # recordings that are used, where another is set aside
NEAREST: Final = 3  # keys whose levels a single recording is compared with
VELOCITY_DECIBELS: Final = 0.1  # dB for a step of the velocity that is heard, beside the level
VELOCITY_SEMITONES: Final = 0.5  # semitones of brightness for such a step
ONE_PEAK: Final = 1.0  # dB of spread of the peaks, below which all were brought to one
WRONG: Final = 0.6  # semitones off its name's note, at which a recording is a wrong note


@dataclass(frozen=True, eq=False)
class Placed:
    """A recording that is used: its key and layer."""

    recording: Recording
    layer: int


@dataclass(frozen=True, eq=False)
class MappedFolder:
    """A folder's instrument, and what became of each file.

    Attributes:
        instrument: what can be played and exported.
        placed: recordings that are used.
        aside: files that are not, and why.
        layers: how many.
    """

    instrument: SampledInstrument
    placed: tuple[Placed, ...]
    aside: tuple[SetAside, ...]
    layers: int

    @property
    def disagreements(self) -> list[Recording]:
        """Recordings whose names tell another note than the ears."""
        return [
            each.recording
            for each in self.placed
            if each.recording.named is not None and each.recording.named.pitch != each.recording.key
        ]

    def report(self) -> str:
        """What became of each file, as CSV with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ("file", "used", "key", "note", "cents", "layer", "level", "sure", "named", "remark")
        )
        for each in sorted(self.placed, key=lambda each: (each.recording.key, each.layer)):
            heard = each.recording
            named = "" if heard.named is None else midi_to_name(heard.named.pitch)
            remark = []
            if heard.named is not None and heard.named.pitch != heard.key:
                remark.append("its name tells another note")
            if heard.confidence < UNSURE:
                remark.append("unsure: listen to it")
            writer.writerow(
                (
                    heard.path.name,
                    "yes",
                    heard.key,
                    midi_to_name(heard.key),
                    f"{heard.cents:.1f}",
                    each.layer + 1,
                    f"{heard.level:.1f}",
                    f"{heard.confidence:.2f}",
                    named,
                    "; ".join(remark),
                )
            )
        for file in self.aside:
            writer.writerow((file.path.name, "no", *[""] * 7, file.reason))
        return text.getvalue()


def map_folder(
    folder: str | Path,
    *,
    trust: Trust = "ears",
    keep_tuning: bool = False,
    name: str | None = None,
    progress: Progress | None = None,
) -> MappedFolder:
    """Make an instrument of the recordings in a folder.

    Args:
        folder: WAV, FLAC, Ogg and MP3 files of single notes, of any rates.
        trust: whose word counts where a file's name and the ears tell different notes.
        keep_tuning: leave each recording at its pitch instead of moving it to its key's.
        name: of the instrument; the folder's if not given.
        progress: told how many files are heard, and of how many.

    Raises:
        EarsError: there is no such folder, or no recording of a single pitch in it.
    """
    folder = Path(folder)
    hearing = hear_folder(folder, progress)
    heard, aside = settled(hearing.recordings), hearing.aside
    if trust == "names":
        heard, wrong = _as_named(heard)
        aside += wrong
    levelled = at_one_peak(heard)
    told = trust == "names" and all(e.named and e.named.velocity is not None for e in heard)
    placed, surplus = _layers(
        heard, _by_name if told else _by_brightness if levelled else _by_level
    )
    aside += surplus
    if not placed:
        raise InstrumentError(
            f"holds no recording of a single pitch among {len(aside)} files",
            path=folder,
            remedy="give recordings of single notes",
        )
    layers = 1 + max(each.layer for each in placed)
    called = name or folder.resolve().name
    instrument = _instrument(called, placed, hearing.sounds, layers, keep_tuning, levelled)
    return MappedFolder(instrument, tuple(placed), tuple(aside), layers)


def _as_named(recordings: Sequence[Recording]) -> tuple[list[Recording], list[SetAside]]:
    """Recordings at the keys that their names tell; those that sound other notes are set aside."""
    made, wrong = [], []
    for recording in recordings:
        if recording.named is None or recording.named.pitch == recording.key:
            made.append(recording)
            continue
        key = recording.named.pitch
        octaves = 12 * round((recording.pitch - key) / 12)
        if abs(recording.pitch - octaves - key) > WRONG:
            told = f"named {midi_to_name(key)}, sounds {midi_to_name(recording.key)}"
            wrong.append(SetAside(recording.path, f"a wrong note: {told}"))
            continue
        made.append(replace(recording, key=key, pitch=recording.pitch - octaves))
    return made, wrong


def at_one_peak(recordings: Sequence[Recording]) -> bool:
    """Whether the files were all brought to the same peak, so that levels tell nothing."""
    return float(np.std([each.peak for each in recordings])) < ONE_PEAK if recordings else False


def _layers(
    recordings: Sequence[Recording], loudness: Callable[[Recording], float]
) -> tuple[list[Placed], list[SetAside]]:
    """The layer of each recording, and what is surplus."""
    aside: list[SetAside] = []
    first: dict[str, Recording] = {}
    for recording in recordings:
        if recording.digest in first:
            same = first[recording.digest].path.name
            aside.append(SetAside(recording.path, f"a copy of {same}"))
        else:
            first[recording.digest] = recording
    by_key: dict[int, list[Recording]] = {}
    for recording in first.values():
        by_key.setdefault(recording.key, []).append(recording)
    if not by_key:
        return [], aside
    loud = {id(each): loudness(each) for each in first.values()}
    for group in by_key.values():
        group.sort(key=lambda each: loud[id(each)])
    counts = Counter(min(len(group), MAX_LAYERS) for group in by_key.values())
    layers = max(counts, key=lambda count: (counts[count], count))
    middles = (np.arange(layers) + 0.5) / layers
    levels = {
        key: np.quantile([loud[id(each)] for each in group], middles, method="hazen")
        for key, group in by_key.items()
        if len(group) == layers or (layers == MAX_LAYERS and len(group) > layers)
    }
    placed: list[Placed] = []
    for key, group in sorted(by_key.items()):
        chosen = _assigned(
            group, [loud[id(each)] for each in group], _expected(levels, key, layers)
        )
        for layer, recording in chosen.items():
            placed.append(Placed(recording, layer))
        names = [each.path.name for each in chosen.values()]
        kept = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" * (len(names) > NAMED))
        for recording in group:
            if all(recording is not each for each in chosen.values()):
                reason = f"one more {midi_to_name(key)}; {kept} used"
                aside.append(SetAside(recording.path, reason))
    return placed, aside


def _by_name(recording: Recording) -> float:
    """The velocity that its name tells."""
    return float(recording.named.velocity or 0) if recording.named is not None else 0.0


def _by_level(recording: Recording) -> float:
    """Level, dB, and a little of the velocity that is heard, where levels are alike."""
    return recording.level + VELOCITY_DECIBELS * recording.velocity


def _by_brightness(recording: Recording) -> float:
    """Brightness, semitones, and what the ears take for its velocity."""
    return recording.brightness + VELOCITY_SEMITONES * recording.velocity


def _expected(
    levels: Mapping[int, NDArray[np.float64]], key: int, layers: int
) -> NDArray[np.float64]:
    """Loudness of each layer at a key, from the nearest keys that have all layers."""
    near = sorted(levels, key=lambda other: (abs(other - key), other))[:NEAREST]
    table = np.array([levels[other] for other in near], dtype=np.float64).reshape(-1, layers)
    return np.asarray(np.median(table, axis=0))


def _assigned(
    group: Sequence[Recording], loud: Sequence[float], expected: NDArray[np.float64]
) -> dict[int, Recording]:
    """Recordings of one key by layers: in order, each near what its layer sounds like.

    The cheapest ascending assignment, by dynamic programming over recordings and layers.
    """
    count, layers = len(group), len(expected)
    if count == layers:
        return dict(enumerate(group))
    costs = np.abs(np.array(loud)[:, None] - expected[None, :])
    used = min(count, layers)
    best = np.full((count + 1, layers + 1, used + 1), np.inf)
    best[:, :, 0] = 0
    for row in range(1, count + 1):
        for column in range(1, layers + 1):
            left_out = np.minimum(best[row - 1, column, 1:], best[row, column - 1, 1:])
            taken = best[row - 1, column - 1, :-1] + costs[row - 1, column - 1]
            best[row, column, 1:] = np.minimum(left_out, taken)
    chosen: dict[int, Recording] = {}
    row, column, number = count, layers, used
    while number:
        here = best[row, column, number]
        if row and here == best[row - 1, column, number]:
            row -= 1
        elif here == best[row, column - 1, number]:
            column -= 1
        else:
            row, column, number = row - 1, column - 1, number - 1
            chosen[column] = group[row]
    return chosen


def _instrument(
    name: str,
    placed: Sequence[Placed],
    sounds: Mapping[Path, Sound],
    layers: int,
    keep_tuning: bool,
    levelled: bool,
) -> SampledInstrument:
    velocity_bands = layer_ranges(layers)
    centres = [(low + high + 1) // 2 for low, high in velocity_bands]
    holds = float(np.median([each.recording.fall for each in placed])) <= FALLS
    by_layer = [
        sorted((each for each in placed if each.layer == layer), key=lambda e: e.recording.key)
        for layer in range(layers)
    ]
    if not all(by_layer):  # a layer of which nothing is left
        by_layer = [group for group in by_layer if group]
        velocity_bands, centres = layer_ranges(len(by_layer)), centres[-len(by_layer) :]
    zones: list[Zone] = []
    samples: dict[str, Sample] = {}
    for layer, (group, velocities) in enumerate(zip(by_layer, velocity_bands, strict=True)):
        for each, keys in zip(
            group, tile_range([e.recording.key for e in group], KEY_RANGE), strict=True
        ):
            heard = each.recording
            sound = sounds.get(heard.path) or Sound.load(heard.path, mono=False)
            sample, loop, release = _made_ready(heard, sound, holds)
            called = sample_name(heard.key, centres[layer])
            touch = LayerCurve(DEFAULT_POWER, heard.level)
            if not levelled:
                near = [_nearest(other, each) for other in by_layer]
                touch = fit_layer_curves(
                    [e.recording.level for e in near], centres, velocity_bands
                )[layer]
            gain = np.float32(10 ** ((touch.level - heard.level) / 20))
            samples[called] = replace(sample, audio=sample.audio * gain)
            zones.append(
                Zone(
                    sample=called,
                    root=heard.key,
                    keys=keys,
                    velocities=velocities,
                    cents=0.0 if keep_tuning else float(round(heard.cents)),
                    loop=loop,
                    envelope=Envelope(release=release),
                    velocity_response=VelocityResponse(power=touch.power),
                )
            )
    family, _ = family_and_source_from_name(name)
    return SampledInstrument(name=name, zones=tuple(zones), samples=to_peak(samples), family=family)


def _nearest(layer: Sequence[Placed], to: Placed) -> Placed:
    """The recording of a layer whose key is nearest to that of another, which may be in it."""
    return min(layer, key=lambda each: (abs(each.recording.key - to.recording.key), each is not to))


def _made_ready(heard: Recording, sound: Sound, holds: bool) -> tuple[Sample, Loop | None, float]:
    """A recording without the silence around it, looped if it holds; its release, s."""
    if sound.channels > 2:
        sound = sound.mono()
    rate = sound.sample_rate
    first = max(0, round((heard.start - BEFORE) * rate))
    audio = sound.samples[first:].reshape(-1, sound.channels).copy()
    fade = min(round(FADE_IN * rate), len(audio) // 4)
    if first and fade:
        audio[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    mono = audio.mean(axis=1)
    held = _held(mono, rate)
    if holds and held >= LEAST_HELD:
        looped = find_loop(audio, rate, midi_to_hz(heard.pitch), 0.3 * held, held)
        if looped is not None:
            release = own_release(mono, rate, held)
            return (
                Sample(looped.audio, rate),
                looped.loop,
                UNHEARD if release is None else release,
            )
    return Sample(heard_part(audio, rate), rate), None, UNHEARD


def _held(mono: NDArray[np.float32], rate: int) -> float:
    """How long a note is held, s: until it stays 6 dB below the level of its middle."""
    block = max(1, round(0.02 * rate))
    blocks = mono[: len(mono) // block * block].reshape(-1, block)
    if len(blocks) < 8:
        return 0.0
    levels = 10 * np.log10(np.mean(blocks.astype(np.float64) ** 2, axis=1) + 1e-14)
    middle = float(np.median(levels[len(levels) // 4 : 3 * len(levels) // 4]))
    loud = np.flatnonzero(levels > middle - DROP)
    return float(loud[-1] * block / rate) if len(loud) else 0.0
