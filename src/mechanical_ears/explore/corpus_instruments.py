"""Instruments of the user's corpus: which recordings each one has, and how to read them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from mechanical_ears.errors import CorpusError
from mechanical_ears.instrument.playable import VELOCITY, nearest_note
from mechanical_ears.instrument.recorded import RecordedInstrument
from mechanical_ears.sound import Sound

if TYPE_CHECKING:
    from mechanical_ears.corpus.corpus import Corpus

ID_DIGITS: Final = 20


@dataclass(frozen=True)
class CorpusInstrument:
    """An instrument of a corpus as plain data; `open` makes it playable.

    Attributes:
        name: name in the corpus.
        family: one of `mechanical_ears.note.FAMILIES`; None if unknown.
        licence: licence of the recordings.
        corpus: title of the corpus.
        notes: position in the corpus, MIDI number and MIDI velocity of each recording.
    """

    name: str
    family: str | None
    licence: str
    corpus: str
    notes: tuple[tuple[int, int, int], ...]

    def id(self, weights: str) -> str:
        """Digest of its name and notes, "r" and 20 hexadecimal digits, for any weights."""
        text = f"{self.corpus} {self.name} {self.notes}"
        return f"r{hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]}"

    def recordings(self) -> dict[tuple[int, int], int]:
        """Position of the first recording of each MIDI number and MIDI velocity."""
        positions: dict[tuple[int, int], int] = {}
        for position, pitch, velocity in self.notes:
            positions.setdefault((pitch, velocity), position)
        return positions

    def representative_notes(self, count: int) -> list[tuple[int, int]]:
        """MIDI number and velocity of at most ``count`` recordings, evenly over its keys."""
        recordings = self.recordings()
        keys = sorted({pitch for pitch, _ in recordings})
        indices = np.linspace(0, len(keys) - 1, min(count, len(keys))).round().astype(int)
        return [nearest_note(recordings, keys[index], VELOCITY) for index in indices]

    def open(self, corpus: Corpus) -> RecordedInstrument:
        """The playable instrument.

        Args:
            corpus: that its notes are positions in.
        """
        read = partial(read_recording, corpus)
        return RecordedInstrument(self.name, self.recordings(), read, self.family, self.licence)


def read_recording(corpus: Corpus, position: int) -> Sound:
    """The recording at a position of a corpus.

    Raises:
        CorpusError: there is none, since the corpus has changed, or it cannot be read.
    """
    entry = next(iter(corpus.scan(position)), None)
    if entry is not None and entry.problem is not None:
        raise entry.problem
    if entry is None or entry.note is None:
        raise CorpusError(
            "no longer exists", record=f"recording {position}", remedy="restart explore"
        )
    return entry.note.sound


def list_instruments(corpus: Corpus) -> list[CorpusInstrument]:
    """The instruments of a corpus, sorted by name."""
    from mechanical_ears.corpus.store import Store

    notes: dict[str, list[tuple[int, int, int]]] = {}
    families: dict[str, str | None] = {}
    if isinstance(corpus, Store):
        from mechanical_ears.note import FAMILIES

        rows = zip(corpus.instrument, corpus.family, corpus.pitch, corpus.velocity, strict=True)
        for position, (name, family, pitch, velocity) in enumerate(rows):
            families[str(name)] = FAMILIES[family] if family >= 0 else None
            notes.setdefault(str(name), []).append((position, int(pitch), int(velocity)))
    else:
        for entry in corpus.scan():
            note = entry.note
            if note is not None:
                families[note.instrument] = note.family
                row = (entry.index, note.pitch, note.velocity)
                notes.setdefault(note.instrument, []).append(row)
    licence, title = corpus.provenance.licence, corpus.provenance.title
    return [
        CorpusInstrument(name, families[name], licence, title, tuple(notes[name]))
        for name in sorted(notes)
    ]
