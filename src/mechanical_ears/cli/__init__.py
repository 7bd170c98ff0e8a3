"""The `ears` command: each subcommand is a thin call of the library.

Exit codes: 0 done; 1 done except for some files; 2 wrong input or usage, explained in one line; 130
interrupted by Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tyro.conf import OmitSubcommandPrefixes

from mechanical_ears.cli import (  # noqa: F401  (importing registers their commands)
    corpus,
    evaluate,
    explore,
    imagine,
    instrument,
    listen,
    resynthesis,
    sound,
    train,
)
from mechanical_ears.cli.app import app
from mechanical_ears.cli.old_spellings import to_new_spellings
from mechanical_ears.errors import EarsError

TRAIN_EXTRA = {"torch", "lightning", "pyarrow", "fluidsynth", "google_crc32c"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; an error of the user is explained in one line on stderr.

    Args:
        arguments: words after ``ears``; those of the process if not given.

    Returns:
        The exit code.
    """
    words, notices = to_new_spellings(sys.argv[1:] if arguments is None else arguments)
    for notice in notices:
        print(f"ears: {notice}; the old spelling still works", file=sys.stderr)
    try:
        code = app.cli(
            prog="ears",
            description="Mechanical Ears: listen to musical notes, imagine instruments.",
            args=words,
            config=(OmitSubcommandPrefixes,),
        )
    except EarsError as error:
        print(f"ears: error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_EXTRA:
            raise
        print(
            f'ears: error: this needs {error.name}; pip install "mechanical-ears[train]"',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("\nears: interrupted; run the same command again to continue", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return code or 0
