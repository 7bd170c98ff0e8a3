"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mechanical_ears.errors import EarsError

LOCK_FILE = ".lock"
SAMPLERS = (".sfz", ".sf2", ".sf3")  # files of recorded instruments, which are read

_REMEDIES = {
    errno.ENOSPC: "free some space or choose another output folder",
    errno.EDQUOT: "free some space or choose another output folder",
    errno.EROFS: "choose an output folder that can be written",
    errno.EACCES: "choose an output folder that can be written",
    errno.EPERM: "choose an output folder that can be written",
    errno.ENOENT: "create the folder first",
    errno.EFBIG: "raise the file size limit (ulimit -f)",
}


def write_error(path: Path, error: OSError) -> EarsError:
    """The one-line error for an ``OSError`` met while writing ``path``."""
    reason = error.strerror or str(error)
    return EarsError(f"cannot write: {reason}", path=path, remedy=_REMEDIES.get(error.errno or 0))


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` if the block succeeds.

    The temporary name ends in the same suffix, so that writers which look at it are content.
    On any error the temporary file is removed and what was at ``path`` stays as it was.

    Raises:
        EarsError: the disk is full, the folder read-only or absent.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _discard(temporary)
        raise write_error(path, error) from error
    except BaseException:
        _discard(temporary)
        raise


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # on a read-only disk there is nothing to remove
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, indented, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def lock_folder(folder: Path) -> IO[bytes]:
    """Keep every other process from writing in a folder, until this one ends or closes the file.

    The lock goes with its process, however that ends. On systems without ``fcntl`` (Windows) there
    is none.

    Raises:
        EarsError: another process holds the folder.
    """
    try:
        lock = (folder / LOCK_FILE).open("wb")
    except OSError as error:
        raise write_error(folder, error) from error
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise EarsError(
                "another process is at work in it",
                path=folder,
                remedy="wait until it is done, or end it",
            ) from error
    return lock


def make_folder(path: Path) -> Path:
    """Create a folder with its parents, or say in one line why it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise EarsError(
            "is a file where a folder is needed", path=path, remedy="choose another name"
        ) from error
    except OSError as error:
        raise write_error(path, error) from error
    return path
