"""Renamed commands, options and values: old spellings still work, with one line of notice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

COMMANDS: Final = {("corpus", "controls"): ("corpus", "control-maps")}
OPTIONS: Final = {  # by command
    "imagine": {
        "--draw": "--candidate",
        "--amount": "--mix",
        "--bright": "--brightness",
        "--noisy": "--noisiness",
    },
    "resynthesise": {"--controls": "--control-map"},
}
VALUES: Final = {("train", "imagination", "--critics"): {"map": "latent"}}  # by command and option


def to_new_spellings(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Replace old spellings in a command line.

    Args:
        arguments: words after ``ears``.

    Returns:
        The words in today's spelling, and a notice for each that was replaced.
    """
    words, notices = list(arguments), list[str]()
    for old, new in COMMANDS.items():
        if tuple(words[: len(old)]) == old:
            words[: len(old)] = new
            notices.append(f'"{" ".join(old)}" is now "{" ".join(new)}"')
    renamed = OPTIONS.get(words[0], {}) if words else {}
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in renamed:
            words[place] = renamed[option] + equals + value
            notices.append(f"{option} is now {renamed[option]}")
    for (*command, option), values in VALUES.items():
        current = ""
        for place, word in enumerate(words if words[: len(command)] == command else ()):
            current = word if word.startswith("-") else current
            if current == option and word in values:
                words[place] = values[word]
                notices.append(f"{option} {word} is now {option} {values[word]}")
    return words, notices
