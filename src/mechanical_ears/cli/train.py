"""Commands that train networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mechanical_ears.cli.app import Output, train_app
from mechanical_ears.training.device import Accelerator, Precision

if TYPE_CHECKING:
    from mechanical_ears.listening.training.train import ListenerTraining, Subject
    from mechanical_ears.training.device import Hardware


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
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> None:
    """Train the article's network to hear pitch from raw audio; call again to go on.

    Args:
        corpus: store with a train and a validation side.
        output: the run folder: config, log, checkpoints, chart and model.
        validation: another store to validate on, instead of the validation side.
        epochs: how often to walk all training notes.
        batch_size: notes a step.
        learning_rate: of Adam.
        seed: of the first weights and of the order of notes.
        accelerator: what to compute on; auto takes a GPU if there is one.
        precision: auto takes bf16 on CUDA GPUs.
    """
    from mechanical_ears.listening.training.train_article import ArticleTraining, train_article
    from mechanical_ears.terminal import TrainingBar, is_first_process
    from mechanical_ears.training.device import Hardware

    training = ArticleTraining(corpus, validation, epochs, batch_size, learning_rate, seed)
    with TrainingBar() as bar:
        log = train_article(training, output, bar, Hardware(accelerator, precision))
    last = log[-1]
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
    epochs: int = 30,
    epoch_notes: int = 20_000,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    seed: int = 0,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> None:
    """Train the listener: key, sound, family, velocity, qualities; call again to go on.

    Args:
        corpora: stores with a train and a validation side.
        output: the run folder: config, log, checkpoints and model.
        epochs: rounds, each saved and validated.
        epoch_notes: notes heard in a round.
        batch_size: notes a step.
        learning_rate: of AdamW at its highest.
        seed: of the first weights, the order of notes and the augmentation.
        accelerator: what to compute on; auto takes a GPU if there is one.
        precision: auto takes bf16 on CUDA GPUs.
    """
    from mechanical_ears.listening.training.train import LISTENER, ListenerTraining
    from mechanical_ears.training.device import Hardware

    training = ListenerTraining(corpora, epochs, epoch_notes, batch_size, learning_rate, seed=seed)
    _train(LISTENER, training, output, Hardware(accelerator, precision))


@train_app.command
def judge(
    corpora: tuple[Path, ...],
    output: Output,
    *,
    epochs: int = 20,
    epoch_notes: int = 10_000,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    seed: int = 1234,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> None:
    """Train the evaluation network, which judges what is imagined; call again to go on.

    Args:
        corpora: stores with a train and a validation side.
        output: the run folder: config, log, checkpoints and the network.
        epochs: rounds, each saved and validated.
        epoch_notes: notes heard in a round.
        batch_size: notes a step.
        learning_rate: of AdamW at its highest.
        seed: of the first weights, the order of notes and the augmentation; not the listener's.
        accelerator: what to compute on; auto takes a GPU if there is one.
        precision: auto takes bf16 on CUDA GPUs.
    """
    from mechanical_ears.evaluation.judge import JUDGE
    from mechanical_ears.listening.training.train import ListenerTraining
    from mechanical_ears.training.device import Hardware

    training = ListenerTraining(corpora, epochs, epoch_notes, batch_size, learning_rate, seed=seed)
    _train(JUDGE, training, output, Hardware(accelerator, precision))


@train_app.command
def imagination(
    corpora: tuple[Path, ...],
    output: Output,
    *,
    critics: tuple[str, ...] = ("map", "pair", "ears"),
    rounds: int = 24,
    round_steps: int = 850,
    instruments: int = 64,
    learning_rate: float = 5e-4,
    seed: int = 0,
    listener: Path | None = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Train the imagination, which invents instruments; call again to go on.

    Args:
        corpora: control maps (ears corpus controls) with a train and a validation side.
        output: the run folder: config, log, checkpoints, sheets and the networks.
        critics: who judges: map, pair, ears, article, detector; none only mimics.
        rounds: each saved and measured.
        round_steps: steps in a round.
        instruments: heard in a step, four notes of each.
        learning_rate: of Adam at its highest.
        seed: of the first weights and all lots.
        listener: listener.safetensors of a run, the ears as critic; the shipped one if not given.
        accelerator: what to compute on; auto takes a GPU if there is one.
    """
    from mechanical_ears.imagining.training.train import ImaginationTraining, train_imagination
    from mechanical_ears.terminal import ImaginationBar, is_first_process
    from mechanical_ears.training.device import Hardware

    training = ImaginationTraining(
        corpora, critics, rounds, round_steps, instruments, learning_rate, seed
    )
    with ImaginationBar() as bar:
        log = train_imagination(
            training,
            output,
            bar,
            Hardware(accelerator, "32-true"),
            listener=listener,
            prepared=bar.prepared,
        )
    if is_first_process():
        last = log[-1]
        print(
            f"{output}: round {last['epoch']}, Fréchet distance of codes {last['frechet']:.2f} to "
            f"training and {last['frechet_unseen']:.2f} to unseen instruments"
        )


def _train(subject: Subject, training: ListenerTraining, output: Path, hardware: Hardware) -> None:
    from mechanical_ears.listening.training.train import train_listener
    from mechanical_ears.terminal import TrainingBar, is_first_process

    with TrainingBar() as bar:
        log = train_listener(training, output, bar, hardware, subject)
    if is_first_process():
        last = log[-1]
        print(
            f"{output}: epoch {last['epoch']}, on unseen instruments key "
            f"{last['validation_accuracy']:.1%}, family {last['validation_family']:.1%}"
        )
