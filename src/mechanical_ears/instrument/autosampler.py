"""Sampling an instrument: every n-th key, in layers of velocity, made ready for a sampler.

Each note is held for a few seconds. Those of an instrument that holds its level are looped
(loops.py); those of one that falls (by the median of its notes: the bass of a piano falls slowly,
but it falls) are taken for as long as they are heard, to 60 dB below the loudest. What comes after
the key-up is left to the sampler's envelope, whose release is as long as the note's own: four times
what it takes to fall by 20 dB (or eight times 10 dB), since behind that some noise may stand that
is no release. A note that is gone before its key goes up takes the release of the others.

Loudness follows the velocity as the instrument's own does, without a step between layers: see
touch.py. A sample is stored as loud as it would be at velocity 127.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.instrument.loops import find_loop
from mechanical_ears.instrument.playable import (
    Playable,
    Progress,
    play_notes,
    release_seconds,
    trim_onset,
)
from mechanical_ears.instrument.sampled import ENVELOPE_RANGE_DB, Sample, SampledInstrument
from mechanical_ears.instrument.velocity_curve import fit_layer_curves
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
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, midi_to_hz, midi_to_name
from mechanical_ears.sound import Sound
from mechanical_ears.workers import worker_count

ONE_LAYER: Final = 100  # MIDI velocity of the only layer
SOFTEST: Final = 25  # MIDI velocity, NSynth's softest: networks have heard none below
FALLS: Final = 3.0  # dB/s, from which an instrument's notes are not looped
AUDIBLE: Final = 60.0  # dB below a note's loudest, down to which it is kept
LONGEST: Final = 15.0  # s of a note that falls
LOOP_FROM: Final = 0.3  # of the time held, from where it is looped
CUT: Final = 0.05  # s, over which the end of a note that falls is faded
PEAK: Final = 10 ** (-1 / 20)  # of full scale, of the loudest sample
BLOCK: Final = 0.05  # s, of the levels
LOUD: Final = 0.4  # s, over which loudness is measured
EARLY: Final = 1.5  # s of a note, that its layer's loudness is measured in: most are no longer
GONE: Final = 1e-3  # of a note's peak, at which its release is no longer heard
LET_GO: Final = 20.0  # dB that a note may fall before its key goes up, to measure its release
FALLEN: Final = (20.0, 10.0)  # dB, that a release is measured over
SMOOTH: Final = 3  # blocks of 10 ms, of the levels of a release
UNHEARD: Final = 0.3  # s, of a release that no note tells
RELEASES: Final = (0.04, 6.0)  # s, for 80 dB, at least and at most


@dataclass(frozen=True)
class SamplingPlan:
    """How an instrument is sampled.

    Attributes:
        lowest: MIDI number of the lowest key that is sampled.
        highest: of the highest.
        every: keys from one sample to the next.
        layers: of velocity, 1..16.
        seconds: for which a key is held, s; what falls is held for longer.
        sample_rate: Hz.
        longest: for which what falls is held at most, s.
        keys: MIDI numbers to sample instead of every n-th; empty for none.
        to_peak: bring the loudest sample to −1 dB of full scale; else the instrument's own level
            is kept, which a file of samples might not hold.
    """

    lowest: int = PIANO_MIN_PITCH
    highest: int = PIANO_MAX_PITCH
    every: int = 3
    layers: int = 3
    seconds: float = 4.0
    sample_rate: int = 48_000
    longest: float = LONGEST
    keys: tuple[int, ...] = ()
    to_peak: bool = True

    def __post_init__(self) -> None:
        if not KEY_RANGE[0] <= self.lowest <= self.highest <= KEY_RANGE[1]:
            raise InstrumentError(f"keys {self.lowest}..{self.highest} are not within 0..127")
        if not 1 <= self.every <= 127:
            raise InstrumentError(f'"every" is {self.every}, outside 1..127')
        if not 1 <= self.layers <= MAX_LAYERS:
            raise InstrumentError(f'"layers" is {self.layers}, outside 1..{MAX_LAYERS}')
        if not 0.2 <= self.seconds <= 60:
            raise InstrumentError(f'"seconds" is {self.seconds:g}, outside 0.2..60')
        if not 8_000 <= self.sample_rate <= 192_000:
            raise InstrumentError(f'"sample_rate" is {self.sample_rate} Hz, outside 8000..192000')

    @property
    def roots(self) -> list[int]:
        """MIDI numbers of the keys that are sampled."""
        if self.keys:
            return sorted(set(self.keys))
        first = min(self.lowest + self.every // 2, self.highest)
        return list(range(first, self.highest + 1, self.every))

    @property
    def velocities(self) -> list[int]:
        """MIDI velocity at which each layer is played."""
        if self.layers == 1:
            return [ONE_LAYER]
        return [
            max((low + high + 1) // 2, min(SOFTEST, high))
            for low, high in layer_ranges(self.layers)
        ]


@dataclass(frozen=True, eq=False)
class _Taken:
    """A note that was sampled."""

    audio: NDArray[np.float32]  # (frames, 1)
    loop: Loop | None
    release: float | None  # s, for 80 dB; None where nothing of it is heard
    level: float  # dB


def sample_instrument(
    playable: Playable, plan: SamplingPlan | None = None, progress: Progress | None = None
) -> SampledInstrument:
    """Sample an instrument: zones that tile all keys and velocities.

    Args:
        playable: what is played.
        plan: which of its notes.
        progress: told how many notes are done, and of how many.

    Raises:
        InstrumentError: it gives nothing that sounds.
    """
    plan = SamplingPlan() if plan is None else plan
    roots, velocities = plan.roots, plan.velocities
    pairs = [(root, velocity) for root in roots for velocity in velocities]
    whole = plan.seconds + release_seconds(playable)
    asked = [(float(root), velocity) for root, velocity in pairs]
    sounds: list[Sound] = []
    for sound in play_notes(playable, asked, whole, plan.sample_rate):
        sounds.append(trim_onset(sound))
        if progress is not None:
            progress(len(sounds), 2 * len(pairs))
    held = round(plan.seconds * plan.sample_rate)
    fall = [falls(sound.samples[:held], plan.sample_rate) for sound in sounds]
    holds = float(np.median(fall)) <= FALLS

    def sample(pair: tuple[int, int], sound: Sound, fall: float) -> _Taken:
        return _take(playable, pair, sound, plan, fall, holds)

    taken: dict[tuple[int, int], _Taken] = {}
    with ThreadPoolExecutor(worker_count()) as pool:
        for pair, note in zip(pairs, pool.map(sample, pairs, sounds, fall), strict=True):
            taken[pair] = note
            if progress is not None:
                progress(len(pairs) + len(taken), 2 * len(pairs))
    if max(note.level for note in taken.values()) < -100:
        raise InstrumentError("makes no sound", record=playable.name)
    known = [note.release for note in taken.values() if note.release is not None]
    usual = float(f"{np.median(known):.2g}") if known else UNHEARD
    zones: list[Zone] = []
    samples: dict[str, Sample] = {}
    layers = layer_ranges(len(velocities))
    for root, keys in zip(roots, tile_range(roots, KEY_RANGE), strict=True):
        notes_here = [taken[root, velocity] for velocity in velocities]
        told = fit_layer_curves([note.level for note in notes_here], velocities, layers)
        for velocity, band, note, touch in zip(velocities, layers, notes_here, told, strict=True):
            name = sample_name(root, velocity)
            gain = np.float32(10 ** ((touch.level - note.level) / 20))
            samples[name] = Sample(note.audio * gain, plan.sample_rate)
            zones.append(
                Zone(
                    sample=name,
                    root=root,
                    keys=keys,
                    velocities=band,
                    loop=note.loop,
                    envelope=Envelope(release=usual if note.release is None else note.release),
                    velocity_response=VelocityResponse(power=touch.power),
                )
            )
    return SampledInstrument(
        name=playable.name,
        zones=tuple(zones),
        samples=to_peak(samples) if plan.to_peak else samples,
        family=playable.family,
        licence=playable.licence,
    )


def sample_name(root: int, velocity: int) -> str:
    """Name of a sample that every file system takes: ``060_C4_v100``."""
    return f"{root:03d}_{midi_to_name(root).replace('#', 's')}_v{velocity:03d}"


def to_peak(samples: dict[str, Sample]) -> dict[str, Sample]:
    """All samples by one factor, so that the highest peak is at −1 dB of full scale."""
    highest = max(float(np.abs(sample.audio).max()) for sample in samples.values())
    factor = np.float32(PEAK / max(highest, 1e-9))
    return {name: replace(each, audio=each.audio * factor) for name, each in samples.items()}


def loudness(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Mean square of the loudest 400 ms, dB: the block of ITU-R BS.1770; silence fills what lacks.

    Args:
        audio: float32 (frames, channels).
        sample_rate: Hz.
    """
    quarter = max(1, round(LOUD / 4 * sample_rate))
    missing = max(0, 4 * quarter - len(audio))
    powers = np.mean(np.square(np.pad(audio, ((0, missing), (0, 0))), dtype=np.float64), axis=1)
    quarters = powers[: len(powers) // quarter * quarter].reshape(-1, quarter).mean(axis=1)
    windows = np.convolve(quarters, np.full(4, 0.25), mode="valid")
    return float(10 * np.log10(windows.max() + 1e-14))


def _take(
    playable: Playable,
    pair: tuple[int, int],
    sound: Sound,
    plan: SamplingPlan,
    fall: float,
    holds: bool,
) -> _Taken:
    rate, (pitch, velocity) = sound.sample_rate, pair
    held, behind = plan.seconds, release_seconds(playable)
    if holds:
        release = own_release(sound.samples, rate, held)
    else:
        short = min(held, max(LET_GO / max(fall, 1.0), 0.1))
        let_go = playable.note(pitch, velocity, short + behind, rate)
        release = own_release(let_go.samples, rate, short, fall)
        needed = min(AUDIBLE / max(fall, 1.0) + 0.5, plan.longest)
        if needed > held + 0.5:
            held = needed
            sound = trim_onset(playable.note(pitch, velocity, held + behind, rate))
    audio = sound.samples[:, None]
    looped = None
    if holds:
        looped = find_loop(audio, rate, midi_to_hz(pitch), LOOP_FROM * held, held)
    if looped is None:
        kept, loop = heard_part(audio[: round(held * rate)], rate), None
    else:
        kept, loop = looped.audio, looped.loop
    return _Taken(kept, loop, release, loudness(kept[: round(EARLY * rate)], rate))


def falls(samples: NDArray[np.float32], sample_rate: int) -> float:
    """How fast a note falls from its loudest on, dB/s: by the straight line through its levels."""
    powers = _powers(samples[:, None], sample_rate)
    levels = 10 * np.log10(powers + 1e-14)
    first = int(levels.argmax())
    if 2 * first > len(levels):  # a slow attack is no fall
        first = len(levels) // 3
    heard = levels[first:]
    above = np.flatnonzero(heard > heard[0] - AUDIBLE) if len(heard) else np.array([])
    last = int(above[-1]) + 1 if len(above) else 0
    heard = heard[:last]
    if len(heard) < 4:
        return 0.0 if last == len(levels) - first else AUDIBLE / (BLOCK * 4)
    step = BLOCK / 2
    slope = -float(np.polyfit(np.arange(len(heard)) * step, heard, 1)[0])
    if last < len(levels) - first:  # silence follows: it does not hold
        return max(slope, AUDIBLE / (last * step))
    return slope


def heard_part(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """What is heard of a note, to 60 dB below its loudest, its end faded."""
    powers = _powers(audio, sample_rate)
    loud = np.flatnonzero(powers > powers.max() * 10 ** (-AUDIBLE / 10))
    last = len(audio)
    if len(loud):
        last = min(last, round((loud[-1] / 2 + 2) * BLOCK * sample_rate))
    made = audio[: max(last, 1)].copy()
    fade = min(round(CUT * sample_rate), len(made) // 4)
    if fade:
        ramp = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 1) / fade)
        made[-fade:] *= ramp.astype(np.float32)[:, None]
    return made


def own_release(
    samples: NDArray[np.float32], sample_rate: int, held: float, fall: float = 0.0
) -> float | None:
    """How long a note takes to fall by 80 dB after its key-up, s; None where it is gone before.

    Args:
        samples: float32 (samples,), of a note.
        sample_rate: Hz.
        held: s, until the key is let go.
        fall: dB/s, of the note while it is held, slower than which none falls afterwards.
    """
    first = round(held * sample_rate)
    block = max(1, round(0.01 * sample_rate))
    after = samples[first : first + (len(samples) - first) // block * block]
    before = samples[max(0, first - 5 * block) : first]
    peak = float(np.abs(samples).max(initial=0.0))
    if len(after) < SMOOTH * block or float(np.abs(before).max(initial=0.0)) <= GONE * peak:
        return None
    powers = np.mean(after.reshape(-1, block).astype(np.float64) ** 2, axis=1)
    powers = np.convolve(powers, np.full(SMOOTH, 1 / SMOOTH), mode="valid")
    start = float(np.mean(before.astype(np.float64) ** 2))
    levels = 10 * np.log10(powers / start + 1e-12)
    moments = (np.arange(len(levels)) + SMOOTH / 2) * 0.01
    for fallen in FALLEN:
        loud = np.flatnonzero(levels > -fallen)
        last = int(loud[-1]) if len(loud) else -1
        if last + 1 < len(levels):
            moment = float(moments[last : last + 2].mean()) if last >= 0 else 0.0
            return _within(ENVELOPE_RANGE_DB / fallen * moment)
    end = len(levels) - max(SMOOTH, len(levels) // 20)  # the last of it is faded
    slope = -float(np.polyfit(moments[:end], levels[:end], 1)[0]) if end > 2 else 0.0
    return _within(ENVELOPE_RANGE_DB / max(slope, fall, 1.0))


def _within(seconds: float) -> float:
    """A release within `RELEASES`, of two digits."""
    return float(f"{np.clip(seconds, *RELEASES):.2g}")


def _powers(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Mean squares of blocks of 50 ms, every 25 ms; of all there is, if that is less."""
    half = max(1, round(BLOCK / 2 * sample_rate))
    blocks = len(audio) // half
    if blocks < 2:
        return np.array([float(np.mean(np.square(audio, dtype=np.float64)))])
    parts = audio[: blocks * half].reshape(blocks, -1).astype(np.float64)
    sums = np.einsum("ij,ij->i", parts, parts)
    return np.asarray((sums[1:] + sums[:-1]) / (2 * half * audio.shape[1]))
