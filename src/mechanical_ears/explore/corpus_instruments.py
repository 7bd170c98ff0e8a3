"""Real instruments: recordings of the user's corpus, played as they are.

A note is the recording of the nearest key (and of that the nearest velocity), read faster or slower
to its pitch and louder or softer by its distance in velocity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mechanical_ears.errors import CorpusError
from mechanical_ears.note import NOTE_SECONDS
from mechanical_ears.sound import Sound

if TYPE_CHECKING:
    from mechanical_ears.corpus.corpus import Corpus

DECIBELS_A_STEP: Final = 0.25  # of velocity away from the recording's
FADE: Final = 0.02  # s, where a recording is cut
DIGITS: Final = 20  # of an id


@dataclass(frozen=True)
class Recorded:
    """A real instrument.

    Attributes:
        name: as the corpus has it.
        family: one of `mechanical_ears.note.FAMILIES`; None where nobody said.
        licence: of the recordings.
        corpus: its title.
        notes: place in the corpus, MIDI number and MIDI velocity of each recording.
    """

    name: str
    family: str | None
    licence: str
    corpus: str
    notes: tuple[tuple[int, int, int], ...]

    def id(self, weights: str) -> str:
        """Digest of its name and notes; of whichever weights."""
        told = f"{self.corpus} {self.name} {self.notes}"
        return f"r{hashlib.sha256(told.encode()).hexdigest()[:DIGITS]}"

    def nearest(self, pitch: float, velocity: float) -> tuple[int, int, int]:
        """The recording that is played at a pitch and velocity."""
        return min(
            self.notes, key=lambda note: (abs(note[1] - pitch), abs(note[2] - velocity), note[0])
        )


@dataclass(frozen=True, eq=False)
class RecordedInstrument:
    """A real instrument with its recordings at hand; see `instrument.playable.Playable`.

    Attributes:
        recorded: which recordings.
        corpus: that holds them.
    """

    recorded: Recorded
    corpus: Corpus

    @property
    def name(self) -> str:
        """As the corpus has it."""
        return self.recorded.name

    @property
    def family(self) -> str | None:
        """Where it is known."""
        return self.recorded.family

    @property
    def licence(self) -> str:
        """Of the recordings."""
        return self.recorded.licence

    def note(
        self,
        pitch: float,
        velocity: int = 100,
        seconds: float | None = None,
        sample_rate: int = 48_000,
        round_robin: int = 0,
    ) -> Sound:
        """A note; see `Playable.note`.

        Raises:
            CorpusError: the corpus has changed, or cannot be read.
        """
        import soxr

        place, key, force = self.recorded.nearest(pitch, velocity)
        sound = recording(self.corpus, place)
        speed = 2 ** ((pitch - key) / 12)
        samples = soxr.resample(sound.samples, sound.sample_rate * speed, sample_rate)
        count = round((NOTE_SECONDS if seconds is None else seconds) * sample_rate)
        made = np.zeros(count, dtype=np.float32)
        taken = samples[:count] * np.float32(10 ** (DECIBELS_A_STEP * (velocity - force) / 20))
        made[: len(taken)] = taken
        if len(samples) > count:
            fade = min(round(FADE * sample_rate), count)
            made[count - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        peak = float(np.abs(made).max(initial=0.0))
        return Sound(made / np.float32(peak) if peak > 1 else made, sample_rate)


def recording(corpus: Corpus, place: int) -> Sound:
    """The recording at a place of a corpus.

    Raises:
        CorpusError: there is none (any more).
    """
    scanned = next(iter(corpus.scan(place)), None)
    if scanned is not None and scanned.problem is not None:
        raise scanned.problem
    if scanned is None or scanned.note is None:
        raise CorpusError(
            "is no longer there", record=f"recording {place}", remedy="start explore again"
        )
    return scanned.note.sound


def listed(corpus: Corpus) -> Sequence[Recorded]:
    """The instruments of a corpus, in the order of their names."""
    from mechanical_ears.corpus.store import Store

    notes: dict[str, list[tuple[int, int, int]]] = {}
    families: dict[str, str | None] = {}
    if isinstance(corpus, Store):
        from mechanical_ears.note import FAMILIES

        rows = zip(corpus.instrument, corpus.family, corpus.pitch, corpus.velocity, strict=True)
        for place, (name, family, pitch, velocity) in enumerate(rows):
            families[str(name)] = FAMILIES[family] if family >= 0 else None
            notes.setdefault(str(name), []).append((place, int(pitch), int(velocity)))
    else:
        for scanned in corpus.scan():
            note = scanned.note
            if note is not None:
                families[note.instrument] = note.family
                found = (scanned.index, note.pitch, note.velocity)
                notes.setdefault(note.instrument, []).append(found)
    about = corpus.provenance
    return [
        Recorded(name, families[name], about.licence, about.title, tuple(notes[name]))
        for name in sorted(notes)
    ]
