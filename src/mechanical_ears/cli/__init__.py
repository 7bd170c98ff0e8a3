"""The `ears` command: each subcommand is a thin call of the library.

Exit codes: 0 done; 1 done but for some files; 2 wrong input or usage, told in one line; 130
interrupted by Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tyro.conf import OmitSubcommandPrefixes

from mechanical_ears.cli import (  # noqa: F401  (they register)
    corpus,
    evaluate,
    explore,
    imagine,
    instrument,
    listen,
    sound,
    train,
)
from mechanical_ears.cli.app import app
from mechanical_ears.errors import EarsError

TRAIN_EXTRA = {"torch", "lightning", "safetensors", "pyarrow", "fluidsynth", "google_crc32c"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; what the user did wrong is told in one line on stderr."""
    try:
        code = app.cli(
            prog="ears",
            description="Mechanical Ears: listen to musical notes, imagine instruments.",
            args=arguments,
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
        print("\nears: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return code or 0
