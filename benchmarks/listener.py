"""Accuracy and speed of the shipped ears on sounds outside their training.

    python benchmarks/listener.py [--store STORE] [--data ../shared/data] [--only PART …]

Parts: accuracy and calibration; errors of frequencies; robustness to noise, a telephone, short
excerpts …; sounds without a single pitch; speed on a folder of files. `hearing.py` compares the
ears with pitch trackers of other projects.
"""

from __future__ import annotations

import argparse
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
from mechanical_ears.workers import worker_count

COMMAND = "python benchmarks/listener.py --store STORE"
NO_PITCH = -99  # MIDI number for sounds without a single pitch
CONFIDENCE_BINS = 10
RATES = (16_000, 22_050, 44_100, 48_000, 96_000)  # Hz
KNOWN_NOTES = 120  # with known frequency, at each rate
STRESS_NOTES = 500  # of each set, in each stress test
UNPITCHED_SOUNDS = 500  # of each kind
FILES = 2000  # in the folder
SEED = 5
UNCHANGED = "unchanged"


def _percent(values: Sequence[bool] | NDArray[np.bool_]) -> str:
    return f"{100 * np.mean(values):.1f}" if len(values) else "–"


def predicted_keys(hearings: Sequence[Hearing]) -> NDArray[np.int64]:
    """Predicted keys, ``NO_PITCH`` for sounds without a single pitch."""
    return np.array([NO_PITCH if each.pitch is None else each.pitch for each in hearings])


def calibration_error(confidences: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Expected calibration error in ten bins (Guo et al. 2017)."""
    bins = np.minimum((confidences * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    return sum(
        abs(confidences[bins == number].mean() - correct[bins == number].mean())
        * np.mean(bins == number)
        for number in np.unique(bins)
    )


def _velocity_step(velocity: int) -> int:
    return int(np.argmin([abs(velocity - step) for step in VELOCITIES]))


def accuracy(ears: Ears, sets: dict[str, list[Note]]) -> str:
    """Accuracy and calibration on each set."""
    rows = []
    for name, notes in sets.items():
        hearings = ears.listen([note.sound for note in notes])
        labels, keys = np.array([note.pitch for note in notes]), predicted_keys(hearings)
        correct = keys == labels
        families = [
            (hearing.family == note.family, hearing.family_confidence, hearing.source, note.source)
            for hearing, note in zip(hearings, notes, strict=True)
            if note.family is not None
        ]
        family = np.array([row[0] for row in families], dtype=np.bool_)
        velocity = [
            abs(_velocity_step(hearing.velocity or 0) - _velocity_step(note.velocity)) <= 1
            for hearing, note in zip(hearings, notes, strict=True)
        ]
        sounding = np.array([each.sounding_pitch or NO_PITCH for each in hearings]) == labels
        middle = (labels >= MIDDLE[0]) & (labels <= MIDDLE[1])
        recorded = name in RECORDINGS
        confidences = np.array([hearing.pitch_confidence for hearing in hearings])
        family_confidences = np.array([row[1] for row in families])
        rows.append(
            [
                name,
                str(len(notes)),
                _percent(correct),
                _percent(((keys - labels) % 12 == 0) & (keys != NO_PITCH)),
                _percent(keys == NO_PITCH),
                _percent(sounding) if recorded else "–",
                _percent(sounding[middle]) if recorded else "–",
                _percent(family),
                _percent([row[2] == row[3] for row in families if row[3] is not None]),
                _percent(velocity),
                f"{calibration_error(confidences, correct):.3f}",
                f"{calibration_error(family_confidences, family):.3f}" if len(family) else "–",
            ]
        )
    header = (
        *("", "notes", "key", "chroma", "no single pitch", "sounding pitch"),
        f"sounding, {MIDDLE[0]}–{MIDDLE[1]}",
        *("family", "source", "velocity ±1 step", "ECE of key"),
        "ECE of family",
    )
    return (
        "Percent of notes; none of these instruments was in the training. *Chroma*: key with "
        "octaves ignored. The sounding pitch is compared with the label of recorded notes. *ECE*: "
        "expected calibration error of the confidence, in ten bins; a note without a single pitch "
        "counts as wrong.\n\n" + markdown_table(header, rows)
    )


def frequencies(ears: Ears) -> str:
    """Errors of frequencies, on notes whose frequency is known."""
    rows = []
    for rate in RATES:
        notes = list(Toy(KNOWN_NOTES, seed=SEED, instruments=60, sample_rate=rate))
        hearings = ears.listen([note.sound for note in notes])
        rows.append(_cents_row(f"synthesised notes, {rate} Hz", notes, hearings))
    detuned = []
    rng = np.random.default_rng(SEED)
    for midi in range(21, 109):
        for rate in RATES:
            frequency = midi_to_hz(midi + rng.uniform(-0.45, 0.45))
            detuned.append((frequency, _tone(frequency, rate, rng)))
    hearings = ears.listen([tone for _, tone in detuned])
    errors = [
        abs(cents_between(each.frequency, frequency)) if each.frequency else 1200.0
        for (frequency, _), each in zip(detuned, hearings, strict=True)
    ]
    rows.append(_errors_row("tones between the keys, all rates, A0–C8", errors))
    header = ("", "notes", "median error, cents", "95th percentile", "within 10 cents")
    return (
        "Notes whose fundamental is known exactly: voices of the toy corpus with another seed than "
        "in training, and tones of partials that decrease with their number, up to 45 cents off "
        "the keys, with noise 40 dB below.\n\n" + markdown_table(header, rows)
    )


def _tone(frequency: float, rate: int, rng: np.random.Generator) -> Sound:
    """A decaying tone of up to 12 partials, 1.5 s, noise 40 dB below."""
    times = np.arange(round(1.5 * rate)) / rate
    numbers = [n for n in range(1, 13) if n * frequency < 0.45 * rate]
    phases = rng.uniform(0, 2 * np.pi, len(numbers))
    tone = sum(
        np.sin(2 * np.pi * n * frequency * times + phase) / n
        for n, phase in zip(numbers, phases, strict=True)
    )
    samples = 0.2 * tone * np.exp(-times) + 0.001 * rng.standard_normal(len(times))
    return Sound(samples.astype(np.float32), rate)


def _cents_row(name: str, notes: Sequence[Note], hearings: Sequence[Hearing]) -> list[str]:
    errors = [
        abs(cents_between(each.frequency, midi_to_hz(note.pitch))) if each.frequency else 1200.0
        for note, each in zip(notes, hearings, strict=True)
    ]
    return _errors_row(name, errors)


def _errors_row(name: str, errors: Sequence[float]) -> list[str]:
    within = _percent([error <= 10 for error in errors]) + " %"
    median, percentile = np.median(errors), np.quantile(errors, 0.95)
    return [name, str(len(errors)), f"{median:.3f}", f"{percentile:.2f}", within]


def robustness(ears: Ears, sets: dict[str, list[Note]]) -> str:
    """Accuracy of the key in each stress test."""
    columns: dict[str, dict[str, float]] = {}
    for name, notes in sets.items():
        selected = notes[:STRESS_NOTES]
        labels = np.array([note.pitch for note in selected])
        audio = torch.from_numpy(np.stack([_note_audio(note) for note in selected]))
        tests = {UNCHANGED: None, **STRESS_TESTS}
        columns[name] = {}
        for test, settings in tests.items():
            changed = audio
            if settings is not None:
                generator = torch.Generator().manual_seed(SEED)
                changed = augment(audio, torch.from_numpy(labels), settings, generator).audio
            hearings = ears.listen([Sound(row, NOTE_SAMPLE_RATE) for row in changed.numpy()])
            columns[name][test] = 100 * float(np.mean(predicted_keys(hearings) == labels))
    names = list(columns)
    rows = []
    for test in columns[names[0]]:
        row = [test]
        for name in names:
            figure = columns[name][test]
            row += [f"{figure:.1f}", f"{figure - columns[name][UNCHANGED]:+.1f}"]
        rows.append(row)
    header = ["", *(text for name in names for text in (f"{name}, key %", "change, points"))]
    return (
        f"The first {STRESS_NOTES} notes of each set with one strong effect each (`STRESS_TESTS` "
        "in `listening/training/augmentation.py`): noise at 20 dB SNR, only the first 0.2 s, "
        "−30 dB …\n\n" + markdown_table(header, rows)
    )


def _note_audio(note: Note) -> NDArray[np.float32]:
    count = round(NOTE_SECONDS * NOTE_SAMPLE_RATE)
    samples = note.sound.resample(NOTE_SAMPLE_RATE).samples[:count]
    return np.pad(samples, (0, count - len(samples)))


def without_pitch(ears: Ears, notes: Sequence[Note]) -> str:
    """How often the ears find no single pitch, in sounds without one and in single notes."""
    rng = np.random.default_rng(SEED)
    audio = np.stack([_note_audio(note) for note in notes])
    audio /= np.abs(audio).max(axis=1, keepdims=True) + 1e-9
    pitch = np.array([note.pitch for note in notes])

    def chord(count: int) -> Sound:
        while True:
            rows = rng.choice(len(notes), count, replace=False)
            if len(set(pitch[rows] % 12)) == count:
                return Sound(0.3 * audio[rows].mean(axis=0), NOTE_SAMPLE_RATE)

    def noise(slope: float) -> Sound:
        spectrum = np.fft.rfft(rng.standard_normal(64_000))
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
        rows.append(_refusal_row(name, ears.listen([make() for _ in range(UNPITCHED_SOUNDS)])))
    rows.append(_refusal_row("single notes", ears.listen([note.sound for note in notes])))
    header = ("", "no single pitch, %", "median confidence", "confidence below ½, %")
    return (
        f"{UNPITCHED_SOUNDS} sounds of each kind; chords consist of notes of TimGM6mb with equal "
        "peaks.\n\n" + markdown_table(header, rows)
    )


def _refusal_row(name: str, hearings: Sequence[Hearing]) -> list[str]:
    refused = _percent([each.pitch is None for each in hearings])
    confidences = [each.pitch_confidence for each in hearings]
    low = _percent([each < 0.5 for each in confidences])
    return [name, refused, f"{np.median(confidences):.2f}", low]


def folder(ears: Ears, notes: Sequence[Note]) -> str:
    """Files per second in a folder of FLAC files."""
    with tempfile.TemporaryDirectory() as path:
        files = []
        for number in range(FILES):
            note = notes[number % len(notes)]
            files.append(note.sound.save(Path(path) / f"{number:04d}.flac"))
        figures = []
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            results = ears.listen_to_files(files)
            assert sum(isinstance(result, Hearing) for _, result in results) == FILES
            seconds = time.perf_counter() - wall
            figures.append((FILES / seconds, 1000 * (time.process_time() - cpu) / FILES))
    rates, cpus = sorted(rate for rate, _ in figures), sorted(cpu for _, cpu in figures)
    return (
        f"{FILES:,} FLAC files of 4 s at 16 kHz, including decoding, {worker_count()} cores: "
        f"**{rates[1]:,.0f} files per second** ({rates[0]:,.0f}–{rates[2]:,.0f} in three runs), "
        f"{cpus[1]:.2f} ms of CPU time per file."
    )


def main() -> None:
    """Measure the selected parts and write their sections."""
    parts = ("accuracy", "frequencies", "robustness", "without_pitch", "folder")
    parser = argparse.ArgumentParser(description="accuracy of the shipped ears")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--store", type=Path, help="a store with a test side")
    parser.add_argument("--notes", type=int, default=2000, help="of TimGM6mb and store")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--model", type=Path, help="another ONNX file than the shipped one")
    options = parser.parse_args()
    ears = Ears(options.model)
    names = ["nsynth-dev", "timgm6mb", *(["store"] if options.store else []), *RECORDINGS]
    sets = {name: read_notes(name, options) for name in names}
    large_sets = {name: sets[name] for name in names if name not in RECORDINGS}
    bodies = {
        "accuracy": ("The ears: accuracy", lambda: accuracy(ears, sets)),
        "frequencies": ("The ears: frequency errors", lambda: frequencies(ears)),
        "robustness": ("The ears: robustness", lambda: robustness(ears, large_sets)),
        "without_pitch": (
            "The ears: sounds without a single pitch",
            lambda: without_pitch(ears, sets["timgm6mb"]),
        ),
        "folder": (
            "The ears: speed on a folder of files",
            lambda: folder(ears, sets["nsynth-dev"]),
        ),
    }
    for part in options.only:
        title, measure = bodies[part]
        write_section(f"listener-{part}", title, COMMAND, measure())


if __name__ == "__main__":
    main()
