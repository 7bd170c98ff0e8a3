"""Commands that train networks: `ears train`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tyro.conf import OmitArgPrefixes

from mechanical_ears.cli.app import Output, train_app
from mechanical_ears.training.device import Accelerator, Hardware

if TYPE_CHECKING:
    from mechanical_ears.listening.training.train import TrainingTask


@dataclass(frozen=True)
class Rounds:
    """Length of a training on notes.

    Attributes:
        epochs: number of rounds; each is saved and validated.
        epoch_notes: notes per round.
        batch_size: notes per step.
        learning_rate: peak learning rate of AdamW.
        seed: seed of the initial weights, the order of notes and the augmentation.
    """

    epochs: int = 30
    epoch_notes: int = 20_000
    batch_size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0


LISTENER_ROUNDS: Final = Rounds()
JUDGE_ROUNDS: Final = Rounds(epochs=20, epoch_notes=10_000, batch_size=64, seed=1234)
ANY_HARDWARE: Final = Hardware()


@train_app.command
def article(
    corpus: Path,
    output: Output,
    *,
    validation: Path | None = None,
    epochs: int = 30,
    batch_size: int = 128,
    learning_rate: float = 1e-4,
    seed: int = 0,
    hardware: OmitArgPrefixes[Hardware] = ANY_HARDWARE,
) -> None:
    """Train the article's network to detect pitch from raw audio; run again to resume.

    Args:
        corpus: store with a train and a validation side.
        output: run folder for configuration, log, checkpoints, chart and model.
        validation: store to validate on instead of the corpus' validation side.
        epochs: number of passes over the training notes.
        batch_size: notes per step.
        learning_rate: learning rate of Adam.
        seed: seed of the initial weights and the order of notes.
        hardware: where to compute.
    """
    from mechanical_ears.listening.training.train_article import ArticleTraining, train_article
    from mechanical_ears.terminal import TrainingBar, is_first_process

    training = ArticleTraining(corpus, validation, epochs, batch_size, learning_rate, seed)
    with TrainingBar() as bar:
        last = train_article(training, output, bar, hardware)[-1]
    if is_first_process():
        print(
            f"{output}: epoch {last['epoch']}, accuracy {last['accuracy']:.1%} on training notes, "
            f"{last['validation_accuracy']:.1%} on unseen instruments"
        )


@train_app.command
def listener(
    corpora: tuple[Path, ...],
    output: Output,
    *,
    rounds: OmitArgPrefixes[Rounds] = LISTENER_ROUNDS,
    hardware: OmitArgPrefixes[Hardware] = ANY_HARDWARE,
) -> None:
    """Train the listener: key, family, velocity, qualities; run again to resume.

    Args:
        corpora: stores with a train and a validation side.
        output: run folder for configuration, log, checkpoints and model.
        rounds: length of the training.
        hardware: where to compute.
    """
    from mechanical_ears.listening.training.train import LISTENER_TASK

    _train(LISTENER_TASK, corpora, output, rounds, hardware)


@train_app.command
def judge(
    corpora: tuple[Path, ...],
    output: Output,
    *,
    rounds: OmitArgPrefixes[Rounds] = JUDGE_ROUNDS,
    hardware: OmitArgPrefixes[Hardware] = ANY_HARDWARE,
) -> None:
    """Train the evaluation network, which judges imagined instruments; run again to resume.

    Args:
        corpora: stores with a train and a validation side.
        output: run folder for configuration, log, checkpoints and the network.
        rounds: length of the training; its seed is not the listener's.
        hardware: where to compute.
    """
    from mechanical_ears.evaluation.judge import JUDGE_TASK

    _train(JUDGE_TASK, corpora, output, rounds, hardware)


@train_app.command
def imagination(
    corpora: tuple[Path, ...],
    output: Output,
    *,
    critics: tuple[str, ...] = ("latent", "pair", "ears"),
    rounds: int = 24,
    round_steps: int = 850,
    instruments: int = 64,
    learning_rate: float = 5e-4,
    seed: int = 0,
    listener: Path | None = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Train the imagination, which generates instruments; run again to resume.

    Args:
        corpora: control maps (ears corpus control-maps) with a train and a validation side.
        output: run folder for configuration, log, checkpoints, sample sheets and the networks.
        critics: any of latent, pair, ears, article, detector; none trains by reconstruction alone.
        rounds: number of rounds; each is saved and measured.
        round_steps: steps per round.
        instruments: instruments per step, four notes of each.
        learning_rate: peak learning rate of Adam.
        seed: seed of the initial weights and all random choices.
        listener: listener.safetensors for the critic "ears"; default: the shipped one.
        accelerator: device to compute on; auto selects a GPU if there is one.
    """
    from mechanical_ears.imagining.training.train import ImaginationTraining, train_imagination
    from mechanical_ears.terminal import GeneratorTrainingBar, is_first_process

    lengths = (rounds, round_steps, instruments)
    training = ImaginationTraining(corpora, critics, *lengths, learning_rate, seed)
    hardware = Hardware(accelerator, "32-true")
    with GeneratorTrainingBar() as bar:
        last = train_imagination(
            training, output, bar, hardware, listener=listener, encode_progress=bar.show_encoding
        )[-1]
    if is_first_process():
        print(
            f"{output}: round {last['epoch']}, Fréchet distance of latents to training instruments "
            f"{last['frechet']:.2f}, to unseen ones {last['frechet_unseen']:.2f}"
        )


def _train(
    task: TrainingTask, corpora: tuple[Path, ...], output: Path, rounds: Rounds, hardware: Hardware
) -> None:
    from mechanical_ears.listening.training.train import ListenerTraining, train_listener
    from mechanical_ears.terminal import TrainingBar, is_first_process

    training = ListenerTraining(corpora, **asdict(rounds))
    with TrainingBar() as bar:
        last = train_listener(training, output, bar, hardware, task)[-1]
    if is_first_process():
        print(
            f"{output}: epoch {last['epoch']}, on unseen instruments key "
            f"{last['validation_accuracy']:.1%}, family {last['validation_family']:.1%}"
        )
