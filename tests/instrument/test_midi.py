"""MIDI files: what they ask for, and what is wrong with some."""

import mido
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.midi import read_song
from support.toy_instruments import control, key, write_midi

TEMPO = mido.MetaMessage("set_tempo", tempo=1_000_000)  # one quarter a second


def times(song):
    return [
        (round(n.start, 4), round(n.end, 4), n.pitch, n.velocity, n.channel) for n in song.notes
    ]


def test_tempo_changes_in_any_track(tmp_path):
    path = write_midi(
        tmp_path / "x.mid",
        [(0, TEMPO), (2, mido.MetaMessage("set_tempo", tempo=250_000))],
        key(1, 3, 60) + key(4, 8, 64, 80, 3),
    )
    song = read_song(path)
    assert times(song) == [(1.0, 2.25, 60, 100, 1), (2.5, 3.5, 64, 80, 4)]
    assert song.seconds == pytest.approx(3.5)


def test_type_0_and_the_tempo_where_none_is_told(tmp_path):
    path = write_midi(tmp_path / "x.mid", key(0, 2, 60), kind=0)
    assert times(read_song(path)) == [(0.0, 1.0, 60, 100, 1)]


def test_the_pedal_holds_and_a_key_struck_again_ends_its_note(tmp_path):
    path = write_midi(
        tmp_path / "x.mid",
        [(0, TEMPO)],
        control(0.5, 64, 127)
        + key(0, 1, 60)
        + key(1, 2, 62)
        + key(3, 3.5, 60)
        + control(4, 64, 63)
        + key(5, 6, 65),
    )
    assert times(read_song(path)) == [
        (0.0, 3.0, 60, 100, 1),
        (1.0, 4.0, 62, 100, 1),
        (3.0, 4.0, 60, 100, 1),
        (5.0, 6.0, 65, 100, 1),
    ]


def test_a_key_that_never_goes_up_ends_with_the_song(tmp_path):
    path = write_midi(
        tmp_path / "x.mid", [(0, TEMPO), key(0, 1, 60)[0], *key(1, 4, 62), *key(2, 3, 62)]
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
        key(0, 9, 60)
        + control(1, 7, 64)
        + control(2, 11, 64)
        + control(3, 10, 0)
        + control(4, 10, 127)
        + [(5, mido.Message("pitchwheel", pitch=4096))]
        + control(6, 101, 0)
        + control(6, 100, 0)
        + control(6, 6, 12)
        + [(7, mido.Message("pitchwheel", pitch=-8192))]
        + control(8, 121, 0),
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
        key(0, 9, 60)
        + control(1, 123, 0)
        + control(2, 64, 127)
        + key(3, 4, 62)
        + control(5, 120, 0),
    )
    assert times(read_song(path)) == [(0.0, 1.0, 60, 100, 1), (3.0, 5.0, 62, 100, 1)]


def test_drums_are_passed_over_with_a_notice(tmp_path):
    path = write_midi(tmp_path / "x.mid", key(0, 1, 60) + key(0, 1, 36, channel=9))
    song = read_song(path)
    assert [note.channel for note in song.notes] == [1]
    assert song.notices == ("1 notes of drums (channel 10) are passed over",)
    path = write_midi(tmp_path / "y.mid", key(0, 1, 36, channel=9))
    with pytest.raises(EarsError, match=r"y\.mid: has no note to play: all are drums"):
        read_song(path)


def test_a_thousand_notes_at_once(tmp_path):
    events = [e for n in range(1000) for e in key(0, 1, n % 128, channel=n // 128 + (n // 128 > 8))]
    assert len(read_song(write_midi(tmp_path / "x.mid", events)).notes) == 1000


def test_a_file_cut_anywhere_is_refused_in_one_line(tmp_path):
    path = write_midi(tmp_path / "x.mid", key(0, 1, 60) + key(1, 2, 62), key(0, 4, 40))
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(EarsError) as error:
            read_song(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


def test_bytes_gone_wrong_never_end_in_a_traceback(tmp_path):
    path = write_midi(tmp_path / "x.mid", [(0, TEMPO), *key(0, 1, 60)], key(0, 4, 40))
    whole = path.read_bytes()
    for place in range(len(whole)):
        for value in (0, 0x7F, 0xFF):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                read_song(path)
            except EarsError as error:
                assert "\n" not in str(error)  # noqa: PT017  (most are readable)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "no such file"),
        (b"", "is cut off"),
        (b"RIFF and so on and on and on and on", "is no MIDI file"),
        (b"MThd\0\0\0\6\0\2\0\1\1\xe0MTrk\0\0\0\4\0\xff/\0", "is of type 2"),
        (b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff/\0", "has no note to play"),
        (b"MThd\0\0\0\6\0\0\0\1\0\0MTrk\0\0\0\4\0\xff/\0", "is damaged"),
    ],
)
def test_files_that_cannot_be_played(tmp_path, data, said):
    path = tmp_path / "x.mid"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(EarsError, match=rf"x\.mid: {said}"):
        read_song(path)
