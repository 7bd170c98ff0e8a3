"""What the shipped ears hear, on sounds that they never heard: all figures of their own.

    python benchmarks/listener.py [--store STORE] [--data ../shared/data] [--only PART …]

Parts: how much is right and how far confidences may be trusted; exact frequencies; what is lost by
noise, a telephone, a short cut …; what has no single pitch; folders of files. `hearing.py` runs
other projects' pitch trackers beside them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness import ROOT, markdown_table, write_section
from hearing import MIDDLE, RECORDINGS, read_notes
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.listening.ears import Ears
from mechanical_ears.listening.prediction import Hearing
from mechanical_ears.listening.training.augment import augment
from mechanical_ears.listening.training.augmentation import STRESS_TESTS
from mechanical_ears.note import NOTE_SAMPLE_RATE, NOTE_SECONDS, VELOCITIES, Note
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.sound import Sound

COMMAND = "python benchmarks/listener.py --store STORE"
NOTHING = -99  # MIDI number where no single pitch is heard
BINS = 10  # of confidence
RATES = (16_000, 22_050, 44_100, 48_000, 96_000)  # Hz
KNOWN_NOTES = 120  # with known frequency, at each rate
HARDENED_NOTES = 500  # of each set, through each station of augmentation
CHORDS = 500  # of each kind
FILES = 2000  # in the folder
SEED = 5


def _share(right: Sequence[bool] | NDArray[np.bool_]) -> str:
    return f"{100 * np.mean(right):.1f}" if len(right) else "–"


def keys(heard: Sequence[Hearing]) -> NDArray[np.int64]:
    """Keys that were heard, ``NOTHING`` where there was no single pitch."""
    return np.array([NOTHING if each.pitch is None else each.pitch for each in heard])


def calibration_error(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error in ten bins (Guo et al. 2017)."""
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    return sum(
        abs(sure[bins == number].mean() - right[bins == number].mean()) * np.mean(bins == number)
        for number in np.unique(bins)
    )


def _step(velocity: int) -> int:
    return int(np.argmin([abs(velocity - step) for step in VELOCITIES]))


def accuracy(ears: Ears, sets: dict[str, list[Note]]) -> str:
    """How much is right, of each set."""
    rows = []
    for name, notes in sets.items():
        heard = ears.listen([note.sound for note in notes])
        labelled, told = np.array([note.pitch for note in notes]), keys(heard)
        right = told == labelled
        families = [
            (hearing.family == note.family, hearing.family_confidence, hearing.source, note.source)
            for hearing, note in zip(heard, notes, strict=True)
            if note.family is not None
        ]
        family = np.array([pair[0] for pair in families], dtype=np.bool_)
        velocity = [
            abs(_step(hearing.velocity or 0) - _step(note.velocity)) <= 1
            for hearing, note in zip(heard, notes, strict=True)
        ]
        sounding = np.array([each.sounding_pitch or NOTHING for each in heard]) == labelled
        middle = (labelled >= MIDDLE[0]) & (labelled <= MIDDLE[1])
        recorded = name in RECORDINGS
        sure = np.array([hearing.pitch_confidence for hearing in heard])
        family_sure = np.array([pair[1] for pair in families])
        rows.append(
            [
                name,
                str(len(notes)),
                _share(right),
                _share(((told - labelled) % 12 == 0) & (told != NOTHING)),
                _share(told == NOTHING),
                _share(sounding) if recorded else "–",
                _share(sounding[middle]) if recorded else "–",
                _share(family),
                _share([pair[2] == pair[3] for pair in families if pair[3] is not None]),
                _share(velocity),
                f"{calibration_error(sure, right):.3f}",
                f"{calibration_error(family_sure, family):.3f}" if len(family) else "–",
            ]
        )
    header = (
        *("", "notes", "key", "octave-blind", "no single pitch", "sounding pitch"),
        f"sounding, {MIDDLE[0]}–{MIDDLE[1]}",
        *("family", "source", "velocity ±1 step", "error of key's confidence"),
        "error of family's confidence",
    )
    return (
        "Percent of notes of instruments never heard in training. The sounding pitch is compared "
        "with the label where notes were recorded. *Error of confidence* is the expected "
        "calibration error in ten bins; a note without a single pitch counts as wrong.\n\n"
        + markdown_table(header, rows)
    )


def frequencies(ears: Ears) -> str:
    """How exact frequencies are, where they are known."""
    rows = []
    for rate in RATES:
        notes = list(Toy(KNOWN_NOTES, seed=SEED, instruments=60, sample_rate=rate))
        heard = ears.listen([note.sound for note in notes])
        rows.append(_cents_row(f"synthesised notes, {rate} Hz", notes, heard))
    detuned = []
    random = np.random.default_rng(SEED)
    for midi in range(21, 109):
        for rate in RATES:
            frequency = midi_to_hz(midi + random.uniform(-0.45, 0.45))
            detuned.append((frequency, _tone(frequency, rate, random)))
    heard = ears.listen([tone for _, tone in detuned])
    errors = [
        abs(cents_between(each.frequency, frequency)) if each.frequency else 1200.0
        for (frequency, _), each in zip(detuned, heard, strict=True)
    ]
    rows.append(_errors_row("tones between the keys, all rates, A0–C8", errors))
    header = ("", "notes", "median error, cents", "95 % below", "within 10 cents")
    return (
        "Notes whose fundamental is known exactly: voices of the toy corpus, which the ears were "
        "not trained on (another seed), and tones of falling partials up to 45 cents off the keys, "
        "with noise 40 dB below.\n\n" + markdown_table(header, rows)
    )


def _tone(frequency: float, rate: int, random: np.random.Generator) -> Sound:
    """A decaying tone of up to 12 partials, 1.5 s, noise 40 dB below."""
    time_ = np.arange(round(1.5 * rate)) / rate
    numbers = [n for n in range(1, 13) if n * frequency < 0.45 * rate]
    phases = random.uniform(0, 2 * np.pi, len(numbers))
    tone = sum(
        np.sin(2 * np.pi * n * frequency * time_ + phase) / n
        for n, phase in zip(numbers, phases, strict=True)
    )
    samples = 0.2 * tone * np.exp(-time_) + 0.001 * random.standard_normal(len(time_))
    return Sound(samples.astype(np.float32), rate)


def _cents_row(name: str, notes: Sequence[Note], heard: Sequence[Hearing]) -> list[str]:
    errors = [
        abs(cents_between(each.frequency, midi_to_hz(note.pitch))) if each.frequency else 1200.0
        for note, each in zip(notes, heard, strict=True)
    ]
    return _errors_row(name, errors)


def _errors_row(name: str, errors: Sequence[float]) -> list[str]:
    within = _share([error <= 10 for error in errors]) + " %"
    median, most = np.median(errors), np.quantile(errors, 0.95)
    return [name, str(len(errors)), f"{median:.3f}", f"{most:.2f}", within]


def hardship(ears: Ears, sets: dict[str, list[Note]]) -> str:
    """What each station of augmentation costs at its hard end."""
    columns: dict[str, dict[str, float]] = {}
    for name, notes in sets.items():
        chosen = notes[:HARDENED_NOTES]
        labelled = np.array([note.pitch for note in chosen])
        audio = torch.from_numpy(np.stack([_padded(note) for note in chosen]))
        stations = {"as it is": None, **STRESS_TESTS}
        columns[name] = {}
        for station, how in stations.items():
            changed = audio
            if how is not None:
                generator = torch.Generator().manual_seed(SEED)
                changed = augment(audio, torch.from_numpy(labelled), how, generator).audio
            heard = ears.listen([Sound(row, NOTE_SAMPLE_RATE) for row in changed.numpy()])
            columns[name][station] = 100 * float(np.mean(keys(heard) == labelled))
    names = list(columns)
    rows = []
    for station in columns[names[0]]:
        row = [station]
        for name in names:
            figure = columns[name][station]
            row += [f"{figure:.1f}", f"{figure - columns[name]['as it is']:+.1f}"]
        rows.append(row)
    header = ["", *(text for name in names for text in (f"{name}, key %", "change, points"))]
    return (
        f"The first {HARDENED_NOTES} notes of each set, changed in one way at its hard end "
        "(`STRESS_TESTS` in `listening/training/augmentation.py`): noise at 20 dB SNR, only the "
        "first 0.2 s, −30 dB …\n\n" + markdown_table(header, rows)
    )


def _padded(note: Note) -> NDArray[np.float32]:
    count = round(NOTE_SECONDS * NOTE_SAMPLE_RATE)
    samples = note.sound.resample(NOTE_SAMPLE_RATE).samples[:count]
    return np.pad(samples, (0, count - len(samples)))


def without_pitch(ears: Ears, notes: Sequence[Note]) -> str:
    """How often what has no single pitch is refused, and how often a note is."""
    random = np.random.default_rng(SEED)
    audio = np.stack([_padded(note) for note in notes])
    audio /= np.abs(audio).max(axis=1, keepdims=True) + 1e-9
    pitch = np.array([note.pitch for note in notes])

    def chord(count: int) -> Sound:
        while True:
            rows = random.choice(len(notes), count, replace=False)
            if len(set(pitch[rows] % 12)) == count:
                return Sound(0.3 * audio[rows].mean(axis=0), NOTE_SAMPLE_RATE)

    def noise(slope: float) -> Sound:
        spectrum = np.fft.rfft(random.standard_normal(64_000))
        spectrum[1:] *= np.arange(1, len(spectrum)) ** (-slope / 2)
        samples = np.fft.irfft(spectrum)
        samples = 0.3 * samples / np.abs(samples).max()
        return Sound(samples.astype(np.float32), NOTE_SAMPLE_RATE)

    silence = Sound(np.zeros(64_000, np.float32), NOTE_SAMPLE_RATE)
    kinds: dict[str, Callable[[], Sound]] = {
        "silence": lambda: silence,
        "white noise": lambda: noise(0),
        "pink noise": lambda: noise(1),
        "brown noise": lambda: noise(2),
        "two notes, not an octave apart": lambda: chord(2),
        "three notes": lambda: chord(3),
        "four notes": lambda: chord(4),
    }
    rows = []
    for name, make in kinds.items():
        heard = ears.listen([make() for _ in range(CHORDS)])
        sure = [each.pitch_confidence for each in heard]
        refused = _share([each.pitch is None for each in heard])
        rows.append(
            [name, refused, f"{np.median(sure):.2f}", _share([each < 0.5 for each in sure])]
        )
    heard = ears.listen([note.sound for note in notes])
    sure = [each.pitch_confidence for each in heard]
    refused = _share([each.pitch is None for each in heard])
    rows.append(
        ["single notes", refused, f"{np.median(sure):.2f}", _share([each < 0.5 for each in sure])]
    )
    header = ("", "no single pitch, %", "median confidence", "confidence below ½, %")
    return (
        f"{CHORDS} sounds of each kind; chords are of notes of TimGM6mb at equal peaks.\n\n"
        + markdown_table(header, rows)
    )


def folder(ears: Ears, notes: Sequence[Note]) -> str:
    """How fast a folder of FLAC files is heard."""
    with tempfile.TemporaryDirectory() as place:
        files = []
        for number in range(FILES):
            note = notes[number % len(notes)]
            files.append(note.sound.save(Path(place) / f"{number:04d}.flac"))
        figures = []
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            answers = sum(isinstance(heard, Hearing) for _, heard in ears.listen_to_files(files))
            assert answers == FILES
            seconds = time.perf_counter() - wall
            figures.append((FILES / seconds, 1000 * (time.process_time() - cpu) / FILES))
    rates, cpus = sorted(rate for rate, _ in figures), sorted(cpu for _, cpu in figures)
    return (
        f"{FILES:,} FLAC files of 4 s at 16 kHz, decoding included, {os.cpu_count()} cores: "
        f"**{rates[1]:,.0f} files a second** ({rates[0]:,.0f}–{rates[2]:,.0f} in three runs), "
        f"{cpus[1]:.2f} ms of CPU time a file."
    )


def main() -> None:
    """Measure all parts, or some, and write their sections."""
    parts = ("accuracy", "frequencies", "hardship", "without_pitch", "folder")
    parser = argparse.ArgumentParser(description="what the shipped ears hear")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--store", type=Path, help="a store with a test side")
    parser.add_argument("--notes", type=int, default=2000, help="of TimGM6mb and store")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--model", type=Path, help="another ONNX file than the shipped one")
    options = parser.parse_args()
    ears = Ears(options.model)
    names = ["nsynth-dev", "timgm6mb", *(["store"] if options.store else []), *RECORDINGS]
    sets = {name: read_notes(name, options) for name in names}
    some = {name: sets[name] for name in names if name not in RECORDINGS}
    bodies = {
        "accuracy": ("The ears: what is heard right", lambda: accuracy(ears, sets)),
        "frequencies": ("The ears: exact frequencies", lambda: frequencies(ears)),
        "hardship": ("The ears: under hardship", lambda: hardship(ears, some)),
        "without_pitch": (
            "The ears: what has no single pitch",
            lambda: without_pitch(ears, sets["timgm6mb"]),
        ),
        "folder": ("The ears: folders of files", lambda: folder(ears, sets["nsynth-dev"])),
    }
    for part in options.only:
        title, measure = bodies[part]
        write_section(f"listener-{part}", title, COMMAND, measure())


if __name__ == "__main__":
    main()
