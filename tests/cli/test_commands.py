"""The `ears` command as a user types it: right input."""

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from mechanical_ears.cli import main
from mechanical_ears.corpus.store import Store
from mechanical_ears.sound import Sound
from support.paths import EXAMPLES


def test_tone_writes_the_articles_sound(tmp_path, capsys):
    assert main(["tone", "400", "-o", str(tmp_path / "tone.wav")]) == 0
    sound = Sound.load(tmp_path / "tone.wav")
    assert (len(sound.samples), sound.sample_rate) == (64_000, 16_000)
    expected = np.sin(2 * np.pi * 400 * np.arange(64_000) / 16_000)
    np.testing.assert_allclose(sound.samples, expected, atol=1 / 32767)
    assert "400 Hz, 4 s" in capsys.readouterr().out


def test_show_draws_a_picture(tmp_path):
    Sound.sine(1000, 0.5).save(tmp_path / "tone.flac")
    assert main(["show", str(tmp_path / "tone.flac")]) == 0
    assert (tmp_path / "tone.png").read_bytes().startswith(b"\x89PNG")
    assert main(["show", str(tmp_path / "tone.flac"), "-o", str(tmp_path / "page.pdf")]) == 0
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_build_and_info(tmp_path, capsys):
    store = str(tmp_path / "toy")
    assert (
        main(["corpus", "build", "toy", "--count", "120", "--instruments", "12", "-o", store]) == 0
    )
    assert "120 notes; 0 silent and 0 bad ones left out" in capsys.readouterr().out
    assert main(["corpus", "info", store, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["notes"], about["instruments"], about["licence"]) == (120, 12, "CC0-1.0")
    assert about["hours"] == round(120 * 4 / 3600, 2)
    assert sum(family["notes"] for family in about["families"].values()) == 120
    assert main(["corpus", "info", store]) == 0
    assert "pitch range" in capsys.readouterr().out


def test_listen_tells_each_file(tmp_path, capsys):
    for name in ("A3.wav", "take.wav"):
        Sound.sine(220, 1).save(tmp_path / name)
    table, picture = tmp_path / "heard.csv", tmp_path / "heard.png"
    words = ["listen", str(tmp_path), "--json", "--csv", str(table), "--plot", str(picture)]
    assert main(words) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["path"].rsplit("/")[-1] for row in rows] == ["A3.wav", "take.wav"]
    for row in rows:
        assert row["sounding_pitch"] == 57
        assert row["frequency"] == pytest.approx(220, abs=0.1)
        assert row["cents"] == pytest.approx(0, abs=1)
        assert row["duration"] == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    with table.open(newline="") as file:
        assert [row["sounding_pitch"] for row in csv.DictReader(file)] == ["57", "57"]


def test_listen_shows_a_table_and_judges_by_the_names(capsys):
    notes = EXAMPLES
    assert main(["listen", str(notes), "--article"]) == 0
    said = capsys.readouterr().out
    ears, article = (
        int(re.search(f"{who}: (\\d+) of 24 keys as the names say", said)[1])
        for who in ("the ears", "the article's network")
    )
    assert ears >= 20 > article


def test_listen_answers_the_rest_where_a_file_cannot_be_read(tmp_path, capsys):
    Sound.sine(440, 1).save(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_text("la la la")
    Sound.sine(880, 1).save(tmp_path / "c.wav")
    assert main(["listen", str(tmp_path), "--json"]) == 1
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    assert [row["sounding_pitch"] for row in rows] == [69, 81]
    assert "b.wav: is not a sound that can be read" in captured.err.splitlines()[-1]


def test_evaluate_the_shipped_network(tmp_path, capsys):
    store = str(tmp_path / "toy")
    main(["corpus", "build", "toy", "--count", "48", "--instruments", "12", "-o", store])
    from mechanical_ears.listening.article_ears import SHIPPED_ARTICLE

    capsys.readouterr()
    report = str(tmp_path / "report")
    assert (
        main(
            ["evaluate", "article", str(SHIPPED_ARTICLE), "--corpus", store, "-o", report, "--json"]
        )
        == 0
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "report" / "report.json").read_text())
    assert printed["overall"]["notes"] == len(Store(store).rows("held-out"))
    assert (tmp_path / "report" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import sys, mechanical_ears; mechanical_ears.Sound.sine(); "
        "print({'torch', 'matplotlib', 'numba', 'pyarrow', 'onnxruntime'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("words", [["nonsense"], ["tone", "high"], ["train", "article"]])
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["listen"],
        ["corpus", "control-maps", "-o", "x"],
        ["corpus", "build", "soundfont", "-o", "x"],
    ],
)
def test_commands_without_their_files_say_what_to_give(words, capsys):
    assert main(words) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("ears: error: no ")
    assert "; " in message
