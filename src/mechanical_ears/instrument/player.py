"""Playing songs: every note through its channel's instrument, mixed to stereo.

Notes come from samples, each read at its pitch once for all notes that need it, or, live, from the
instrument's own renderer, each as it is. A channel's notes are added up, then its volume and pan
are laid over them. Where a channel bends its pitch, a note is read along the bend,

    place(t) = ∫₀ᵗ 2^(bend(τ) / 12) dτ

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
from mechanical_ears.instrument.midi import Channel, Curve, Song, SongNote, used_channels
from mechanical_ears.instrument.playable import Playable, Progress, release_seconds
from mechanical_ears.instrument.playable import play_notes as together
from mechanical_ears.instrument.reverb import reverberated
from mechanical_ears.instrument.sampled import Audio, SampledInstrument, pan_gains
from mechanical_ears.instrument.zones import InstrumentError, Zone

SAMPLE_RATE: Final = 48_000  # Hz
SMOOTH: Final = 0.005  # s, in which a controller reaches its value
GRID: Final = 3  # keys from one sample to the next, where an instrument is sampled for a song
LAYERS: Final = 3
HELD: Final = (1.0, 4.0)  # s, for which a key is held, where an instrument is sampled for a song
BEYOND: Final = 0.5  # s, that what falls is sampled beyond the song's longest note
HEADROOM: Final = 0.97  # of full scale, the highest peak of a song
MOST_FRAMES: Final = 2**31 // 8  # of a song, stereo float32 then has 2 GB
KEPT: Final = 256 << 20  # bytes of samples at their pitches that are kept at a time


@dataclass(frozen=True, eq=False)
class Played:
    """A song that was played.

    Attributes:
        audio: float32 (frames, 2), within full scale.
        sample_rate: Hz.
        notes: how many were played.
        voices: the most that sounded at once.
        notices: what was passed over or changed.
    """

    audio: Audio
    sample_rate: int
    notes: int
    voices: int
    notices: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length in s."""
        return len(self.audio) / self.sample_rate


def play_song(
    song: Song,
    instruments: Mapping[int, Playable],
    *,
    sample_rate: int = SAMPLE_RATE,
    live: bool = False,
    reverb: float = 0.0,
    progress: Progress | None = None,
) -> Played:
    """Play a song.

    Args:
        song: notes and controllers.
        instruments: by channel, 1..16; 0 is for all channels that are not named.
        sample_rate: Hz.
        live: render each note instead of playing samples.
        reverb: level of a room beside the sound, 0..1.
        progress: told how many notes are done, and of how many.

    Raises:
        InstrumentError: no channel with notes has an instrument, or the song is too long.
    """
    if not 8_000 <= sample_rate <= 192_000:
        raise InstrumentError(f"sample rate is {sample_rate} Hz, outside 8000..192000")
    if not 0 <= reverb <= 1:
        raise InstrumentError(f'"reverb" is {reverb:g}, outside 0..1')
    notices = list(song.notices)
    by_channel: dict[int, Playable] = {}
    for number in used_channels(song.notes):
        playable = instruments.get(number, instruments.get(0))
        if playable is None:
            count = sum(note.channel == number for note in song.notes)
            notices.append(f"channel {number} has no instrument: {count} notes passed over")
        else:
            by_channel[number] = playable
    notes = {
        number: [note for note in song.notes if note.channel == number] for number in by_channel
    }
    if not notes:
        raise InstrumentError("no channel with notes has an instrument")
    if not live:
        by_channel = _sampled(by_channel, notes, sample_rate)
    whole = max(
        note.end + release_seconds(by_channel[number]) for number in notes for note in notes[number]
    )
    frames = round((whole + 0.05) * sample_rate)
    if frames > MOST_FRAMES:
        raise InstrumentError(f"the song lasts {whole / 3600:.1f} hours, which is too long")
    audio = np.zeros((frames, 2), dtype=np.float32)
    total, done = sum(map(len, notes.values())), 0
    for number, playable in by_channel.items():
        bus = np.zeros((frames, 2), dtype=np.float32)
        voices = _Voices(playable, song.channels[number], sample_rate, live)
        for start, sound in voices.all(notes[number]):
            part = bus[start : start + len(sound)]
            part += sound[: len(part)]
            done += 1
            if progress is not None:
                progress(done, total)
        _laid_over(bus, song.channels[number], sample_rate)
        audio += bus
    if reverb:
        audio = reverberated(audio, sample_rate, reverb)
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > HEADROOM:
        audio *= np.float32(HEADROOM / peak)
        notices.append(f"made softer by {20 * np.log10(peak / HEADROOM):.1f} dB, not to clip")
    return Played(audio, sample_rate, total, _most_at_once(song.notes), tuple(notices))


def _sampled(
    by_channel: Mapping[int, Playable],
    notes: Mapping[int, Sequence[SongNote]],
    sample_rate: int,
) -> dict[int, Playable]:
    """Instruments that are not made of samples, sampled at the keys that the song asks of them.

    No longer than its longest note, however: a song of short notes is sampled in a moment.
    """
    keys: dict[int, set[int]] = {}
    longest: dict[int, float] = {}
    for number, playable in by_channel.items():
        if not isinstance(playable, SampledInstrument):
            asked = {GRID * round(note.pitch / GRID) for note in notes[number]}
            keys.setdefault(id(playable), set()).update(min(key, 126) for key in asked)
            held = max(note.end - note.start for note in notes[number]) + BEYOND
            longest[id(playable)] = max(longest.get(id(playable), 0.0), held)
    made: dict[int, Playable] = {}
    for playable in by_channel.values():
        if id(playable) in keys and id(playable) not in made:
            plan = SamplingPlan(
                layers=LAYERS,
                sample_rate=sample_rate,
                keys=tuple(sorted(keys[id(playable)])),
                seconds=min(max(longest[id(playable)], HELD[0]), HELD[1]),
                longest=longest[id(playable)],
                to_peak=False,
            )
            made[id(playable)] = sample_instrument(playable, plan)
    return {number: made.get(id(playable), playable) for number, playable in by_channel.items()}


@dataclass
class _Voices:
    """Sounds of one channel's notes."""

    playable: Playable
    channel: Channel
    rate: int
    live: bool
    _kept: dict[tuple[int, int], Audio] = field(default_factory=dict)
    _bytes: int = 0

    def all(self, notes: Sequence[SongNote]) -> Iterator[tuple[int, Audio]]:
        """For each note its first frame and its sound, float32 (frames, 2)."""
        if self.live or not isinstance(self.playable, SampledInstrument):
            yield from self._rendered(notes)
        else:
            yield from self._from_samples(self.playable, notes)

    def _rendered(self, notes: Sequence[SongNote]) -> Iterator[tuple[int, Audio]]:
        release = release_seconds(self.playable)
        lengths = [note.end - note.start + release for note in notes]
        rendered = together(
            self.playable,
            [(note.pitch, note.velocity) for note in notes],
            [
                max(0.05, length * self._most_bend(note, note.end + release))
                for note, length in zip(notes, lengths, strict=True)
            ],
            self.rate,
        )
        for note, length, sound in zip(notes, lengths, rendered, strict=True):
            bent = self._bent(sound.samples[:, None], note, round(length * self.rate))
            yield round(note.start * self.rate), np.repeat(bent, 2, axis=1)

    def _from_samples(
        self, instrument: SampledInstrument, notes: Sequence[SongNote]
    ) -> Iterator[tuple[int, Audio]]:
        turns: Counter[int] = Counter()
        asked: list[tuple[SongNote, list[Zone]]] = []
        for note in notes:
            asked.append((note, instrument.zones_at(note.pitch, note.velocity, turns[note.pitch])))
            turns[note.pitch] += 1
        needed: dict[tuple[int, int], int] = {}
        for note, zones in asked:
            for zone in zones:
                place = (id(zone), note.pitch)
                count = self._frames(instrument, zone, note)
                needed[place] = max(needed.get(place, 0), count)
        for note, zones in asked:
            held = note.end - note.start
            parts = []
            for zone in zones:
                pitched = self._pitched(instrument, zone, note.pitch, needed)
                frames = instrument.zone_frames(zone, note.pitch, held, self.rate)
                bent = self._bent(pitched, note, frames)
                parts.append(instrument.shape_zone(zone, bent, note.velocity, held, self.rate))
            start = round(note.start * self.rate)
            if len(parts) == 1:
                yield start, parts[0]
                continue
            whole = np.zeros((max(map(len, parts), default=0), 2), dtype=np.float32)
            for part in parts:
                whole[: len(part)] += part
            yield start, whole

    def _frames(self, instrument: SampledInstrument, zone: Zone, note: SongNote) -> int:
        """Frames of a zone's sample at its pitch that a note needs, bends reckoned in."""
        held = note.end - note.start
        frames = instrument.zone_frames(zone, note.pitch, held, self.rate)
        return int(frames * self._most_bend(note, note.end + zone.envelope.release)) + 8

    def _pitched(
        self,
        instrument: SampledInstrument,
        zone: Zone,
        pitch: int,
        needed: Mapping[tuple[int, int], int],
    ) -> Audio:
        place = (id(zone), pitch)
        if place not in self._kept:
            made = instrument.resample_zone(zone, pitch, needed[place], self.rate)
            if self._bytes + made.nbytes > KEPT:
                self._kept.clear()
                self._bytes = 0
            self._kept[place] = made
            self._bytes += made.nbytes
        return self._kept[place]

    def _most_bend(self, note: SongNote, end: float) -> float:
        """The highest speed at which a note is read."""
        bends = [value for moment, value in self.channel.bend if moment <= end]
        return float(max(1.0, 2 ** (max(bends) / 12)))

    def _bent(self, audio: Audio, note: SongNote, frames: int) -> Audio:
        """So many frames of a note, read along its channel's bend."""
        if not _moves(self.channel.bend, note.start, note.start + frames / self.rate):
            made = audio[:frames]
            return np.pad(made, ((0, frames - len(made)), (0, 0))) if len(made) < frames else made
        first = round(note.start * self.rate)
        bend = automation(self.channel.bend, first, frames, self.rate)
        speed = np.exp2(bend.astype(np.float64) / 12)
        places = np.concatenate([[0.0], np.cumsum(speed[:-1])])
        return read_at(audio, places)


def read_at(audio: Audio, places: NDArray[np.float64]) -> Audio:
    """A sound read at places between its frames, by the cubic through four; zeros behind its end.

    Args:
        audio: float32 (frames, channels).
        places: float64 (moments,), in frames, from 0 on.
    """
    padded = np.pad(audio, ((1, 3), (0, 0)))
    whole = np.minimum(places.astype(np.int64), len(audio))
    share = np.clip(places - whole, 0, 1).astype(np.float32)[:, None]
    before, here, after, behind = (padded[whole + step] for step in range(4))
    slope, other = (after - before) * np.float32(0.5), (behind - here) * np.float32(0.5)
    rise = here - after
    cubic = (2 * rise + slope + other) * share - (3 * rise + 2 * slope + other)
    made: Audio = ((cubic * share) + slope) * share + here
    return made


def automation(curve: Curve, first: int, frames: int, sample_rate: int) -> Audio:
    """Values of a controller at frames, each step a ramp of 5 ms, float32 (frames,)."""
    places, values = [], []
    before = curve[0][1]
    for moment, value in curve:
        at = moment * sample_rate
        places += [at, at + SMOOTH * sample_rate]
        values += [before, value]
        before = value
    rising = np.maximum.accumulate(np.array(places))
    told = np.interp(np.arange(first, first + frames), rising, np.array(values))
    return np.asarray(told, dtype=np.float32)


def _moves(curve: Curve, start: float, end: float) -> bool:
    """Whether a controller is anything but 0 between two moments, s."""
    value = 0.0
    for moment, told in curve:
        if moment > end:
            break
        if moment <= start - SMOOTH:
            value = told
        elif told:
            return True
    return value != 0


def _laid_over(bus: Audio, channel: Channel, sample_rate: int) -> None:
    """Lay a channel's volume and pan over its sound, in place."""
    gain: Audio | np.float32 = np.float32(channel.gain[0][1])
    if len(channel.gain) > 1:
        gain = automation(channel.gain, 0, len(bus), sample_rate)
    sides = [[(moment, pan_gains(pan)[side]) for moment, pan in channel.pan] for side in (0, 1)]
    for side, curve in enumerate(sides):
        level: Audio | np.float32 = np.float32(curve[0][1])
        if len(curve) > 1:
            level = automation(curve, 0, len(bus), sample_rate)
        bus[:, side] *= gain * level


def _most_at_once(notes: Sequence[SongNote]) -> int:
    """The most keys that are held at the same time."""
    moments = sorted([(note.start, 1) for note in notes] + [(note.end, -1) for note in notes])
    now = most = 0
    for _, step in moments:
        now += step
        most = max(most, now)
    return most
