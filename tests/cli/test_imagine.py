"""`ears imagine` as a user types it."""

from __future__ import annotations

import json
import resource
import shutil
import signal
from contextlib import contextmanager

import numpy as np
import pytest

from mechanical_ears.cli import main
from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.sound import Sound

pytestmark = pytest.mark.slow

QUICK = ["--seconds", "1", "--sample-rate", "16000"]


def run(*words):
    return main(["imagine", *map(str, words)])


def refused(capsys, words, *parts):
    """Run a command that must be refused in one line with all these parts in it."""
    assert run(*words) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("ears: error: ")
    for part in parts:
        assert str(part) in line
    return line


@pytest.fixture
def model(toy_weights):
    return ["--model", str(toy_weights)]


def test_a_folder_of_notes(tmp_path, capsys, model, toy):
    out = tmp_path / "new" / "mallet"
    words = ["--seed", 7, "--family", "mallet", "--pitches", "60,36-38", "--velocities", "25,127"]
    assert run("-o", out, *words, *QUICK, *model) == 0
    told = capsys.readouterr().out
    assert f"{out}: mallet-7, 8 notes" in told
    assert "of 5 keys as played; novelty 0." in told
    names = {
        f"{pitch:03d}-{velocity:03d}.wav" for pitch in (36, 37, 38, 60) for velocity in (25, 127)
    }
    assert {file.name for file in out.iterdir()} == names | {"sheet.png", "instrument.json"}
    assert (out / "sheet.png").read_bytes().startswith(b"\x89PNG")
    again = ImaginedInstrument.load(out, toy)
    for name in sorted(names):
        written = Sound.load(out / name)
        sound = again.note(int(name[:3]), int(name[4:7]), 1.0, 16_000)
        np.testing.assert_allclose(written.samples, sound.samples, atol=1 / 32_000)
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]
    assert list((tmp_path / "new").iterdir()) == [out]


def test_the_same_seed_is_the_same_folder(tmp_path, model):
    for name in ("one", "two"):
        assert run("-o", tmp_path / name, "--seed", 3, "--pitches", 60, *QUICK, *model) == 0
    for file in ("060-025.wav", "060-127.wav", "instrument.json"):
        first, second = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert first == second


def test_stereo_notes(tmp_path, model):
    words = ["--seed", 3, "--pitches", 60, "--velocities", 100, *QUICK, *model]
    for name, option in (("mono", []), ("stereo", ["--stereo"])):
        assert run("-o", tmp_path / name, *words, *option) == 0
    mono, stereo = (
        Sound.load(tmp_path / name / "060-100.wav", mono=False) for name in ("mono", "stereo")
    )
    assert (mono.channels, stereo.channels) == (1, 2)
    assert np.abs(stereo.samples[:, 0] - stereo.samples[:, 1]).max() > 1e-3
    scale = np.abs(mono.samples).max() / np.abs(stereo.mono().samples).max()
    np.testing.assert_allclose(stereo.mono().samples * scale, mono.samples, atol=1e-3)


def test_flac_qualities_and_a_drawn_seed(tmp_path, capsys, model):
    turned = ["--bright", "-1.5", "--sustain", "2", "--attack", "0.5", "--noisy", "1"]
    out = tmp_path / "o"
    assert run("-o", out, "--pitches", 60, "--format", "flac", *turned, *QUICK, *model) == 0
    assert (out / "060-075.flac").read_bytes().startswith(b"fLaC")
    about = json.loads((out / "instrument.json").read_text())
    assert about["origin"]["turned"] == {"bright": -1.5, "attack": 0.5, "noisy": 1, "sustain": 2}
    assert about["seed"] is not None


def test_like_and_morph(tmp_path, capsys, model):
    first = tmp_path / "first"
    assert run("-o", first, "--seed", 3, "--pitches", "60", "--sample-rate", 44_100, *model) == 0
    recording = tmp_path / "clarinet C4.wav"
    shutil.copy(first / "060-127.wav", recording)
    like = tmp_path / "like"
    assert run("-o", like, "--like", recording, "--pitches", "60,64", *QUICK, *model) == 0
    assert "like clarinet C4.wav" in capsys.readouterr().out
    assert (like / "instrument.safetensors").exists()
    between = tmp_path / "between"
    words = ["--morph", like / "instrument.json", "5", "--amount", "0.3", "--pitches", "60"]
    assert run("-o", between, *words, *QUICK, *model) == 0
    about = json.loads((between / "instrument.json").read_text())
    assert [share for share, *_ in about["origin"]["between"]] == pytest.approx([0.7, 0.3])


def test_a_folder_with_something_is_kept(tmp_path, capsys, model):
    words = ["--seed", 3, "--pitches", 60, *QUICK, *model]
    mine = tmp_path / "mine"
    mine.mkdir()
    assert run("-o", mine, *words) == 0  # an empty one is taken
    refused(capsys, ["-o", mine, *words], mine, "is not empty", "--force")
    (mine / "060-025.wav").write_bytes(b"old")
    assert run("-o", mine, *words, "--force") == 0
    assert Sound.load(mine / "060-025.wav").seconds == 1
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "dear.txt").write_text("…")
    refused(capsys, ["-o", letters, *words, "--force"], letters, "is not replaced")
    assert (letters / "dear.txt").read_text() == "…"
    file = tmp_path / "file"
    file.write_text("")
    refused(capsys, ["-o", file, *words], file, "is a file where a folder is needed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "letters", "mine"]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--family", "malet"], ['"malet" is not an instrument family', 'did you mean "mallet"']),
        (["--pitches", "128"], ["pitch 128 is outside 0..127"]),
        (["--pitches", "60,x"], ['"x" is not a pitch', "36-60"]),
        (["--pitches", "70-60"], ["runs backwards", "60-70"]),
        (["--pitches", ""], ['"" is not a pitch']),
        (["--velocities", "0"], ["velocity 0 is outside 1..127"]),
        (["--velocities", "64,128"], ["velocity 128 is outside 1..127"]),
        (["--seconds", "0"], ["0 s is outside"]),
        (["--seconds", "nan"], ["nan s is outside"]),
        (["--sample-rate", "12"], ["sample rate is 12 Hz"]),
        (["--amount", "2", "--morph", "1", "2"], ['"mix" is 2, outside 0..1']),
        (["--seed", "-4"], ["seed -4 is outside"]),
        (["--bright", "99"], ['"brightness" is 99']),
        (["--like", "nothing.wav"], ["nothing.wav: no such file"]),
        (["--morph", "nothing.json", "1"], ["nothing.json: no such file"]),
        (["--seed", "1", "--like", "a.wav"], ["like and seed are given"]),
    ],
)
def test_bad_input(tmp_path, capsys, model, words, parts):
    line = refused(capsys, ["-o", tmp_path / "o", *words, *model], *parts)
    assert "Traceback" not in line
    assert not list(tmp_path.iterdir())


def test_like_what_is_no_note(tmp_path, capsys, model):
    cases = {
        "silence.wav": (np.zeros(44_100), "is silent"),
        "noise.wav": (0.3 * np.random.default_rng(0).standard_normal(44_100), "no single pitch"),
    }
    for name, (samples, words) in cases.items():
        Sound(samples.astype(np.float32), 44_100).save(tmp_path / name)
        refused(capsys, ["-o", tmp_path / "o", "--like", tmp_path / name, *model], name, words)
    text = tmp_path / "text.wav"
    text.write_text("no sound at all, but a text")
    refused(capsys, ["-o", tmp_path / "o", "--like", text, *model], text, "is not a sound")
    refused(capsys, ["-o", tmp_path / "o", "--like", tmp_path, *model], "is a folder, not a sound")
    assert not (tmp_path / "o").exists()


def test_damaged_weights(tmp_path, capsys, toy_weights):
    folder = tmp_path / "weights"
    shutil.copytree(toy_weights, folder)
    (folder / "generator.onnx").write_bytes(b"\0" * 1000)
    refused(
        capsys,
        ["-o", tmp_path / "o", "--model", folder],
        folder / "generator.onnx",
        "not an ONNX model",
    )
    refused(capsys, ["-o", tmp_path / "o", "--model", tmp_path / "none"], "no such folder")
    assert not (tmp_path / "o").exists()


@contextmanager
def largest_file(size):
    """No file may grow past ``size`` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("size", [10_000, 40_000])
def test_a_full_disk_leaves_nothing(tmp_path, capsys, model, size):
    """At 10 kB a note does not fit, at 40 kB the picture does not."""
    out = tmp_path / "o"
    with largest_file(size):
        line = refused(capsys, ["-o", out, "--pitches", "60,62", *QUICK, *model], "cannot write")
    assert f"{out}/" in line
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path, capsys, model):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "o"
    refused(capsys, ["-o", out, "--pitches", "60", *QUICK, *model], tmp_path / "file")
