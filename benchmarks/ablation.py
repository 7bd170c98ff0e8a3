"""Ablation of the critics: trainings with different critics, the same seed and budget.

    python benchmarks/ablation.py MAPS -o WORK [--seconds 240]

Each row gets as many steps as fit into the same CPU time, measured on its own first steps, and
writes a run folder WORK/NAME. All are then evaluated on audio, in one run, by

    python benchmarks/imagination.py STORE --models none=WORK/none …

A finished row is not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from mechanical_ears.imagining.training.augment import Augmentation
from mechanical_ears.imagining.training.critics.make import make_critics
from mechanical_ears.imagining.training.dataset import load_dataset, random_batch
from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.step import AdversarialStep
from mechanical_ears.imagining.training.train import ImaginationTraining, train_imagination
from mechanical_ears.training.device import Hardware, launch_fabric

ROWS = {
    "none": (),
    "map": ("latent",),
    "map-pair": ("latent", "pair"),
    "map-pair-ears": ("latent", "pair", "ears"),
    "article": ("article",),
    "detector": ("detector",),
}
ROUNDS = 6
WARM_UP_STEPS, TIMED_STEPS = 4, 16


class Quiet:
    """Prints one line per round."""

    def epoch_begins(self, epoch: int, epochs: int, steps: int) -> None:
        """Print nothing."""

    def step_done(self, loss: float, accuracy: float, notes_per_second: float) -> None:
        """Print nothing."""

    def epoch_ends(self, figures: dict[str, Any]) -> None:
        """Print the figures."""
        print("   ", json.dumps(figures))


def main() -> None:
    """Train the selected rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("maps", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=240, help="CPU time of a row")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    latents = options.output / "codec.safetensors"
    for name in options.rows:
        folder = options.output / name
        if (folder / "generator.onnx").exists():
            print(f"{name}: already trained")
            continue
        step = _step_seconds(options.maps, latents, name)
        steps = max(2, round(options.seconds / step / ROUNDS))
        print(f"{name}: {step * 1000:.0f} ms of CPU a step, {ROUNDS} rounds of {steps} steps")
        started = time.process_time()
        _train(options.maps, latents, folder, name, ROUNDS, steps)
        print(f"{name}: {time.process_time() - started:.0f} s of CPU in all")


def _step_seconds(maps: Path, latents: Path, name: str) -> float:
    """CPU time of a step of the critics and one of the generator."""
    training = ImaginationTraining((maps,), ROWS[name])
    shape = ImaginationShape()
    codec, sides = load_dataset((maps,), latents, shape.components, lambda done, total: None)
    critics = make_critics(training.critics, codec)
    fabric = launch_fabric(Hardware("cpu", "32-true"))
    step = AdversarialStep(
        Networks(ImaginationShape.of(codec)), critics, codec, fabric, training.learning_rate
    )
    augmentation, rng = Augmentation(codec), torch.Generator()
    started = time.process_time()
    for number in range(-WARM_UP_STEPS, TIMED_STEPS):
        if number == 0:
            started = time.process_time()
        real = random_batch(sides["train"], training.instruments, rng, augmentation)
        step.critics_step(real, number, rng)
        step.generator_step(real, number, rng)
    return (time.process_time() - started) / TIMED_STEPS


def _train(maps: Path, latents: Path, folder: Path, name: str, rounds: int, steps: int) -> None:
    training = ImaginationTraining((maps,), ROWS[name], rounds=rounds, round_steps=steps)
    hardware = Hardware("cpu", "32-true")
    train_imagination(training, folder, Quiet(), hardware, latents_file=latents)


if __name__ == "__main__":
    main()
