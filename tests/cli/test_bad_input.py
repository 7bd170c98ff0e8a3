"""Bad input, as a user meets it: one clear line (file, record, remedy), exit code 2, no litter."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mechanical_ears.cli import main
from mechanical_ears.corpus.nsynth_labels import encode_note
from mechanical_ears.corpus.tfrecord import encode_example, write_tfrecord
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.sound import Sound


def refused(capsys, words, *parts):
    """Run a command that must be refused in one line with all these parts in it."""
    assert main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    line = captured.err.strip().splitlines()[-1]
    assert line.startswith("ears: error: ")
    for part in parts:
        assert part in line
    assert "Traceback" not in captured.err
    return line


@pytest.fixture(scope="module")
def notes():
    return list(Toy(6, instruments=6))


@pytest.fixture
def tfrecord(tmp_path, notes):
    return write_tfrecord(tmp_path / "notes.tfrecord", (encode_note(note) for note in notes))


@pytest.fixture
def nsynth(tmp_path, notes):
    """A folder in NSynth's JSON/WAV form."""
    folder = tmp_path / "nsynth"
    (folder / "audio").mkdir(parents=True)
    examples = {}
    for number, note in enumerate(notes):
        note.sound.save(folder / "audio" / f"{note.name}.wav")
        examples[note.name] = {
            "note": number, "note_str": note.name, "pitch": note.pitch, "velocity": note.velocity,
            "instrument": 1, "instrument_str": note.instrument, "sample_rate": 16_000,
            "instrument_family": 0, "instrument_family_str": note.family,
            "instrument_source": 2, "instrument_source_str": note.source,
            "qualities": [0] * 10, "qualities_str": [],
        }  # fmt: skip
    (folder / "examples.json").write_text(json.dumps(examples))
    return folder


def build(tmp_path, path, *more):
    return ["corpus", "build", "nsynth", path, "-o", tmp_path / "store", "--split", 1, 0, 0, *more]


def no_leavings(tmp_path):
    return not [path for path in tmp_path.iterdir() if "store" in path.name]


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)


class TestTFRecord:
    def test_the_good_file_is_read(self, tmp_path, tfrecord, capsys):
        assert main([str(word) for word in build(tmp_path, tfrecord)]) == 0
        assert "6 notes; 0 silent and 0 bad" in capsys.readouterr().out

    def test_truncated(self, tmp_path, tfrecord, capsys):
        os.truncate(tfrecord, tfrecord.stat().st_size - 1000)
        refused(capsys, build(tmp_path, tfrecord), "notes.tfrecord", "record 5")
        assert no_leavings(tmp_path)

    def test_wrong_crc(self, tmp_path, tfrecord, capsys):
        flip(tfrecord, 5000)
        refused(capsys, build(tmp_path, tfrecord), "notes.tfrecord", "record 0", "CRC")
        assert no_leavings(tmp_path)

    def test_wrong_crc_skipped_and_counted(self, tmp_path, tfrecord, capsys):
        flip(tfrecord, 5000)
        assert main([str(word) for word in build(tmp_path, tfrecord, "--skip-bad")]) == 0
        assert "5 notes; 0 silent and 1 bad ones left out" in capsys.readouterr().out

    def test_not_an_example(self, tmp_path, capsys):
        path = write_tfrecord(tmp_path / "x.tfrecord", [b"\xff\xff these are no fields"])
        refused(capsys, build(tmp_path, path), "x.tfrecord", "record 0", "Example")

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ("audio", np.zeros(63_999, np.float32), "63999"),
            ("pitch", [300], '"pitch" is 300, outside 0..127'),
        ],
    )
    def test_wrong_values(self, tmp_path, capsys, key, value, said):
        features = {
            "audio": np.zeros(64_000, np.float32), "pitch": [60], "velocity": [100],
            "instrument": [1], "instrument_str": [b"bass_synthetic_001"], "note": [1],
            "note_str": [b"bass_synthetic_001-060-100"], "instrument_family": [0],
            "instrument_source": [2], "qualities": [0] * 10, "sample_rate": [16_000],
        }  # fmt: skip
        path = write_tfrecord(tmp_path / "x.tfrecord", [encode_example({**features, key: value})])
        refused(capsys, build(tmp_path, path), "x.tfrecord", said)


class TestJsonWav:
    def test_no_examples(self, tmp_path, nsynth, capsys):
        (nsynth / "examples.json").unlink()
        refused(capsys, build(tmp_path, nsynth), "nsynth", "examples.json")

    def test_examples_are_no_json(self, tmp_path, nsynth, capsys):
        (nsynth / "examples.json").write_text("{'pitch': 60}")
        refused(capsys, build(tmp_path, nsynth), "examples.json", "JSON")

    def test_a_wav_that_is_not_there(self, tmp_path, nsynth, notes, capsys):
        (nsynth / "audio" / f"{notes[2].name}.wav").unlink()
        refused(capsys, build(tmp_path, nsynth), notes[2].name)
        assert no_leavings(tmp_path)
        assert main([str(word) for word in build(tmp_path, nsynth, "--skip-bad")]) == 0
        assert "5 notes; 0 silent and 1 bad" in capsys.readouterr().out

    def test_an_empty_wav(self, tmp_path, nsynth, notes, capsys):
        soundfile.write(nsynth / "audio" / f"{notes[2].name}.wav", np.zeros(0), 16_000)
        refused(capsys, build(tmp_path, nsynth), notes[2].name, "no samples")

    def test_nan_samples(self, tmp_path, nsynth, notes, capsys):
        audio = np.zeros(64_000, np.float32)
        audio[7] = np.nan
        soundfile.write(nsynth / "audio" / f"{notes[2].name}.wav", audio, 16_000, "FLOAT")
        refused(capsys, build(tmp_path, nsynth), notes[2].name, "sample 7", "NaN")

    def test_text_named_wav(self, tmp_path, nsynth, notes, capsys):
        (nsynth / "audio" / f"{notes[2].name}.wav").write_text("la la la")
        refused(capsys, build(tmp_path, nsynth), notes[2].name)

    def test_eight_kilohertz(self, tmp_path, nsynth, notes, capsys):
        soundfile.write(nsynth / "audio" / f"{notes[2].name}.wav", np.zeros(32_000), 8_000)
        refused(capsys, build(tmp_path, nsynth), notes[2].name, "8000")

    def test_archive_cut_off(self, tmp_path, nsynth, capsys):
        archive = tmp_path / "notes.jsonwav.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(nsynth, "nsynth-test")
        assert main([str(word) for word in build(tmp_path, archive)]) == 0
        shutil.rmtree(tmp_path / "store")
        os.truncate(archive, archive.stat().st_size // 2)
        refused(capsys, build(tmp_path, archive), "notes.jsonwav.tar.gz")
        assert no_leavings(tmp_path)


class TestSounds:
    """Sounds that are odd but right are read; the others refused."""

    @pytest.mark.parametrize(
        ("subtype", "channels", "rate"),
        [("PCM_24", 1, 16_000), ("FLOAT", 2, 44_100), ("PCM_U8", 1, 8_000), ("DOUBLE", 1, 96_000)],
    )
    def test_forms_of_wav(self, tmp_path, capsys, subtype, channels, rate):
        audio = np.repeat(0.5 * Sound.sine(440, 1, rate).samples[:, None], channels, axis=1)
        soundfile.write(tmp_path / "A4.wav", audio, rate, subtype)
        assert main(["listen", str(tmp_path / "A4.wav"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sounding_pitch"] == 69

    def test_refused(self, tmp_path, capsys):
        (tmp_path / "text.wav").write_text("la la la")
        refused(capsys, ["show", tmp_path / "text.wav"], "text.wav", "WAV, FLAC")
        soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
        refused(capsys, ["show", tmp_path / "empty.wav"], "empty.wav", "no samples")
        refused(capsys, ["show", tmp_path / "absent.wav"], "absent.wav", "no such file")
        refused(capsys, ["listen", tmp_path / "absent"], "absent")
        (tmp_path / "silent").mkdir()
        refused(capsys, ["listen", tmp_path / "silent"], "silent", "holds no sound files")
        (tmp_path / "silent").rmdir()
        refused(capsys, ["tone", 440, "-o", tmp_path / "x.mid"], ".mid", ".flac")
        refused(capsys, ["tone", 9000, "-o", tmp_path / "x.wav"], "9000", "sample rate")
        refused(capsys, ["tone", 440, "-o", tmp_path / "no" / "x.wav"], "no/x.wav", "folder")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.wav", "text.wav"]


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory):
    """A folder with all that can go wrong in it."""
    folder = tmp_path_factory.mktemp("odd")
    tone = Sound.sine(440, 1, 44_100).samples * np.float32(0.5)
    soundfile.write(folder / "good.wav", tone, 44_100)
    soundfile.write(folder / "eight_channels.wav", np.repeat(tone[:, None], 8, 1), 44_100)
    soundfile.write(folder / "slow.wav", Sound.sine(110, 4, 1000).samples * 0.5, 1000)
    soundfile.write(folder / "fast.wav", Sound.sine(440, 0.5, 384_000).samples, 384_000)
    soundfile.write(folder / "one_sample.wav", np.ones(1) * 0.5, 44_100)
    soundfile.write(folder / "zeros.wav", np.zeros(44_100), 44_100)
    soundfile.write(folder / "dc.wav", np.full(44_100, 0.4), 44_100)
    soundfile.write(folder / "empty.wav", np.zeros(0), 44_100)
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        broken = tone.copy()
        broken[100] = value
        soundfile.write(folder / f"{name}.wav", broken, 44_100, "FLOAT")
    (folder / "nothing.wav").write_bytes(b"")
    (folder / "paper.wav").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n")
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    return folder


class TestListening:
    """What cannot be heard gets its line, the others their answer."""

    def test_each_in_its_own_way(self, odd_files, capsys):
        assert main(["listen", str(odd_files), "--json"]) == 1
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        heard = {
            Path(line["path"]).name: line for line in map(json.loads, captured.out.splitlines())
        }
        assert {name: heard[name]["sounding_pitch"] for name in heard} == {
            "good.wav": 69, "eight_channels.wav": 69, "slow.wav": 45, "fast.wav": 69,
            "one_sample.wav": None, "zeros.wav": None, "dc.wav": None,
        }  # fmt: skip
        for name in ("one_sample.wav", "zeros.wav", "dc.wav"):
            assert heard[name]["pitch"] is None
            assert heard[name]["pitch_confidence"] < 0.5
        complaints = {
            name: next(line for line in captured.err.splitlines() if name in line)
            for name in ("empty.wav", "nan.wav", "infinite.wav", "nothing.wav", "paper.wav")
        }
        assert all(line.startswith("ears: cannot read: ") for line in complaints.values())
        assert "holds no samples" in complaints["empty.wav"]
        assert "sample 100 is not a finite number" in complaints["nan.wav"]
        assert "sample 100 is not a finite number" in complaints["infinite.wav"]
        assert "give a WAV, FLAC, Ogg or MP3 file" in complaints["nothing.wav"]
        assert "give a WAV, FLAC, Ogg or MP3 file" in complaints["paper.wav"]

    def test_a_file_that_vanishes_during_the_walk(self, odd_files, tmp_path):
        there, gone = tmp_path / "there.wav", tmp_path / "gone.wav"
        shutil.copy(odd_files / "good.wav", there)
        answers = dict(shipped_ears().listen_to_files([there, gone]))
        assert answers[there].sounding_pitch == 69
        assert "no such file" in str(answers[gone])

    def test_a_file_that_may_not_be_read(self, odd_files, tmp_path, capsys):
        secret = tmp_path / "secret.wav"
        shutil.copy(odd_files / "good.wav", secret)
        secret.chmod(0)
        if os.access(secret, os.R_OK):
            pytest.skip("root reads everything")
        assert main(["listen", str(secret)]) == 1
        assert "Permission denied" in capsys.readouterr().err

    def test_ten_hours(self, tmp_path):
        """Its header says so, and its tone is at the start: only the first minute is read."""
        path = tmp_path / "long.wav"
        rate, seconds = 8000, 36_000
        with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
            file.write(Sound.sine(220, 2, rate).samples * np.float32(0.5))
        with path.open("r+b") as raw:  # a sparse file: ten hours of zeros that take no room
            size = 44 + 2 * rate * seconds
            raw.truncate(size)
            raw.seek(4)
            raw.write((size - 8).to_bytes(4, "little"))
            raw.seek(40)
            raw.write((size - 44).to_bytes(4, "little"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ((_, heard),) = shipped_ears().listen_to_files([path])
        assert heard.sounding_pitch == 57
        assert heard.duration == pytest.approx(seconds)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


class TestOtherCorpora:
    def test_empty_folder(self, tmp_path, capsys):
        (tmp_path / "nothing").mkdir()
        refused(
            capsys, ["corpus", "build", "folder", tmp_path / "nothing", "-o", tmp_path / "store"],
            "nothing",
        )  # fmt: skip

    def test_a_soundfont_that_is_none(self, tmp_path, capsys):
        (tmp_path / "font.sf2").write_bytes(b"RIFF0000WAVEfmt ")
        refused(
            capsys,
            ["corpus", "build", "soundfont", tmp_path / "font.sf2", "-o", tmp_path / "store"],
            *("font.sf2", "SoundFont"),
        )
        assert no_leavings(tmp_path)

    def test_a_store_that_is_none(self, tmp_path, capsys):
        refused(capsys, ["corpus", "info", tmp_path], "is not a store", "ears corpus build")

    def test_a_model_that_is_none(self, tmp_path, capsys):
        (tmp_path / "model.onnx").write_bytes(b"no model")
        Sound.sine().save(tmp_path / "A4.wav")
        refused(
            capsys, ["listen", tmp_path / "A4.wav", "--model", tmp_path / "model.onnx"],
            "model.onnx", "not an ONNX model",
        )  # fmt: skip


@contextmanager
def small_disk(path, options):
    """A disk of its own at ``path``; only root may have one."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a small disk needs root, and a sandbox that allows it")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


class TestDisks:
    def test_read_only(self, tmp_path, capsys):
        with small_disk(tmp_path / "disk", "ro,size=1m") as disk:
            said = ("Read-only file system", "choose an output folder that can be written")
            refused(capsys, ["tone", "-o", disk / "x.wav"], "x.wav", *said)
            refused(capsys, ["corpus", "build", "toy", "--count", 8, "-o", disk / "store"], *said)

    def test_full_disk_then_room_again(self, tmp_path):
        """A file size limit stops the write in the middle, as a full disk does."""
        command = [
            sys.executable, "-m", "mechanical_ears.cli", "corpus", "build", "toy",
            "--count", "600", "--instruments", "6", "--split", "1", "0", "0",
            "-o", tmp_path / "store",
        ]  # fmt: skip
        limited = ["bash", "-c", 'ulimit -f 70000 && exec "$@"', "bash", *map(str, command)]
        done = subprocess.run(limited, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert "cannot write: File too large" in done.stderr.splitlines()[-1]
        assert not (tmp_path / "store").exists()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "600 notes" in done.stdout

    def test_full(self, tmp_path, capsys):
        with small_disk(tmp_path / "disk", "size=256k") as disk:
            said = ("No space left on device", "free some space")
            refused(capsys, ["corpus", "build", "toy", "--count", 40, "-o", disk / "store"], *said)
            refused(capsys, ["tone", "--seconds", 20, "-o", disk / "x.wav"], "x.wav", *said)
            assert list(disk.iterdir()) == []
