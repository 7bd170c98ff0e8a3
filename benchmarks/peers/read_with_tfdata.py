"""Read NSynth's TFRecords with tf.data, in the environment of TensorFlow: see ../reading.py.

For each line on standard input (``single`` or ``batch``) read the file named on the command line
once and print a line of JSON: notes, sum of the pitches, seconds of CPU and of wall.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

BATCH = 128
FEATURES = {
    "audio": tf.io.FixedLenFeature([64000], tf.float32),
    "pitch": tf.io.FixedLenFeature([], tf.int64),
}


def dataset(path: str, method: str) -> tf.data.Dataset:
    """Batches of audio and pitch; records parsed one by one, as in the article, or in batches."""
    records = tf.data.TFRecordDataset(path)
    if method == "single":
        parsed = records.map(lambda record: tf.io.parse_single_example(record, FEATURES))
        return parsed.batch(BATCH)
    return records.batch(BATCH).map(lambda batch: tf.io.parse_example(batch, FEATURES))


def read(batches: tf.data.Dataset) -> dict[str, float]:
    """Read all batches as arrays."""
    wall, cpu, notes, pitches = time.perf_counter(), time.process_time(), 0, 0
    for batch in batches.as_numpy_iterator():
        notes += len(batch["audio"])
        pitches += int(batch["pitch"].sum())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"notes": notes, "pitches": pitches, "cpu": cpu, "wall": wall}


def main() -> None:
    """Read the file once for each line."""
    datasets = {method: dataset(sys.argv[1], method) for method in ("single", "batch")}
    for batches in datasets.values():
        read(batches.take(2))  # the first use builds the graph
    print(tf.__version__, flush=True)
    for line in sys.stdin:
        print(json.dumps(read(datasets[line.strip()])), flush=True)


if __name__ == "__main__":
    main()
