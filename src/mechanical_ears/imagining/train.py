"""Training the imagination: one step of the critics, one of the generator, beside each other.

    notes of instruments by lot, four of each                     real
    the same keys and velocities, of timbres from z or by ear     fake
    critics     learn to tell them apart (losses.py)
    generator, mapper, encoder learn
        to be taken for real by every critic
        to play the other notes of an instrument of which one to three were heard (cross-note
        reconstruction), which is what makes one timbre of all keys and velocities
        that the encoder finds the timbre again of which a note was made (Chen et al., "InfoGAN:
        interpretable representation learning", 2016)

Averages of the weights (Karras et al., "Progressive growing of GANs", 2018) are what is published.
The order of notes and all random numbers follow from seed and round, so that a training that was
cut off goes on exactly. Several processes (torchrun) share the gradients after each step.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.errors import TrainingError
from mechanical_ears.imagining.codec import LEVEL_SCALE, Codec
from mechanical_ears.imagining.coded import CodedNotes, load_coded
from mechanical_ears.imagining.critics import (
    Critic,
    Played,
    check_critics,
    make_critics,
    shown,
    shown_scale,
)
from mechanical_ears.imagining.losses import sliced_distance
from mechanical_ears.imagining.networks import (
    Asked,
    Encoder,
    Generator,
    ImaginationShape,
    Mapper,
)
from mechanical_ears.imagining.progress import Watched, watch
from mechanical_ears.imagining.publish import publish
from mechanical_ears.imagining.sheets import EVERY, write_sheet
from mechanical_ears.imagining.variation import Variation
from mechanical_ears.training.device import Hardware, launch_fabric
from mechanical_ears.training.observer import Observer
from mechanical_ears.training.run import Figures, RunFolder

EACH: Final = 4  # notes of an instrument in a batch
BY_EAR: Final = 0.25  # of the instruments that critics judge, those that the encoder heard
TIMBRE_NOISE: Final = 0.1  # added to timbres by ear, so that neighbours sound alike
AVERAGED: Final = 0.002  # share of the newest weights in the average
WARM_UP: Final = 200  # steps until the learning rate is reached
LEAST_RATE: Final = 0.02  # of the learning rate, at the end
RECONSTRUCTION: Final = 0.3  # weight of a decibel of difference
DETAIL: Final = 0.5  # weight of the difference as critics see it
FOUND_AGAIN: Final = 0.2  # weight of the encoder finding a timbre again
SIZE: Final = 0.01  # weight that keeps timbres near 0
FAMILY: Final = 0.05  # weight of the family that the encoder tells
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
    round_steps: int = 400
    instruments: int = 64
    learning_rate: float = 5e-4
    seed: int = 0


class Players(nn.Module):
    """Mapper, generator and encoder.

    Args:
        shape: their sizes.
    """

    def __init__(self, shape: ImaginationShape) -> None:
        super().__init__()
        self.shape = shape
        self.mapper = Mapper(shape)
        self.generator = Generator(shape)
        self.encoder = Encoder(shape)

    def imagine(self, z: Tensor, asked: Asked) -> Tensor:
        """Codes of notes of instruments by lot; z (instruments, 64), notes in their order."""
        each = len(asked.pitch) // len(z)
        timbre = self.mapper(z, asked.family[::each]).repeat_interleave(each, dim=0)
        codes: Tensor = self.generator(timbre, asked.pitch, asked.velocity)
        return codes


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
    config = {"network": "imagination", **asdict(training)}
    fabric = launch_fabric(hardware or Hardware(precision="32-true"))
    with fabric.rank_zero_first():
        run = RunFolder(run_path, config, ("corpora", "rounds"), writes=fabric.is_global_zero)
        shape = ImaginationShape()
        codes = run_path / "codec.safetensors" if codes is None else codes
        codec, sides = load_coded(training.corpora, codes, shape.components, prepared)
    with closing(run), no_subnormals():
        codec = codec.to(fabric.device)
        torch.manual_seed(training.seed)
        components = len(codec.deviation)
        shape = ImaginationShape(components=components, heard=min(shape.heard, components))
        players = Players(shape)
        critics = make_critics(training.critics, codec, listener)
        averaged = _learn(training, run, fabric, (codec, sides), (players, critics), observer)
        if fabric.is_global_zero:
            publish(run.path, averaged.cpu(), codec.cpu(), sides["train"], training.corpora)
    return run.log()


@contextmanager
def no_subnormals() -> Iterator[None]:
    """Take amplitudes far below hearing for 0: subnormal numbers slow a processor down."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _learn(
    training: ImaginationTraining,
    run: RunFolder,
    fabric: Any,
    data: tuple[Codec, dict[str, CodedNotes]],
    networks: tuple[Players, list[Critic]],
    observer: Observer,
) -> Players:
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
    step_loss = StepLoss(players, critics, codec)
    variation = Variation(codec).to(device)
    share = max(2, training.instruments // fabric.world_size)
    steps = training.rounds * training.round_steps
    for number in range(done + 1, training.rounds + 1):
        started = time.perf_counter()
        observer.epoch_begins(number, training.rounds, training.round_steps)
        seeds = np.random.SeedSequence([training.seed, number, fabric.global_rank])
        lots = torch.Generator().manual_seed(int(seeds.generate_state(1)[0]))
        sums: dict[str, float] = {}
        for step in range(training.round_steps):
            now = (number - 1) * training.round_steps + step
            for adam in (players_adam, critics_adam):
                adam.param_groups[0]["lr"] = _rate(training.learning_rate, now, steps)
            notes = drawn(sides["train"], share, lots, variation)
            step_loss.take_turns(now)
            if step_loss.at_turn:
                loss = step_loss.critics(notes, lots)
                descend(critics_adam, loss, learning, fabric)
                sums["critics"] = sums.get("critics", 0.0) + float(loss.detach())
            parts = step_loss.players(notes, lots)
            whole = torch.stack(list(parts.values())).sum()
            descend(players_adam, whole, list(players.parameters()), fabric)
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + float(part.detach())
            _average(averaged, players, max(AVERAGED, 1 / (now + 2)))
            speed = (step + 1) * share * EACH * fabric.world_size
            speed /= time.perf_counter() - started
            observer.step_done(float(whole.detach()), 0.0, speed)
        means = {name: value / training.round_steps for name, value in sums.items()}
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


class StepLoss:
    """The losses of a step.

    Args:
        players: mapper, generator and encoder.
        critics: who judges.
        codec: of the codes.
    """

    def __init__(self, players: Players, critics: Sequence[Critic], codec: Codec) -> None:
        self._players = players
        self._critics = critics
        self._deviation = codec.deviation
        self._cells = len(codec.mean)
        self._scale = shown_scale(codec.deviation)
        self.at_turn = list(critics)
        self.largest = 0.0  # number of a code that was made in the last step

    def take_turns(self, step: int) -> None:
        """Let those critics judge whose turn it is."""
        self.at_turn = [critic for critic in self._critics if step % critic.every == 0]

    def critics(self, real: Played, lots: torch.Generator) -> Tensor:
        """What the critics learn."""
        with torch.no_grad():
            fake = real._replace(codes=self._fakes(real, lots)[0])
        losses = []
        for critic in self.at_turn:
            losses.append(critic.own_loss(_some(real, critic.notes), _some(fake, critic.notes)))
        return torch.stack(losses).sum()

    def players(self, real: Played, lots: torch.Generator) -> dict[str, Tensor]:
        """What mapper, generator and encoder learn, by name."""
        codes, made = self._fakes(real, lots)
        fake = real._replace(codes=codes)
        apart = (made.by_ear - real.codes)[:, 1:] * self._deviation
        cells = (apart.square().sum(dim=1) / self._cells + 1e-3).sqrt().mean()
        level = (made.by_ear - real.codes)[:, 0].abs().mean() * LEVEL_SCALE
        detail = shown(made.by_ear - real.codes, self._scale)[:, 1:].square().mean()
        again = (made.found - made.timbre).square().mean()
        parts = {
            "reconstruction": RECONSTRUCTION * (cells + 0.25 * level) + DETAIL * detail,
            "found_again": FOUND_AGAIN * again,
            "size": SIZE * (made.timbre.square().mean() + made.heard.square().mean()),
            "family": FAMILY * functional.cross_entropy(made.families, real.asked.family),
        }
        if not self._critics:  # who mimics, mimics the known timbres
            parts["timbres"] = sliced_distance(made.timbre, made.mean.detach(), lots)
        for critic in self.at_turn:
            seen = _some(real, critic.notes), _some(fake, critic.notes)
            parts[critic.name] = critic.weight * critic.generators_loss(*seen)
        self.largest = float(codes.detach().abs().max())
        return parts

    def _fakes(self, real: Played, lots: torch.Generator) -> tuple[Tensor, Made]:
        """Codes that critics judge, and all that was made on the way."""
        players, asked = self._players, real.asked
        count = len(real.codes) // EACH
        device = real.codes.device

        def normal(*sizes: int) -> Tensor:
            return torch.randn(sizes, generator=lots).to(device)

        timbre = players.mapper(normal(count, players.shape.z), asked.family[::EACH])
        imagined = players.generator(timbre.repeat_interleave(EACH, 0), asked.pitch, asked.velocity)
        heard, families = players.encoder(real.codes, asked.pitch, asked.velocity)
        listens = torch.rand(count, EACH, generator=lots)
        most = 1 + torch.randint(3, (count, 1), generator=lots)
        chosen = (listens.argsort(dim=1).argsort(dim=1) < most).float().to(device)[:, :, None]
        mean = (heard.reshape(count, EACH, -1) * chosen).sum(dim=1) / chosen.sum(dim=1)
        noisy = (mean + TIMBRE_NOISE * normal(*mean.shape)).repeat_interleave(EACH, 0)
        by_ear = players.generator(noisy, asked.pitch, asked.velocity)
        found = players.encoder(imagined, asked.pitch, asked.velocity)[0]
        found = found.reshape(count, EACH, -1).mean(dim=1)
        kept = round(count * (1 - BY_EAR)) * EACH
        judged = torch.cat([imagined[:kept], by_ear[kept:]])
        return judged, Made(timbre, heard, mean, families, by_ear, found)


@dataclass(frozen=True, eq=False)
class Made:
    """What is made in a step.

    Attributes:
        timbre: (instruments, 64), by lot.
        heard: (n, 64), of each real note by ear.
        mean: (instruments, 64), of one to three real notes by ear.
        families: (n, 11), logits by ear.
        by_ear: codes of the real notes' timbres.
        found: (instruments, 64), by ear from the notes by lot.
    """

    timbre: Tensor
    heard: Tensor
    mean: Tensor
    families: Tensor
    by_ear: Tensor
    found: Tensor


def drawn(
    notes: CodedNotes, instruments: int, lots: torch.Generator, variation: Variation
) -> Played:
    """Notes by lot, each instrument varied in its own way."""
    device = variation.table.device
    rows = notes.draw(instruments, EACH, lots)
    asked = Asked(*(part.to(device) for part in notes.asked(rows)))
    gains = variation.gains(instruments, lots).repeat_interleave(EACH, 0).to(device)
    return Played(variation(notes.codes[rows].to(device), asked.pitch, gains), asked)


def _some(played: Played, notes: int) -> Played:
    """At most so many notes, from the whole batch, pairs kept together."""
    if notes >= len(played.codes):
        return played
    step = len(played.codes) // notes
    pairs = torch.arange(0, len(played.codes) // 2, step)[: notes // 2]
    rows = (2 * pairs[:, None] + torch.arange(2)).flatten().to(played.codes.device)
    return Played(played.codes[rows], Asked(*(part[rows] for part in played.asked)))


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
