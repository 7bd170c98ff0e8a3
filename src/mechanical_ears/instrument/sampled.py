"""An instrument made of samples: what samplers' files are read into and written from.

A note is played as a sampler plays it: the zones at its key and velocity are looked up, their
samples resampled to the pitch (soxr, band-limited), looped while the key is held, and shaped by
envelope and velocity. Nothing is approximated for the sake of real time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.deprecation import renamed_arguments, renamed_attributes, warn_deprecated
from mechanical_ears.facade import public
from mechanical_ears.instrument.loops import unroll_loop
from mechanical_ears.instrument.zones import ENVELOPE_RANGE_DB, Envelope, InstrumentError, Zone
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS, Note
from mechanical_ears.sound import Sound

MAX_SPEED: Final = 64.0  # factor between a sample's playback speed and its own, up or down
MAX_RELEASE_SECONDS: Final = 8.0  # s of a release that are played
FADE_SECONDS: Final = 0.003  # s, at the end of a sample without a loop
FULL_RANGE_VELOCITY: Final = 100  # MIDI velocity that stands for a layer of all velocities
MAX_NOTES: Final = 10  # representative notes of an instrument
MIN_PEAK: Final = 1e-3  # of full scale; a softer note represents nothing

Audio = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sample:
    """A recording.

    Attributes:
        audio: float32 (frames, channels), one or two channels, full scale is [-1, 1].
        sample_rate: Hz.

    Raises:
        InstrumentError: the shape is another one, or the rate is not above 0.
    """

    audio: Audio
    sample_rate: int

    def __post_init__(self) -> None:
        if self.audio.ndim != 2 or self.audio.shape[1] not in (1, 2) or len(self.audio) == 0:
            raise InstrumentError(f"a sample has the shape {self.audio.shape}")
        if self.sample_rate <= 0:
            raise InstrumentError(f"a sample has a rate of {self.sample_rate} Hz")


@renamed_attributes(recordings="representative_notes")
@dataclass(frozen=True, eq=False)
class SampledInstrument:
    """Zones and their samples; see `Playable`.

    Attributes:
        name: name of the instrument.
        zones: where each sample plays.
        samples: samples by the names that zones use.
        family: one of `FAMILIES`; None if unknown.
        licence: licence of the recordings; empty if unknown.
        warnings: parts of the file it was read from that are ignored.

    Raises:
        InstrumentError: a zone names a missing sample, or a loop reaches past a sample's end.

    >>> sine = Sample(Sound.sine(440, seconds=1, sample_rate=48_000).samples[:, None], 48_000)
    >>> instrument = SampledInstrument("Sine", (Zone("a4", root=69),), {"a4": sine})
    >>> instrument.note(57, velocity=100, seconds=2).seconds
    2.0
    """

    name: str
    zones: tuple[Zone, ...]
    samples: Mapping[str, Sample]
    family: str | None = None
    licence: str = ""
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for zone in self.zones:
            if zone.sample not in self.samples:
                raise InstrumentError(
                    f'a zone names the missing sample "{zone.sample}"', record=self.name
                )
            if zone.loop is not None and zone.loop.end > len(self.samples[zone.sample].audio):
                raise InstrumentError("its loop ends past its last frame", record=zone.sample)

    @property
    def release_seconds(self) -> float:
        """Seconds between the key-up and the end of a note: the longest release, at most 8."""
        longest = max((zone.envelope.release for zone in self.zones), default=0.0)
        return min(longest, MAX_RELEASE_SECONDS)

    @classmethod
    def load(cls, path: str | Path, preset: str | None = None) -> SampledInstrument:
        """Deprecated: use `mechanical_ears.open_instrument`."""
        warn_deprecated("SampledInstrument.load is now mechanical_ears.open_instrument")
        instrument = public("open_instrument")(path, preset=preset)
        if not isinstance(instrument, cls):
            raise InstrumentError("is not an instrument made of samples", path=Path(path))
        return instrument

    def export(self, path: str | Path, **options: Any) -> Any:
        """Deprecated: use `mechanical_ears.export`."""
        warn_deprecated("SampledInstrument.export is now mechanical_ears.export")
        return public("export")(self, path, **options)

    def representative_notes(self, max_notes: int = MAX_NOTES) -> list[Note]:
        """Notes spread over the keys and velocities, each at the key of its sample, 4 s long.

        Raises:
            InstrumentError: all of them are silent.
        """
        distinct: dict[tuple[int, tuple[int, int]], Zone] = {}
        for zone in self.zones:
            distinct.setdefault((zone.root, zone.velocities), zone)
        zones = [distinct[place] for place in sorted(distinct)]
        chosen = np.unique(np.linspace(0, len(zones) - 1, max_notes).round().astype(int)).tolist()
        notes = []
        for zone in (zones[index] for index in chosen):
            key = min(max(zone.root, zone.keys[0]), zone.keys[1])
            velocity = _typical_velocity(zone.velocities)
            sound = self.note(key, velocity, NOTE_SECONDS, self.samples[zone.sample].sample_rate)
            if float(np.abs(sound.samples).max()) > MIN_PEAK:
                notes.append(Note(sound, key, velocity, self.name, self.family))
        if not notes:
            raise InstrumentError("makes no sound", record=self.name)
        return notes

    def zones_at(self, pitch: float, velocity: int, round_robin: int = 0) -> list[Zone]:
        """The zones that play at a pitch (MIDI number) and velocity."""
        key = min(max(round(pitch), 0), 127)
        return [zone for zone in self.zones if zone.plays_at(key, velocity, round_robin)]

    @renamed_arguments(take="round_robin")
    def note(
        self,
        pitch: float,
        velocity: int = 100,
        seconds: float | None = None,
        sample_rate: int = 48_000,
        round_robin: int = 0,
        channels: int = 1,
    ) -> Sound:
        """Play a note; see `Playable.note`.

        Args:
            pitch: MIDI number; may be fractional.
            velocity: MIDI velocity 1..127.
            seconds: length in s, release included; None for a key held for 3 s.
            sample_rate: Hz.
            round_robin: number of the repetition.
            channels: 2, or 1 for their mean.
        """
        release = self.release_seconds
        length = HOLD_SECONDS + release if seconds is None else seconds
        count = max(1, round(length * sample_rate))
        hold_seconds = max(0.01, length - release)
        audio = np.zeros((count, 2), dtype=np.float32)
        for zone in self.zones_at(pitch, velocity, round_robin):
            frames = self.zone_frames(zone, pitch, hold_seconds, sample_rate)
            resampled = self.resample_zone(zone, pitch, frames, sample_rate)
            part = self.shape_zone(zone, resampled, velocity, hold_seconds, sample_rate)[:count]
            audio[: len(part)] += part
        return Sound(audio if channels == 2 else audio.mean(axis=1), sample_rate)

    def zone_frames(self, zone: Zone, pitch: float, hold_seconds: float, sample_rate: int) -> int:
        """Number of frames for which a zone plays, its release included.

        Args:
            zone: one of the instrument's zones.
            pitch: MIDI number.
            hold_seconds: s between key-down and key-up.
            sample_rate: Hz, of the output.
        """
        delay, release = zone.envelope.delay, min(zone.envelope.release, MAX_RELEASE_SECONDS)
        seconds = delay + hold_seconds + release
        if zone.loop is None:
            sample = self.samples[zone.sample]
            available = len(sample.audio) / sample.sample_rate / _speed(zone, pitch)
            seconds = min(seconds, available + delay)
        return max(1, int(seconds * sample_rate))

    def resample_zone(self, zone: Zone, pitch: float, frames: int, sample_rate: int) -> Audio:
        """A zone's sample at a pitch, looped, float32 (frames, channels), without its envelope."""
        import soxr

        sample = self.samples[zone.sample]
        rate = sample.sample_rate * _speed(zone, pitch)
        needed = int(np.ceil(frames * rate / sample_rate)) + 64
        audio = unroll_loop(sample.audio, zone.loop, needed)
        if abs(rate / sample_rate - 1) > 1e-9:
            audio = soxr.resample(audio, rate, float(sample_rate), quality="HQ")
        audio = np.asarray(audio, dtype=np.float32)[:frames]
        return np.pad(audio, ((0, frames - len(audio)), (0, 0)))

    def shape_zone(
        self, zone: Zone, audio: Audio, velocity: int, hold_seconds: float, sample_rate: int
    ) -> Audio:
        """Apply a zone's envelope, gain and pan to its resampled sample, float32 (frames, 2)."""
        gain = np.float32(zone.velocity_response.gain(velocity) * 10 ** (zone.gain / 20))
        level = envelope_gains(zone.envelope, hold_seconds, len(audio), sample_rate) * gain
        if zone.loop is None:
            fade = min(round(FADE_SECONDS * sample_rate), len(audio) // 4)
            if fade:
                level[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        left, right = pan_gains(zone.pan)
        stereo = np.empty((len(audio), 2), dtype=np.float32)
        np.multiply(audio[:, 0], level * np.float32(left), out=stereo[:, 0])
        np.multiply(audio[:, -1], level * np.float32(right), out=stereo[:, 1])
        return stereo


def pan_gains(pan: float) -> tuple[float, float]:
    """Amplitude factors of left and right at −1 … 1: constant power, 1 in the centre."""
    angle = (min(max(pan, -1.0), 1.0) + 1) * np.pi / 4
    return float(np.sqrt(2) * np.cos(angle)), float(np.sqrt(2) * np.sin(angle))


def envelope_gains(envelope: Envelope, hold_seconds: float, frames: int, sample_rate: int) -> Audio:
    """Amplitude factors of an envelope over time, float32 (frames,).

    Decay and release fall by a constant number of dB per second, 80 dB in their times; the
    release also reaches exactly 0 at its end.

    Args:
        envelope: its stages.
        hold_seconds: s from the end of the delay to the key-up.
        frames: number of frames.
        sample_rate: Hz.
    """
    times = np.arange(frames, dtype=np.float32) / np.float32(sample_rate)
    gains = np.ones(frames, dtype=np.float32)
    if envelope.attack > 0:
        np.minimum(gains, np.clip((times - envelope.delay) / envelope.attack, 0, 1), out=gains)
    elif envelope.delay > 0:
        gains[times < envelope.delay] = 0
    if envelope.sustain < 0:
        since = times - (envelope.delay + envelope.attack + envelope.hold)
        fall = np.clip(since, 0, None) * (ENVELOPE_RANGE_DB / max(envelope.decay, 1e-3))
        gains *= 10 ** (-np.minimum(fall, -envelope.sustain) / 20)
    key_up = envelope.delay + hold_seconds
    first = min(frames, max(0, round(key_up * sample_rate)))
    release = min(max(envelope.release, FADE_SECONDS), MAX_RELEASE_SECONDS)
    share = np.clip((times[first:] - np.float32(key_up)) / np.float32(release), 0, 1)
    gains[first:] *= np.float32(10) ** (-ENVELOPE_RANGE_DB / 20 * share) * (1 - share**8)
    return gains


def _typical_velocity(velocities: tuple[int, int]) -> int:
    """The velocity that stands for a layer: its middle, or 100 if it covers all velocities."""
    low, high = velocities
    if low <= 1 and high == 127:
        return FULL_RANGE_VELOCITY
    return max(1, (low + high + 1) // 2)


def _speed(zone: Zone, pitch: float) -> float:
    """Factor of the playback speed of a zone's sample at a pitch."""
    return float(np.clip(2 ** (zone.transposition(pitch) / 12), 1 / MAX_SPEED, MAX_SPEED))
