"""Notes rendered from SoundFonts as NSynth has them: a key held for 3 s, then 1 s of release.

Every note is rendered on its own by FluidSynth (see ``fluidsynth_renderer``) at a fixed gain, so
that differences of level between keys, velocities and instruments are kept, and resampled by soxr.
The gain leaves the loudest notes of common General MIDI fonts below full scale; a note above
``MAX_PEAK`` is scaled down to it. A note below ``SILENCE_AMPLITUDE`` is a key that does not sound;
its entry has no note. (Loudness falls with the square of velocity, 28 dB from 127 to 25, and a real
note may peak at −70 dBFS.)

``soundfont_presets`` selects and names the instruments; keys that no sample of a preset covers have
no entry.

Instruments are grouped if they share a sample: presets of one font, and fonts derived from each
other, share recordings, so that a split by preset name would test on training data. Two samples
are the same recording if their data are equal, or their names are equal except for the channel:
the sides of a stereo pair, and a copy that was mixed to mono, filtered or amplified for another
font. (In MuseScore_General, derived from FluidR3, the clarinet is a mono mix of FluidR3's: equal
names, cross-correlation 0.9 to 0.99, no equal data. A search for trimmed copies, by runs of 24
equal frames, found none.) Names join too much at worst, which leaves a split fewer choices but
keeps it valid.

The workers are threads: FluidSynth and soxr release Python's lock, and threads share the loaded
samples, end on Ctrl-C, and need no ``if __name__ == "__main__"`` in a user's script.
"""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from queue import Empty, LifoQueue

import numpy as np

from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.fluidsynth_renderer import RENDER_RATE, FluidSynthRenderer
from mechanical_ears.corpus.sf2 import SoundFontFile
from mechanical_ears.corpus.soundfont_presets import open_fonts, select_instruments
from mechanical_ears.corpus.split import connected_components
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import HOLD_SECONDS, NOTE_SAMPLE_RATE, NOTE_SECONDS, VELOCITIES, Note
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, PITCH_COUNT
from mechanical_ears.sound import Sound
from mechanical_ears.workers import map_in_order, worker_count

MAX_PEAK = 0.99  # of full scale, highest peak of a note
SILENCE_AMPLITUDE = 10 ** (-80 / 20)  # of full scale: −80 dBFS, below which a key does not sound

KeyPress = tuple[int, int, int, int]  # bank, program, MIDI number and velocity
_CHUNK_NOTES = 16  # rendered by a worker in one task

_PIANO_PITCHES = range(PIANO_MIN_PITCH, PIANO_MAX_PITCH + 1)

# Licence and citation by the beginning of the font's INAM text.
_LICENCES = {
    "Fluid R3 GM": ("MIT", "Frank Wen, Fluid (R3) General MIDI SoundFont (2000–2008)"),
    "MuseScore_General": (
        "MIT",
        "S. Christian Collins, Michael Cowgill and Frank Wen, MuseScore_General (2018–2021)",
    ),
    "TimGM6mb": ("GPL-2.0-only", "Tim Brechbill, TimGM6mb (2004)"),
}


@dataclass(frozen=True)
class _NoteShape:
    """Sample rate of a note in Hz, time until the key is released and length in s."""

    sample_rate: int
    hold_seconds: float
    seconds: float

    def __post_init__(self) -> None:
        if self.sample_rate < 1:
            raise CorpusError(f'"sample_rate" is {self.sample_rate} Hz, not above 0')
        if not 0 < self.hold_seconds <= self.seconds:
            raise CorpusError(
                f'"hold_seconds" is {self.hold_seconds}, outside 0..{self.seconds} ("seconds")'
            )
        if round(self.seconds * self.sample_rate) < 1:
            raise CorpusError(f'"seconds" is {self.seconds}: a note would have no samples')


class SoundFont(Corpus):
    """Notes of one or several SoundFonts, sorted by instrument, pitch and velocity.

    The same arguments give the same notes with the same bytes, for any number of workers and any
    start of the scan (with the same version of FluidSynth).

    Args:
        paths: a .sf2 or .sf3 file, or several.
        presets: ``bank:program`` (``0:40``) or a part of a name in any case (``violin``) for each
            preset; None for all melodic presets.
        pitches: MIDI pitches, each 0..127.
        velocities: MIDI velocities, each 1..127.
        sample_rate: Hz.
        limit: number of notes, chosen at random and spread evenly over the presets; None for all.
        seed: of the choice.
        workers: number of threads; None for one per core.
        hold_seconds: time in s until the key is released.
        seconds: length of a note in s, including the release.

    Raises:
        CorpusError: a file is not a SoundFont, FluidSynth or a preset is missing, or an argument
            is out of range.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        presets: Sequence[str] | None = None,
        pitches: Sequence[int] = _PIANO_PITCHES,
        velocities: Sequence[int] = VELOCITIES,
        sample_rate: int = NOTE_SAMPLE_RATE,
        limit: int | None = None,
        seed: int = 0,
        workers: int | None = None,
        hold_seconds: float = HOLD_SECONDS,
        seconds: float = NOTE_SECONDS,
    ) -> None:
        files = [paths] if isinstance(paths, str | Path) else list(paths)
        _check_range("pitch", pitches, 0, PITCH_COUNT - 1)
        _check_range("velocity", velocities, 1, 127)
        self._shape = _NoteShape(sample_rate, hold_seconds, seconds)
        if limit is not None and limit < 1:
            raise CorpusError(f'"limit" is {limit}, not above 0')
        if workers is not None and workers < 1:
            raise CorpusError(f'"workers" is {workers}, not above 0')
        self.sample_rate = sample_rate
        self._workers = workers or worker_count()
        self._fonts = open_fonts([Path(path) for path in files])
        self._mask = np.zeros((PITCH_COUNT, 128), dtype=np.bool_)
        self._mask[np.ix_(sorted(set(pitches)), sorted(set(velocities)))] = True
        self._instruments = select_instruments(self._fonts, presets)
        self._plan = self._all_notes()
        if limit is not None:
            self._plan = self._random_notes(limit, seed)

    @functools.cached_property
    def provenance(self) -> Provenance:  # type: ignore[override]
        """Names, licences and SHA-256 of the fonts, which are read at the first call."""
        titles, licences, citations = [], [], []
        for font in self._fonts:
            title = font.info.get("INAM") or font.path.stem
            makers = font.info.get("ICOP") or font.info.get("IENG") or ""
            known = (value for start, value in _LICENCES.items() if title.startswith(start))
            licence, citation = next(known, ("unknown", makers))
            titles.append(title)
            licences.append(licence)
            citations.append(citation)
        return Provenance(
            title=" + ".join(titles),
            licence=" AND ".join(dict.fromkeys(licences)),
            citation="; ".join(filter(None, dict.fromkeys(citations))),
            files={font.path.name: font.sha256() for font in self._fonts},
        )

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of the instruments, in the order of the scan."""
        return tuple(instrument.name for instrument in self._instruments)

    def __len__(self) -> int:
        """Number of notes, including the few that turn out silent."""
        return len(self._plan)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Render the notes from ``start`` to the end, on all workers, in order."""
        renderers = _RendererPool(self._fonts)
        rest = range(start, len(self))
        chunks = (rest[i : i + _CHUNK_NOTES] for i in range(0, len(rest), _CHUNK_NOTES))
        render = functools.partial(self._render_entries, pool=renderers)
        with closing(renderers), closing(map_in_order(render, chunks, self._workers)) as entries:
            yield from chain.from_iterable(entries)

    def groups(self) -> Sequence[frozenset[str]]:
        """Instruments of all fonts that share recordings at the pitches and velocities in use."""
        owners: dict[str, set[str]] = defaultdict(set)
        for instrument in self._instruments:
            font = self._fonts[instrument.font]
            for sample in instrument.preset.samples_within(self._mask):
                fingerprint = font.fingerprint(sample)
                if fingerprint is not None:
                    owners[fingerprint].add(instrument.name)
                    owners[f"named {font.samples[sample].base_name}"].add(instrument.name)
        shared = [frozenset(names) for names in owners.values() if len(names) > 1]
        joined = connected_components(self.instruments, shared)
        return [frozenset(names) for names in joined if len(names) > 1]

    def _all_notes(self) -> list[tuple[int, int, int]]:
        """Instrument number, pitch and velocity of every note that a sample covers."""
        return [
            (number, int(pitch), int(velocity))
            for number, instrument in enumerate(self._instruments)
            for pitch, velocity in np.argwhere(instrument.preset.coverage() & self._mask)
        ]

    def _random_notes(self, limit: int, seed: int) -> list[tuple[int, int, int]]:
        """``limit`` notes of the plan: one of each instrument, then a second of each, ….

        The order within an instrument is that of hashes, which do not depend on the other notes.
        """
        counts: dict[int, int] = defaultdict(int)
        ranked = []
        for digest, note in sorted((self._digest(note, seed), note) for note in self._plan):
            ranked.append((counts[note[0]], digest, note))
            counts[note[0]] += 1
        return sorted(note for _, _, note in sorted(ranked)[:limit])

    def _digest(self, note: tuple[int, int, int], seed: int) -> bytes:
        number, pitch, velocity = note
        text = f"{seed}:{self._instruments[number].name}:{pitch}:{velocity}"
        return hashlib.sha256(text.encode()).digest()

    def _render_entries(self, indices: range, pool: _RendererPool) -> list[CorpusEntry]:
        with pool.borrow() as renderers:
            return [CorpusEntry(index, self._render_note(index, renderers)) for index in indices]

    def _render_note(self, index: int, renderers: Sequence[FluidSynthRenderer]) -> Note | None:
        number, pitch, velocity = self._plan[index]
        instrument = self._instruments[number]
        key_press = (instrument.preset.bank, instrument.preset.program, pitch, velocity)
        sound = _render(renderers[instrument.font], key_press, self._shape)
        if np.abs(sound.samples).max() < SILENCE_AMPLITUDE:
            return None
        return Note(sound, pitch, velocity, instrument.name, instrument.family, instrument.source)


class _RendererPool:
    """Renderers of all fonts, one set for each worker, kept between chunks."""

    def __init__(self, fonts: Sequence[SoundFontFile]) -> None:
        self._fonts = fonts
        self._idle: LifoQueue[list[FluidSynthRenderer]] = LifoQueue()

    @contextmanager
    def borrow(self) -> Iterator[list[FluidSynthRenderer]]:
        """A set of renderers that no other thread uses during the block."""
        try:
            renderers = self._idle.get_nowait()
        except Empty:
            renderers = [FluidSynthRenderer(font.path) for font in self._fonts]
        try:
            yield renderers
        finally:
            self._idle.put(renderers)

    def close(self) -> None:
        """Free all sets that are not in use."""
        while not self._idle.empty():
            for renderer in self._idle.get_nowait():
                renderer.close()


def render_note(
    font: str | Path,
    bank: int,
    program: int,
    pitch: int,
    velocity: int = 100,
    *,
    sample_rate: int = NOTE_SAMPLE_RATE,
    hold_seconds: float = HOLD_SECONDS,
    seconds: float = NOTE_SECONDS,
) -> Sound:
    """Render one note of any preset of a SoundFont, as the corpus does.

    Args:
        font: the .sf2 or .sf3 file.
        bank: MIDI bank of the preset.
        program: MIDI program of the preset, counted from 0.
        pitch: MIDI pitch 0..127.
        velocity: MIDI velocity 1..127.
        sample_rate: Hz.
        hold_seconds: time in s until the key is released.
        seconds: length in s, including the release.

    Raises:
        CorpusError: the file is not a SoundFont or has no such preset, FluidSynth is missing, or
            an argument is out of range.
    """
    _check_range("pitch", [pitch], 0, PITCH_COUNT - 1)
    _check_range("velocity", [velocity], 1, 127)
    shape = _NoteShape(sample_rate, hold_seconds, seconds)
    with FluidSynthRenderer(SoundFontFile(font).path) as renderer:
        return _render(renderer, (bank, program, pitch, velocity), shape)


def _render(renderer: FluidSynthRenderer, key_press: KeyPress, shape: _NoteShape) -> Sound:
    hold, length = (round(each * RENDER_RATE) for each in (shape.hold_seconds, shape.seconds))
    mono = renderer.render(*key_press, hold=hold, length=length)
    resampled = Sound(mono, RENDER_RATE).resample(shape.sample_rate).samples
    samples = np.zeros(round(shape.seconds * shape.sample_rate), dtype=np.float32)
    count = min(len(samples), len(resampled))
    samples[:count] = resampled[:count]
    peak = np.abs(samples).max()
    if peak > MAX_PEAK:
        samples *= np.float32(MAX_PEAK) / peak
    return Sound(samples, shape.sample_rate)


def _check_range(name: str, values: Sequence[int], lowest: int, highest: int) -> None:
    if len(values) == 0:
        raise CorpusError(f'no "{name}" is given')
    for value in values:
        if not lowest <= value <= highest:
            raise CorpusError(f'"{name}" is {value}, outside {lowest}..{highest}')
