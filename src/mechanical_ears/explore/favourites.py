"""Favourites: one SQLite file in the user's data folder, consistent after every change.

A row holds everything that opens its instrument again: its patch, its residual and the digest of
the weights that it was imagined with.
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
from mechanical_ears.explore.open_instruments import UnknownIdError
from mechanical_ears.files import make_folder

FILE_NAME: Final = "favourites.sqlite"
TABLE_VERSION: Final = 1
MAX_FAVOURITES: Final = 10_000
LOCK_SECONDS: Final = 5.0  # s to wait for another process that uses the file

_TABLE: Final = """
CREATE TABLE favourites (
    favourite INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    added TEXT NOT NULL,
    instrument TEXT NOT NULL,
    carried BLOB
)
"""


@dataclass(frozen=True)
class Favourite:
    """A row of the table.

    Attributes:
        number: of the favourite.
        name: given by the user.
        added: time, ISO 8601 in UTC.
        patch: as `Patch.to_json` returns it.
        residual: of the patch, as the bytes of a safetensors file; None without recordings.
    """

    number: int
    name: str
    added: str
    patch: dict[str, Any]
    residual: bytes | None


class Favourites:
    """The favourites of a user.

    Args:
        folder: of the file; created if it does not exist.

    Raises:
        EarsError: the file is damaged, of a newer version, or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = make_folder(folder) / FILE_NAME
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with self._transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > TABLE_VERSION:
                problem = f"is of version {version}, this program reads {TABLE_VERSION}"
                raise EarsError(problem, path=self.path, remedy="update mechanical-ears")
            if version == 0:
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA user_version = {TABLE_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = sqlite3.connect(
                        self.path, timeout=LOCK_SECONDS, check_same_thread=False
                    )
                    self._connection.execute("PRAGMA journal_mode = WAL")
                with self._connection:
                    yield self._connection
            except sqlite3.Error as error:
                problem = f"cannot be used ({error})"
                remedy = "free some space, or move the file away: a new one is created"
                raise EarsError(problem, path=self.path, remedy=remedy) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def all(self) -> list[Favourite]:
        """All favourites, newest first."""
        with self._transaction() as connection:
            query = "SELECT * FROM favourites ORDER BY favourite DESC"
            rows = connection.execute(query).fetchall()
        return [_from_row(row) for row in rows]

    def add(self, name: str, patch: dict[str, Any], residual: bytes | None) -> Favourite:
        """Add an instrument.

        Raises:
            EarsError: there are too many, or the file cannot be written.
        """
        added = datetime.now(UTC).isoformat(timespec="seconds")
        with self._transaction() as connection:
            count = connection.execute("SELECT count(*) FROM favourites").fetchone()[0]
            if count >= MAX_FAVOURITES:
                raise EarsError(f"there are {count} favourites", remedy="remove some of them")
            row = connection.execute(
                "INSERT INTO favourites (name, added, instrument, carried) VALUES (?, ?, ?, ?)"
                " RETURNING *",
                (name, added, json.dumps(patch, ensure_ascii=False), residual),
            ).fetchone()
        return _from_row(row)

    def rename(self, number: int, name: str) -> Favourite:
        """Rename a favourite.

        Raises:
            UnknownIdError: there is none with that number.
        """
        return self._change("UPDATE favourites SET name = ? WHERE favourite = ?", name, number)

    def remove(self, number: int) -> None:
        """Remove a favourite.

        Raises:
            UnknownIdError: there is none with that number.
        """
        self._change("DELETE FROM favourites WHERE favourite = ?", number)

    def _change(self, query: str, *values: str | int) -> Favourite:
        with self._transaction() as connection:
            row = connection.execute(f"{query} RETURNING *", values).fetchone()
        if row is None:
            raise UnknownIdError(f"there is no favourite {values[-1]}", remedy="reload the list")
        return _from_row(row)


def _from_row(row: tuple[int, str, str, str, bytes | None]) -> Favourite:
    number, name, added, patch, residual = row
    return Favourite(number, name, added, json.loads(patch), residual)
