"""Sampling an instrument: every n-th key in several velocity layers, prepared for a sampler.

Each note is held for a few seconds. Notes of an instrument that sustains are looped (loops.py).
Notes of an instrument that decays (by the median of its notes: the bass of a piano decays slowly,
but it decays) are held for as long as they are audible, to 60 dB below the loudest. The sound after
the key-up is left to the sampler's envelope, with the release time of the note itself (levels.py);
a note that ends before its key-up gets the median release of the others.

Loudness follows the velocity as the instrument's own does, without a step between layers: see
velocity_curve.py. A sample is stored at the level it would have at velocity 127. The repetitions of
a note in a round robin keep their levels relative to each other.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mechanical_ears.deprecation import renamed_fields
from mechanical_ears.instrument.edges import trim_decay, trim_silence
from mechanical_ears.instrument.levels import (
    AUDIBLE_RANGE_DB,
    decay_rate,
    measure_release,
    momentary_level,
)
from mechanical_ears.instrument.loops import find_loop
from mechanical_ears.instrument.playable import (
    Playable,
    Progress,
    play_notes,
    release_seconds,
)
from mechanical_ears.instrument.sampled import Audio, Sample, SampledInstrument
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

SINGLE_LAYER_VELOCITY: Final = 100  # MIDI velocity
MIN_VELOCITY: Final = 25  # MIDI velocity, NSynth's softest: networks have not learned softer ones
MAX_SUSTAINED_DECAY: Final = 3.0  # dB/s, above which an instrument's notes are not looped
MAX_HOLD_SECONDS: Final = 15.0  # s, of a decaying note
EXTRA_SECONDS: Final = 0.5  # s, that a decaying note is held beyond its audible part
LOOP_START_SHARE: Final = 0.3  # of the time held, before which no loop starts
LEVEL_SECONDS: Final = 1.5  # s of a note in which its layer's level is measured
MAX_DECAY_BEFORE_RELEASE_DB: Final = 20.0  # dB, of a note at its key-up, to measure its release
MIN_HOLD_SECONDS: Final = 0.1  # s, of a note whose release is measured
DEFAULT_RELEASE_SECONDS: Final = 0.3  # s, where no note has a release
SILENCE_DB: Final = -100.0  # dB of full scale
MAX_ROUND_ROBINS: Final = 16
TARGET_PEAK: Final = 10 ** (-1 / 20)  # of full scale

NoteRequest = tuple[int, int, int]  # MIDI number, MIDI velocity, number of the repetition


@renamed_fields(
    lowest="lowest_key",
    highest="highest_key",
    every="key_step",
    seconds="hold_seconds",
    longest="max_hold_seconds",
    to_peak="normalise",
)
@dataclass(frozen=True)
class SamplingPlan:
    """Which notes of an instrument are sampled, and how.

    Attributes:
        lowest_key: MIDI number of the lowest key.
        highest_key: MIDI number of the highest key.
        key_step: keys from one sample to the next.
        layers: velocity layers, 1..16.
        hold_seconds: s for which a key is held; decaying notes are held longer.
        sample_rate: Hz.
        max_hold_seconds: s for which the key of a decaying note is held at most.
        keys: MIDI numbers to sample in place of every n-th key; empty for none.
        round_robins: repetitions of each note, 1..16, which take turns.
        channels: 1, or 2 for stereo samples.
        normalise: scale all samples so that the loudest peaks at −1 dB of full scale; otherwise
            the instrument keeps its own level, which may clip in a file.

    Raises:
        InstrumentError: a value is out of range.

    >>> SamplingPlan(lowest_key=48, highest_key=72, key_step=12).roots
    [54, 66]
    """

    lowest_key: int = PIANO_MIN_PITCH
    highest_key: int = PIANO_MAX_PITCH
    key_step: int = 3
    layers: int = 3
    hold_seconds: float = 4.0
    sample_rate: int = 48_000
    max_hold_seconds: float = MAX_HOLD_SECONDS
    keys: tuple[int, ...] = ()
    normalise: bool = True
    round_robins: int = 1
    channels: int = 1

    def __post_init__(self) -> None:
        low, high = self.lowest_key, self.highest_key
        if not KEY_RANGE[0] <= low <= high <= KEY_RANGE[1]:
            raise InstrumentError(f"keys {low}..{high} are not within 0..127")
        if not 1 <= self.key_step <= 127:
            raise InstrumentError(f"the step between keys is {self.key_step}, outside 1..127")
        if not 1 <= self.layers <= MAX_LAYERS:
            raise InstrumentError(f"{self.layers} velocity layers, outside 1..{MAX_LAYERS}")
        if not 1 <= self.round_robins <= MAX_ROUND_ROBINS:
            raise InstrumentError(
                f"{self.round_robins} round robins, outside 1..{MAX_ROUND_ROBINS}"
            )
        if self.channels not in (1, 2):
            raise InstrumentError(f"there are {self.channels} channels, neither 1 nor 2")
        if not 0.2 <= self.hold_seconds <= 60:
            raise InstrumentError(f"keys are held for {self.hold_seconds:g} s, outside 0.2..60")
        if not 8_000 <= self.sample_rate <= 192_000:
            raise InstrumentError(f"sample rate is {self.sample_rate} Hz, outside 8000..192000")

    @property
    def roots(self) -> list[int]:
        """MIDI numbers of the keys that are sampled, ascending."""
        if self.keys:
            return sorted(set(self.keys))
        first = min(self.lowest_key + self.key_step // 2, self.highest_key)
        return list(range(first, self.highest_key + 1, self.key_step))

    @property
    def velocities(self) -> list[int]:
        """MIDI velocity at which each layer is sampled, ascending."""
        if self.layers == 1:
            return [SINGLE_LAYER_VELOCITY]
        return [
            max((low + high + 1) // 2, min(MIN_VELOCITY, high))
            for low, high in layer_ranges(self.layers)
        ]


@dataclass(frozen=True, eq=False)
class _SampledNote:
    """A note prepared for a sampler."""

    audio: Audio  # (frames, channels)
    loop: Loop | None
    release: float | None  # s, for 80 dB; None if the note ended before its key-up
    level: float  # dB


def sample_instrument(
    playable: Playable, plan: SamplingPlan | None = None, progress: Progress | None = None
) -> SampledInstrument:
    """Sample an instrument; the zones tile all keys and velocities.

    Args:
        playable: the instrument.
        plan: which notes; None for every third key of a piano in three layers.
        progress: called with the number of steps done and their total, two for each note.

    Raises:
        InstrumentError: all notes are silent.
    """
    plan = SamplingPlan() if plan is None else plan
    roots, velocities = plan.roots, plan.velocities
    pairs = [(float(root), velocity) for root in roots for velocity in velocities]
    repetitions = range(plan.round_robins)
    requests = [
        (root, velocity, repetition)
        for repetition in repetitions
        for root in roots
        for velocity in velocities
    ]
    seconds = plan.hold_seconds + release_seconds(playable)
    sounds: list[Sound] = []
    for repetition in repetitions:
        for sound in play_notes(
            playable, pairs, seconds, plan.sample_rate, repetition, plan.channels
        ):
            sounds.append(_trim(sound))
            if progress is not None:
                progress(len(sounds), 2 * len(requests))
    held_frames = round(plan.hold_seconds * plan.sample_rate)
    decays = [decay_rate(sound.mono().samples[:held_frames], plan.sample_rate) for sound in sounds]
    sustains = float(np.median(decays)) <= MAX_SUSTAINED_DECAY

    def prepare(request: NoteRequest, sound: Sound, decay: float) -> _SampledNote:
        return _prepare_note(playable, request, sound, plan, decay, sustains)

    notes: dict[NoteRequest, _SampledNote] = {}
    with ThreadPoolExecutor(worker_count()) as pool:
        prepared = pool.map(prepare, requests, sounds, decays)
        for request, note in zip(requests, prepared, strict=True):
            notes[request] = note
            if progress is not None:
                progress(len(requests) + len(notes), 2 * len(requests))
    if max(note.level for note in notes.values()) < SILENCE_DB:
        raise InstrumentError("makes no sound", record=playable.name)
    releases = [note.release for note in notes.values() if note.release is not None]
    median = float(f"{np.median(releases):.2g}") if releases else DEFAULT_RELEASE_SECONDS
    zones: list[Zone] = []
    samples: dict[str, Sample] = {}
    layers = layer_ranges(len(velocities))
    for root, keys in zip(roots, tile_range(roots, KEY_RANGE), strict=True):
        levels = [
            float(np.mean([notes[root, velocity, each].level for each in repetitions]))
            for velocity in velocities
        ]
        curves = fit_layer_curves(levels, velocities, layers)
        for velocity, layer, curve, level in zip(velocities, layers, curves, levels, strict=True):
            gain = np.float32(10 ** ((curve.level - level) / 20))
            for repetition in repetitions:
                note = notes[root, velocity, repetition]
                name = sample_name(root, velocity, repetition)
                samples[name] = Sample(note.audio * gain, plan.sample_rate)
                release = median if note.release is None else note.release
                zones.append(
                    Zone(
                        sample=name,
                        root=root,
                        keys=keys,
                        velocities=layer,
                        loop=note.loop,
                        envelope=Envelope(release=release),
                        velocity_response=VelocityResponse(power=curve.power),
                        round_robin=(repetition + 1, plan.round_robins),
                    )
                )
    return SampledInstrument(
        name=playable.name,
        zones=tuple(zones),
        samples=normalise_peak(samples) if plan.normalise else samples,
        family=playable.family,
        licence=playable.licence,
    )


def sample_name(root: int, velocity: int, repetition: int = 0) -> str:
    """Name of a sample that every file system accepts: ``060_C4_v100``, then ``060_C4_v100_r2``."""
    name = f"{root:03d}_{midi_to_name(root).replace('#', 's')}_v{velocity:03d}"
    return f"{name}_r{repetition + 1}" if repetition else name


def normalise_peak(samples: dict[str, Sample]) -> dict[str, Sample]:
    """All samples scaled by one factor, so that the highest peak is −1 dB of full scale."""
    peak = max(float(np.abs(sample.audio).max()) for sample in samples.values())
    factor = np.float32(TARGET_PEAK / max(peak, 1e-9))
    return {name: replace(each, audio=each.audio * factor) for name, each in samples.items()}


def _trim(sound: Sound) -> Sound:
    return Sound(trim_silence(_frames(sound), sound.sample_rate), sound.sample_rate)


def _frames(sound: Sound) -> Audio:
    """Samples (frames, channels)."""
    return sound.samples.reshape(len(sound.samples), -1)


def _prepare_note(
    playable: Playable,
    request: NoteRequest,
    sound: Sound,
    plan: SamplingPlan,
    decay: float,
    sustains: bool,
) -> _SampledNote:
    """Loop a note, or play it again for as long as it is audible.

    Args:
        playable: the instrument.
        request: MIDI number, MIDI velocity and number of the repetition.
        sound: the note, held for ``plan.hold_seconds``.
        plan: how it is sampled.
        decay: dB/s, of the note.
        sustains: whether the instrument's notes are looped.
    """
    rate, (pitch, velocity, repetition) = sound.sample_rate, request
    tail = release_seconds(playable)
    hold = max(sound.seconds - tail, MIN_HOLD_SECONDS)
    if sustains:
        release = measure_release(sound.mono().samples, rate, hold)
    else:
        short = max(MAX_DECAY_BEFORE_RELEASE_DB / max(decay, 1.0), MIN_HOLD_SECONDS)
        short = min(plan.hold_seconds, short)
        released = playable.note(pitch, velocity, short + tail, rate, repetition)
        release = measure_release(released.samples, rate, short, decay)
        audible = AUDIBLE_RANGE_DB / max(decay, 1.0) + EXTRA_SECONDS
        needed = min(audible, plan.max_hold_seconds)
        if needed > hold + EXTRA_SECONDS:
            others = {} if plan.channels == 1 else {"channels": plan.channels}
            sound = _trim(playable.note(pitch, velocity, needed + tail, rate, repetition, **others))
            hold = sound.seconds - tail
    audio = _frames(sound)
    looped = None
    if sustains:
        looped = find_loop(audio, rate, midi_to_hz(pitch), LOOP_START_SHARE * hold, hold)
    if looped is None:
        audio, loop = trim_decay(audio[: round(hold * rate)], rate), None
    else:
        audio, loop = looped.audio, looped.loop
    level = momentary_level(audio[: round(LEVEL_SECONDS * rate)], rate)
    return _SampledNote(audio, loop, release, level)
