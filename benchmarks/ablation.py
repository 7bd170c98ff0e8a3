"""What is each critic worth? The imagination trained with other critics, same seed, same budget.

    python benchmarks/ablation.py MAPS -o WORK [--seconds 240]

Each row gets as many steps as it can take in the same CPU time, measured on its own first steps,
and leaves a run folder WORK/NAME; what they are worth is then measured on sounds, in one run, by

    python benchmarks/imagination.py STORE --models none=WORK/none …

A row that is there and done is not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from mechanical_ears.imagining.training.augment import Variation
from mechanical_ears.imagining.training.critics.make import make_critics
from mechanical_ears.imagining.training.dataset import load_coded
from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.step import AdversarialStep, drawn
from mechanical_ears.imagining.training.train import ImaginationTraining, descend, train_imagination
from mechanical_ears.training.device import Hardware, launch_fabric

ROWS = {
    "none": (),
    "map": ("map",),
    "map-pair": ("map", "pair"),
    "map-pair-ears": ("map", "pair", "ears"),
    "article": ("article",),
    "detector": ("detector",),
}
ROUNDS = 6
WARMING, PROBED = 4, 16  # steps before, and whose time is measured


class Quiet:
    """Says one line a round."""

    def epoch_begins(self, epoch: int, epochs: int, steps: int) -> None:
        """Nothing to say."""

    def step_done(self, loss: float, accuracy: float, notes_per_second: float) -> None:
        """Nothing to say."""

    def epoch_ends(self, figures: dict[str, Any]) -> None:
        """Tell the figures."""
        print("   ", json.dumps(figures))


def main() -> None:
    """Train the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("maps", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=240, help="CPU time of a row")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.output.mkdir(parents=True, exist_ok=True)
    codes = asked.output / "codec.safetensors"
    for name in asked.rows:
        folder = asked.output / name
        if (folder / "generator.onnx").exists():
            print(f"{name}: there")
            continue
        step = _step_seconds(asked.maps, codes, name)
        steps = max(2, round(asked.seconds / step / ROUNDS))
        print(f"{name}: {step * 1000:.0f} ms of CPU a step, {ROUNDS} rounds of {steps} steps")
        started = time.process_time()
        _train(asked.maps, codes, folder, name, ROUNDS, steps)
        print(f"{name}: {time.process_time() - started:.0f} s of CPU with all that is around it")


def _step_seconds(maps: Path, codes: Path, name: str) -> float:
    """CPU time of a step of the critics and one of the generator."""
    training = ImaginationTraining((maps,), ROWS[name])
    shape = ImaginationShape()
    codec, sides = load_coded((maps,), codes, shape.components, lambda done, total: None)
    players = Networks(shape)
    critics = make_critics(training.critics, codec)
    loss, variation, lots = (
        AdversarialStep(players, critics, codec),
        Variation(codec),
        torch.Generator(),
    )
    learning = [weight for critic in critics for weight in critic.parameters()]
    adams = [torch.optim.Adam(weights) for weights in (learning, players.parameters()) if weights]
    fabric = launch_fabric(Hardware("cpu", "32-true"))
    started = time.process_time()
    for step in range(-WARMING, PROBED):
        if step == 0:
            started = time.process_time()
        notes = drawn(sides["train"], training.instruments, lots, variation)
        loss.take_turns(step)
        if loss.at_turn:
            descend(adams[0], loss.critics(notes, lots), learning, fabric)
        parts = torch.stack(list(loss.players(notes, lots).values())).sum()
        descend(adams[-1], parts, players.parameters(), fabric)
    return (time.process_time() - started) / PROBED


def _train(maps: Path, codes: Path, folder: Path, name: str, rounds: int, steps: int) -> None:
    training = ImaginationTraining((maps,), ROWS[name], rounds=rounds, round_steps=steps)
    train_imagination(training, folder, Quiet(), Hardware("cpu", "32-true"), codes=codes)


if __name__ == "__main__":
    main()
