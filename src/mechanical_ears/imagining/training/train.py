"""Training of the imagination: the configuration, and the loop over rounds and steps.

    step.py       what critics and generator learn from a batch
    critics/      the networks that judge
    networks.py   the networks that generate

A moving average of the weights (Karras et al., "Progressive growing of GANs", 2018) is published.
The order of notes and all random numbers follow from seed and round, so that an interrupted
training resumes exactly. Several processes (torchrun) share the gradients of each step.
"""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from torch import nn

from mechanical_ears.errors import TrainingError
from mechanical_ears.imagining.training import dataset
from mechanical_ears.imagining.training.augment import Augmentation
from mechanical_ears.imagining.training.critics.base import Critic
from mechanical_ears.imagining.training.critics.make import critic_names, make_critics, stored_name
from mechanical_ears.imagining.training.dataset import LatentDataset, Progress
from mechanical_ears.imagining.training.latents import Codec
from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.publish import publish
from mechanical_ears.imagining.training.samples import SHEET_ROUNDS, save_sheet
from mechanical_ears.imagining.training.step import AdversarialStep
from mechanical_ears.imagining.training.validate import validate
from mechanical_ears.training.device import Hardware, launch_fabric, torch_settings
from mechanical_ears.training.observer import Observer
from mechanical_ears.training.run import Figures, RunFolder
from mechanical_ears.training.schedules import moving_average, schedule, set_updates, warm_up_cosine

AVERAGE_SHARE: Final = 0.002  # of the newest weights in the average
WARM_UP_STEPS: Final = 200  # until the learning rate is reached
LAST_RATE_SHARE: Final = 0.02  # of the learning rate, at the end
MAX_LATENT: Final = 40.0  # standard deviations; no note has as much, so the training has diverged


@dataclass(frozen=True)
class ImaginationTraining:
    """What to train the imagination on, and how.

    Attributes:
        corpora: control maps, with a train and a validation side.
        critics: of `CRITICS`; none trains by reconstruction alone.
        rounds: number of rounds; after each the run is saved and validated.
        round_steps: steps per round.
        instruments: per step, four notes of each, over all processes.
        learning_rate: peak learning rate of Adam.
        seed: of the initial weights and all random numbers.
    """

    corpora: tuple[Path, ...]
    critics: tuple[str, ...] = ("latent", "pair", "ears")
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
    latents_file: Path | None = None,
    encode_progress: Progress = lambda done, total: None,
) -> list[Figures]:
    """Train, or resume a training, until all rounds are done; then publish.

    Args:
        training: what to train on, and how.
        run_path: the run folder.
        observer: gets the progress.
        hardware: where to compute.
        listener: weights of the ears as critic; default: the shipped ones.
        latents_file: cache of codec and latents; default: RUN/codec.safetensors.
        encode_progress: called with the number of notes encoded and in all, before the training.

    Returns:
        The log: figures of each round.

    Raises:
        CorpusError: a corpus cannot be used.
        TrainingError: the run folder has another configuration, a checkpoint is damaged, a critic
            is unknown, or the training diverged.
    """
    names = critic_names(training.critics)
    config = {
        "network": "imagination",
        **asdict(training),
        "critics": [stored_name(name) for name in names],
        "maps_sha256": dataset.fingerprint(training.corpora),
    }
    fabric = launch_fabric(hardware or Hardware(precision="32-true"))
    with fabric.rank_zero_first():
        run = RunFolder(run_path, config, ("corpora", "rounds"), writes=fabric.is_global_zero)
        file = latents_file or run_path / "codec.safetensors"
        components = ImaginationShape().components
        codec, sides = dataset.load_dataset(training.corpora, file, components, encode_progress)
    with closing(run), torch_settings(flush_denormal=True):  # of inaudible amplitudes
        codec = codec.to(fabric.device)
        torch.manual_seed(training.seed)
        networks = Networks(ImaginationShape.of(codec))
        critics = make_critics(names, codec, listener)
        averaged = _train(training, run, fabric, (codec, sides), (networks, critics), observer)
        if fabric.is_global_zero:
            publish(run.path, averaged.cpu(), codec.cpu(), sides["train"], training.corpora)
    return run.log()


def _train(
    training: ImaginationTraining,
    run: RunFolder,
    fabric: Any,
    data: tuple[Codec, dict[str, LatentDataset]],
    modules: tuple[Networks, list[Critic]],
    observer: Observer,
) -> Networks:
    """Train the rounds that remain; returns the averaged networks."""
    (codec, sides), (networks, critics) = data, modules
    average = moving_average(networks, lambda update: max(AVERAGE_SHARE, 1 / (update + 2)))
    averaged = cast("Networks", average.module)
    for module in (networks, average, *critics):
        module.to(fabric.device)
    step = AdversarialStep(networks, critics, codec, fabric, training.learning_rate)
    state: dict[str, nn.Module | torch.optim.Optimizer] = {
        "players": networks,
        "averaged": averaged,
        "players_adam": step.optimisers["generator"],
        **{f"critic_{stored_name(critic.name)}": critic.trainable() for critic in critics},
    }
    if critics:
        state["critics_adam"] = step.optimisers["critics"]
    rounds_done = run.resume(state)
    steps_done = rounds_done * training.round_steps
    set_updates(average, steps_done)
    factor = warm_up_cosine(WARM_UP_STEPS, training.rounds * training.round_steps, LAST_RATE_SHARE)
    schedulers = [schedule(each, factor, steps_done) for each in step.optimisers.values()]
    augmentation = Augmentation(codec).to(fabric.device)
    instruments = max(2, training.instruments // fabric.world_size)
    step_notes = instruments * dataset.NOTES_PER_INSTRUMENT * fabric.world_size
    for number in range(rounds_done + 1, training.rounds + 1):
        started = time.perf_counter()
        observer.epoch_begins(number, training.rounds, training.round_steps)
        seeds = np.random.SeedSequence([training.seed, number, fabric.global_rank])
        rng = torch.Generator().manual_seed(int(seeds.generate_state(1)[0]))
        losses: dict[str, list[float]] = {}
        for done in range(training.round_steps):
            now = (number - 1) * training.round_steps + done
            real = dataset.random_batch(sides["train"], instruments, rng, augmentation)
            of_critics = step.critics_step(real, now, rng)
            of_generator = step.generator_step(real, now, rng)
            average.update_parameters(networks)
            for scheduler in schedulers:
                scheduler.step()
            for name, value in {**of_critics, **of_generator}.items():
                losses.setdefault(name, []).append(value)
            speed = (done + 1) * step_notes / (time.perf_counter() - started)
            observer.step_done(sum(of_generator.values()), 0.0, speed)
        means = {name: sum(values) / len(values) for name, values in losses.items()}
        _check_convergence(means, step.max_latent, number, run)
        if fabric.is_global_zero:
            validation = validate(averaged, codec, sides, training.seed)
            figures = {
                **{f"loss_{name}": round(value, 4) for name, value in means.items()},
                **asdict(validation),
                "notes_per_second": round(speed, 1),
                "seconds": round(time.perf_counter() - started, 2),
                "device": str(fabric.device),
            }
            run.finish_epoch(number, state, figures)
            if number % SHEET_ROUNDS == 0:
                save_sheet(run.path, number, averaged, codec, training.seed)
            observer.epoch_ends({"epoch": number, **figures})
        fabric.barrier()
    return averaged


def _check_convergence(
    losses: dict[str, float], max_latent: float, number: int, run: RunFolder
) -> None:
    """Stop with a TrainingError if the training has diverged."""
    if all(map(math.isfinite, losses.values())) and max_latent < MAX_LATENT:
        return
    raise TrainingError(
        f"the training diverged in round {number}: "
        f"losses {', '.join(f'{name} {value:.3g}' for name, value in losses.items())}, "
        f"the largest number of a latent {max_latent:.3g}",
        path=run.path,
        remedy="train with a lower --learning-rate in a new run folder",
    )
