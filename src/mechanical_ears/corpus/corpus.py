"""The interface of every corpus: notes in a fixed order that can be read from any index on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mechanical_ears.errors import CorpusError
from mechanical_ears.note import Note


@dataclass(frozen=True)
class Provenance:
    """Origin of a corpus, saved with every store and training run that uses it.

    Attributes:
        title: name of the corpus (``NSynth``, ``FluidR3_GM``).
        licence: SPDX identifier or words (``CC-BY-4.0``, ``MIT``, ``unknown``).
        citation: authors and publication.
        files: SHA-256 of the files it is read from, by file name; empty if they are too large.
    """

    title: str
    licence: str = "unknown"
    citation: str = ""
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CorpusEntry:
    """An entry of a corpus: a note, silence, or a record that cannot be read.

    Attributes:
        index: position in the corpus, from 0.
        note: the note; None if the entry is silent or cannot be read.
        problem: why the entry cannot be read; None for a note or silence.
    """

    index: int
    note: Note | None = None
    problem: CorpusError | None = None


class Corpus(ABC):
    """Notes in a fixed order.

    Two scans of a corpus give the same notes with the same bytes, so that the build of a store can
    be resumed at the index where it was interrupted.

    >>> from mechanical_ears.corpus.toy import Toy
    >>> corpus = Toy(2, instruments=12)
    >>> [note.name for note in corpus]
    ['vocal_synthetic_000-043-100', 'organ_electronic_000-039-050']
    """

    provenance: Provenance
    sample_rate: int  # Hz

    @abstractmethod
    def __len__(self) -> int:
        """Number of entries, including silent and bad ones."""

    @abstractmethod
    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Iterate over the entries from index ``start`` to the end.

        A record that cannot be read gives an entry with a ``problem``, and the scan continues after
        it. If the rest cannot be read either (a truncated file), that entry is the last one.
        """

    def groups(self) -> Sequence[frozenset[str]]:
        """Names of instruments that share recordings and must be on the same side of a split.

        An instrument in no group shares no recording.
        """
        return ()

    def __iter__(self) -> Iterator[Note]:
        """Iterate over the notes.

        Raises:
            CorpusError: a record cannot be read.
        """
        for entry in self.scan():
            if entry.problem is not None:
                raise entry.problem
            if entry.note is not None:
                yield entry.note
