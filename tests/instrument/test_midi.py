"""MIDI files: times, controllers, and damaged files."""

import mido
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.midi import read_song
from support.toy_instruments import controller_event, note_events, write_midi

TEMPO = mido.MetaMessage("set_tempo", tempo=1_000_000)  # one quarter note per second


def times(song):
    return [
        (round(n.start, 4), round(n.end, 4), n.pitch, n.velocity, n.channel) for n in song.notes
    ]


def test_tempo_changes_in_any_track(tmp_path):
    path = write_midi(
        tmp_path / "x.mid",
        [(0, TEMPO), (2, mido.MetaMessage("set_tempo", tempo=250_000))],
        note_events(1, 3, 60) + note_events(4, 8, 64, 80, 3),
    )
    song = read_song(path)
    assert times(song) == [(1.0, 2.25, 60, 100, 1), (2.5, 3.5, 64, 80, 4)]
    assert song.seconds == pytest.approx(3.5)


def test_type_0_and_the_default_tempo(tmp_path):
    path = write_midi(tmp_path / "x.mid", note_events(0, 2, 60), kind=0)
    assert times(read_song(path)) == [(0.0, 1.0, 60, 100, 1)]


def test_the_pedal_holds_and_a_key_struck_again_ends_its_note(tmp_path):
    path = write_midi(
        tmp_path / "x.mid",
        [(0, TEMPO)],
        controller_event(0.5, 64, 127)
        + note_events(0, 1, 60)
        + note_events(1, 2, 62)
        + note_events(3, 3.5, 60)
        + controller_event(4, 64, 63)
        + note_events(5, 6, 65),
    )
    assert times(read_song(path)) == [
        (0.0, 3.0, 60, 100, 1),
        (1.0, 4.0, 62, 100, 1),
        (3.0, 4.0, 60, 100, 1),
        (5.0, 6.0, 65, 100, 1),
    ]


def test_a_key_that_is_never_released_ends_with_the_song(tmp_path):
    path = write_midi(
        tmp_path / "x.mid",
        [(0, TEMPO), note_events(0, 1, 60)[0], *note_events(1, 4, 62), *note_events(2, 3, 62)],
    )
    song = read_song(path)
    assert times(song)[0] == (0.0, 4.0, 60, 100, 1)
    assert times(song)[1] == (1.0, 2.0, 62, 100, 1)  # struck again while it was down


def test_a_note_on_without_velocity_is_a_note_off(tmp_path):
    events = [
        (0, mido.Message("note_on", note=60, velocity=64)),
        (2, mido.Message("note_on", note=60, velocity=0)),
    ]
    assert times(read_song(write_midi(tmp_path / "x.mid", events))) == [(0.0, 1.0, 60, 64, 1)]


def test_volume_expression_pan_and_bend(tmp_path):
    path = write_midi(
        tmp_path / "x.mid",
        [(0, TEMPO)],
        note_events(0, 9, 60)
        + controller_event(1, 7, 64)
        + controller_event(2, 11, 64)
        + controller_event(3, 10, 0)
        + controller_event(4, 10, 127)
        + [(5, mido.Message("pitchwheel", pitch=4096))]
        + controller_event(6, 101, 0)
        + controller_event(6, 100, 0)
        + controller_event(6, 6, 12)
        + [(7, mido.Message("pitchwheel", pitch=-8192))]
        + controller_event(8, 121, 0),
    )
    channel = read_song(path).channels[1]
    half = (64 / 127) ** 2
    assert channel.gain == [
        (0.0, pytest.approx((100 / 127) ** 2)),
        (1.0, pytest.approx(half)),
        (2.0, pytest.approx(half**2)),
        (8.0, pytest.approx(half)),
    ]
    assert channel.pan == [(0.0, 0.0), (3.0, -1.0), (4.0, 1.0)]
    assert channel.bend == [(0.0, 0.0), (5.0, 1.0), (6.0, 6.0), (7.0, -12.0), (8.0, 0.0)]


def test_all_notes_off_and_all_sound_off(tmp_path):
    path = write_midi(
        tmp_path / "x.mid",
        [(0, TEMPO)],
        note_events(0, 9, 60)
        + controller_event(1, 123, 0)
        + controller_event(2, 64, 127)
        + note_events(3, 4, 62)
        + controller_event(5, 120, 0),
    )
    assert times(read_song(path)) == [(0.0, 1.0, 60, 100, 1), (3.0, 5.0, 62, 100, 1)]


def test_drums_are_ignored_with_a_warning(tmp_path):
    path = write_midi(tmp_path / "x.mid", note_events(0, 1, 60) + note_events(0, 1, 36, channel=9))
    song = read_song(path)
    assert [note.channel for note in song.notes] == [1]
    assert song.warnings == ("1 notes of drums (channel 10) are ignored",)
    path = write_midi(tmp_path / "y.mid", note_events(0, 1, 36, channel=9))
    with pytest.raises(EarsError, match=r"y\.mid: has no note to play: all are drums"):
        read_song(path)


def test_a_thousand_notes_at_once(tmp_path):
    events = [
        e
        for n in range(1000)
        for e in note_events(0, 1, n % 128, channel=n // 128 + (n // 128 > 8))
    ]
    assert len(read_song(write_midi(tmp_path / "x.mid", events)).notes) == 1000


def test_a_truncated_file_is_refused_in_one_line(tmp_path):
    path = write_midi(
        tmp_path / "x.mid", note_events(0, 1, 60) + note_events(1, 2, 62), note_events(0, 4, 40)
    )
    data = path.read_bytes()
    for length in range(1, len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(EarsError) as error:
            read_song(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


def test_damaged_bytes_never_end_in_a_traceback(tmp_path):
    path = write_midi(
        tmp_path / "x.mid", [(0, TEMPO), *note_events(0, 1, 60)], note_events(0, 4, 40)
    )
    data = path.read_bytes()
    for position in range(len(data)):
        for value in (0, 0x7F, 0xFF):
            path.write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
            try:
                read_song(path)
            except EarsError as error:
                assert "\n" not in str(error)  # noqa: PT017  (most are readable)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "no such file"),
        (b"", "is truncated"),
        (b"RIFF and so on and on and on and on", "is not a MIDI file"),
        (b"MThd\0\0\0\6\0\2\0\1\1\xe0MTrk\0\0\0\4\0\xff/\0", "is of type 2"),
        (b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff/\0", "has no note to play"),
        (b"MThd\0\0\0\6\0\0\0\1\0\0MTrk\0\0\0\4\0\xff/\0", "is damaged"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, data, message):
    path = tmp_path / "x.mid"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(EarsError, match=rf"x\.mid: {message}"):
        read_song(path)
