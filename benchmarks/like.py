"""Distance between an instrument imagined from one recorded note and its real other notes.

    python benchmarks/like.py [--data ../shared/data] [--presets 16] [--model DIR]

The instruments were not in the training data: a recorded piano, a recorded guitar, and presets of
TimGM6mb. One note of each is given; its real notes up to an octave away are the targets.
``METHODS`` explains the methods that are compared.
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
HOLD_SECONDS = 1.4  # s, for which a note held 3 s still sounds at twice its speed
VELOCITY = 100
INTERVALS = (-12, -9, -7, -4, -2, 2, 4, 7, 9, 12)  # semitones from the given note
GIVEN_COUNT = 6  # notes given of a recorded instrument
BUCKETS = ((1, 3), (4, 6), (7, 9), (10, 12))  # semitones
SEED = 17
VALIDATION = [
    f"{kind}_musescore_general_full-{preset}"
    for kind, preset in (
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
CANDIDATES = 3  # training instruments that are compared, by ear and by timbre

METHODS = f"""
One note is given; the target is another note of the same instrument and velocity, up to an octave
away, which TimGM6mb plays from another sample (notes of one sample *are* resampled). Log-spectral
distance in dB (lower is better) over the first {HOLD_SECONDS:g} s, for which all notes are held,
also those resampled to twice the speed; of:

- *imagined like it*: `imagine(like=note)` with its key and velocity;
- *its timbre alone*: the same without the residual of the recording;
- *resampled*: the note resampled to the other pitch, as samplers do;
- *transposed control map*: the note's control map rendered at the other pitch;
- *nearest known*: the training instrument's own note (FluidR3 or MuseScore_General, by FluidSynth);
  of the {CANDIDATES} nearest by ear and the {CANDIDATES} nearest by timbre the one that is nearest
  to the given note at its level;
- *two noises*: the target's own control map rendered, which no method can be expected to beat.
""".strip()


@dataclass(frozen=True)
class Pair:
    """A given note, and another note of the same instrument as the target."""

    given: Note
    target: Note

    @property
    def interval(self) -> int:
        """Semitones from the given note up to the target."""
        return self.target.pitch - self.given.pitch


def trim_to_onset(note: Note) -> Note:
    """A note without the silence before its onset."""
    sound = note.sound
    start = find_onset(sound.samples, sound.sample_rate) or 0
    start = start if start > 0.02 * sound.sample_rate else 0
    return replace(note, sound=Sound(sound.samples[start:], sound.sample_rate))


def recorded_pairs(path: Path) -> list[Pair]:
    """Pairs from a folder of recordings of one instrument, of the highest velocity."""
    table = path / "truth.csv"
    corpus = Folder(path, labels=table if table.exists() else None, sample_rate=RATE)
    notes = [trim_to_onset(scanned.note) for scanned in corpus.scan() if scanned.note is not None]
    notes.sort(key=lambda note: (note.velocity, note.pitch))
    loud = [note for note in notes if note.velocity == notes[-1].velocity]
    selected = [
        loud[round(at)] for at in np.linspace(len(loud) / 8, len(loud) * 7 / 8, GIVEN_COUNT)
    ]
    return [
        Pair(given, target)
        for given in selected
        for target in loud
        if 0 < abs(target.pitch - given.pitch) <= 12
    ]


def font_pairs(font: Path, count: int, names: Collection[str] | None = None) -> list[Pair]:
    """Pairs from presets of a SoundFont; no pair is played from the same sample.

    Args:
        font: the file.
        count: number of presets, selected at random.
        names: names of the instruments to select from; None for all.
    """
    instruments = SoundFont(font, velocities=[VELOCITY]).instruments
    chosen = [name for name in instruments if names is None or name in names]
    presets = {(preset.bank, preset.program): preset for preset in SoundFontFile(font).presets}
    rng = np.random.default_rng(SEED)
    pairs: list[Pair] = []
    selected = 0
    for name in (chosen[index] for index in rng.permutation(len(chosen))):
        if selected == count:
            break
        given = int(rng.integers(45, 76))
        preset = presets[bank_and_program(name)]
        own = key_samples(preset, given)
        keys = [given + step for step in INTERVALS if not own & key_samples(preset, given + step)]
        notes = {note.pitch: note for note in render_keys(font, name, [given, *keys])}
        if given not in notes or len(notes) < 2:
            continue
        selected += 1
        given_note = notes.pop(given)
        pairs += [Pair(given_note, target) for target in notes.values()]
    return pairs


def key_samples(preset: Preset, key: int) -> set[int]:
    """Indices of the samples that a key plays."""
    grid = np.zeros((128, 128), dtype=np.bool_)
    grid[key, VELOCITY] = True
    return set(preset.samples_within(grid))


def bank_and_program(name: str) -> tuple[int, int]:
    """Bank and program in the name of a SoundFont's instrument."""
    match = re.search(r"-(\d{3})-(\d{3})$", name)
    assert match is not None
    return int(match[1]), int(match[2])


def render_keys(font: Path, name: str, keys: Sequence[int]) -> list[Note]:
    """Notes of a preset at some keys; silent ones are missing."""
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


class Methods:
    """Methods that estimate a note from another one.

    Args:
        model: the model with trained weights.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._imagine = cache(self._imagine_like)
        self._nearest = cache(self._find_nearest)
        self._analyse = cache(analyse)
        self.by_name: dict[str, Callable[[Pair], Sound | None]] = {
            "imagined like it": self.imagine,
            "its timbre alone": self.imagine_timbre,
            "resampled": self.resample,
            "transposed control map": self.transpose_map,
            "nearest known": self.play_nearest,
            "two noises": self.render_target,
        }

    def _imagine_like(self, note: Note) -> ImaginedInstrument:
        return imagine(like=note, model=self.model)

    def imagine(self, pair: Pair) -> Sound:
        """The instrument imagined from the given note."""
        return self._imagine(pair.given).note(
            pair.target.pitch, pair.given.velocity, self._seconds(pair), RATE
        )

    def imagine_timbre(self, pair: Pair) -> Sound:
        """The same without the residual of the recording."""
        alone = self._imagine(pair.given).replace(residual=None)
        return alone.note(pair.target.pitch, pair.given.velocity, self._seconds(pair), RATE)

    @staticmethod
    def _seconds(pair: Pair) -> float:
        return max(0.5, pair.target.sound.seconds)

    @staticmethod
    def resample(pair: Pair) -> Sound:
        """The given note resampled to the other pitch."""
        ratio = 2 ** (pair.interval / 12)
        samples = soxr.resample(pair.given.sound.samples, RATE * ratio, RATE, quality="VHQ")
        return Sound(np.asarray(samples, dtype=np.float32), RATE)

    def transpose_map(self, pair: Pair) -> Sound:
        """The given note's control map at the other pitch."""
        return render(
            self._analyse(pair.given), pitch=pair.target.pitch, seconds=self._seconds(pair)
        )

    def render_target(self, pair: Pair) -> Sound:
        """The target's own control map."""
        return render(self._analyse(pair.target))

    def play_nearest(self, pair: Pair) -> Sound | None:
        """The note of the nearest training instrument."""
        nearest = self._nearest(pair.given)
        if nearest is None:
            return None
        font, name, gain = nearest
        notes = render_keys(font, name, [pair.target.pitch])
        if not notes:
            return None
        return Sound(notes[0].sound.samples * np.float32(gain), RATE)

    def _find_nearest(self, given: Note) -> tuple[Path, str, float] | None:
        names = {name for name, _ in listen(given.sound).nearest[:CANDIDATES]}
        difference = (self.model.timbres - self._imagine(given).timbre) / self.model.spread
        order = np.square(difference).mean(axis=1).argsort()
        names |= {self.model.instruments[index] for index in order[:CANDIDATES]}
        best: tuple[float, Path, str, float] | None = None
        for name in sorted(names):
            font = next((path for stem, path in TRAINED_ON.items() if stem in name), None)
            notes = render_keys(font, name, [given.pitch]) if font is not None else []
            if font is None or not notes:
                continue
            sound = notes[0].sound.samples
            gain = _rms(given.sound.samples) / max(_rms(sound), 1e-9)
            distance = spectral_distance(
                _cut(given.sound), _cut(Sound(sound * np.float32(gain), RATE)), RATE
            )
            if best is None or distance.lsd < best[0]:
                best = distance.lsd, font, name, gain
        return None if best is None else best[1:]


def _rms(samples: np.ndarray) -> float:
    count = round(HOLD_SECONDS * RATE)
    return float(np.sqrt(np.mean(np.square(samples[:count], dtype=np.float64))))


def _cut(sound: Sound) -> np.ndarray:
    return sound.samples[: round(HOLD_SECONDS * sound.sample_rate)]


@dataclass(frozen=True)
class Result:
    """Log-spectral distance in dB of a method on a pair."""

    name: str
    interval: int
    lsd: float


def measure(methods: Methods, pairs: Sequence[Pair], name: str) -> Iterator[Result]:
    """Results of all methods on all pairs."""
    for done, pair in enumerate(pairs, start=1):
        if done % 20 == 0:
            print(f"{name}: {done} of {len(pairs)}", file=sys.stderr, flush=True)
        target = pair.target.sound
        for method, estimate in methods.by_name.items():
            try:
                sound = estimate(pair)
            except EarsError as error:
                print(f"{name}: {method}: {error}", file=sys.stderr)
                continue
            if sound is None:
                continue
            distance = spectral_distance(_cut(target), _cut(sound), RATE)
            yield Result(method, pair.interval, distance.lsd)


def table(results: Sequence[Result], names: Sequence[str]) -> str:
    """Means by interval."""
    rows = []
    for low, high in (*BUCKETS, (1, 12)):
        row: list[object] = [f"{low}–{high}"]
        for name in names:
            bucket = [r for r in results if r.name == name and low <= abs(r.interval) <= high]
            row.append(f"{np.mean([r.lsd for r in bucket]):.1f}" if bucket else "–")
        rows.append(row)
    return markdown_table(["semitones away", *names], rows)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--presets", type=int, default=16, help="of TimGM6mb")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--validation", action="store_true", help="only the validation instruments")
    options = parser.parse_args()
    methods = Methods(open_model(options.model))
    sets: dict[str, Callable[[], list[Pair]]] = {
        "upright-piano-kw": lambda: recorded_pairs(options.data / "upright-piano-kw"),
        "spanish-guitar": lambda: recorded_pairs(options.data / "spanish-guitar"),
        "TimGM6mb": lambda: font_pairs(FONTS / "TimGM6mb.sf2", options.presets),
    }
    if options.validation:
        sets = {
            "validation": lambda: font_pairs(TRAINED_ON["musescore_general_full"], 8, VALIDATION)
        }
    parts = [METHODS]
    for name, make_pairs in sets.items():
        try:
            pairs = make_pairs()
        except EarsError as error:
            print(f"{name} is skipped: {error}", file=sys.stderr)
            continue
        results = list(measure(methods, pairs, name))
        instruments = len({pair.given.instrument for pair in pairs})
        given = len({id(pair.given) for pair in pairs})
        parts += [
            f"{name}: {instruments} instruments, {given} notes given, {len(pairs)} targets:",
            table(results, list(methods.by_name)),
        ]
    if options.validation:
        print("\n\n".join(parts))
        return
    write_section("like", "Instruments imagined like a recording", COMMAND, "\n\n".join(parts))


if __name__ == "__main__":
    main()
