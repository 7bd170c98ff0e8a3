"""docs/INSTRUMENTS.md: its commands run, its opcodes and columns exist."""

import re
import shlex

import numpy as np
import pytest
import soundfile

from mechanical_ears.cli import main
from mechanical_ears.instrument.formats.sfz_reader import _ALIASES, _SUPPORTED
from support.paths import ROOT
from support.toy_instruments import RATE, note_events, pluck, write_midi

pytestmark = pytest.mark.slow

DOCUMENT = ROOT / "docs" / "INSTRUMENTS.md"


@pytest.fixture(scope="module")
def text():
    return DOCUMENT.read_text()


def test_its_commands_run(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "takes").mkdir()
    for number, pitch in enumerate((45, 52, 57)):
        soundfile.write(tmp_path / "takes" / f"{number}x.wav", pluck(pitch), RATE)
    write_midi(tmp_path / "song.mid", note_events(0, 1, 60), note_events(0, 1, 48, channel=1))
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in block.strip().splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "ears"
        assert main(arguments) == 0, line
    for name in ("mine.sfz", "guitar.sfz", "guitar.png", "guitar.report.csv"):
        assert (tmp_path / name).stat().st_size > 100
    song, rate = soundfile.read(tmp_path / "song.wav")
    assert len(song) > 0.5 * rate  # a quarter note and its release
    assert np.abs(song[: rate // 2]).max() > 0.01
    header = (tmp_path / "guitar.report.csv").read_text().splitlines()[0].split(",")
    _, _, columns = text.partition("| column | contents |")
    documented = re.findall(
        r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", columns, re.MULTILINE))
    )
    assert set(documented) == {*header} - {"file"}


def test_its_opcodes_are_those_that_the_reader_supports(text):
    start = text.index("**SFZ**")
    words = set(re.findall(r"[\w<>#=|]+", text[start : text.index("**SoundFont")]))
    supported = {
        word.removeprefix("ampeg") if word != "ampeg_delay" else word for word in _SUPPORTED
    }
    labels = {word for word in _SUPPORTED if word.endswith("_label")}  # names only
    assert supported - labels - words == {"trigger"}  # listed with its values
    assert "trigger=attack|first" in words
    assert {"pitch", "gain"} <= words & set(_ALIASES)


def test_its_pictures_exist(text):
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
        assert (DOCUMENT.parent / picture).is_file()
