"""Training the article's network: Adam, categorical cross-entropy, a look at validation each epoch.

The article compiles with Keras' Adam (Kingma & Ba 2014) at a learning rate of 1e-4 and its default
ε = 1e-7, batches of 128, 30 epochs, and reports categorical accuracy: the share of notes whose
largest output stands at the right pitch.
"""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from mechanical_ears.corpus.split import SPLITS
from mechanical_ears.corpus.store import Store
from mechanical_ears.errors import TrainingError
from mechanical_ears.listening.training.article_network import (
    SAMPLE_RATE,
    SAMPLES,
    ArticleNetwork,
    export_onnx,
)
from mechanical_ears.pictures import save_figure
from mechanical_ears.training.chart import accuracy_chart
from mechanical_ears.training.device import Hardware, launch_fabric
from mechanical_ears.training.feed import Notes, batches, shuffled
from mechanical_ears.training.observer import Observer
from mechanical_ears.training.run import Figures, RunFolder

KERAS_EPSILON = 1e-7  # Keras' default of Adam's ε; PyTorch's is 1e-8
MODEL_FILE = "model.onnx"
CHART_FILE = "accuracy.png"


@dataclass(frozen=True)
class ArticleTraining:
    """What to train the article's network on, and how.

    Attributes:
        corpus: store with a train side.
        validation: store whose notes validate; None takes the validation side of ``corpus``.
        epochs: how often to walk all training notes.
        batch_size: notes a step, over all processes.
        learning_rate: of Adam.
        seed: of the first weights and of the order of notes.
    """

    corpus: Path
    validation: Path | None = None
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-4
    seed: int = 0


@dataclass
class _Tally:
    """Running sums over the notes of an epoch: loss, right answers, notes; float32 (3,)."""

    sums: torch.Tensor

    @classmethod
    def empty(cls, device: torch.device) -> _Tally:
        return cls(torch.zeros(3, device=device, dtype=torch.float32))

    def add(self, loss: torch.Tensor, logits: torch.Tensor, pitch: torch.Tensor) -> None:
        right = (logits.argmax(dim=1) == pitch).sum()
        count = torch.tensor(float(len(pitch)), device=pitch.device)
        self.sums += torch.stack([loss.detach() * count, right.to(torch.float32), count])

    @property
    def notes(self) -> float:
        return float(self.sums[2])

    def over_all(self, fabric: Any) -> _Tally:
        """The sums over all processes."""
        return _Tally(fabric.all_reduce(self.sums, reduce_op="sum"))

    def means(self) -> tuple[float, float]:
        loss, right, count = self.sums.tolist()
        return loss / count, right / count


def train_article(
    training: ArticleTraining,
    run_path: Path,
    observer: Observer,
    hardware: Hardware | None = None,
) -> list[Figures]:
    """Train, or go on with a training, until all epochs are done.

    The run folder then holds ``model.onnx`` (for `ears evaluate` and `ears listen`), the chart
    ``accuracy.png``, and what `RunFolder` keeps.

    Returns:
        The log: a line of figures for each epoch.

    Raises:
        CorpusError: a store cannot be used.
        TrainingError: the run folder is another's, a checkpoint is damaged, or the loss is no
            longer a number.
    """
    train = _notes(training.corpus, SPLITS[0])
    if training.validation is None:
        validation = _notes(training.corpus, SPLITS[1])
    else:
        validation = _notes(training.validation, "all")
    config = {
        "network": "article",
        **asdict(training),
        "corpus_sha256": train.fingerprint(),
        "validation_sha256": validation.fingerprint(),
    }
    fabric = launch_fabric(hardware or Hardware())
    free = ("epochs", "corpus", "validation")
    with fabric.rank_zero_first():
        run = RunFolder(run_path, config, free, writes=fabric.is_global_zero)
    with closing(run):
        _learn(training, run, fabric, (train, validation), observer)
    return run.log()


def _learn(
    training: ArticleTraining,
    run: RunFolder,
    fabric: Any,
    notes: tuple[Notes, Notes],
    observer: Observer,
) -> None:
    """The epochs that are still to do."""
    train, validation = notes
    first = ArticleNetwork(generator=torch.Generator().manual_seed(training.seed))
    adam = torch.optim.Adam(
        first.parameters(), lr=training.learning_rate, eps=KERAS_EPSILON, fused=True
    )
    done = run.resume({"network": first, "optimiser": adam})
    network, optimiser = fabric.setup(first, adam)
    share = (fabric.global_rank, fabric.world_size)
    size, steps = training.batch_size, math.ceil(len(train) / training.batch_size)

    for epoch in range(done + 1, training.epochs + 1):
        started = time.perf_counter()
        observer.epoch_begins(epoch, training.epochs, steps)
        tally = _Tally.empty(fabric.device)
        network.train()
        for batch in batches(shuffled(train, training.seed, epoch), size, share=share):
            audio, pitch = batch.audio_on(fabric.device), batch.pitch_on(fabric.device)
            optimiser.zero_grad(set_to_none=True)
            logits = network(audio)
            loss = cross_entropy(logits, pitch)
            fabric.backward(loss)
            optimiser.step()
            tally.add(loss, logits, pitch)
            speed = tally.notes * fabric.world_size / (time.perf_counter() - started)
            observer.step_done(*tally.means(), speed)
        train_loss, accuracy = tally.over_all(fabric).means()
        if not math.isfinite(train_loss):
            raise TrainingError(
                f"the loss is no longer a number in epoch {epoch}",
                path=run.path,
                remedy="train with a lower --learning-rate in a new run folder",
            )
        validation_loss, validation_accuracy = _validate(fabric, network, validation, size, share)
        figures = {
            "loss": train_loss,
            "accuracy": accuracy,
            "validation_loss": validation_loss,
            "validation_accuracy": validation_accuracy,
            "notes_per_second": round(speed, 1),
            "seconds": round(time.perf_counter() - started, 2),
            "device": str(fabric.device),
        }
        if fabric.is_global_zero:
            run.finish_epoch(epoch, {"network": first, "optimiser": adam}, figures)
            _publish(run, first, train.stores[0])
        observer.epoch_ends({"epoch": epoch, **figures})
        fabric.barrier()


@torch.no_grad()
def _validate(
    fabric: Any, network: Any, notes: Notes, batch_size: int, share: tuple[int, int]
) -> tuple[float, float]:
    """Loss and accuracy on notes the network does not learn from."""
    network.eval()
    tally = _Tally.empty(fabric.device)
    for batch in batches(notes, batch_size, share=share):
        audio, pitch = batch.audio_on(fabric.device), batch.pitch_on(fabric.device)
        logits = network(audio)
        tally.add(cross_entropy(logits, pitch), logits, pitch)
    return tally.over_all(fabric).means()


def _publish(run: RunFolder, network: ArticleNetwork, store: Store) -> None:
    """Write what people look at: the model and the chart."""
    log = run.log()
    about = {
        "network": "article",
        "epoch": str(log[-1]["epoch"]),
        "trained_on": store.provenance.title,
        "licence": store.provenance.licence,
        "citation": store.provenance.citation,
    }
    export_onnx(network, run.path / MODEL_FILE, about)
    chart = accuracy_chart(log, f"Pitch from raw audio: {store.provenance.title}")
    save_figure(chart, run.path / CHART_FILE)


def _notes(path: Path, side: str) -> Notes:
    return Notes.of([Store(path)], side, SAMPLE_RATE, SAMPLES)
