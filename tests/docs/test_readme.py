"""What the README and docs/COMMANDS.md say can be done is done here as it stands there."""

import contextlib
import io
import re
import shlex
import shutil
from itertools import takewhile

import pytest

from mechanical_ears.cli import main
from mechanical_ears.cli.app import app, build_app, corpus_app, evaluate_app, train_app
from mechanical_ears.corpus.toy import Toy
from support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE = (ROOT / "docs" / "COMMANDS.md").read_text(encoding="utf-8")
COMMANDS = {
    "ears tone 400 -o tone.wav": "tone.wav",
    "ears show piano.flac -o piano.png": "piano.png",
    "ears corpus build folder DIR -o STORE": "STORE/store.json",
    "ears corpus build toy --count 2000 -o STORE": "STORE/store.json",
}  # and what each leaves behind


@pytest.fixture
def piano(tmp_path, monkeypatch):
    """A folder with the files that the commands name."""
    monkeypatch.chdir(tmp_path)
    (note,) = Toy(1, pitches=range(60, 61), instruments=1)
    note.sound.resample(44_100).save(tmp_path / "piano.flac")
    (tmp_path / "DIR").mkdir()
    for number, note in enumerate(Toy(40, instruments=12)):
        note.sound.save(tmp_path / "DIR" / f"kind{number % 12} {note.pitch:03d}_100.wav")
    return tmp_path


@pytest.mark.slow
def test_the_python_prints_what_the_readme_shows(tmp_path, monkeypatch):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (expected,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(program, {})
    assert output.getvalue() == expected
    assert (tmp_path / "c4.wav").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(piano, command):
    assert f"`{command}`" in TABLE
    words = shlex.split(command)[1:]
    assert main([word.replace("2000", "60") for word in words]) == 0
    assert (piano / COMMANDS[command]).exists()


def commands_in(text):
    """Names of the commands that a text shows, as tuples of words."""
    for command in re.findall(r"`ears ([^`]+)`", text) + re.findall(r"^ears (.+)$", text, re.M):
        yield tuple(takewhile(lambda word: re.fullmatch(r"[a-z][a-z-]*", word), command.split()))


def all_commands():
    groups = {(): app, ("corpus",): corpus_app, ("corpus", "build"): build_app}
    groups |= {("train",): train_app, ("evaluate",): evaluate_app}
    names = {
        (*group, name.replace("_", "-"))
        for group, each in groups.items()
        for name in each._subcommands
    }
    return names - set(groups)


def test_no_command_is_unknown(capsys):
    for words in {*commands_in(README), *commands_in(TABLE)}:
        with pytest.raises(SystemExit) as stop:
            main([*words, "--help"])
        assert stop.value.code == 0
        capsys.readouterr()


def test_the_table_has_every_command():
    listed = set(commands_in(TABLE))
    assert [
        name
        for name in sorted(all_commands())
        if not any(words[: len(name)] == name for words in listed)
    ] == []
