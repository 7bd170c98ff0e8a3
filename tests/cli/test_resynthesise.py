"""`ears resynthesise` as a user types it."""

from __future__ import annotations

import numpy as np

from mechanical_ears.cli import main
from mechanical_ears.listening.f0 import refine
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.resynthesis.control_map_file import load_control_map
from mechanical_ears.sound import Sound


def guitar(path):
    """A note that falls, with 12 partials, at A3."""
    time = np.arange(32_000) / 16_000
    audio = sum(np.sin(2 * np.pi * 220 * n * time + n) / n for n in range(1, 13))
    Sound((0.2 * audio * np.exp(-2 * time)).astype(np.float32), 16_000).save(path)
    return str(path)


def test_resynthesise(tmp_path, capsys):
    note = guitar(tmp_path / "note.wav")
    picture, map_file = tmp_path / "both.png", tmp_path / "note.safetensors"
    files = ["--plot", str(picture), "--control-map", str(map_file)]
    assert main(["resynthesise", note, "--pitch", "57", "-o", str(tmp_path / "o.wav"), *files]) == 0
    told = capsys.readouterr().out
    assert "220.00 Hz (MIDI 57.00)" in told
    assert float(told.split("log-spectral distance ")[1].split()[0]) < 2.5
    assert picture.read_bytes().startswith(b"\x89PNG")
    made = Sound.load(tmp_path / "o.wav")
    assert (len(made.samples), made.sample_rate) == (32_000, 16_000)
    assert abs(cents_between(load_control_map(map_file).frequency, 220)) < 0.05


def test_a_map_is_played_at_another_pitch_length_and_rate(tmp_path):
    note = guitar(tmp_path / "note.wav")
    map_file, out = str(tmp_path / "note.safetensors"), str(tmp_path / "out.flac")
    assert main(["resynthesise", note, "--pitch", "57", "--control-map", map_file]) == 0
    assert (tmp_path / "note.resynthesis.wav").exists()
    options = ["--at", "60.5", "--seconds", "3", "--sample-rate", "48000", "-o", out]
    assert main(["resynthesise", map_file, *options]) == 0
    made = Sound.load(out)
    assert (len(made.samples), made.sample_rate) == (144_000, 48_000)
    heard = refine(made.samples, 48_000, 60.5).frequency
    assert abs(cents_between(heard, midi_to_hz(60.5))) < 0.1


def test_bad_input_is_told_in_one_line(tmp_path, capsys):
    silence = tmp_path / "silence.wav"
    Sound(np.zeros(16_000, np.float32), 16_000).save(silence)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x10" + bytes(100))
    one = tmp_path / "one.wav"
    Sound(np.full(1, 0.5, np.float32), 16_000).save(one)
    cases = {
        silence: "silent",
        broken: "damaged",
        one: "lasts 0.0625 ms",
        tmp_path / "no": "no such",
    }
    for path, words in cases.items():
        assert main(["resynthesise", str(path)]) == 2
        told = capsys.readouterr().err
        assert words in told
        assert told.count("\n") == 1
        assert str(path) in told
