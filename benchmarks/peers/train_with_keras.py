"""Train the article's network with Keras on TensorFlow; print notes per second as JSON.

Run by ../training.py in an environment of its own. Same task as ours: batches of 128 notes in
memory, cross-entropy, Adam at 1e-4; without the article's metrics, which makes Keras faster.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

BATCH = 128


def article(jit_compile: bool | str) -> keras.Sequential:
    """The article's network, compiled as the article compiles it."""
    stack = [layers.Input(shape=(64_000,)), layers.Reshape(target_shape=(64_000, 1))]
    for channels in (4, 8, 12, 16):
        stack += [layers.Conv1D(channels, 9, activation="relu"), layers.AveragePooling1D(4)]
    stack += [layers.Flatten(), layers.Dense(512, activation="relu")]
    stack += [layers.Dense(128, activation="softmax")]
    model = keras.Sequential(stack)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-4),
        loss="categorical_crossentropy",
        jit_compile=jit_compile,
    )
    return model


def main() -> None:
    """Warm up with one pass over the notes, time another."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("fit", "train_on_batch"), required=True)
    parser.add_argument("--xla", action="store_true", help="compile with XLA")
    parser.add_argument("--steps", type=int, required=True)
    options = parser.parse_args()

    random = np.random.default_rng(0)
    audio = random.uniform(-1, 1, (BATCH * options.steps, 64_000)).astype(np.float32)
    pitch = np.eye(128, dtype=np.float32)[random.integers(0, 128, len(audio))]
    model = article(jit_compile=True if options.xla else "auto")

    def train() -> None:
        if options.loop == "fit":
            model.fit(audio, pitch, batch_size=BATCH, shuffle=False, verbose=0)
            return
        for start in range(0, len(audio), BATCH):
            model.train_on_batch(audio[start : start + BATCH], pitch[start : start + BATCH])

    train()
    begin = time.perf_counter()
    train()
    print(json.dumps({"notes_per_second": len(audio) / (time.perf_counter() - begin)}))


if __name__ == "__main__":
    main()
