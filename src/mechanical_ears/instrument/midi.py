"""Reading MIDI files: notes with their times in seconds, and each channel's controllers.

Types 0 and 1 of the standard MIDI file are read (mido parses the bytes); tempo changes may be in
any track. The sustain pedal holds notes whose keys are released; a key struck again ends its note.
Channel 10 is drums, which have no pitch: it is ignored with a warning. Volume (7) and expression
(11) follow the General MIDI recommendation, gain = (value / 127)² each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mechanical_ears.instrument.zones import InstrumentError

CHANNEL_COUNT: Final = 16
DRUM_CHANNEL: Final = 9  # channel 10, counted from 0
DEFAULT_TEMPO: Final = 500_000  # microseconds per quarter note
DEFAULT_BEND_RANGE: Final = 2.0  # semitones of a full bend
MAX_SONG_SECONDS: Final = 4 * 3600.0  # s
MAX_NOTES: Final = 2_000_000
MAX_FILE_BYTES: Final = 64 << 20

VOLUME, PAN, EXPRESSION, PEDAL = 7, 10, 11, 64  # controllers
DATA, DATA_FINE, RPN_FINE, RPN = 6, 38, 100, 101
ALL_SOUND_OFF, RESET, ALL_NOTES_OFF = 120, 121, 123
BEND_RANGE: Final = (0, 0)  # registered parameter
NO_PARAMETER: Final = (127, 127)
MIN_PEDAL_DOWN: Final = 64  # value of the pedal

Curve = list[tuple[float, float]]  # times in s, ascending, and values from there on


@dataclass(frozen=True)
class SongNote:
    """A note of a song.

    Attributes:
        start: s.
        end: s, when key and pedal are both released.
        pitch: MIDI number.
        velocity: MIDI velocity 1..127.
        channel: 1..16.
    """

    start: float
    end: float
    pitch: int
    velocity: int
    channel: int


@dataclass
class ChannelCurves:
    """A channel's controllers over time.

    Attributes:
        gain: amplitude factor of volume and expression together.
        pan: −1 left … 1 right.
        bend: semitones.
    """

    gain: Curve = field(default_factory=lambda: [(0.0, (100 / 127) ** 2)])
    pan: Curve = field(default_factory=lambda: [(0.0, 0.0)])
    bend: Curve = field(default_factory=lambda: [(0.0, 0.0)])


@dataclass(frozen=True, eq=False)
class Song:
    """A MIDI file's notes and controllers.

    Attributes:
        notes: sorted by start, channel and pitch.
        channels: controllers by channel, 1..16.
        seconds: end of the last note.
        warnings: events that are ignored.
    """

    notes: tuple[SongNote, ...]
    channels: dict[int, ChannelCurves]
    seconds: float
    warnings: tuple[str, ...]


class _Channel:
    """State of a channel while its events are read.

    Args:
        number: 1..16.
        notes: list that finished notes are added to.
    """

    def __init__(self, number: int, notes: list[SongNote]) -> None:
        self.curves = ChannelCurves()
        self._number, self._notes = number, notes
        self._volume, self._expression, self._bend = 100, 127, 0
        self._bend_range = DEFAULT_BEND_RANGE
        self._parameter = NO_PARAMETER
        self._pedal = False
        self._pressed: dict[int, tuple[float, int]] = {}  # start and velocity by pitch
        self._sustained: list[tuple[float, int, int]] = []  # start, pitch, velocity

    def apply(self, message: Any, time: float) -> bool:
        """Apply a message; False if it is of a kind that is ignored."""
        if message.type == "note_on" and message.velocity > 0:
            self._release_key(message.note, time, ignore_pedal=True)
            self._release_sustained(time, message.note)
            self._pressed[message.note] = (time, message.velocity)
        elif message.type in ("note_off", "note_on"):
            self._release_key(message.note, time)
        elif message.type == "pitchwheel":
            self._bend = message.pitch
            self._add_bend(time)
        elif message.type == "control_change":
            return self._apply_controller(message.control, message.value, time)
        else:
            return False
        return True

    def end_all_notes(self, time: float) -> None:
        """End pressed and sustained notes."""
        for pitch in list(self._pressed):
            self._release_key(pitch, time, ignore_pedal=True)
        self._release_sustained(time)

    def _apply_controller(self, controller: int, value: int, time: float) -> bool:
        if controller in (VOLUME, EXPRESSION):
            if controller == VOLUME:
                self._volume = value
            else:
                self._expression = value
            self._add_gain(time)
        elif controller == PAN:
            _add_point(self.curves.pan, time, min(max((value - 64) / 63, -1.0), 1.0))
        elif controller == PEDAL:
            self._pedal = value >= MIN_PEDAL_DOWN
            if not self._pedal:
                self._release_sustained(time)
        elif controller == RPN:
            self._parameter = (value, self._parameter[1])
        elif controller == RPN_FINE:
            self._parameter = (self._parameter[0], value)
        elif controller in (DATA, DATA_FINE) and self._parameter == BEND_RANGE:
            semitones = int(self._bend_range)
            cents = round(100 * (self._bend_range - semitones))
            if controller == DATA:
                self._bend_range = value + cents / 100
            else:
                self._bend_range = semitones + value / 100
            self._add_bend(time)
        elif controller == ALL_SOUND_OFF:
            self.end_all_notes(time)
        elif controller == ALL_NOTES_OFF:
            for pitch in list(self._pressed):
                self._release_key(pitch, time)
        elif controller == RESET:
            self._expression, self._bend, self._pedal = 127, 0, False
            self._release_sustained(time)
            self._add_gain(time)
            self._add_bend(time)
        else:
            return controller in (DATA, DATA_FINE)
        return True

    def _add_gain(self, time: float) -> None:
        gain = (self._volume * self._expression / 127**2) ** 2
        _add_point(self.curves.gain, time, gain)

    def _add_bend(self, time: float) -> None:
        _add_point(self.curves.bend, time, self._bend / 8192 * self._bend_range)

    def _release_key(self, pitch: int, time: float, ignore_pedal: bool = False) -> None:
        """Release a key; with the pedal down its note goes on, unless the pedal is ignored."""
        if pitch not in self._pressed:
            return
        start, velocity = self._pressed.pop(pitch)
        if self._pedal and not ignore_pedal:
            self._sustained.append((start, pitch, velocity))
        else:
            self._notes.append(SongNote(start, time, pitch, velocity, self._number))

    def _release_sustained(self, time: float, only: int | None = None) -> None:
        """End the notes that the pedal holds: all of them, or those of one pitch."""
        ended = [each for each in self._sustained if only in (None, each[1])]
        self._sustained = [each for each in self._sustained if only not in (None, each[1])]
        for start, pitch, velocity in ended:
            self._notes.append(SongNote(start, time, pitch, velocity, self._number))


def read_song(path: str | Path) -> Song:
    """Read a MIDI file.

    Raises:
        InstrumentError: it cannot be read, is truncated, of type 2, or has no note to play.
    """
    path = Path(path)
    file = _open_file(path)
    notes: list[SongNote] = []
    channels = [_Channel(number + 1, notes) for number in range(CHANNEL_COUNT)]
    drum_notes = ignored = 0
    end = 0.0
    for time, message in _timed_messages(file, path):
        end = time
        if message.is_meta or not hasattr(message, "channel"):
            continue
        if message.channel == DRUM_CHANNEL:
            drum_notes += message.type == "note_on" and message.velocity > 0
        else:
            ignored += not channels[message.channel].apply(message, time)
    for channel in channels:
        channel.end_all_notes(end)
    warnings = []
    if drum_notes:
        warnings.append(f"{drum_notes} notes of drums (channel 10) are ignored")
    if ignored:
        warnings.append(f"{ignored} events of other kinds are ignored")
    if not notes:
        problem = f"has no note to play{': all are drums' if drum_notes else ''}"
        remedy = "give a MIDI file with notes outside channel 10"
        raise InstrumentError(problem, path=path, remedy=remedy)
    if len(notes) > MAX_NOTES:
        raise InstrumentError(f"has {len(notes)} notes, more than {MAX_NOTES}", path=path)
    notes.sort(key=lambda note: (note.start, note.channel, note.pitch))
    curves = {number: channel.curves for number, channel in enumerate(channels, start=1)}
    return Song(tuple(notes), curves, max(note.end for note in notes), tuple(warnings))


def _open_file(path: Path) -> Any:
    """A ``mido.MidiFile`` of type 0 or 1."""
    import mido

    if not path.exists():
        raise InstrumentError("no such file", path=path)
    if path.is_dir():
        raise InstrumentError("is a folder, not a MIDI file", path=path)
    remedy = "give a standard MIDI file (.mid)"
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InstrumentError(f"is larger than {MAX_FILE_BYTES >> 20} MB", path=path)
        file = mido.MidiFile(path, clip=True)
    except InstrumentError:
        raise
    except EOFError as error:
        raise InstrumentError("is truncated", path=path, remedy="copy it again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InstrumentError(f"is not a MIDI file ({reason})", path=path, remedy=remedy) from error
    except Exception as error:  # mido raises errors of many kinds on damaged files
        raise InstrumentError(f"is damaged ({error})", path=path, remedy="copy it again") from error
    if file.type == 2:
        raise InstrumentError(
            "is of type 2, patterns without an order", path=path, remedy="save it as type 0 or 1"
        )
    if file.type not in (0, 1) or file.ticks_per_beat == 0:
        raise InstrumentError("is damaged", path=path, remedy=remedy)
    return file


def _timed_messages(file: Any, path: Path) -> Iterator[tuple[float, Any]]:
    """Messages of all tracks with their times in s, in order."""
    messages: list[tuple[int, Any]] = []
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            messages.append((tick, message))
    messages.sort(key=lambda each: each[0])  # stable: messages of one tick keep their order
    division = file.ticks_per_beat
    tempo, previous, time = DEFAULT_TEMPO, 0, 0.0
    for tick, message in messages:
        if division > 0x7FFF:  # SMPTE: frames per second and ticks per frame
            time = tick / ((0x100 - (division >> 8)) * (division & 0xFF) or 1)
        else:
            time += (tick - previous) * tempo / (1e6 * division)
        previous = tick
        if time > MAX_SONG_SECONDS:
            raise InstrumentError(f"lasts more than {MAX_SONG_SECONDS / 3600:g} hours", path=path)
        if message.type == "set_tempo":
            tempo = max(message.tempo, 1)
        yield time, message


def _add_point(curve: Curve, time: float, value: float) -> None:
    if curve[-1][0] == time:
        curve[-1] = (time, value)
    elif curve[-1][1] != value:
        curve.append((time, value))


def used_channels(notes: Sequence[SongNote]) -> list[int]:
    """Channels that have notes, ascending."""
    return sorted({note.channel for note in notes})
