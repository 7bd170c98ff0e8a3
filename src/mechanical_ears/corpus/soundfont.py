"""Notes rendered from SoundFonts in NSynth's form: a key held for 3 s, then 1 s of release.

Every note is played alone by FluidSynth (see ``fluid``) at one fixed gain, so that soft and loud
keys, soft and loud instruments keep their differences, and resampled by soxr. The gain leaves the
loudest notes of common General MIDI fonts below full scale; a note that would still pass
``MAX_PEAK`` is scaled down to it. A note that stays below ``SILENCE_AMPLITUDE`` is a key that does
not sound; its entry has no note. (Loudness falls with the square of velocity, 28 dB from 127 to 25,
and a real note may peak at −70 dBFS.)

Which instruments a font holds, and what they are in NSynth's words, is in ``general_midi``; keys
that no sample of a preset covers are not planned at all (see ``sf2``).

Instruments are grouped if any sample sounds in both: presets of one font, and fonts made from one
another, share recordings, so that a split by preset name would test on what was trained on. Two
samples are one recording if their data are the same, or their names but for the channel: the two
sides of a stereo pair, and what was mixed to mono, filtered or made louder for another font. (In
MuseScore_General, made from FluidR3, the clarinet is a mono mix of FluidR3's: equal names, cross-
correlation 0.9 to 0.99, no equal data. Trimmed copies, sought by runs of 24 equal frames, there are
none.) Names join too much at worst, which costs a split some choice but not its honesty.

Workers are threads: FluidSynth and soxr compute outside Python's lock, and threads share the loaded
samples, leave nothing behind on Ctrl-C, and need no guard in a user's script.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, LifoQueue

import numpy as np

from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.fluidsynth_renderer import RENDER_RATE, FluidSynthRenderer
from mechanical_ears.corpus.general_midi import family_and_source
from mechanical_ears.corpus.sf2 import Preset, SoundFontFile
from mechanical_ears.corpus.split import connected_components
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import HOLD_SECONDS, NOTE_SAMPLE_RATE, NOTE_SECONDS, VELOCITIES, Note
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, PITCH_COUNT
from mechanical_ears.sound import Sound
from mechanical_ears.workers import worker_count

MAX_PEAK = 0.99  # of full scale, the highest peak of a note
SILENCE_AMPLITUDE = 10 ** (
    -80 / 20
)  # of full scale (−80 dBFS), the peak below which a key does not sound

_CHUNK = 16  # notes that a worker renders in one go
_AHEAD = 3  # chunks waiting for each worker

_PIANO = range(PIANO_MIN_PITCH, PIANO_MAX_PITCH + 1)

# By the beginning of the name that the font gives itself: licence and makers.
_KNOWN = {
    "Fluid R3 GM": ("MIT", "Frank Wen, Fluid (R3) General MIDI SoundFont (2000–2008)"),
    "MuseScore_General": (
        "MIT",
        "S. Christian Collins, Michael Cowgill and Frank Wen, MuseScore_General (2018–2021)",
    ),
    "TimGM6mb": ("GPL-2.0-only", "Tim Brechbill, TimGM6mb (2004)"),
}


@dataclass(frozen=True)
class _Form:
    """How notes are rendered: sample rate in Hz, length of the held key and of the note in s."""

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
            raise CorpusError(f'"seconds" is {self.seconds}: a note would hold no sample')


@dataclass(frozen=True)
class _Instrument:
    """A preset of one of the fonts, named and labelled."""

    name: str
    family: str
    source: str
    font: int
    preset: Preset


class SoundFont(Corpus):
    """Notes of one or several SoundFonts, by instrument, pitch and velocity in this order.

    The same arguments give the same notes with the same bytes, whatever the number of workers and
    wherever the walk starts (on the same version of FluidSynth).

    Args:
        paths: a .sf2 or .sf3 file, or several.
        presets: None for all melodic presets; else which, each by ``bank:program`` (``0:40``) or
            by a part of its name in any case (``violin``).
        pitches: MIDI pitches, each 0..127.
        velocities: MIDI velocities, each 1..127.
        sample_rate: Hz.
        limit: render only so many notes, drawn by ``seed`` and spread evenly over the presets.
        seed: which notes ``limit`` draws.
        workers: threads that render; None for one on each core.
        hold_seconds: how long the key is held, in s.
        seconds: length of a note in s, the release included.

    Raises:
        CorpusError: a file is no SoundFont, FluidSynth is missing, a preset is not there, or an
            argument is out of range.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        presets: Sequence[str] | None = None,
        pitches: Sequence[int] = _PIANO,
        velocities: Sequence[int] = VELOCITIES,
        sample_rate: int = NOTE_SAMPLE_RATE,
        limit: int | None = None,
        seed: int = 0,
        workers: int | None = None,
        hold_seconds: float = HOLD_SECONDS,
        seconds: float = NOTE_SECONDS,
    ) -> None:
        chosen = [paths] if isinstance(paths, str | Path) else list(paths)
        _check_range("pitch", pitches, 0, PITCH_COUNT - 1)
        _check_range("velocity", velocities, 1, 127)
        self._form = _Form(sample_rate, hold_seconds, seconds)
        if limit is not None and limit < 1:
            raise CorpusError(f'"limit" is {limit}, not above 0')
        if workers is not None and workers < 1:
            raise CorpusError(f'"workers" is {workers}, not above 0')
        self.sample_rate = sample_rate
        self._workers = workers or worker_count()
        self._fonts = _open_fonts([Path(path) for path in chosen])
        self._asked = np.zeros((PITCH_COUNT, 128), dtype=np.bool_)
        self._asked[np.ix_(sorted(set(pitches)), sorted(set(velocities)))] = True
        melodic = _melodic_instruments(self._fonts)
        self._instruments = _choose(melodic, presets, self._fonts)
        self._plan = self._whole_plan()
        if limit is not None:
            self._plan = self._drawn(limit, seed)

    @functools.cached_property
    def provenance(self) -> Provenance:  # type: ignore[override]
        """Names, licences and SHA-256 of the fonts, which are read for it at the first call."""
        titles, licences, citations = [], [], []
        for font in self._fonts:
            title = font.info.get("INAM") or font.path.stem
            makers = font.info.get("ICOP") or font.info.get("IENG") or ""
            known = [value for start, value in _KNOWN.items() if title.startswith(start)]
            licence, citation = known[0] if known else ("unknown", makers)
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
        """Names of the instruments, in the order of the walk."""
        return tuple(instrument.name for instrument in self._instruments)

    def __len__(self) -> int:
        """Number of planned notes; the few that turn out silent are counted in."""
        return len(self._plan)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Render the notes from ``start`` to the end, on all workers, told in order."""
        players = _Players(self._fonts)
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="soundfont")
        waiting: deque[Future[list[CorpusEntry]]] = deque()
        try:
            for first in range(start, len(self), _CHUNK):
                places = range(first, min(first + _CHUNK, len(self)))
                waiting.append(pool.submit(self._render_places, places, players))
                if len(waiting) > _AHEAD * self._workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            players.close()

    def groups(self) -> Sequence[frozenset[str]]:
        """Instruments that share recordings at the asked pitches and velocities, over all fonts."""
        owners: dict[str, set[str]] = defaultdict(set)
        for instrument in self._instruments:
            font = self._fonts[instrument.font]
            for sample in instrument.preset.samples_within(self._asked):
                fingerprint = font.fingerprint(sample)
                if fingerprint is not None:
                    owners[fingerprint].add(instrument.name)
                    owners[f"named {font.samples[sample].base_name}"].add(instrument.name)
        shared = [frozenset(names) for names in owners.values() if len(names) > 1]
        joined = connected_components(self.instruments, shared)
        return [frozenset(names) for names in joined if len(names) > 1]

    def _whole_plan(self) -> list[tuple[int, int, int]]:
        """Instrument, pitch and velocity of every note that a sample covers."""
        return [
            (number, int(pitch), int(velocity))
            for number, instrument in enumerate(self._instruments)
            for pitch, velocity in np.argwhere(instrument.preset.coverage() & self._asked)
        ]

    def _drawn(self, limit: int, seed: int) -> list[tuple[int, int, int]]:
        """``limit`` places of the plan: each instrument's first by lot, then their second, …."""
        turns: dict[int, int] = defaultdict(int)
        ranked = []
        for draw, place in sorted((self._lot(place, seed), place) for place in self._plan):
            ranked.append((turns[place[0]], draw, place))
            turns[place[0]] += 1
        return sorted(place for _, _, place in sorted(ranked)[:limit])

    def _lot(self, place: tuple[int, int, int], seed: int) -> bytes:
        number, pitch, velocity = place
        text = f"{seed}:{self._instruments[number].name}:{pitch}:{velocity}"
        return hashlib.sha256(text.encode()).digest()

    def _render_places(self, places: range, players: _Players) -> list[CorpusEntry]:
        with players.borrowed() as mine:
            return [CorpusEntry(index, self._render_place(index, mine)) for index in places]

    def _render_place(self, index: int, players: Sequence[FluidSynthRenderer]) -> Note | None:
        number, pitch, velocity = self._plan[index]
        instrument = self._instruments[number]
        bank, program = instrument.preset.bank, instrument.preset.program
        player = players[instrument.font]
        sound = _render(player, bank, program, pitch, velocity, self._form)
        if np.abs(sound.samples).max() < SILENCE_AMPLITUDE:
            return None
        return Note(
            sound=sound,
            pitch=pitch,
            velocity=velocity,
            instrument=instrument.name,
            family=instrument.family,
            source=instrument.source,
        )


class _Players:
    """Players of all the fonts, one set for each worker, kept from chunk to chunk."""

    def __init__(self, fonts: Sequence[SoundFontFile]) -> None:
        self._fonts = fonts
        self._idle: LifoQueue[list[FluidSynthRenderer]] = LifoQueue()

    @contextmanager
    def borrowed(self) -> Iterator[list[FluidSynthRenderer]]:
        """One set of players, for this thread alone while the block lasts."""
        try:
            mine = self._idle.get_nowait()
        except Empty:
            mine = [FluidSynthRenderer(font.path) for font in self._fonts]
        try:
            yield mine
        finally:
            self._idle.put(mine)

    def close(self) -> None:
        """Free the sets that were given back."""
        while not self._idle.empty():
            for player in self._idle.get_nowait():
                player.close()


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
    """Play one note of any preset of a SoundFont, as the corpus does.

    Args:
        font: the .sf2 or .sf3 file.
        bank: MIDI bank of the preset.
        program: MIDI program of the preset, counted from 0.
        pitch: MIDI pitch 0..127.
        velocity: MIDI velocity 1..127.
        sample_rate: Hz.
        hold_seconds: how long the key is held, in s.
        seconds: length in s, the release included.

    Raises:
        CorpusError: the file is no SoundFont or has no such preset, FluidSynth is missing, or an
            argument is out of range.
    """
    _check_range("pitch", [pitch], 0, PITCH_COUNT - 1)
    _check_range("velocity", [velocity], 1, 127)
    form = _Form(sample_rate, hold_seconds, seconds)
    with FluidSynthRenderer(SoundFontFile(font).path) as player:
        return _render(player, bank, program, pitch, velocity, form)


def _render(
    player: FluidSynthRenderer, bank: int, program: int, pitch: int, velocity: int, form: _Form
) -> Sound:
    mono = player.play(
        bank,
        program,
        pitch,
        velocity,
        hold=round(form.hold_seconds * RENDER_RATE),
        length=round(form.seconds * RENDER_RATE),
    )
    resampled = Sound(mono, RENDER_RATE).resample(form.sample_rate).samples
    samples = np.zeros(round(form.seconds * form.sample_rate), dtype=np.float32)
    count = min(len(samples), len(resampled))
    samples[:count] = resampled[:count]
    peak = np.abs(samples).max()
    if peak > MAX_PEAK:
        samples *= np.float32(MAX_PEAK) / peak
    return Sound(samples, form.sample_rate)


def _open_fonts(paths: Sequence[Path]) -> list[SoundFontFile]:
    """The fonts' maps, once FluidSynth, too, has agreed to load them."""
    if not paths:
        raise CorpusError("no SoundFont is given", remedy="name a .sf2 or .sf3 file")
    fonts: dict[str, SoundFontFile] = {}
    for path in paths:
        if (stem := _stem(path)) in fonts:
            raise CorpusError(
                f'a SoundFont named "{stem}" is given twice',
                path=path,
                remedy="give each font once, or rename one",
            )
        fonts[stem] = SoundFontFile(path)
        FluidSynthRenderer(path).close()
    return list(fonts.values())


def _stem(path: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")


def _melodic_instruments(fonts: Sequence[SoundFontFile]) -> list[_Instrument]:
    instruments = []
    for number, font in enumerate(fonts):
        for preset in font.presets:
            kind = family_and_source(preset.bank, preset.program, preset.name)
            if kind is not None:
                family, source = kind
                place = f"{_stem(font.path)}-{preset.bank:03d}-{preset.program:03d}"
                name = f"{family}_{source}_{place}"
                instruments.append(_Instrument(name, family, source, number, preset))
    return instruments


def _choose(
    melodic: list[_Instrument], wanted: Sequence[str] | None, fonts: Sequence[SoundFontFile]
) -> list[_Instrument]:
    """Those of ``melodic`` that ``wanted`` names; each name must be good for at least one."""
    if wanted is None:
        return melodic
    names = ", ".join(str(font.path) for font in fonts)
    chosen: set[str] = set()
    for text in wanted:
        found = {entry.name for entry in melodic if _is_meant(text, entry.preset)}
        if not found:
            known = any(_is_meant(text, preset) for font in fonts for preset in font.presets)
            raise CorpusError(
                f'preset "{text}" is {"no melodic instrument" if known else "not there"}',
                path=names,
                remedy='give "bank:program" such as 0:40, or a part of a preset\'s name',
            )
        chosen |= found
    return [entry for entry in melodic if entry.name in chosen]


def _is_meant(text: str, preset: Preset) -> bool:
    if re.fullmatch(r"\d+:\d+", text):
        return text == preset.key
    return text.casefold() in preset.name.casefold()


def _check_range(name: str, values: Sequence[int], lowest: int, highest: int) -> None:
    if len(values) == 0:
        raise CorpusError(f'no "{name}" is given')
    for value in values:
        if not lowest <= value <= highest:
            raise CorpusError(f'"{name}" is {value}, outside {lowest}..{highest}')
