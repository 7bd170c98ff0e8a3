"""How near an instrument imagined from one recorded note comes to the instrument's other notes.

    python benchmarks/like.py [--data ../shared/data] [--presets 16] [--model DIR]

Instruments that the imagination never learned from: a recorded piano, a recorded guitar, and
presets of TimGM6mb. One note of each is given; others up to an octave away are what it really
plays. ``EXPLAINED`` says what stands beside it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import soxr

from harness import ROOT, markdown_table, write_section
from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.corpus.folder import Folder
from mechanical_ears.corpus.sf2 import Preset, SoundFontFile
from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.imagining.model import Model, open_model
from mechanical_ears.listening.ears import listen
from mechanical_ears.listening.onset import find_onset
from mechanical_ears.note import Note
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.sound import Sound

COMMAND = "python benchmarks/like.py"
FONTS = Path("/usr/share/sounds/sf2")
TRAINED_ON = {
    "fluidr3_gm": FONTS / "FluidR3_GM.sf2",
    "musescore_general_full": FONTS / "MuseScore_General_Full.sf2",
}
RATE = 44_100  # Hz
HELD = 1.4  # s, for which a note of 3 s still sounds when it is read twice as fast
VELOCITY = 100
STEPS = (-12, -9, -7, -4, -2, 2, 4, 7, 9, 12)  # semitones from the given note
GIVENS = 6  # notes given of a recorded instrument
BUCKETS = ((1, 3), (4, 6), (7, 9), (10, 12))  # semitones
SEED = 17
VALIDATION = [
    f"{kind}_musescore_general_full-{place}"
    for kind, place in (
        ("keyboard_acoustic", "000-000"),
        ("keyboard_acoustic", "000-003"),
        ("bass_acoustic", "000-032"),
        ("vocal_acoustic", "000-053"),
        ("brass_acoustic", "000-060"),
        ("flute_acoustic", "000-074"),
        ("reed_acoustic", "000-111"),
        ("synth_lead_synthetic", "008-080"),
    )
]
CANDIDATES = 3  # training instruments that are tried, by ear and by timbre

EXPLAINED = f"""
One note is given; what is asked for is another of the same instrument and velocity, up to an octave
away, which TimGM6mb plays from another sample (notes of one sample *are* resampled). Log-spectral
distance in dB (lower is better) over the first {HELD:g} s, for which all are held, even what is
read twice as fast; beside:

- *imagined like it*: `imagine(like=note)`, its key and velocity told;
- *its timbre alone*: the same without what is carried of the recording;
- *resampled*: the note read faster or slower, as samplers do;
- *shifted as a map*: the note's control map rendered at the other pitch;
- *nearest known*: the training instrument's own note (FluidR3 or MuseScore_General, by FluidSynth);
  of the {CANDIDATES} nearest by ear and the {CANDIDATES} nearest by timbre the one that is nearest
  to the given note when brought to its level;
- *two noises*: the wanted note's own map rendered, which no guess can be expected to pass.
""".strip()


@dataclass(frozen=True)
class Pair:
    """A note that is given, and another of the same instrument that is wanted."""

    given: Note
    wanted: Note

    @property
    def interval(self) -> int:
        """Semitones up."""
        return self.wanted.pitch - self.given.pitch


def trimmed(note: Note) -> Note:
    """A note that begins at its onset."""
    sound = note.sound
    start = find_onset(sound.samples, sound.sample_rate) or 0
    start = start if start > 0.02 * sound.sample_rate else 0
    return replace(note, sound=Sound(sound.samples[start:], sound.sample_rate))


def recorded_pairs(path: Path) -> list[Pair]:
    """Pairs of a folder of recordings of one instrument, of like velocity."""
    table = path / "truth.csv"
    corpus = Folder(path, labels=table if table.exists() else None, sample_rate=RATE)
    notes = [trimmed(scanned.note) for scanned in corpus.scan() if scanned.note is not None]
    notes.sort(key=lambda note: (note.velocity, note.pitch))
    loud = [note for note in notes if note.velocity == notes[-1].velocity]
    givens = [loud[round(at)] for at in np.linspace(len(loud) / 8, len(loud) * 7 / 8, GIVENS)]
    return [
        Pair(given, wanted)
        for given in givens
        for wanted in loud
        if 0 < abs(wanted.pitch - given.pitch) <= 12
    ]


def font_pairs(font: Path, count: int, names: Collection[str] | None = None) -> list[Pair]:
    """Pairs of presets of a SoundFont, none of which sound from one sample.

    Args:
        font: the file.
        count: presets that are drawn by lot.
        names: of the instruments to draw from; None for all.
    """
    every = SoundFont(font, velocities=[VELOCITY]).instruments
    chosen = [name for name in every if names is None or name in names]
    presets = {(preset.bank, preset.program): preset for preset in SoundFontFile(font).presets}
    lots = np.random.default_rng(SEED)
    pairs: list[Pair] = []
    drawn = 0
    for name in (chosen[place] for place in lots.permutation(len(chosen))):
        if drawn == count:
            break
        given = int(lots.integers(45, 76))
        preset = presets[bank_and_program(name)]
        own = samples_of(preset, given)
        keys = [given + step for step in STEPS if not own & samples_of(preset, given + step)]
        notes = {note.pitch: note for note in played(font, name, [given, *keys])}
        if given not in notes or len(notes) < 2:
            continue
        drawn += 1
        one = notes.pop(given)
        pairs += [Pair(one, wanted) for wanted in notes.values()]
    return pairs


def samples_of(preset: Preset, key: int) -> set[int]:
    """The samples that sound at a key."""
    asked = np.zeros((128, 128), dtype=np.bool_)
    asked[key, VELOCITY] = True
    return set(preset.samples_within(asked))


def bank_and_program(name: str) -> tuple[int, int]:
    """Of a SoundFont's instrument, as its name tells them."""
    found = re.search(r"-(\d{3})-(\d{3})$", name)
    assert found is not None
    return int(found[1]), int(found[2])


def played(font: Path, name: str, keys: Sequence[int]) -> list[Note]:
    """Keys of a preset, those that sound."""
    bank, program = bank_and_program(name)
    corpus: Corpus = SoundFont(
        font,
        presets=[f"{bank}:{program}"],
        pitches=keys,
        velocities=[VELOCITY],
        sample_rate=RATE,
        workers=1,
    )
    return [scanned.note for scanned in corpus.scan() if scanned.note is not None]


class Contenders:
    """Ways to guess a note from another one.

    Args:
        imagination: with trained weights.
    """

    def __init__(self, imagination: Model) -> None:
        self.imagination = imagination
        self._like = cache(self._imagined)
        self._near = cache(self._nearest)
        self._map = cache(analyse)
        self.by_name: dict[str, Callable[[Pair], Sound | None]] = {
            "imagined like it": self.imagined,
            "its timbre alone": self.timbre,
            "resampled": self.resampled,
            "shifted as a map": self.shifted,
            "nearest known": self.known,
            "two noises": self.itself,
        }

    def _imagined(self, note: Note) -> ImaginedInstrument:
        return imagine(like=note, model=self.imagination)

    def imagined(self, pair: Pair) -> Sound:
        """The instrument imagined from the given note."""
        return self._like(pair.given).note(
            pair.wanted.pitch, pair.given.velocity, self._seconds(pair), RATE
        )

    def timbre(self, pair: Pair) -> Sound:
        """The same without what is carried."""
        alone = self._like(pair.given).replace(residual=None)
        return alone.note(pair.wanted.pitch, pair.given.velocity, self._seconds(pair), RATE)

    @staticmethod
    def _seconds(pair: Pair) -> float:
        return max(0.5, pair.wanted.sound.seconds)

    @staticmethod
    def resampled(pair: Pair) -> Sound:
        """The given note read faster or slower."""
        ratio = 2 ** (pair.interval / 12)
        samples = soxr.resample(pair.given.sound.samples, RATE * ratio, RATE, quality="VHQ")
        return Sound(np.asarray(samples, dtype=np.float32), RATE)

    def shifted(self, pair: Pair) -> Sound:
        """The given note's map at the other pitch."""
        controls = self._map(pair.given)
        return render(controls, pitch=pair.wanted.pitch, seconds=self._seconds(pair))

    def itself(self, pair: Pair) -> Sound:
        """The wanted note's own map."""
        return render(self._map(pair.wanted))

    def known(self, pair: Pair) -> Sound | None:
        """A training instrument's own note."""
        found = self._near(pair.given)
        if found is None:
            return None
        font, name, gain = found
        notes = played(font, name, [pair.wanted.pitch])
        if not notes:
            return None
        return Sound(notes[0].sound.samples * np.float32(gain), RATE)

    def _nearest(self, given: Note) -> tuple[Path, str, float] | None:
        names = {name for name, _ in listen(given.sound).nearest[:CANDIDATES]}
        apart = (self.imagination.timbres - self._like(given).timbre) / self.imagination.spread
        order = np.square(apart).mean(axis=1).argsort()
        names |= {self.imagination.instruments[place] for place in order[:CANDIDATES]}
        best: tuple[float, Path, str, float] | None = None
        for name in sorted(names):
            font = next((path for stem, path in TRAINED_ON.items() if stem in name), None)
            notes = played(font, name, [given.pitch]) if font is not None else []
            if font is None or not notes:
                continue
            sound = notes[0].sound.samples
            gain = _rms(given.sound.samples) / max(_rms(sound), 1e-9)
            near = spectral_distance(
                _cut(given.sound), _cut(Sound(sound * np.float32(gain), RATE)), RATE
            )
            if best is None or near.lsd < best[0]:
                best = near.lsd, font, name, gain
        return None if best is None else best[1:]


def _rms(samples: np.ndarray) -> float:
    count = round(HELD * RATE)
    return float(np.sqrt(np.mean(np.square(samples[:count], dtype=np.float64))))


def _cut(sound: Sound) -> np.ndarray:
    return sound.samples[: round(HELD * sound.sample_rate)]


@dataclass(frozen=True)
class Result:
    """LSD in dB of a contender on a pair."""

    name: str
    interval: int
    lsd: float


def measure(contenders: Contenders, pairs: Sequence[Pair], name: str) -> Iterator[Result]:
    """Let all guess all pairs."""
    for done, pair in enumerate(pairs, start=1):
        if done % 20 == 0:
            print(f"{name}: {done} of {len(pairs)}", file=sys.stderr, flush=True)
        truth = pair.wanted.sound
        for contender, guess in contenders.by_name.items():
            try:
                sound = guess(pair)
            except EarsError as error:
                print(f"{name}: {contender}: {error}", file=sys.stderr)
                continue
            if sound is None:
                continue
            apart = spectral_distance(_cut(truth), _cut(sound), RATE)
            yield Result(contender, pair.interval, apart.lsd)


def table(results: Sequence[Result], names: Sequence[str]) -> str:
    """Means by interval."""
    rows = []
    for low, high in (*BUCKETS, (1, 12)):
        row: list[object] = [f"{low}–{high}"]
        for name in names:
            mine = [r for r in results if r.name == name and low <= abs(r.interval) <= high]
            row.append(f"{np.mean([r.lsd for r in mine]):.1f}" if mine else "–")
        rows.append(row)
    return markdown_table(["semitones away", *names], rows)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--presets", type=int, default=16, help="of TimGM6mb")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--validation", action="store_true", help="only what was chosen on")
    options = parser.parse_args()
    contenders = Contenders(open_model(options.model))
    sets: dict[str, Callable[[], list[Pair]]] = {
        "upright-piano-kw": lambda: recorded_pairs(options.data / "upright-piano-kw"),
        "spanish-guitar": lambda: recorded_pairs(options.data / "spanish-guitar"),
        "TimGM6mb": lambda: font_pairs(FONTS / "TimGM6mb.sf2", options.presets),
    }
    if options.validation:
        sets = {
            "validation": lambda: font_pairs(TRAINED_ON["musescore_general_full"], 8, VALIDATION)
        }
    parts = [EXPLAINED]
    for name, drawn in sets.items():
        try:
            pairs = drawn()
        except EarsError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        results = list(measure(contenders, pairs, name))
        instruments = len({pair.given.instrument for pair in pairs})
        given = len({id(pair.given) for pair in pairs})
        parts += [
            f"{name}: {instruments} instruments, {given} notes given, {len(pairs)} wanted:",
            table(results, list(contenders.by_name)),
        ]
    if options.validation:
        print("\n\n".join(parts))
        return
    write_section("like", "Instruments imagined like a recording", COMMAND, "\n\n".join(parts))


if __name__ == "__main__":
    main()
