"""What a MIDI file asks for: notes with their seconds, and what each channel's controllers do.

Types 0 and 1 of the standard MIDI file are read (mido parses the bytes); tempo changes may stand in
any track. The sustain pedal holds notes whose keys are let go; a key struck again ends its note.
Channel 10 is drums, which have no pitch: it is passed over with a notice. Volume (7) and expression
(11) follow the General MIDI recommendation, gain = (value / 127)² each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mechanical_ears.instrument.zones import InstrumentError

CHANNELS: Final = 16
DRUMS: Final = 9  # channel 10, counted from 0
TEMPO: Final = 500_000  # microseconds a quarter note, where none is told
BEND: Final = 2.0  # semitones of a full bend, where none is told
LONGEST: Final = 4 * 3600.0  # s of a song
MOST_NOTES: Final = 2_000_000
LARGEST: Final = 64 << 20  # bytes of a file

VOLUME, PAN, EXPRESSION, PEDAL = 7, 10, 11, 64
DATA, DATA_FINE, RPN_FINE, RPN = 6, 38, 100, 101
ALL_SOUND_OFF, RESET, ALL_NOTES_OFF = 120, 121, 123
PEDAL_DOWN: Final = 64  # value of the pedal from which it is down

Curve = list[tuple[float, float]]  # moments in s, ascending, and values from there on


@dataclass(frozen=True)
class SongNote:
    """A note of a song.

    Attributes:
        start: s.
        end: s, where it is let go, by key and pedal.
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
class Channel:
    """A channel's controllers over time.

    Attributes:
        gain: of volume and expression together.
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
        notes: in the order of their starts.
        channels: controllers by channel, 1..16.
        seconds: until the last note is let go.
        notices: what was passed over.
    """

    notes: tuple[SongNote, ...]
    channels: dict[int, Channel]
    seconds: float
    notices: tuple[str, ...]


@dataclass
class _State:
    """A channel while its events are walked."""

    volume: int = 100
    expression: int = 127
    bend: int = 0
    reach: float = BEND
    parameter: tuple[int, int] = (127, 127)
    pedal: bool = False
    held: dict[int, tuple[float, int]] = field(default_factory=dict)
    kept: list[tuple[float, int, int]] = field(default_factory=list)  # let go, but for the pedal


def read_song(path: str | Path) -> Song:
    """Read a MIDI file.

    Raises:
        InstrumentError: it cannot be read, is cut off, of type 2, or has no note to play.
    """
    path = Path(path)
    file = _opened(path)
    states = [_State() for _ in range(CHANNELS)]
    channels = {number + 1: Channel() for number in range(CHANNELS)}
    notes: list[SongNote] = []
    drums = other = 0
    last = 0.0
    for moment, message in _events(file, path):
        last = moment
        if message.is_meta or not hasattr(message, "channel"):
            continue
        number: int = message.channel
        if number == DRUMS:
            drums += message.type == "note_on" and message.velocity > 0
            continue
        other += not _heed(message, moment, number, states[number], channels, notes)
    for number, state in enumerate(states):
        for pitch in list(state.held):
            _let_go(state, pitch, last, number, notes, always=True)
        _pedal_up(state, last, number, notes)
    notices = []
    if drums:
        notices.append(f"{drums} notes of drums (channel 10) are passed over")
    if other:
        notices.append(f"{other} events of other kinds are passed over")
    if not notes:
        raise InstrumentError(
            f"has no note to play{': all are drums' if drums else ''}",
            path=path,
            remedy="give a MIDI file with notes outside channel 10",
        )
    if len(notes) > MOST_NOTES:
        raise InstrumentError(f"has {len(notes)} notes, more than {MOST_NOTES}", path=path)
    notes.sort(key=lambda note: (note.start, note.channel, note.pitch))
    return Song(tuple(notes), channels, max(note.end for note in notes), tuple(notices))


def _opened(path: Path) -> Any:
    import mido

    if not path.exists():
        raise InstrumentError("no such file", path=path)
    if path.is_dir():
        raise InstrumentError("is a folder, not a MIDI file", path=path)
    remedy = "give a standard MIDI file (.mid)"
    try:
        if path.stat().st_size > LARGEST:
            raise InstrumentError(f"is larger than {LARGEST >> 20} MB", path=path)
        file = mido.MidiFile(path, clip=True)
    except InstrumentError:
        raise
    except EOFError as error:
        raise InstrumentError("is cut off", path=path, remedy="copy it again") from error
    except OSError as error:
        told = error.strerror or str(error)
        raise InstrumentError(f"is no MIDI file ({told})", path=path, remedy=remedy) from error
    except Exception as error:  # mido tells damage by errors of many kinds
        raise InstrumentError(f"is damaged ({error})", path=path, remedy="copy it again") from error
    if file.type == 2:
        raise InstrumentError(
            "is of type 2, patterns without an order", path=path, remedy="save it as type 0 or 1"
        )
    if file.type not in (0, 1) or file.ticks_per_beat == 0:
        raise InstrumentError("is damaged", path=path, remedy=remedy)
    return file


def _events(file: Any, path: Path) -> Iterator[tuple[float, Any]]:
    """All tracks' messages in their order, with their moments in s."""
    messages: list[tuple[int, int, Any]] = []
    for number, track in enumerate(file.tracks):
        tick = 0
        for message in track:
            tick += message.time
            messages.append((tick, number, message))
    messages.sort(key=lambda each: each[0])  # stable: the order within a track stays
    ticks = file.ticks_per_beat
    tempo, before, moment = TEMPO, 0, 0.0
    for tick, _, message in messages:
        if ticks > 0x7FFF:  # frames a second and ticks a frame
            moment = tick / ((0x100 - (ticks >> 8)) * (ticks & 0xFF) or 1)
        else:
            moment += (tick - before) * tempo / (1e6 * ticks)
        before = tick
        if moment > LONGEST:
            raise InstrumentError(f"lasts more than {LONGEST / 3600:g} hours", path=path)
        if message.type == "set_tempo":
            tempo = max(message.tempo, 1)
        yield moment, message


def _heed(
    message: Any,
    moment: float,
    number: int,
    state: _State,
    channels: dict[int, Channel],
    notes: list[SongNote],
) -> bool:
    """Follow one message of a channel; False where it is of a kind that is not followed."""
    channel = channels[number + 1]
    if message.type == "note_on" and message.velocity > 0:
        if message.note in state.held:
            _let_go(state, message.note, moment, number, notes, always=True)
        _pedal_up(state, moment, number, notes, message.note)
        state.held[message.note] = (moment, message.velocity)
    elif message.type in ("note_off", "note_on"):
        _let_go(state, message.note, moment, number, notes)
    elif message.type == "pitchwheel":
        state.bend = message.pitch
        _add(channel.bend, moment, state.bend / 8192 * state.reach)
    elif message.type == "control_change":
        return _control(message.control, message.value, moment, number, state, channel, notes)
    else:
        return False
    return True


def _control(
    control: int,
    value: int,
    moment: float,
    number: int,
    state: _State,
    channel: Channel,
    notes: list[SongNote],
) -> bool:
    if control in (VOLUME, EXPRESSION):
        if control == VOLUME:
            state.volume = value
        else:
            state.expression = value
        _add(channel.gain, moment, (state.volume * state.expression / 127**2) ** 2)
    elif control == PAN:
        _add(channel.pan, moment, min(max((value - 64) / 63, -1.0), 1.0))
    elif control == PEDAL:
        state.pedal = value >= PEDAL_DOWN
        if not state.pedal:
            _pedal_up(state, moment, number, notes)
    elif control == RPN:
        state.parameter = (value, state.parameter[1])
    elif control == RPN_FINE:
        state.parameter = (state.parameter[0], value)
    elif control in (DATA, DATA_FINE) and state.parameter == (0, 0):
        whole = int(state.reach)
        cents = round(100 * (state.reach - whole))
        state.reach = value + cents / 100 if control == DATA else whole + value / 100
        _add(channel.bend, moment, state.bend / 8192 * state.reach)
    elif control in (ALL_SOUND_OFF, ALL_NOTES_OFF):
        for pitch in list(state.held):
            _let_go(state, pitch, moment, number, notes, always=control == ALL_SOUND_OFF)
        if control == ALL_SOUND_OFF:
            _pedal_up(state, moment, number, notes)
    elif control == RESET:
        state.expression, state.bend, state.pedal = 127, 0, False
        _pedal_up(state, moment, number, notes)
        _add(channel.gain, moment, (state.volume / 127) ** 2)
        _add(channel.bend, moment, 0.0)
    else:
        return control in (DATA, DATA_FINE)
    return True


def _let_go(
    state: _State,
    pitch: int,
    moment: float,
    number: int,
    notes: list[SongNote],
    always: bool = False,
) -> None:
    """A key goes up; with the pedal down its note goes on, unless it is struck again."""
    if pitch not in state.held:
        return
    start, velocity = state.held.pop(pitch)
    if state.pedal and not always:
        state.kept.append((start, pitch, velocity))
    else:
        notes.append(SongNote(start, moment, pitch, velocity, number + 1))


def _pedal_up(
    state: _State, moment: float, number: int, notes: list[SongNote], only: int | None = None
) -> None:
    """What the pedal keeps ends: all of it, or one pitch that is struck again."""
    ends = [each for each in state.kept if only is None or each[1] == only]
    for start, pitch, velocity in ends:
        notes.append(SongNote(start, moment, pitch, velocity, number + 1))
    state.kept = [each for each in state.kept if only is not None and each[1] != only]


def _add(curve: Curve, moment: float, value: float) -> None:
    if curve[-1][0] == moment:
        curve[-1] = (moment, value)
    elif curve[-1][1] != value:
        curve.append((moment, value))


def used_channels(notes: Sequence[SongNote]) -> list[int]:
    """Channels that have notes, ascending."""
    return sorted({note.channel for note in notes})
