"""Training speed of the article's network: Keras, PyTorch's operations, our fused kernels.

    python benchmarks/training.py [--steps 6] [--repeats 5]

Each contender trains on batches of 128 notes in memory (cross-entropy, Adam at 1e-4) with all
cores: first to warm up and compile, then timed. Keras is measured with `fit`, with `train_on_batch`
and with XLA; the fastest is the one we compare with.
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
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(json.loads(process.stdout.splitlines()[-1])["notes_per_second"])


def ours(steps: int, *, fused: bool, compiled: bool = False) -> Callable[[], float]:
    """A function that trains our network over the notes and returns notes per second."""
    rng = np.random.default_rng(0)
    audio = torch.from_numpy(rng.uniform(-1, 1, (BATCH * steps, 64_000)).astype(np.float32))
    pitch = torch.from_numpy(rng.integers(0, 128, len(audio)))
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
        train(1)  # warms up caches and threads; compiles the first time
        started = time.perf_counter()
        train(steps)
        return len(audio) / (time.perf_counter() - started)

    return measure


def main() -> None:
    """Measure all contenders, interleaved, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6, help="timed batches")
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
        f"{options.repeats} interleaved repeats, {steps} steps each.\n\n"
        + markdown_table(
            ("contender", "notes per second", "lowest–highest", "÷ fastest Keras"), rows
        )
    )
    write_section(
        "training", "Training the article's network", "python benchmarks/training.py", body
    )


if __name__ == "__main__":
    main()
