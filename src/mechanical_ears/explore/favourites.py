"""Favourites: one SQLite file in the user's data folder, whole after every change.

A row holds all that opens its instrument again: its numbers, what it carries of recordings, and the
weights that it was imagined with.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mechanical_ears.errors import EarsError
from mechanical_ears.files import make_folder

FILE: Final = "favourites.sqlite"
VERSION: Final = 1  # of the table
MOST: Final = 10_000
PATIENCE: Final = 5.0  # s that another process may hold the file

_TABLE: Final = """
CREATE TABLE favourites (
    favourite INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    added TEXT NOT NULL,
    instrument TEXT NOT NULL,
    carried BLOB
)
"""


class FavouriteError(EarsError):
    """There is no such favourite."""


@dataclass(frozen=True)
class Favourite:
    """A row.

    Attributes:
        favourite: its number.
        name: that the user gave it.
        added: when, ISO 8601 in UTC.
        about: the instrument, as JSON has it; see `Patch.about`.
        carried: what it carries of recordings.
    """

    favourite: int
    name: str
    added: str
    about: dict[str, Any]
    carried: bytes | None


class Favourites:
    """The file.

    Args:
        folder: that holds it; made if absent.

    Raises:
        EarsError: it is damaged, of a newer version, or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = make_folder(folder) / FILE
        self._lock = threading.Lock()
        self._file: sqlite3.Connection | None = None
        with self._opened() as file:
            version = file.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise EarsError(
                    f"is of version {version}, this program reads {VERSION}",
                    path=self.path,
                    remedy="update mechanical-ears",
                )
            if version == 0:
                file.execute(_TABLE)
                file.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The file in a transaction."""
        with self._lock:
            try:
                if self._file is None:
                    self._file = sqlite3.connect(
                        self.path, timeout=PATIENCE, check_same_thread=False
                    )
                    self._file.execute("PRAGMA journal_mode = WAL")
                with self._file:
                    yield self._file
            except sqlite3.Error as error:
                raise EarsError(
                    f"cannot be used ({error})",
                    path=self.path,
                    remedy="free some space, or move the file away: a new one is made",
                ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def all(self) -> list[Favourite]:
        """All, the newest first."""
        with self._opened() as file:
            rows = file.execute("SELECT * FROM favourites ORDER BY favourite DESC").fetchall()
        return [_row(row) for row in rows]

    def add(self, name: str, about: dict[str, Any], carried: bytes | None) -> Favourite:
        """Keep an instrument.

        Raises:
            EarsError: there are too many, or the file cannot be written.
        """
        added = datetime.now(UTC).isoformat(timespec="seconds")
        with self._opened() as file:
            if file.execute("SELECT count(*) FROM favourites").fetchone()[0] >= MOST:
                raise EarsError(f"there are {MOST} favourites", remedy="remove some of them")
            row = file.execute(
                "INSERT INTO favourites (name, added, instrument, carried) VALUES (?, ?, ?, ?)"
                " RETURNING *",
                (name, added, json.dumps(about, ensure_ascii=False), carried),
            ).fetchone()
        return _row(row)

    def rename(self, favourite: int, name: str) -> Favourite:
        """Give one another name.

        Raises:
            FavouriteError: there is none of that number.
        """
        with self._opened() as file:
            row = file.execute(
                "UPDATE favourites SET name = ? WHERE favourite = ? RETURNING *", (name, favourite)
            ).fetchone()
        if row is None:
            raise _unknown(favourite)
        return _row(row)

    def remove(self, favourite: int) -> None:
        """Keep one no longer.

        Raises:
            FavouriteError: there is none of that number.
        """
        with self._opened() as file:
            gone = file.execute("DELETE FROM favourites WHERE favourite = ?", (favourite,)).rowcount
        if not gone:
            raise _unknown(favourite)


def _unknown(favourite: int) -> FavouriteError:
    return FavouriteError(f"there is no favourite {favourite}", remedy="load the list again")


def _row(row: tuple[int, str, str, str, bytes | None]) -> Favourite:
    number, name, added, about, carried = row
    return Favourite(number, name, added, json.loads(about), carried)
