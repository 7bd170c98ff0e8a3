"""`ears export`, `ears map` and `ears play` as a user types them."""

import csv
import json

import numpy as np
import pytest
import soundfile

from mechanical_ears.cli import main
from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.export import export
from mechanical_ears.instrument.opening import open_channels, open_instrument, parse_channel_map
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_map_file import save_control_map
from support.full_disk import full_disk
from support.toy_instruments import (
    RATE,
    Organ,
    controller_event,
    level,
    note_events,
    peak_pitch,
    sine_instrument,
    write_midi,
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with an instrument, control maps and a song."""
    monkeypatch.chdir(tmp_path)
    export(sine_instrument(), tmp_path / "sines.sfz")
    (tmp_path / "maps").mkdir()
    for pitch in (48, 60):
        note = Organ().note(pitch, 100, 2.0, 16_000)
        save_control_map(analyse(note, pitch), tmp_path / "maps" / f"{pitch}.safetensors")
    write_midi(
        tmp_path / "song.mid",
        note_events(0, 2, 60) + note_events(2, 4, 64),
        note_events(0, 4, 48, channel=1),
    )
    return tmp_path


def done(words):
    """Run a command that must succeed."""
    assert main(words.split()) == 0


def refused(capsys, words, *parts):
    """Run a command that must be refused in one line with all these parts in it."""
    assert main(words.split()) == 2
    told = capsys.readouterr().err.strip()
    line = told.splitlines()[-1]
    assert line.startswith("ears: error: ")
    for part in parts:
        assert part in line
    assert "Traceback" not in told


def test_export(place, capsys):
    assert (
        main(
            [
                "export",
                "maps",
                "-o",
                "organ.sf2",
                "--every",
                "12",
                "--layers",
                "2",
                "--lowest",
                "48",
                "--highest",
                "72",
            ]
        )
        == 0
    )
    assert "organ.sf2: maps, 4 zones, 4 samples" in capsys.readouterr().out
    made = open_instrument(place / "organ.sf2")
    heard = peak_pitch(made.note(60, 100, 1.5).samples[4800:RATE], RATE, 60)
    assert abs(heard - 60) < 0.01
    done("export organ.sf2 -o again.sfz --flac --bits 24")
    assert open_instrument(place / "again.sfz").zones == made.zones
    assert soundfile.info(next((place / "again_sfz_samples").iterdir())).subtype == "PCM_24"
    done("export sines.sfz -o s.dspreset --layers 1 --every 24 --seconds 1 --plot s.png")
    assert "4 zones" in capsys.readouterr().out
    assert (place / "s.png").read_bytes().startswith(b"\x89PNG")


def test_play(place, capsys):
    done("play song.mid --instrument sines.sfz -o a.wav")
    told = capsys.readouterr().out
    assert "3 notes, up to 2 at once" in told
    assert "× real time" in told
    audio, rate = soundfile.read(place / "a.wav")
    assert (rate, audio.shape[1]) == (RATE, 2)
    assert abs(peak_pitch(audio[4800:40_000, 0], rate, 60) - 60) < 0.02
    words = (
        "play song.mid --channel-map 1=sines.sfz,2=maps -o b.flac --reverb 0.2 --sample-rate 44100"
    )
    done(words)
    assert soundfile.info(place / "b.flac").samplerate == 44_100


def test_a_song_that_is_there_is_kept(place, capsys):
    (place / "a.wav").write_text("mine")
    words = "play song.mid --instrument sines.sfz -o a.wav"
    refused(capsys, words, "a.wav: already exists", "--force")
    assert (place / "a.wav").read_text() == "mine"
    done(f"{words} --force")
    assert soundfile.info(place / "a.wav").samplerate == RATE


def test_play_live(place, capsys):
    done("play song.mid --instrument maps -o live.wav --live-render")
    live, _ = soundfile.read(place / "live.wav")
    done("play song.mid --instrument maps -o sampled.wav")
    sampled_audio, _ = soundfile.read(place / "sampled.wav")
    for at in (10_000, 60_000):
        apart = level(live[at : at + 20_000]) - level(sampled_audio[at : at + 20_000])
        assert abs(apart) < 1


def test_map(place, capsys):
    (place / "takes").mkdir()
    time = np.arange(RATE) / RATE
    for number, pitch in enumerate((45, 57, 69)):
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        audio = sum(np.sin(2 * np.pi * frequency * n * time + n) / n for n in range(1, 9))
        soundfile.write(place / "takes" / f"{number}x.wav", 0.2 * audio * np.exp(-4 * time), RATE)
    (place / "takes" / "notes.wav").write_text("not a sound")
    done("map takes -o mine.sfz --name Mine --plot mine.svg")
    assert "Mine: 3 zones, 1 velocity layer, 0 looped" in (place / "mine.svg").read_text()
    told = capsys.readouterr().out
    assert "mine.sfz: 3 of 4 recordings, A2–A4, 1 velocity layer," in told
    assert "skipped: notes.wav: is not a sound that can be read" in told
    with (place / "mine.report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["note"] for row in rows] == ["A2", "A3", "A4", ""]
    assert open_instrument(place / "mine.sfz").name == "Mine"
    refused(capsys, "map takes -o mine.sfz", "mine.sfz: already exists", "--force")
    refused(capsys, "map takes -o other.sfz --report mine.report.csv", "already exists")
    assert not (place / "other.sfz").exists()
    done("map takes -o mine.sfz --force")
    done("play song.mid --instrument takes -o takes.wav")


def test_bad_input_is_told_in_one_line(place, capsys):
    (place / "empty").mkdir()
    (place / "cut.mid").write_bytes((place / "song.mid").read_bytes()[:40])
    (place / "bad.json").write_text("{}")
    write_midi(place / "none.mid", controller_event(0, 7, 100))
    for words, *parts in (
        ("export gone -o x.sfz", "gone: no such instrument", "give a seed"),
        ("export sines.sfz -o x.nki", "names no instrument format"),
        ("export sines.sfz -o sines.sfz", "already exists", "--force"),
        ("export maps -o x.sfz --every 0", "the step between keys is 0, outside 1..127"),
        ("export maps -o x.sfz --layers 99", "99 velocity layers"),
        ("export song.mid -o x.sfz", "song.mid: is not an instrument file"),
        ("export bad.json -o x.sfz", "bad.json"),
        ("map empty -o x.sfz", "empty: holds no recordings"),
        ("map gone -o x.sfz", "gone: no such folder"),
        ("map sines.sfz -o x.sfz", "is a file, not a folder"),
        ("play gone.mid --instrument sines.sfz -o x.wav", "gone.mid: no such file"),
        ("play cut.mid --instrument sines.sfz -o x.wav", "cut.mid: is truncated"),
        ("play none.mid --instrument sines.sfz -o x.wav", "has no note to play"),
        ("play song.mid -o x.wav", "no instrument is given", "--channel-map"),
        ("play song.mid --channel-map 1:sines.sfz -o x.wav", '"1:sines.sfz" is not a channel'),
        ("play song.mid --channel-map 17=sines.sfz -o x.wav", "channels 1..16"),
        ("play song.mid --channel-map 1=a,1=b -o x.wav", "channel 1 is named twice"),
        ("play song.mid --channel-map 9=sines.sfz -o x.wav", "no channel with notes"),
        ("play song.mid --instrument sines.sfz -o x.xyz", 'the suffix ".xyz"'),
        ("play song.mid --instrument sines.sfz -o x.wav --reverb 7", '"reverb" is 7'),
        ("play song.mid --instrument sines.sfz -o x.wav --sample-rate 5", "sample rate is 5 Hz"),
    ):
        before = sorted(place.rglob("*"))
        refused(capsys, words, *parts)
        assert sorted(place.rglob("*")) == before


def test_a_full_disk_leaves_nothing(place, capsys):
    (place / "takes").mkdir()
    for pitch in (48, 60):
        audio = Organ().note(pitch, 100, 1.0).samples
        soundfile.write(place / "takes" / f"{pitch}x.wav", audio, RATE)
    before = sorted(place.rglob("*"))
    for words in (
        "map takes -o x.sfz",
        "map takes -o x.sf2",
        "export sines.sfz -o x.dspreset",
        "play song.mid --instrument sines.sfz -o x.wav",
        "play song.mid --instrument sines.sfz -o x.flac",
    ):
        with full_disk(10_000):
            refused(capsys, words, "cannot write: File too large")
        assert sorted(place.rglob("*")) == before


def test_what_a_file_tells_that_is_not_understood_is_said(place, capsys):
    text = (place / "sines.sfz").read_text().replace("<region>", "<region>\ncutoff=800", 1)
    (place / "sines.sfz").write_text(text)
    done("play song.mid --instrument sines.sfz -o x.wav")
    assert "ears: opcodes that are ignored: cutoff" in capsys.readouterr().err


def test_opening(place):
    assert open_instrument("maps").name == "maps"
    assert open_instrument(place / "maps" / "48.safetensors").name == "48"
    opened = open_channels("maps", parse_channel_map("2=sines.sfz, 3=sines.sfz"))
    assert sorted(opened) == [0, 2, 3]
    assert opened[2] is opened[3]
    (place / "maps" / "48.safetensors").write_text("")
    with pytest.raises(EarsError, match=r"no control map|damaged"):
        open_instrument("maps")


def test_an_imagined_instrument_is_opened_by_its_file(place):
    (place / "mine").mkdir()
    (place / "mine" / "instrument.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(EarsError, match=r"instrument\.json"):
        open_instrument("mine")
