"""What the README says can be done is done here as it stands there."""

import re
import shlex
from itertools import takewhile

import pytest

from mechanical_ears.cli import main
from mechanical_ears.corpus.toy import Toy
from support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = {
    "ears tone 400 -o tone.wav": "tone.wav",
    "ears show piano.flac -o piano.png": "piano.png",
    "ears corpus build folder DIR -o STORE": "STORE/store.json",
    "ears corpus build toy --count 2000 -o STORE": "STORE/store.json",
}  # and what each leaves behind


@pytest.fixture
def piano(tmp_path, monkeypatch):
    """A folder with what the README's user has."""
    monkeypatch.chdir(tmp_path)
    (note,) = Toy(1, pitches=range(60, 61), instruments=1)
    note.sound.resample(44_100).save(tmp_path / "piano.flac")
    (tmp_path / "DIR").mkdir()
    for number, note in enumerate(Toy(40, instruments=12)):
        note.sound.save(tmp_path / "DIR" / f"kind{number % 12} {note.pitch:03d}_100.wav")
    return tmp_path


def test_the_python_in_it_runs(piano):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(program, names)
    assert names["heard"].sounding_pitch == 60
    assert (piano / "piano.wav").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_run(piano, command):
    assert f"`{command}`" in README
    words = shlex.split(command)[1:]
    assert main([word.replace("2000", "60") for word in words]) == 0
    assert (piano / COMMANDS[command]).exists()


def test_no_command_in_it_is_unknown(capsys):
    for command in re.findall(r"`ears ([^`]+)`", README):
        words = takewhile(lambda word: word.isalpha() and word.islower(), command.split())
        with pytest.raises(SystemExit) as stop:
            main([*words, "--help"])
        assert stop.value.code == 0
        capsys.readouterr()
