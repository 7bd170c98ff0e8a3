"""An instrument made of samples: what is exported, what a sampler's file is read into, what plays.

A note is made as a sampler makes it: the zones at its key and velocity are found, their samples
read at another speed (soxr, band-limited), looped while the key is held, and shaped by envelope and
velocity; only nothing is approximated in real time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.files import SAMPLED_INSTRUMENT_SUFFIXES
from mechanical_ears.instrument.loops import unrolled
from mechanical_ears.instrument.zones import Envelope, InstrumentError, Zone
from mechanical_ears.note import NOTE_SECONDS, Note
from mechanical_ears.sound import Sound

if TYPE_CHECKING:
    from mechanical_ears.instrument.export import ExportResult

RELEASED: Final = 80.0  # dB that the level falls by in an envelope's ``release`` and ``decay``
LARGEST_RATIO: Final = 64.0  # times the speed of a sample, at most
HELD: Final = 3.0  # s that a key is held if nothing is said
LONGEST_RELEASE: Final = 8.0  # s of a release that are played
FADE: Final = 0.003  # s, at the end of what has no loop and is cut
USUAL: Final = 100  # MIDI velocity of what has one layer
RECORDINGS: Final = 10  # notes, at most, that tell what an instrument sounds like
INAUDIBLE: Final = 1e-3  # of full scale, below which a note tells nothing

Audio = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sample:
    """A recording.

    Attributes:
        audio: float32 (frames, channels), one or two channels.
        sample_rate: Hz.
    """

    audio: Audio
    sample_rate: int

    def __post_init__(self) -> None:
        if self.audio.ndim != 2 or self.audio.shape[1] not in (1, 2) or len(self.audio) == 0:
            raise InstrumentError(f"a sample of the shape {self.audio.shape}")
        if self.sample_rate <= 0:
            raise InstrumentError(f"a sample at {self.sample_rate} Hz")


@dataclass(frozen=True, eq=False)
class SampledInstrument:
    """Zones and their samples.

    Attributes:
        name: of the instrument.
        zones: where each sample sounds.
        samples: by the names that zones use.
        family: one of `FAMILIES`, where it is known.
        licence: of the recordings, where it is known.
        warnings: what a file told that is not understood here.

    Raises:
        InstrumentError: a zone names a sample that is not there.
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
                raise InstrumentError(f'a zone names the sample "{zone.sample}"', record=self.name)
            if zone.loop is not None and zone.loop.end > len(self.samples[zone.sample].audio):
                raise InstrumentError("its loop ends behind its end", record=zone.sample)

    @property
    def release_seconds(self) -> float:
        """Length of the release in what ``note`` gives, s: the longest that zones have."""
        longest = max((zone.envelope.release for zone in self.zones), default=0.0)
        return min(longest, LONGEST_RELEASE)

    @classmethod
    def load(cls, path: str | Path, preset: str | None = None) -> SampledInstrument:
        """Read an SFZ file or a preset of a SoundFont.

        Args:
            path: the .sfz, .sf2 or .sf3 file.
            preset: of a SoundFont, ``bank:program``; None for its first.

        Raises:
            EarsError: it cannot be read.
        """
        from mechanical_ears.instrument.formats.sf2_reader import read_sf2
        from mechanical_ears.instrument.formats.sfz_reader import read_sfz

        path = Path(path)
        if path.suffix.lower() not in SAMPLED_INSTRUMENT_SUFFIXES:
            raise InstrumentError(
                "is no instrument that can be read",
                path=path,
                remedy=f"give one of {', '.join(SAMPLED_INSTRUMENT_SUFFIXES)}",
            )
        return read_sfz(path) if path.suffix.lower() == ".sfz" else read_sf2(path, preset)

    def export(
        self, path: str | Path, *, bits: int = 16, flac: bool = False, force: bool = False
    ) -> ExportResult:
        """Write for a sampler; see `export.export`."""
        from mechanical_ears.instrument.export import export

        return export(self, path, bits=bits, flac=flac, force=force)

    def recordings(self, most: int = RECORDINGS) -> list[Note]:
        """Notes from all over its keys and velocities, each at the key of its sample.

        Args:
            most: how many.

        Raises:
            InstrumentError: none is heard.
        """
        distinct: dict[tuple[int, tuple[int, int]], Zone] = {}
        for zone in self.zones:
            distinct.setdefault((zone.root, zone.velocities), zone)
        zones = [distinct[place] for place in sorted(distinct)]
        chosen = np.unique(np.linspace(0, len(zones) - 1, most).round().astype(int)).tolist()
        notes = []
        for zone in (zones[place] for place in chosen):
            key = min(max(zone.root, zone.keys[0]), zone.keys[1])
            velocity = _middle(zone.velocities)
            sound = self.note(key, velocity, NOTE_SECONDS, self.samples[zone.sample].sample_rate)
            if float(np.abs(sound.samples).max()) > INAUDIBLE:
                notes.append(Note(sound, key, velocity, self.name, self.family))
        if not notes:
            raise InstrumentError("makes no sound", record=self.name)
        return notes

    def zones_at(self, pitch: float, velocity: int, round_robin: int = 0) -> list[Zone]:
        """The zones that sound at a pitch and velocity."""
        key = min(max(round(pitch), 0), 127)
        return [zone for zone in self.zones if zone.sounds_at(key, velocity, round_robin)]

    def note(
        self,
        pitch: float,
        velocity: int = 100,
        seconds: float | None = None,
        sample_rate: int = 48_000,
        round_robin: int = 0,
    ) -> Sound:
        """Play a note, mixed down to mono.

        Args:
            pitch: MIDI number, which need not be whole.
            velocity: MIDI velocity 1..127.
            seconds: length, release included; None for a key held for 3 s.
            sample_rate: Hz.
            round_robin: its number, from 0.
        """
        release = self.release_seconds
        whole = HELD + release if seconds is None else seconds
        count = max(1, round(whole * sample_rate))
        held = max(0.01, whole - release)
        audio = np.zeros((count, 2), dtype=np.float32)
        for zone in self.zones_at(pitch, velocity, round_robin):
            part = self.voice(zone, pitch, velocity, held, sample_rate)[:count]
            audio[: len(part)] += part
        return Sound(audio.mean(axis=1), sample_rate)

    def voice(
        self, zone: Zone, pitch: float, velocity: int, held: float, sample_rate: int
    ) -> Audio:
        """What a zone sounds like, float32 (frames, 2), its release included.

        Args:
            zone: one of its own.
            pitch: MIDI number.
            velocity: MIDI velocity 1..127.
            held: s until the key is let go.
            sample_rate: Hz.
        """
        frames = self.frames(zone, pitch, held, sample_rate)
        return self.shaped(
            zone, self.pitched(zone, pitch, frames, sample_rate), velocity, held, sample_rate
        )

    def frames(self, zone: Zone, pitch: float, held: float, sample_rate: int) -> int:
        """How many frames a zone sounds for, its release included."""
        wanted = zone.envelope.delay + held + min(zone.envelope.release, LONGEST_RELEASE)
        if zone.loop is None:
            sample = self.samples[zone.sample]
            speed = _speed(zone, pitch)
            there = len(sample.audio) / sample.sample_rate / speed + zone.envelope.delay
            wanted = min(wanted, there)
        return max(1, int(wanted * sample_rate))

    def pitched(self, zone: Zone, pitch: float, frames: int, sample_rate: int) -> Audio:
        """So many frames of a zone's sample at a pitch, float32 (frames, channels), unshaped."""
        import soxr

        sample = self.samples[zone.sample]
        rate = sample.sample_rate * _speed(zone, pitch)
        needed = int(np.ceil(frames * rate / sample_rate)) + 64
        source = unrolled(sample.audio, zone.loop, needed)
        if abs(rate / sample_rate - 1) > 1e-9:
            source = soxr.resample(source, rate, float(sample_rate), quality="HQ")
        made = np.asarray(source, dtype=np.float32)[:frames]
        return np.pad(made, ((0, frames - len(made)), (0, 0)))

    def shaped(
        self, zone: Zone, audio: Audio, velocity: int, held: float, sample_rate: int
    ) -> Audio:
        """A zone's pitched sample with its envelope, its gain and its pan, float32 (frames, 2)."""
        gain = zone.response.gain(velocity) * 10 ** (zone.gain / 20)
        level = envelope_gains(zone.envelope, held, len(audio), sample_rate) * np.float32(gain)
        if zone.loop is None:
            fade = min(round(FADE * sample_rate), len(audio) // 4)
            if fade:
                level[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        left, right = pan_gains(zone.pan)
        both = np.empty((len(audio), 2), dtype=np.float32)
        np.multiply(audio[:, 0], level * np.float32(left), out=both[:, 0])
        np.multiply(audio[:, -1], level * np.float32(right), out=both[:, 1])
        return both


def pan_gains(pan: float) -> tuple[float, float]:
    """Gains of left and right at −1 … 1: equal power, 1 in the middle."""
    angle = (min(max(pan, -1.0), 1.0) + 1) * np.pi / 4
    return float(np.sqrt(2) * np.cos(angle)), float(np.sqrt(2) * np.sin(angle))


def envelope_gains(envelope: Envelope, held: float, frames: int, sample_rate: int) -> Audio:
    """Gains of an envelope, float32 (frames,), the key let go after ``held`` s."""
    moments = np.arange(frames, dtype=np.float32) / np.float32(sample_rate)
    plain = envelope.sustain >= 0 and envelope.attack == 0 and envelope.delay == 0
    gains = np.ones(frames, dtype=np.float32)
    if not plain:
        begins = envelope.delay
        if envelope.attack > 0:
            np.minimum(gains, np.clip((moments - begins) / envelope.attack, 0, 1), out=gains)
        elif begins > 0:
            gains[moments < begins] = 0
        if envelope.sustain < 0:
            since = moments - (begins + envelope.attack + envelope.hold)
            fall = np.clip(since, 0, None) * (RELEASED / max(envelope.decay, 1e-3))
            gains *= 10 ** (-np.minimum(fall, -envelope.sustain) / 20)
    first = min(frames, max(0, round((envelope.delay + held) * sample_rate)))
    release = min(max(envelope.release, FADE), LONGEST_RELEASE)
    after = moments[first:] - np.float32(envelope.delay + held)
    share = np.clip(after / np.float32(release), 0, 1)
    # a straight fall in decibels, that reaches nothing at its end
    gains[first:] *= np.float32(10) ** (-RELEASED / 20 * share) * (1 - share**8)
    return gains


def _middle(velocities: tuple[int, int]) -> int:
    """A velocity that is usual within a layer."""
    low, high = velocities
    return USUAL if low <= 1 and high == 127 else max(1, (low + high + 1) // 2)


def _speed(zone: Zone, pitch: float) -> float:
    ratio = 2 ** (zone.semitones(pitch) / 12)
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        return float(min(max(ratio, 1 / LARGEST_RATIO), LARGEST_RATIO))
    return float(ratio)
