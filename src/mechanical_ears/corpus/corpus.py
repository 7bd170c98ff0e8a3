"""What every corpus is: a fixed order of notes that can be walked from any place in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mechanical_ears.errors import CorpusError
from mechanical_ears.note import Note


@dataclass(frozen=True)
class Provenance:
    """Where a corpus comes from, kept with every store and run that is made of it.

    Attributes:
        title: what it is called (``NSynth``, ``FluidR3_GM``).
        licence: SPDX identifier or words (``CC-BY-4.0``, ``MIT``, ``unknown``).
        citation: who made it, and where it was published.
        files: SHA-256 of the files it was read from, by file name; empty where too large to hash.
    """

    title: str
    licence: str = "unknown"
    citation: str = ""
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CorpusEntry:
    """One place of a corpus: a note, a place without a note, or a record that cannot be read.

    Attributes:
        index: its place in the corpus, from 0.
        note: the note; None where the place is silent or bad.
        problem: why it cannot be read; None where it is a note, or silence.
    """

    index: int
    note: Note | None = None
    problem: CorpusError | None = None


class Corpus(ABC):
    """Notes in a fixed order.

    The same corpus always scans to the same notes with the same bytes, so that a store which was
    interrupted can be continued from the index where it stopped.
    """

    provenance: Provenance
    sample_rate: int  # Hz

    @abstractmethod
    def __len__(self) -> int:
        """Number of places, those with silent or bad notes counted in."""

    @abstractmethod
    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Walk the places from ``start`` to the end.

        A record that cannot be read is told as ``problem`` and the walk goes on behind it; where
        it cannot go on (a file cut off), the problem is the last thing told.
        """

    def groups(self) -> Sequence[frozenset[str]]:
        """Instruments (by name) that share recordings and must stay on one side of a split.

        Instruments in no group stand alone.
        """
        return ()

    def __iter__(self) -> Iterator[Note]:
        """Walk the notes.

        Raises:
            CorpusError: at the first record that cannot be read.
        """
        for scanned in self.scan():
            if scanned.problem is not None:
                raise scanned.problem
            if scanned.note is not None:
                yield scanned.note
