"""Playing songs: every note through its channel's instrument, mixed to stereo.

Notes are played from samples, each resampled to its pitch once for all notes that need it, or live:
rendered one by one by the instrument itself. The notes of a channel are added up, then its volume
and pan are applied. Where a channel bends its pitch, a note is read at the positions

    position(t) = ∫₀ᵗ 2^(bend(τ) / 12) dτ

between frames by the cubic of Catmull and Rom ("A class of local interpolating splines", 1974).
Controllers, which come in steps, are smoothed over 5 ms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument
from mechanical_ears.instrument.midi import ChannelCurves, Curve, Song, SongNote, used_channels
from mechanical_ears.instrument.playable import Playable, Progress, play_notes, release_seconds
from mechanical_ears.instrument.reverb import add_reverb
from mechanical_ears.instrument.sampled import Audio, SampledInstrument, pan_gains
from mechanical_ears.instrument.zones import InstrumentError, Zone
from mechanical_ears.sound import Sound

SAMPLE_RATE: Final = 48_000  # Hz
RAMP_SECONDS: Final = 0.005  # s, in which a controller reaches its value
KEY_STEP: Final = 3  # keys from one sample to the next, where an instrument is sampled for a song
MAX_SAMPLED_KEY: Final = 126  # MIDI number, a multiple of KEY_STEP
LAYERS: Final = 3
HOLD_RANGE_SECONDS: Final = (1.0, 4.0)  # s for which keys are held in such samples
EXTRA_SECONDS: Final = 0.5  # s that decaying notes are held beyond the song's longest note
MIN_NOTE_SECONDS: Final = 0.05  # s, of a note that is rendered live
END_SECONDS: Final = 0.05  # s of silence at the end of a song
MAX_PEAK: Final = 0.97  # of full scale
MAX_FRAMES: Final = 2**31 // 8  # of a song: 2 GB as stereo float32
MAX_CACHE_BYTES: Final = 256 << 20  # of resampled samples
SPARE_FRAMES: Final = 8  # of a resampled sample, for rounding


@dataclass(frozen=True, eq=False)
class RenderedSong:
    """A song as audio.

    Attributes:
        sound: stereo, within full scale.
        notes: number of notes.
        max_polyphony: highest number of keys held at once.
        warnings: what was ignored or changed.
    """

    sound: Sound
    notes: int
    max_polyphony: int
    warnings: tuple[str, ...]


def play_song(
    song: Song,
    instruments: Mapping[int, Playable],
    *,
    sample_rate: int = SAMPLE_RATE,
    live: bool = False,
    reverb: float = 0.0,
    stereo: bool = False,
    progress: Progress | None = None,
) -> RenderedSong:
    """Render a song.

    Args:
        song: notes and controllers.
        instruments: by channel, 1..16; 0 stands for all other channels.
        sample_rate: Hz.
        live: render each note by itself instead of playing samples.
        reverb: level of a room relative to the dry sound, 0..1.
        stereo: play instruments in stereo; otherwise only samples that are.
        progress: called with the number of notes done and their total.

    Raises:
        InstrumentError: no channel with notes has an instrument, or the song is too long.
    """
    if not 8_000 <= sample_rate <= 192_000:
        raise InstrumentError(f"sample rate is {sample_rate} Hz, outside 8000..192000")
    if not 0 <= reverb <= 1:
        raise InstrumentError(f'"reverb" is {reverb:g}, outside 0..1')
    warnings = list(song.warnings)
    by_channel: dict[int, Playable] = {}
    notes: dict[int, list[SongNote]] = {}
    for number in used_channels(song.notes):
        channel_notes = [note for note in song.notes if note.channel == number]
        playable = instruments.get(number, instruments.get(0))
        if playable is None:
            count = len(channel_notes)
            warnings.append(f"channel {number} has no instrument: {count} notes ignored")
        else:
            by_channel[number], notes[number] = playable, channel_notes
    if not notes:
        raise InstrumentError("no channel with notes has an instrument")
    if not live:
        by_channel = _sample_instruments(by_channel, notes, sample_rate, 2 if stereo else 1)
    end = max(
        note.end + release_seconds(by_channel[number]) for number in notes for note in notes[number]
    )
    frames = round((end + END_SECONDS) * sample_rate)
    if frames > MAX_FRAMES:
        raise InstrumentError(f"the song lasts {end / 3600:.1f} hours, which is too long")
    audio = np.zeros((frames, 2), dtype=np.float32)
    total, done = sum(map(len, notes.values())), 0
    for number, playable in by_channel.items():
        bus = np.zeros((frames, 2), dtype=np.float32)
        renderer = _ChannelRenderer(playable, song.channels[number], sample_rate, live, stereo)
        for start, note in renderer.render(notes[number]):
            part = bus[start : start + len(note)]
            part += note[: len(part)]
            done += 1
            if progress is not None:
                progress(done, total)
        _apply_gain_and_pan(bus, song.channels[number], sample_rate)
        audio += bus
    if reverb:
        audio = add_reverb(audio, sample_rate, reverb)
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > MAX_PEAK:
        audio *= np.float32(MAX_PEAK / peak)
        warnings.append(f"{20 * np.log10(peak / MAX_PEAK):.1f} dB softer, to avoid clipping")
    sound = Sound(audio, sample_rate)
    return RenderedSong(sound, total, _max_polyphony(song.notes), tuple(warnings))


def _sample_instruments(
    by_channel: Mapping[int, Playable],
    notes: Mapping[int, Sequence[SongNote]],
    sample_rate: int,
    channels: int,
) -> dict[int, Playable]:
    """Sample instruments that are not made of samples, at the keys that the song uses.

    Notes are held no longer than the song's longest, so a song of short notes is sampled quickly.
    """
    groups: dict[int, tuple[Playable, list[SongNote]]] = {}
    for number, playable in by_channel.items():
        if not isinstance(playable, SampledInstrument):
            groups.setdefault(id(playable), (playable, []))[1].extend(notes[number])
    sampled: dict[int, Playable] = {}
    for key, (playable, group) in groups.items():
        longest = max(note.end - note.start for note in group) + EXTRA_SECONDS
        roots = {KEY_STEP * round(note.pitch / KEY_STEP) for note in group}
        plan = SamplingPlan(
            layers=LAYERS,
            sample_rate=sample_rate,
            channels=channels,
            keys=tuple(sorted({min(root, MAX_SAMPLED_KEY) for root in roots})),
            hold_seconds=min(max(longest, HOLD_RANGE_SECONDS[0]), HOLD_RANGE_SECONDS[1]),
            max_hold_seconds=longest,
            normalise=False,
        )
        sampled[key] = sample_instrument(playable, plan)
    return {number: sampled.get(id(playable), playable) for number, playable in by_channel.items()}


@dataclass
class _ChannelRenderer:
    """Renders the notes of one channel, with its pitch bend."""

    playable: Playable
    curves: ChannelCurves
    rate: int
    live: bool
    stereo: bool
    _cache: dict[tuple[int, int], Audio] = field(default_factory=dict)  # by id of zone and pitch
    _cache_bytes: int = 0

    def render(self, notes: Sequence[SongNote]) -> Iterator[tuple[int, Audio]]:
        """First frame and audio of each note, float32 (frames, 2)."""
        if self.live or not isinstance(self.playable, SampledInstrument):
            return self._render_live(notes)
        return self._render_samples(self.playable, notes)

    def _render_live(self, notes: Sequence[SongNote]) -> Iterator[tuple[int, Audio]]:
        release = release_seconds(self.playable)
        lengths = [note.end - note.start + release for note in notes]
        sounds = play_notes(
            self.playable,
            [(note.pitch, note.velocity) for note in notes],
            [
                max(MIN_NOTE_SECONDS, length * self._max_speed(note.end + release))
                for note, length in zip(notes, lengths, strict=True)
            ],
            self.rate,
            channels=2 if self.stereo else 1,
        )
        for note, length, sound in zip(notes, lengths, sounds, strict=True):
            audio = sound.samples.reshape(len(sound.samples), -1)
            bent = self._bend(audio, note, round(length * self.rate))
            yield round(note.start * self.rate), np.repeat(bent, 3 - sound.channels, axis=1)

    def _render_samples(
        self, instrument: SampledInstrument, notes: Sequence[SongNote]
    ) -> Iterator[tuple[int, Audio]]:
        repetitions: Counter[int] = Counter()
        zones_of_notes: list[tuple[SongNote, list[Zone]]] = []
        needed: dict[tuple[int, int], int] = {}
        for note in notes:
            zones = instrument.zones_at(note.pitch, note.velocity, repetitions[note.pitch])
            repetitions[note.pitch] += 1
            zones_of_notes.append((note, zones))
            for zone in zones:
                key = (id(zone), note.pitch)
                needed[key] = max(needed.get(key, 0), self._needed_frames(instrument, zone, note))
        for note, zones in zones_of_notes:
            hold = note.end - note.start
            parts = []
            for zone in zones:
                frames = needed[id(zone), note.pitch]
                resampled = self._resample(instrument, zone, note.pitch, frames)
                frames = instrument.zone_frames(zone, note.pitch, hold, self.rate)
                bent = self._bend(resampled, note, frames)
                parts.append(instrument.shape_zone(zone, bent, note.velocity, hold, self.rate))
            start = round(note.start * self.rate)
            if len(parts) == 1:
                yield start, parts[0]
                continue
            mix = np.zeros((max(map(len, parts), default=0), 2), dtype=np.float32)
            for part in parts:
                mix[: len(part)] += part
            yield start, mix

    def _needed_frames(self, instrument: SampledInstrument, zone: Zone, note: SongNote) -> int:
        """Frames of a zone's resampled sample that a note needs, bends included."""
        frames = instrument.zone_frames(zone, note.pitch, note.end - note.start, self.rate)
        return int(frames * self._max_speed(note.end + zone.envelope.release)) + SPARE_FRAMES

    def _resample(
        self, instrument: SampledInstrument, zone: Zone, pitch: int, frames: int
    ) -> Audio:
        key = (id(zone), pitch)
        if key not in self._cache:
            audio = instrument.resample_zone(zone, pitch, frames, self.rate)
            if self._cache_bytes + audio.nbytes > MAX_CACHE_BYTES:
                self._cache.clear()
                self._cache_bytes = 0
            self._cache[key] = audio
            self._cache_bytes += audio.nbytes
        return self._cache[key]

    def _max_speed(self, end: float) -> float:
        """The highest factor of speed at which a note that ends at a time (s) is read."""
        bends = [value for time, value in self.curves.bend if time <= end]
        return float(max(1.0, 2 ** (max(bends) / 12)))

    def _bend(self, audio: Audio, note: SongNote, frames: int) -> Audio:
        """A number of frames of a note, read along the channel's bend."""
        if not _is_nonzero(self.curves.bend, note.start, note.start + frames / self.rate):
            output = audio[:frames]
            return np.pad(output, ((0, frames - len(output)), (0, 0)))
        first = round(note.start * self.rate)
        bend = automation(self.curves.bend, first, frames, self.rate)
        speed = np.exp2(bend.astype(np.float64) / 12)
        return interpolate_cubic(audio, np.concatenate([[0.0], np.cumsum(speed[:-1])]))


def interpolate_cubic(audio: Audio, positions: NDArray[np.float64]) -> Audio:
    """A sound at positions between its frames, float32 (positions, channels).

    Catmull–Rom splines through four frames; zeros past the end.

    Args:
        audio: float32 (frames, channels).
        positions: float64 (positions,), in frames, at least 0.
    """
    padded = np.pad(audio, ((1, 3), (0, 0)))
    index = np.minimum(positions.astype(np.int64), len(audio))
    t = np.clip(positions - index, 0, 1).astype(np.float32)[:, None]
    p0, p1, p2, p3 = (padded[index + step] for step in range(4))
    slope_1, slope_2 = (p2 - p0) * np.float32(0.5), (p3 - p1) * np.float32(0.5)
    difference = p1 - p2
    cubic = (2 * difference + slope_1 + slope_2) * t - (3 * difference + 2 * slope_1 + slope_2)
    output: Audio = ((cubic * t) + slope_1) * t + p1
    return output


def automation(curve: Curve, first: int, frames: int, sample_rate: int) -> Audio:
    """Values of a controller at frames, each step a ramp of 5 ms, float32 (frames,).

    Args:
        curve: times in s and values.
        first: number of the first frame.
        frames: how many.
        sample_rate: Hz.
    """
    positions, values = [], []
    previous = curve[0][1]
    for time, value in curve:
        start = time * sample_rate
        positions += [start, start + RAMP_SECONDS * sample_rate]
        values += [previous, value]
        previous = value
    ascending = np.maximum.accumulate(np.array(positions))
    output = np.interp(np.arange(first, first + frames), ascending, np.array(values))
    return np.asarray(output, dtype=np.float32)


def _is_nonzero(curve: Curve, start: float, end: float) -> bool:
    """Whether a controller has any value but 0 between two times in s."""
    current = 0.0
    for time, value in curve:
        if time > end:
            break
        if time <= start - RAMP_SECONDS:
            current = value
        elif value:
            return True
    return current != 0


def _apply_gain_and_pan(bus: Audio, curves: ChannelCurves, sample_rate: int) -> None:
    """Apply a channel's volume and pan in place."""

    def values(curve: Curve) -> Audio | np.float32:
        constant = len(curve) == 1
        return np.float32(curve[0][1]) if constant else automation(curve, 0, len(bus), sample_rate)

    gain = values(curves.gain)
    for side in (0, 1):
        bus[:, side] *= gain * values([(time, pan_gains(pan)[side]) for time, pan in curves.pan])


def _max_polyphony(notes: Sequence[SongNote]) -> int:
    """The highest number of keys that are held at once."""
    changes = sorted([(note.start, 1) for note in notes] + [(note.end, -1) for note in notes])
    count = highest = 0
    for _, change in changes:
        count += change
        highest = max(highest, count)
    return highest
