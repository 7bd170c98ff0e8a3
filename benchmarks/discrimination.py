"""How well two classifiers distinguish two sets of notes, trained at evaluation time only.

    notes → one chain (16 kHz, onset, loudness, Vorbis, 2 s) → log-mel
        → features → boosted trees, in folds by group
        → small CNN, in the same folds

Nothing here is a loss, a critic or a choice of the project; `realism.py` reports the figures.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import nn

from mechanical_ears.listening.onset import find_onset
from mechanical_ears.loudness import loudness
from mechanical_ears.sound import Sound

Floats = NDArray[np.float64]

RATE: Final = 16_000  # Hz
SECONDS: Final = 2.0  # from the onset
LOUDNESS_DB: Final = -30.0
WINDOW, HOP, BANDS = 1024, 160, 48  # samples, samples, mel bands
LOWEST_HZ: Final = 30.0
RANGE_DB: Final = 70.0  # below a note's maximum
STEADY: Final = slice(30, 190)  # frames, 0.3–1.9 s
START: Final = slice(0, 32)  # frames, the first 0.3 s
MODULATION_EDGES: Final = (0.4, 1.0, 2.0, 3.5, 5.0, 6.5, 9.0, 14.0, 25.0, 50.0)  # Hz
FEATURES: Final = ("all", "spectrum", "motion", "first 0.3 s")
CNN: Final = "CNN"
FOLDS: Final = 3
EPOCHS: Final = 10
BATCH: Final = 32  # notes


def code_vorbis(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Encode as Vorbis, at libsndfile's usual quality, and decode again."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="OGG", subtype="VORBIS")
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return np.resize(decoded, len(samples)) if len(decoded) < len(samples) else decoded


def from_onset(sound: Sound) -> NDArray[np.float32]:
    """A sound in mono at 16 kHz, from its onset."""
    samples = sound.mono().resample(RATE).samples
    return samples[find_onset(samples, RATE) or 0 :]


def chain(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first 2 s of a note of `from_onset`, equally loud and coded in the same way."""
    count = round(SECONDS * RATE)
    samples = np.pad(samples[:count], (0, max(0, count - len(samples))))
    gain = 10 ** ((LOUDNESS_DB - loudness(samples, RATE)) / 20)
    return code_vorbis(np.clip(samples * np.float32(gain), -1, 1), RATE)[:count]


@cache
def _mel_matrix() -> Floats:
    """Triangles (bands, frequencies) whose weights add up to 1."""
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    mels = np.linspace(*2595 * np.log10(1 + np.array([LOWEST_HZ, RATE / 2]) / 700), BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    rise = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    matrix = np.clip(np.minimum(rise, fall), 0, None)
    nearest = np.abs(frequencies - edges[1:-1, None]).argmin(axis=1)
    empty = matrix.sum(axis=1) == 0  # narrower than a bin
    matrix[empty, nearest[empty]] = 1
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def log_mel(samples: NDArray[np.float32]) -> Floats:
    """Levels (48 bands, 201 frames of 10 ms) in dB, at most 70 dB below their maximum."""
    padded = np.pad(samples.astype(np.float64), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    levels = 10 * np.log10(power @ _mel_matrix().T + 1e-12).T
    return np.asarray(np.maximum(levels, levels.max() - RANGE_DB))


def without_trend(rows: Floats, degree: int) -> Floats:
    """Rows (…, frames) without the polynomial that fits each best."""
    place = np.linspace(-1, 1, rows.shape[-1])
    basis = np.linalg.qr(np.vander(place, degree + 1))[0]
    return np.asarray(rows - (rows @ basis) @ basis.T)


def features(levels: Floats) -> dict[str, Floats]:
    """Features of a log-mel spectrogram for the trees, by the names of `FEATURES`.

    *spectrum* is the mean of the steady part; *motion* its modulation spectra (0.4–50 Hz) by
    groups of bands and of the level in all, around a parabola; *all* is both.
    """
    steady = levels[:, STEADY]
    rates = np.fft.rfftfreq(steady.shape[1], HOP / RATE)

    def modulation(rows: Floats) -> Floats:
        window = np.hanning(rows.shape[-1])
        power = np.abs(np.fft.rfft(without_trend(rows, 2) * window, axis=-1)) ** 2
        inside = [(rates >= low) & (rates < high) for low, high in pairwise(MODULATION_EDGES)]
        return np.stack([power[..., each].mean(axis=-1) for each in inside])

    by_band = np.log10(modulation(steady) + 1e-3).reshape(-1, BANDS // 3, 3).mean(axis=2)
    in_all = np.log10(modulation(steady.mean(axis=0)) + 1e-3)
    spectrum = (steady.mean(axis=1) - steady.max()).reshape(-1, 3).mean(axis=1)
    start = (levels[:, START] - levels.max()).reshape(BANDS // 4, 4, -1, 2).mean(axis=(1, 3))
    motion = np.concatenate([by_band.ravel(), in_all])
    return {
        "all": np.concatenate([spectrum, motion]),
        "spectrum": spectrum,
        "motion": motion,
        "first 0.3 s": start.ravel(),
    }


def assign_folds(groups: Sequence[str], seed: int, count: int = FOLDS) -> NDArray[np.int64]:
    """The fold of each note: groups stay together, folds are as equal as they allow."""
    names = np.random.default_rng(seed).permutation(sorted(set(groups))).tolist()
    sizes = {name: list(groups).count(name) for name in names}
    load = np.zeros(min(count, len(names)))
    fold_of = {}
    for name in sorted(names, key=lambda name: -sizes[name]):
        fold_of[name] = int(load.argmin())
        load[fold_of[name]] += sizes[name]
    return np.array([fold_of[name] for name in groups])


def tree_answers(
    values: Floats, labels: NDArray[np.int64], folds: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """Which notes boosted trees label correctly, each by trees of the other folds.

    Args:
        values: features (notes, features).
        labels: 0 or 1 (notes,).
        folds: fold (notes,).
        seed: of the features that a tree selects from.
    """
    correct = np.zeros(len(labels), bool)
    for fold in np.unique(folds):
        test = folds == fold
        trees = HistGradientBoostingClassifier(
            max_iter=60,
            learning_rate=0.1,
            min_samples_leaf=8,
            max_features=0.5,
            max_bins=63,
            random_state=seed,
        )
        trees.fit(values[~test], labels[~test])
        correct[test] = trees.predict(values[test]) == labels[test]
    return correct


class SmallCNN(nn.Module):
    """Three convolutions; means and spreads of what they find decide."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.AvgPool2d(2)]
        for inputs, outputs in ((1, 12), (12, 16), (16, 24)):
            layers += [
                nn.Conv2d(inputs, outputs, (3, 5), stride=2, padding=(1, 2)),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(48, 1))

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """Logits (notes,) of levels (notes, 1, bands, frames)."""
        found = self.convolutions(levels).flatten(2)
        pooled = torch.cat([found.mean(2), (found.var(2) + 1e-5).sqrt()], dim=1)
        logits: torch.Tensor = self.head(pooled)[:, 0]
        return logits


def cnn_answers(
    levels: NDArray[np.float32],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    seed: int,
    epochs: int = EPOCHS,
) -> NDArray[np.bool_]:
    """Which notes a small CNN labels correctly, each by one trained on the other folds.

    Args:
        levels: log-mel spectrograms (notes, bands, frames), dB.
        labels: 0 or 1 (notes,).
        folds: fold (notes,).
        seed: of the training.
        epochs: of each training.
    """
    inputs = torch.from_numpy((levels - levels.mean()) / levels.std())[:, None]
    targets = torch.from_numpy(labels.astype(np.float32))
    correct = np.zeros(len(labels), bool)
    for fold in np.unique(folds):
        test = folds == fold
        logits = _train_cnn(inputs[~test], targets[~test], seed, epochs)(inputs[test])
        correct[test] = (logits.detach().numpy() > 0) == labels[test]
    return correct


def _train_cnn(inputs: torch.Tensor, targets: torch.Tensor, seed: int, epochs: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SmallCNN().train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
        steps = epochs * -(-len(inputs) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(BATCH):
                level = 0.2 * torch.randn(len(rows), 1, 1, 1)  # level says nothing
                logits = network(inputs[rows] + level)
                loss = nn.functional.binary_cross_entropy_with_logits(logits, targets[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return network.eval()


def discriminate(
    first: Sequence[Floats],
    second: Sequence[Floats],
    groups: tuple[Sequence[str], Sequence[str]],
    seed: int,
    names: Sequence[str] = (*FEATURES, CNN),
    folds: int = FOLDS,
) -> dict[str, NDArray[np.bool_]]:
    """Which notes of two sets each classifier assigns to the right one.

    Args:
        first: log-mel spectrograms of the notes of one set.
        second: those of the other.
        groups: of the notes of each set; no group is both trained on and tested.
        seed: of folds and classifiers.
        names: of the classifiers: of `FEATURES`, or `CNN`.
        folds: how many, at most.

    Returns:
        Correct or not (notes of both sets,), by name.
    """
    levels = np.stack([*first, *second]).astype(np.float32)
    fold_of = assign_folds([*groups[0], *groups[1]], seed, folds)
    labels = np.repeat([0, 1], [len(first), len(second)])
    described = [features(each.astype(np.float64)) for each in levels]
    return {
        name: cnn_answers(levels, labels, fold_of, seed)
        if name == CNN
        else tree_answers(np.stack([each[name] for each in described]), labels, fold_of, seed)
        for name in names
    }


def balanced_accuracy(correct: NDArray[np.bool_], first_count: int) -> float:
    """Mean of the shares of both sets that are assigned rightly, percent."""
    return 50 * float(correct[:first_count].mean() + correct[first_count:].mean())


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean and half the range of values: "70.2 ± 1.1"."""
    return f"{np.mean(values):.1f} ± {np.ptp(values) / 2:.1f}"


def accuracies(
    answers: Sequence[Mapping[str, NDArray[np.bool_]]], first_counts: Sequence[int]
) -> dict[str, list[float]]:
    """Balanced accuracies of each classifier, one for each seed."""
    return {
        name: [
            balanced_accuracy(each[name], count)
            for each, count in zip(answers, first_counts, strict=True)
        ]
        for name in answers[0]
    }
