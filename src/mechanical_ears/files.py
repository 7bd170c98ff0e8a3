"""Writing files and folders whole or not at all, and keeping other processes out of a folder.

Everything is written under a temporary name beside its target and renamed at the end. A reader, a
killed process or a full disk therefore never meets half a file under its final name.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mechanical_ears.errors import EarsError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_FILE = ".lock"
SAMPLED_INSTRUMENT_SUFFIXES = (".sfz", ".sf2", ".sf3")  # that can be opened

_NOT_WRITABLE = "choose an output folder that can be written"
_REMEDIES = {
    errno.ENOSPC: "free some space or choose another output folder",
    errno.EDQUOT: "free some space or choose another output folder",
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _NOT_WRITABLE),
    errno.ENOENT: "create the folder first",
    errno.EFBIG: "raise the file size limit (ulimit -f)",
}


def write_error(path: Path, error: OSError) -> EarsError:
    """The one-line error for an ``OSError`` raised while writing ``path``."""
    reason = error.strerror or str(error)
    return EarsError(f"cannot write: {reason}", path=path, remedy=_REMEDIES.get(error.errno or 0))


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds.

    The temporary name has the same suffix, because some writers choose the format by it. On any
    error the temporary file is removed and an existing file at ``path`` stays as it was.

    Raises:
        EarsError: the disk is full, the folder is read-only or missing.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        _flush_to_disk(temporary)
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


def _flush_to_disk(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def check_suffix(
    path: Path, suffixes: Sequence[str], kind: str, error: type[EarsError] = EarsError
) -> None:
    """Check that a file's suffix is one of those of a kind of file.

    Raises:
        EarsError: it is not; of the type ``error``.
    """
    if path.suffix.lower() not in suffixes:
        problem = f'the suffix "{path.suffix}" names no {kind} format'
        raise error(problem, path=path, remedy=f"use one of {', '.join(suffixes)}")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write an indented JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def write_folder_atomically(
    path: Path,
    *,
    force: bool = False,
    marker: str | None = None,
    finish: Callable[[], None] | None = None,
) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it becomes ``path`` if the block succeeds.

    On any error the temporary folder is removed and an existing folder at ``path`` stays as it was.
    Missing parents of ``path`` are created.

    Args:
        path: the folder; it must be empty or absent unless ``force`` is set.
        force: replace a folder that is not empty.
        marker: name of a file; with ``force``, only a folder that holds this file is replaced.
        finish: called after the exchange; if it raises, the exchange is undone.

    Raises:
        EarsError: the folder is not empty, must not be replaced or cannot be written.
    """
    path = path.resolve()
    _check_replaceable(path, force, marker)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process with this number
        temporary.mkdir()
        yield temporary
        _check_replaceable(path, force, marker)
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush_to_disk(file)
        replace_folder(temporary, path, finish)
    except OSError as error:
        raise write_error(path, error) from error
    except EarsError as error:
        if error.path is None or not Path(error.path).is_relative_to(temporary):
            raise
        final = path / Path(error.path).relative_to(temporary)
        raise EarsError(error.problem, path=final, remedy=error.remedy) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_replaceable(path: Path, force: bool, marker: str | None) -> None:
    if path.is_dir() and any(path.iterdir()):
        if not force:
            raise EarsError(
                "is not empty", path=path, remedy="choose another folder, or give --force"
            )
        if marker is not None and not (path / marker).is_file():
            problem = f"is not empty, but has no {marker}: it holds other files and is not replaced"
            raise EarsError(problem, path=path, remedy="choose another folder")
    elif path.exists() and not path.is_dir():
        raise _not_a_folder(path)


def replace_folder(new: Path, path: Path, finish: Callable[[], None] | None = None) -> None:
    """Rename a complete folder to ``path`` and remove the folder that was there.

    Args:
        new: a folder on the same disk.
        path: the final name.
        finish: called after the renaming; if it raises, what was at ``path`` is put back.

    Raises:
        OSError: a folder cannot be renamed.
    """
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    existed = path.exists()
    if existed:
        path.rename(old)
    try:
        new.rename(path)
        if finish is not None:
            finish()
    except BaseException:
        with suppress(OSError):
            if path.exists():
                path.rename(new)
            if existed:
                old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def lock_folder(folder: Path) -> BaseFileLock:
    """Lock a folder against other processes that use this function.

    The lock ends with ``release()`` or with the process, however that ends.

    Raises:
        EarsError: another process has locked the folder, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK_FILE, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise EarsError(
            "is in use by another process", path=folder, remedy="wait until it ends, or stop it"
        ) from error
    except OSError as error:
        raise write_error(folder, error) from error
    return lock


def make_folder(path: Path) -> Path:
    """Create a folder with its parents if it does not exist.

    Raises:
        EarsError: a file has that name, or the folder cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise _not_a_folder(path) from error
    except OSError as error:
        raise write_error(path, error) from error
    return path


def _not_a_folder(path: Path) -> EarsError:
    return EarsError("is a file where a folder is needed", path=path, remedy="choose another name")
