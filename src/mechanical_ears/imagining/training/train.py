"""Training the imagination: one step of the critics, one of the generator, beside each other.

    game.py      what both learn from a batch
    critics.py   who judges
    networks.py  who plays

Averages of the weights (Karras et al., "Progressive growing of GANs", 2018) are what is published.
The order of notes and all random numbers follow from seed and round, so that a training that was
cut off goes on exactly. Several processes (torchrun) share the gradients after each step.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from mechanical_ears.errors import TrainingError
from mechanical_ears.imagining.training.augment import Variation
from mechanical_ears.imagining.training.critics.make import Critic, check_critics, make_critics
from mechanical_ears.imagining.training.dataset import CodedNotes, fingerprint, load_coded
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.publish import publish
from mechanical_ears.imagining.training.samples import EVERY, write_sheet
from mechanical_ears.imagining.training.step import EACH, AdversarialStep, drawn
from mechanical_ears.imagining.training.validate import Watched, watch
from mechanical_ears.training.device import Hardware, launch_fabric, torch_settings
from mechanical_ears.training.observer import Observer
from mechanical_ears.training.run import Figures, RunFolder

AVERAGED: Final = 0.002  # share of the newest weights in the average
WARM_UP: Final = 200  # steps until the learning rate is reached
LEAST_RATE: Final = 0.02  # of the learning rate, at the end
DIVERGED: Final = 40.0  # standard deviations of a code that no note has


@dataclass(frozen=True)
class ImaginationTraining:
    """What to train the imagination on, and how.

    Attributes:
        corpora: control maps, with a train and a validation side.
        critics: who judges; none trains a network that only mimics.
        rounds: after each the run is saved and measured.
        round_steps: steps in a round.
        instruments: heard in a step, four notes of each, over all processes.
        learning_rate: of Adam at its highest.
        seed: of the first weights and all lots.
    """

    corpora: tuple[Path, ...]
    critics: tuple[str, ...] = ("map", "pair", "ears")
    rounds: int = 24
    round_steps: int = 850
    instruments: int = 64
    learning_rate: float = 5e-4
    seed: int = 0


def train_imagination(
    training: ImaginationTraining,
    run_path: Path,
    observer: Observer,
    hardware: Hardware | None = None,
    *,
    listener: Path | None = None,
    codes: Path | None = None,
    prepared: Any = lambda done, total: None,
) -> list[Figures]:
    """Train, or go on with a training, until all rounds are done; then publish.

    Args:
        training: what to train on, and how.
        run_path: the run folder.
        observer: is told of the progress.
        hardware: where to compute.
        listener: weights of the ears as critic; None takes the shipped ones.
        codes: file of the notes as codes, made if absent; RUN/codec.safetensors if not given.
        prepared: called with notes taken into codes and all, before the training.

    Raises:
        CorpusError: a corpus cannot be used.
        TrainingError: the run folder is another's, a checkpoint is damaged, a critic is unknown, or
            the training diverged.
    """
    check_critics(training.critics)
    config = {
        "network": "imagination",
        **asdict(training),
        "maps_sha256": fingerprint(training.corpora),
    }
    fabric = launch_fabric(hardware or Hardware(precision="32-true"))
    with fabric.rank_zero_first():
        run = RunFolder(run_path, config, ("corpora", "rounds"), writes=fabric.is_global_zero)
        shape = ImaginationShape()
        codes = run_path / "codec.safetensors" if codes is None else codes
        codec, sides = load_coded(training.corpora, codes, shape.components, prepared)
    with closing(run), torch_settings(flush_denormal=True):  # of inaudible amplitudes
        codec = codec.to(fabric.device)
        torch.manual_seed(training.seed)
        components = len(codec.deviation)
        shape = ImaginationShape(components=components, heard=min(shape.heard, components))
        players = Networks(shape)
        critics = make_critics(training.critics, codec, listener)
        averaged = _learn(training, run, fabric, (codec, sides), (players, critics), observer)
        if fabric.is_global_zero:
            publish(run.path, averaged.cpu(), codec.cpu(), sides["train"], training.corpora)
    return run.log()


def _learn(
    training: ImaginationTraining,
    run: RunFolder,
    fabric: Any,
    data: tuple[Codec, dict[str, CodedNotes]],
    networks: tuple[Networks, list[Critic]],
    observer: Observer,
) -> Networks:
    """The rounds that are still to do; the averaged networks after them."""
    codec, sides = data
    players, critics = networks
    averaged = copy.deepcopy(players).requires_grad_(False)
    device = fabric.device
    judges = nn.ModuleList(critics)
    for network in (players, averaged, judges):
        network.to(device)
    rates = {"betas": (0.0, 0.99), "lr": training.learning_rate}
    players_adam = torch.optim.Adam(players.parameters(), **rates)  # type: ignore[arg-type]
    learning = [weight for weight in judges.parameters() if weight.requires_grad]
    critics_adam = torch.optim.Adam(learning or [torch.zeros(1, requires_grad=True)], **rates)  # type: ignore[arg-type]
    state: dict[str, Any] = {
        "players": players,
        "averaged": averaged,
        "players_adam": players_adam,
        **{f"critic_{critic.name}": critic.learner() for critic in critics},
    }
    if critics:
        state["critics_adam"] = critics_adam
    done = run.resume(state)
    step_loss = AdversarialStep(players, critics, codec)
    variation = Variation(codec).to(device)
    share = max(2, training.instruments // fabric.world_size)
    steps = training.rounds * training.round_steps
    for number in range(done + 1, training.rounds + 1):
        started = time.perf_counter()
        observer.epoch_begins(number, training.rounds, training.round_steps)
        seeds = np.random.SeedSequence([training.seed, number, fabric.global_rank])
        lots = torch.Generator().manual_seed(int(seeds.generate_state(1)[0]))
        losses: dict[str, list[float]] = {}
        for step in range(training.round_steps):
            now = (number - 1) * training.round_steps + step
            for adam in (players_adam, critics_adam):
                adam.param_groups[0]["lr"] = _rate(training.learning_rate, now, steps)
            notes = drawn(sides["train"], share, lots, variation)
            step_loss.take_turns(now)
            if step_loss.at_turn:
                loss = step_loss.critics(notes, lots)
                descend(critics_adam, loss, learning, fabric)
                losses.setdefault("critics", []).append(float(loss.detach()))
            parts = step_loss.players(notes, lots)
            whole = torch.stack(list(parts.values())).sum()
            descend(players_adam, whole, list(players.parameters()), fabric)
            for name, part in parts.items():
                losses.setdefault(name, []).append(float(part.detach()))
            _average(averaged, players, max(AVERAGED, 1 / (now + 2)))
            speed = (step + 1) * share * EACH * fabric.world_size
            speed /= time.perf_counter() - started
            observer.step_done(float(whole.detach()), 0.0, speed)
        means = {name: sum(turns) / len(turns) for name, turns in losses.items()}
        _stop_if_diverged(means, step_loss.largest, number, run)
        if fabric.is_global_zero:
            watched = watch(averaged, codec, sides, training.seed)
            figures = _figures(means, watched, speed, time.perf_counter() - started, device)
            run.finish_epoch(number, state, figures)
            if number % EVERY == 0:
                write_sheet(run.path, number, averaged, codec, training.seed)
            observer.epoch_ends({"epoch": number, **figures})
        fabric.barrier()
    return averaged


def descend(
    adam: torch.optim.Optimizer, loss: Tensor, weights: Iterable[Tensor], fabric: Any
) -> None:
    """One step down the gradient, which all processes share."""
    adam.zero_grad(set_to_none=True)
    fabric.backward(loss)
    if fabric.world_size > 1:
        for weight in weights:
            if weight.grad is not None:
                weight.grad = fabric.all_reduce(weight.grad, reduce_op="mean")
    adam.step()


@torch.no_grad()
def _average(averaged: nn.Module, now: nn.Module, share: float) -> None:
    for mean, weight in zip(averaged.parameters(), now.parameters(), strict=True):
        mean.lerp_(weight, share)


def _rate(highest: float, step: int, steps: int) -> float:
    """Up in a line, then down along a cosine."""
    if step < WARM_UP:
        return highest * (step + 1) / WARM_UP
    way = (step - WARM_UP) / max(1, steps - WARM_UP)
    return highest * (LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * way)))


def _stop_if_diverged(means: dict[str, float], largest: float, number: int, run: RunFolder) -> None:
    if all(map(math.isfinite, means.values())) and largest < DIVERGED:
        return
    raise TrainingError(
        f"the training diverged in round {number}: "
        f"losses {', '.join(f'{name} {value:.3g}' for name, value in means.items())}, "
        f"the largest number of a code {largest:.3g}",
        path=run.path,
        remedy="train with a lower --learning-rate in a new run folder",
    )


def _figures(
    means: dict[str, float], watched: Watched, speed: float, seconds: float, device: Any
) -> Figures:
    return {
        **{f"loss_{name}": round(value, 4) for name, value in means.items()},
        **asdict(watched),
        "notes_per_second": round(speed, 1),
        "seconds": round(seconds, 2),
        "device": str(device),
    }
