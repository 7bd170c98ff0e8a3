"""Notes per CPU-second read from NSynth's TFRecord files: our reader, tf.data and a plain copy.

The file is written from the real notes of ../shared/data/nsynth-dev, repeated to 5,000 (1.3 GB),
into a temporary folder, and stays in the page cache. All readers check the CRCs; the plain copy
only copies the audio bytes.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np

import harness
from mechanical_ears.corpus.nsynth import NSynthFolder, NSynthTFRecord
from mechanical_ears.corpus.nsynth_labels import encode_note, example_labels
from mechanical_ears.corpus.tfrecord import Example, TFRecordFile, write_tfrecord

DEV = harness.ROOT.parent / "shared" / "data" / "nsynth-dev"
NOTES = 5_000
BATCH = 128  # notes
SAMPLES = 64_000  # per note
REPEATS = 7

Read = Callable[[], tuple[int, int]]  # → notes, sum of the pitches


def read_batches(path: Path) -> tuple[int, int]:
    """Our reader into new arrays (128, 64000) and (128,), as tf.data returns them."""
    file = TFRecordFile(path)
    spans = file.spans()
    notes = pitches = 0
    while chunk := list(itertools.islice(spans, BATCH)):
        audio = np.empty((len(chunk), SAMPLES), np.float32)
        pitch = np.empty(len(chunk), np.int64)
        for row, span in enumerate(chunk):
            example = Example(file.read_record(span))
            audio[row] = example.floats("audio")
            (pitch[row],) = example.ints("pitch")
        notes += len(audio)
        pitches += int(pitch.sum())
    return notes, pitches


def read_views(path: Path) -> tuple[int, int]:
    """Our reader with the audio as a view of the file, and the pitch."""
    file = TFRecordFile(path)
    notes = pitches = 0
    for span in file.spans():
        example = Example(file.read_record(span))
        notes += len(example.floats("audio")) // SAMPLES
        pitches += example.ints("pitch")[0]
    return notes, pitches


def read_labelled_views(path: Path) -> tuple[int, int]:
    """Our reader with the audio as a view of the file, and all the labels."""
    file = TFRecordFile(path)
    notes = pitches = 0
    for span in file.spans():
        example = Example(file.read_record(span))
        notes += len(example.floats("audio")) // SAMPLES
        labels = example_labels(example)
        pitches += int(str(labels["pitch"]))
    return notes, pitches


def read_notes(path: Path) -> tuple[int, int]:
    """The corpus as usual: checked `Note` objects that own their audio."""
    notes = pitches = 0
    for note in NSynthTFRecord(path):
        notes += 1
        pitches += note.pitch
    return notes, pitches


def copy_audio(audio: np.ndarray) -> int:
    """Copy audio in memory into new arrays (128, 64000)."""
    notes = 0
    for start in range(0, len(audio), BATCH):
        rows = audio[start : start + BATCH]
        batch = np.empty(rows.shape, np.float32)
        np.copyto(batch, rows)
        notes += len(batch)
    return notes


@contextmanager
def tfdata(path: Path) -> Iterator[tuple[str, Callable[[str], dict[str, float]]]]:
    """Start a process with tf.data; yields its version and a function that reads the file once."""
    script = Path(__file__).parent / "peers" / "read_with_tfdata.py"
    command = [harness.peer_python("tensorflow"), script, path]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def read(method: str) -> dict[str, float]:
            print(method, file=stdin, flush=True)
            result: dict[str, float] = json.loads(stdout.readline())
            return result

        yield stdout.readline().strip(), read
        stdin.close()


def write_notes(folder: Path) -> tuple[Path, np.ndarray, int]:
    """Write the file; also returns its audio (notes, 64000) and the sum of its pitches."""
    notes = list(itertools.islice(itertools.cycle(NSynthFolder(DEV)), NOTES))
    records = {id(note): encode_note(note) for note in notes}
    path = write_tfrecord(folder / "notes.tfrecord", (records[id(note)] for note in notes))
    audio = np.stack([note.sound.samples for note in notes])
    return path, audio, sum(note.pitch for note in notes)


def main() -> None:
    """Time the readers, interleaved, and write the table."""
    if not DEV.exists():
        sys.exit(f"no {DEV}: this benchmark reads real notes of NSynth")
    with tempfile.TemporaryDirectory() as folder:
        path, audio, pitch_sum = write_notes(Path(folder))
        gigabytes = path.stat().st_size / 1e9
        with tfdata(path) as (version, read_with_tfdata):
            walls: dict[str, list[float]] = {}

            def time_reader(name: str, read: Read) -> Callable[[], float]:
                def measure() -> float:
                    wall, cpu = time.perf_counter(), time.process_time()
                    result = read()
                    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                    assert result == (NOTES, pitch_sum), (name, result)
                    walls.setdefault(name, []).append(NOTES / wall)
                    return NOTES / cpu

                return measure

            def time_tfdata(name: str, method: str) -> Callable[[], float]:
                def measure() -> float:
                    result = read_with_tfdata(method)
                    assert (result["notes"], result["pitches"]) == (NOTES, pitch_sum)
                    walls.setdefault(name, []).append(NOTES / result["wall"])
                    return NOTES / result["cpu"]

                return measure

            readers = {
                "ours, audio as views, pitch": lambda: read_views(path),
                "ours, audio as views, all labels": lambda: read_labelled_views(path),
                "ours, copied into batches of 128": lambda: read_batches(path),
                "ours, checked `Note` objects": lambda: read_notes(path),
                "plain copy of the audio into batches": lambda: (copy_audio(audio), pitch_sum),
            }
            contenders = {name: time_reader(name, read) for name, read in readers.items()}
            for name, method in (
                ("tf.data, `parse_example` on batches", "batch"),
                ("tf.data, `parse_single_example`, then batches", "single"),
            ):
                contenders[name] = time_tfdata(name, method)
            figures = harness.medians(contenders, REPEATS)

    batch = figures["tf.data, `parse_example` on batches"][1]
    plain = figures["plain copy of the audio into batches"][1]
    rows = [
        (
            name,
            f"{mid:,.0f} ({low:,.0f}–{high:,.0f})",
            f"{median(walls[name]):,.0f}",
            f"{mid / batch:.2f}",
            f"{mid / plain:.2f}",
        )
        for name, (low, mid, high) in figures.items()
    ]
    header = ("reader", "notes per CPU-second (lowest–highest)", "notes per second of wall time",
              "÷ tf.data batch", "÷ plain copy")  # fmt: skip
    body = (
        f"{NOTES:,} real NSynth notes in one TFRecord file of {gigabytes:.2f} GB in the page "
        f"cache, one process, median of {REPEATS} interleaved runs; CPU seconds are those of all "
        f"threads. TensorFlow {version} with its default read buffer (1 and 8 MiB are no faster). "
        "All readers check both CRCs of each record and return `audio` and `pitch` of each note; "
        "tf.data and the batched reader return new float32 arrays (128, 64000), views are of the "
        "memory-mapped file. The plain copy is from memory into such arrays.\n\n"
        + harness.markdown_table(header, rows)
    )
    harness.write_section(
        "reading", "Reading NSynth's TFRecords", "python benchmarks/reading.py", body
    )


if __name__ == "__main__":
    main()
