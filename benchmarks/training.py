"""How fast the article's network trains: Keras, PyTorch's own operations, our fused kernels.

    python benchmarks/training.py [--steps 6] [--repeats 5]

Every contender trains on batches of 128 notes that lie in memory (cross-entropy, Adam at 1e-4)
with all cores: once over the notes to warm up and compile, then once under the clock. Keras has
three tries, with `fit`, with `train_on_batch` and with XLA; the fastest is what we compare with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness import ROOT, markdown_table, medians, peer_python, write_section
from mechanical_ears.listening.training.article_network import ArticleNetwork

BATCH = 128


def keras(*options: str, steps: int) -> float:
    """Notes per second of Keras on TensorFlow, in a process of its own."""
    script = ROOT / "benchmarks" / "peers" / "train_with_keras.py"
    command = [peer_python("tensorflow"), script, "--steps", str(steps), *options]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(json.loads(answer.stdout.splitlines()[-1])["notes_per_second"])


def ours(steps: int, *, fused: bool, compiled: bool = False) -> Callable[[], float]:
    """A measurement of our network: it trains over the notes and returns notes per second."""
    random = np.random.default_rng(0)
    audio = torch.from_numpy(random.uniform(-1, 1, (BATCH * steps, 64_000)).astype(np.float32))
    pitch = torch.from_numpy(random.integers(0, 128, len(audio)))
    network = ArticleNetwork(fused=fused)
    model: nn.Module | Callable[[Tensor], Tensor] = torch.compile(network) if compiled else network
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)

    def train(batches: int) -> None:
        for start in range(0, BATCH * batches, BATCH):
            optimiser.zero_grad()
            batch = slice(start, start + BATCH)
            functional.cross_entropy(model(audio[batch]), pitch[batch]).backward()
            optimiser.step()

    def measure() -> float:
        train(1)  # wakes caches and threads; the first time it compiles
        begin = time.perf_counter()
        train(steps)
        return len(audio) / (time.perf_counter() - begin)

    return measure


def main() -> None:
    """Measure all in turn and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6, help="batches under the clock")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    steps = options.steps

    contenders: dict[str, Callable[[], float]] = {
        "Keras 3 on TensorFlow, `fit`": partial(keras, "--loop", "fit", steps=steps),
        "Keras 3 on TensorFlow, `train_on_batch`": partial(
            keras, "--loop", "train_on_batch", steps=steps
        ),
        "Keras 3 on TensorFlow, XLA": partial(keras, "--xla", "--loop", "fit", steps=steps),
        "ours, PyTorch's operations": ours(steps, fused=False),
        "ours, PyTorch's operations, `torch.compile`": ours(steps, fused=False, compiled=True),
        "ours, fused kernels": ours(steps, fused=True),
    }
    figures = medians(contenders, options.repeats)
    peer = max(median for name, (_, median, _) in figures.items() if name.startswith("Keras"))
    rows = [
        (name, f"{median:.0f}", f"{low:.0f}–{high:.0f}", f"{median / peer:.2f}")
        for name, (low, median, high) in figures.items()
    ]
    body = (
        f"Training steps of the article's network, batch {BATCH}, float32, all cores; median of "
        f"{options.repeats} repeats in turn, {steps} steps each.\n\n"
        + markdown_table(
            ("contender", "notes per second", "lowest–highest", "to the fastest Keras"), rows
        )
    )
    write_section(
        "training", "Training the article's network", "python benchmarks/training.py", body
    )


if __name__ == "__main__":
    main()
