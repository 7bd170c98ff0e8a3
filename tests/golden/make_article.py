"""Make article.npz: what Keras answers with the article's network, for `test_article.py`.

Run once, with TensorFlow, which is no dependency of ours:

    .peers/tensorflow/bin/python tests/golden/make_article.py

Eight megabytes of weights would be too much for the repository. Weights and inputs follow a recipe
(below, NumPy only), which the test repeats; the file holds Keras' answers, and limits and standard
deviations of the weights that Keras' own initialiser drew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

SEED = 2021
GAIN = 2.0  # of every layer beyond He: answers are then far from uniform
SHAPES = [(9, 1, 4), (9, 4, 8), (9, 8, 12), (9, 12, 16), (3952, 512), (512, 128)]


def weights() -> list[np.ndarray]:
    """Kernel and bias of each layer as Keras orders them, scaled so that ReLUs stay lively."""
    random = np.random.Generator(np.random.PCG64(SEED))
    arrays = []
    for shape in SHAPES:
        scale = GAIN * np.sqrt(6 / np.prod(shape[:-1]))
        arrays.append(((random.random(shape) * 2 - 1) * scale).astype(np.float32))
        arrays.append((random.random(shape[-1]) * 0.2 - 0.1).astype(np.float32))
    return arrays


def inputs() -> np.ndarray:
    """Six sounds, float32 (6, 64000): noise, three tones, a click, silence."""
    random = np.random.Generator(np.random.PCG64(SEED + 1))
    time = np.arange(64_000) / 16_000  # s
    sounds = [random.random(64_000) * 2 - 1]
    sounds += [np.sin(2 * np.pi * f0 * time) * np.exp(-time) for f0 in (55.0, 440.0, 3520.0)]  # Hz
    sounds += [np.where(np.arange(64_000) == 63_991, 1.0, 0.0), np.zeros(64_000)]
    return np.stack(sounds).astype(np.float32)


def main() -> None:
    """Build the model as the article prints it and store what it answers."""
    import keras
    from keras import layers

    def build() -> keras.Sequential:
        return keras.Sequential(
            [
                layers.Input(shape=(64_000,)),
                layers.Reshape(target_shape=(64_000, 1)),
                layers.Conv1D(4, 9, activation="relu"),
                layers.AveragePooling1D(4),
                layers.Conv1D(8, 9, activation="relu"),
                layers.AveragePooling1D(4),
                layers.Conv1D(12, 9, activation="relu"),
                layers.AveragePooling1D(4),
                layers.Conv1D(16, 9, activation="relu"),
                layers.AveragePooling1D(4),
                layers.Flatten(),
                layers.Dense(512, activation="relu"),
                layers.Dense(128, activation="softmax"),
            ]
        )

    keras.utils.set_random_seed(SEED)
    model = build()
    drawn = model.get_weights()
    model.set_weights(weights())
    features = keras.Model(model.inputs, model.layers[-3].output)
    path = Path(__file__).with_name("article.npz")
    np.savez_compressed(
        path,
        probabilities=model.predict(inputs(), verbose=0),
        features=features.predict(inputs(), verbose=0)[:, ::61],  # every 61st of 3952
        parameters=model.count_params(),
        initial_limits=[np.abs(kernel).max() for kernel in drawn[::2]],
        initial_deviations=[kernel.std() for kernel in drawn[::2]],
        initial_biases=[np.abs(bias).max() for bias in drawn[1::2]],
    )
    print(path, path.stat().st_size, "bytes; Keras", keras.__version__, file=sys.stderr)


if __name__ == "__main__":
    main()
