"""Training of the article's network: Adam, categorical cross-entropy, validation after each epoch.

The article compiles with Keras' Adam (Kingma & Ba 2014) at a learning rate of 1e-4 and its default
ε = 1e-7, batches of 128, 30 epochs, and reports categorical accuracy: the share of notes whose
largest output is that of the right pitch.
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
from mechanical_ears.listening.training.article_network import (
    SAMPLE_RATE,
    SAMPLES,
    ArticleNetwork,
    export_onnx,
)
from mechanical_ears.pictures import save_figure
from mechanical_ears.training.chart import accuracy_chart
from mechanical_ears.training.device import Hardware, launch_fabric
from mechanical_ears.training.feed import StoredNotes, load_batches, shuffle
from mechanical_ears.training.observer import Observer
from mechanical_ears.training.run import Figures, RunFolder

KERAS_EPSILON = 1e-7  # Keras' default of Adam's ε; PyTorch's is 1e-8
MODEL_FILE = "model.onnx"
CHART_FILE = "accuracy.png"


@dataclass(frozen=True)
class ArticleTraining:
    """Configuration of a training.

    Attributes:
        corpus: store with a train side.
        validation: store to validate on; None for the validation side of ``corpus``.
        epochs: number of passes over all training notes.
        batch_size: notes in a step, over all processes.
        learning_rate: of Adam.
        seed: of the initial weights and of the order of notes.
    """

    corpus: Path
    validation: Path | None = None
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-4
    seed: int = 0


@dataclass
class _Tally:
    """Running sums over the notes of an epoch: loss, correct predictions, notes; float32 (3,)."""

    sums: torch.Tensor

    @classmethod
    def empty(cls, device: torch.device) -> _Tally:
        return cls(torch.zeros(3, device=device, dtype=torch.float32))

    def add(self, loss: torch.Tensor, logits: torch.Tensor, pitch: torch.Tensor) -> None:
        correct = (logits.argmax(dim=1) == pitch).sum()
        count = torch.tensor(float(len(pitch)), device=pitch.device)
        self.sums += torch.stack([loss.detach() * count, correct.to(torch.float32), count])

    @property
    def notes(self) -> float:
        return float(self.sums[2])

    def all_reduce(self, fabric: Any) -> _Tally:
        """The sums over all processes."""
        return _Tally(fabric.all_reduce(self.sums, reduce_op="sum"))

    def means(self) -> tuple[float, float]:
        loss, correct, count = self.sums.tolist()
        return loss / count, correct / count


def train_article(
    training: ArticleTraining, run_path: Path, observer: Observer, hardware: Hardware | None = None
) -> list[Figures]:
    """Train the network, or resume a training, until all epochs are done.

    The run folder then holds ``model.onnx`` (for `ears evaluate` and `ears listen`), the chart
    ``accuracy.png``, and the files of `RunFolder`.

    Returns:
        The log: figures of each epoch.

    Raises:
        CorpusError: a store cannot be used.
        TrainingError: the run folder belongs to another training, a checkpoint is damaged, or the
            loss is not finite.
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
        _train(training, run, fabric, (train, validation), observer)
    return run.log()


def _train(
    training: ArticleTraining,
    run: RunFolder,
    fabric: Any,
    notes: tuple[StoredNotes, StoredNotes],
    observer: Observer,
) -> None:
    """Train the remaining epochs."""
    train, validation = notes
    module = ArticleNetwork(generator=torch.Generator().manual_seed(training.seed))
    adam = torch.optim.Adam(
        module.parameters(), lr=training.learning_rate, eps=KERAS_EPSILON, fused=True
    )
    done = run.resume({"network": module, "optimiser": adam})
    network, optimiser = fabric.setup(module, adam)
    share = (fabric.global_rank, fabric.world_size)
    size, steps = training.batch_size, math.ceil(len(train) / training.batch_size)

    for epoch in range(done + 1, training.epochs + 1):
        started = time.perf_counter()
        observer.epoch_begins(epoch, training.epochs, steps)
        tally = _Tally.empty(fabric.device)
        network.train()
        for batch in load_batches(shuffle(train, training.seed, epoch), size, share=share):
            audio, pitch = batch.audio_on(fabric.device), batch.pitch_on(fabric.device)
            optimiser.zero_grad(set_to_none=True)
            logits = network(audio)
            loss = cross_entropy(logits, pitch)
            fabric.backward(loss)
            optimiser.step()
            tally.add(loss, logits, pitch)
            speed = tally.notes * fabric.world_size / (time.perf_counter() - started)
            observer.step_done(*tally.means(), speed)
        train_loss, accuracy = tally.all_reduce(fabric).means()
        run.check_loss(train_loss, epoch)
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
            run.finish_epoch(epoch, {"network": module, "optimiser": adam}, figures)
            _publish(run, module, train.stores[0])
        observer.epoch_ends({"epoch": epoch, **figures})
        fabric.barrier()


@torch.no_grad()
def _validate(
    fabric: Any, network: Any, notes: StoredNotes, batch_size: int, share: tuple[int, int]
) -> tuple[float, float]:
    """Loss and accuracy on notes that are not trained on."""
    network.eval()
    tally = _Tally.empty(fabric.device)
    for batch in load_batches(notes, batch_size, share=share):
        audio, pitch = batch.audio_on(fabric.device), batch.pitch_on(fabric.device)
        logits = network(audio)
        tally.add(cross_entropy(logits, pitch), logits, pitch)
    return tally.all_reduce(fabric).means()


def _publish(run: RunFolder, network: ArticleNetwork, store: Store) -> None:
    """Write the model and the chart."""
    log = run.log()
    properties = {
        "network": "article",
        "epoch": str(log[-1]["epoch"]),
        "trained_on": store.provenance.title,
        "licence": store.provenance.licence,
        "citation": store.provenance.citation,
    }
    export_onnx(network, run.path / MODEL_FILE, properties)
    chart = accuracy_chart(log, f"Pitch from raw audio: {store.provenance.title}")
    save_figure(chart, run.path / CHART_FILE)


def _notes(path: Path, side: str) -> StoredNotes:
    return StoredNotes.from_stores([Store(path)], side, SAMPLE_RATE, SAMPLES)
