"""Old spellings of commands and options still work, with a notice."""

import pytest

from mechanical_ears.cli import main
from mechanical_ears.cli.old_spellings import COMMANDS, OPTIONS, to_new_spellings


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [(command, *pair) for command, options in OPTIONS.items() for pair in options.items()],
)
def test_each_old_option_becomes_the_new_one(command, old, new):
    for words, expected in (([old, "0.5"], [new, "0.5"]), ([f"{old}=0.5"], [f"{new}=0.5"])):
        replaced, notices = to_new_spellings([command, *words])
        assert replaced == [command, *expected]
        assert notices == [f"{old} is now {new}"]


def test_options_of_other_commands_stay():
    words = ["listen", "--draw", "--bright", "x.wav"]
    assert to_new_spellings(words) == (words, [])


def test_old_values_become_the_new_ones():
    command = ["train", "imagination", "maps", "--critics"]
    replaced, notices = to_new_spellings([*command, "map", "pair", "-o", "map"])
    assert replaced == [*command, "latent", "pair", "-o", "map"]
    assert notices == ["--critics map is now --critics latent"]


def test_todays_spellings_give_no_notice():
    for old, new in COMMANDS.items():
        assert to_new_spellings([*new, "--limit", "3"])[1] == []
        assert to_new_spellings(old)[0] == list(new)


def test_an_old_spelling_gives_the_same_note(tmp_path, capsys):
    note = ["--pitches", "60", "--velocities", "100", "--seconds", "0.5"]
    old = ["imagine", "--seed", "3", "--bright", "1", "-o", str(tmp_path / "old"), *note]
    new = ["imagine", "--seed", "3", "--brightness", "1", "-o", str(tmp_path / "new"), *note]
    assert main(old) == 0
    assert "--bright is now --brightness" in capsys.readouterr().err
    assert main(new) == 0
    assert "is now" not in capsys.readouterr().err
    first, second = (tmp_path / name / "060-100.wav" for name in ("old", "new"))
    assert first.read_bytes() == second.read_bytes()
