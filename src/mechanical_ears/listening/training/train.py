"""Training the listener: many heads, one loss, notes never heard twice the same.

The loss is a weighted sum over the notes for which a label is known,

    L = CE(key) + ½·CE(sounding) + ½·CE(family) + ⅕·CE(source) + 3/10·CE(velocity step)
      + ⅕·BCE(qualities) + 3/10·BCE(pitched) + ⅕·CE(instrument by cosine of the embedding)

(the last after Wang et al., "CosFace", 2018, without its margin: the head goes after training, the
embedding stays). Families are weighed by one over the root of how often they come. Some notes are
made into what has no single pitch: noise, silence, chords of other notes and of the note itself;
and instruments are made that nobody built (`lessons`). AdamW (Loshchilov & Hutter 2019) with a
cosine schedule; what is published are the averaged weights (exponential moving average).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.corpus.split import SPLITS
from mechanical_ears.corpus.store import Store
from mechanical_ears.errors import TrainingError
from mechanical_ears.listening.frontend import SAMPLE_RATE, SAMPLES
from mechanical_ears.listening.training.augment import Augmentation
from mechanical_ears.listening.training.batches import UNPITCHED_SHARE, prepare_batch
from mechanical_ears.listening.training.frontend_torch import TorchFrontEnd
from mechanical_ears.listening.training.labels import UNKNOWN, Labeller, Labels
from mechanical_ears.listening.training.network import (
    FAMILY_PRIOR,
    NSYNTH_NOTES,
    Listener,
    ListenerOutput,
    ListenerShape,
)
from mechanical_ears.listening.training.publish import (
    CalibratedListener,
    calibrate,
    export_listener,
    mean_embeddings,
    pitched_shift,
    save_weights,
)
from mechanical_ears.note import FAMILIES
from mechanical_ears.training.device import Hardware, compiled, launch_fabric, torch_settings
from mechanical_ears.training.feed import Notes, ahead, batches, shuffled
from mechanical_ears.training.observer import Observer
from mechanical_ears.training.run import Figures, RunFolder, State
from mechanical_ears.training.schedules import (
    moving_average,
    schedule,
    set_updates,
    warm_up_cosine,
)
from mechanical_ears.workers import worker_count

LOSS_WEIGHTS = {
    "key": 1.0,
    "sounding": 0.5,
    "family": 0.5,
    "source": 0.2,
    "velocity": 0.3,
    "qualities": 0.2,
    "pitched": 0.3,
    "instrument": 0.2,
}
MODEL_FILE = "model.onnx"
WEIGHTS_FILE = "listener.safetensors"  # the same network, for those who train through it
# Level is random for some notes and left as it was for others: where it is plausible it may tell
# the velocity, and the network learns how far to trust it.
AUGMENTATION = Augmentation(
    detune_chance=0.35, noise_chance=0.45, level_chance=0.05, gain_chance=0.1
)
COSINE_SCALE = 16.0  # of the instrument head's logits
FAMILY_SMOOTHING = 0.1  # of the family's labels, which are a matter of taste at their borders
AVERAGE_SHARE = 0.05  # of all steps, over which the weights are averaged
VALIDATION_BATCH = 64  # notes
VALIDATION_NOTES = 2000  # validation notes that are heard after each round
WARM_UP_STEPS = 300  # steps until the learning rate is reached
LAST_RATE = 0.01  # of the learning rate, at the end


@dataclass(frozen=True)
class ListenerTraining:
    """What to train the listener on, and how.

    Attributes:
        corpora: stores with a train and a validation side.
        epochs: rounds; after each the run is saved and validated.
        epoch_notes: notes heard in a round, drawn anew for each; all if the stores hold fewer.
        batch_size: notes a step, over all processes.
        learning_rate: of AdamW at its highest.
        weight_decay: of AdamW.
        seed: of the first weights, the order of notes and the augmentation.
    """

    corpora: tuple[Path, ...]
    epochs: int = 30
    epoch_notes: int = 20_000
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    seed: int = 0


@dataclass(frozen=True)
class TrainingTask:
    """What is trained to hear: the listener, or another network that tells the same.

    Attributes:
        name: in the run's configuration and in what is published.
        network: makes it; what it is called with is what the front end returns.
        embedding: dimensions of its embedding.
        front_end: makes the module before it: audio float32 (batch, 64000) → tensors.
        augmentation: of the notes it hears.
        moves: whether the first tensor is a pitch map, which may be moved with its labels.
        publish: writes the trained network; takes the file, its weights and what is told of it.
        file: in the run folder, that is published.
    """

    name: str
    network: Callable[[], nn.Module]
    embedding: int
    front_end: Callable[[], nn.Module]
    augmentation: Augmentation
    moves: bool
    publish: Callable[[Path, TrainedNetwork], None]
    file: str


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network after its training, on the CPU.

    Attributes:
        network: the averaged weights.
        temperatures: of the calibrated heads.
        instruments: float32 (instruments, embedding), mean embeddings of length 1.
        properties: what the file should say of itself.
    """

    network: nn.Module
    temperatures: dict[str, float]
    instruments: Tensor
    properties: Mapping[str, object]


class InstrumentClassifier(nn.Module):
    """A network that hears notes, with the head that goes after training.

    Args:
        listener: what a front end makes of audio → `ListenerOutput`.
        instruments: number of instruments to tell apart.
        embedding: dimensions of the network's embedding.
    """

    def __init__(self, listener: nn.Module, instruments: int, embedding: int) -> None:
        super().__init__()
        self.listener = listener
        self.instruments = nn.Parameter(torch.randn(instruments, embedding))

    def forward(self, heard: tuple[Tensor, ...]) -> tuple[ListenerOutput, Tensor]:
        """What the listener tells, and the cosine of each instrument, times the scale."""
        told = self.listener(*heard)
        near = told.embedding @ functional.normalize(self.instruments, dim=1).T
        return told, COSINE_SCALE * near


def listener_loss(
    told: ListenerOutput, instruments: Tensor, labels: Labels, families: Tensor | None = None
) -> Tensor:
    """The loss of a batch, over the labels that are known.

    Args:
        told: by the listener.
        instruments: logits (batch, instruments).
        labels: of the batch.
        families: weight of each family (11,); None weighs all alike.
    """

    def known(
        logits: Tensor, wanted: Tensor, weight: Tensor | None = None, smoothing: float = 0.0
    ) -> Tensor:
        chosen = wanted != UNKNOWN
        if not chosen.any():
            return logits.sum() * 0
        return functional.cross_entropy(
            logits[chosen], wanted[chosen], weight, label_smoothing=smoothing
        )

    marks = labels.qualities >= 0
    qualities = functional.binary_cross_entropy_with_logits(
        told.qualities, labels.qualities.clamp_min(0), marks.float(), reduction="sum"
    )
    parts = {
        "key": known(told.key, labels.key),
        "sounding": known(told.sounding, labels.sounding),
        "family": known(told.family, labels.family, families, FAMILY_SMOOTHING),
        "source": known(told.source, labels.source),
        "velocity": known(told.velocity, labels.velocity),
        "qualities": qualities / marks.sum().clamp_min(1),
        "pitched": functional.binary_cross_entropy_with_logits(told.pitched, labels.pitched),
        "instrument": known(instruments, labels.instrument),
    }
    return torch.stack([LOSS_WEIGHTS[name] * part for name, part in parts.items()]).sum()


def train_listener(
    training: ListenerTraining,
    run_path: Path,
    observer: Observer,
    hardware: Hardware | None = None,
    subject: TrainingTask | None = None,
) -> list[Figures]:
    """Train, or go on with a training, until all rounds are done.

    Args:
        training: what to train on, and how.
        run_path: the run folder.
        observer: is told of the progress.
        hardware: where to compute.
        subject: what is trained; the listener if not given.

    Raises:
        CorpusError: a store cannot be used.
        TrainingError: the run folder is another's, a checkpoint is damaged, or the loss is no
            longer a number.
    """
    subject = subject or LISTENER_TASK
    stores = [Store(path) for path in training.corpora]
    train = Notes.of(stores, SPLITS[0], SAMPLE_RATE, SAMPLES)
    validation = shuffled(Notes.of(stores, SPLITS[1], SAMPLE_RATE, SAMPLES), training.seed, 0)
    config = {
        "network": subject.name,
        **asdict(training),
        "train_sha256": train.fingerprint(),
        "validation_sha256": validation.fingerprint(),
    }
    fabric = launch_fabric(hardware or Hardware(), mixed=True)
    # On CPUs half of the cores make batches while the others learn.
    threads = max(1, worker_count() // 2) if fabric.device.type == "cpu" else None
    with fabric.rank_zero_first():
        run = RunFolder(run_path, config, ("corpora", "epochs"), writes=fabric.is_global_zero)
    with closing(run), torch_settings(threads=threads):
        averaged, labeller = _train(training, subject, run, fabric, (train, validation), observer)
        if fabric.is_global_zero:
            _publish(run, subject, averaged.cpu(), labeller, (train, validation), training.seed)
    return run.log()


def _train(
    training: ListenerTraining,
    subject: TrainingTask,
    run: RunFolder,
    fabric: Any,
    notes: tuple[Notes, Notes],
    observer: Observer,
) -> tuple[InstrumentClassifier, Labeller]:
    """The rounds that are still to do; the averaged weights after them."""
    train, validation = notes
    labeller = Labeller(train.stores)
    torch.manual_seed(training.seed)
    learner = InstrumentClassifier(subject.network(), len(labeller.instruments), subject.embedding)
    round_notes = min(training.epoch_notes, len(train))
    whole, rest = divmod(round_notes, training.batch_size)
    steps: int = whole + (rest >= fabric.world_size)  # each process has a part of every batch
    horizon = AVERAGE_SHARE * training.epochs * steps + 1

    def newest_share(update: int) -> float:
        return max(1 / horizon, 9 / (10 + update))  # young averages learn fast

    average = moving_average(learner, newest_share)
    averaged = cast("InstrumentClassifier", average.module)
    adam = torch.optim.AdamW(
        learner.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    state: State = {"learner": learner, "averaged": averaged, "optimiser": adam}
    done = run.resume(state)
    set_updates(average, done * steps)
    factor = warm_up_cosine(WARM_UP_STEPS, training.epochs * steps, LAST_RATE)
    scheduler = schedule(adam, factor, done * steps)
    network, optimiser = fabric.setup(compiled(learner, fabric.device), adam)
    average.to(fabric.device)
    front_end = subject.front_end().to(fabric.device)
    families = family_weights(train).to(fabric.device)
    share = (fabric.global_rank, fabric.world_size)

    for epoch in range(done + 1, training.epochs + 1):
        started = time.perf_counter()
        observer.epoch_begins(epoch, training.epochs, steps)
        draw = np.random.SeedSequence([training.seed, epoch, share[0]]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(draw))
        order = shuffled(train, training.seed, epoch).take(slice(0, round_notes))
        network.train()
        total, right, count = 0.0, 0, 0
        prepared = (
            prepare_batch(
                batch,
                labeller,
                front_end,
                subject.augmentation,
                generator,
                moves=subject.moves,
            )
            for batch in batches(order, training.batch_size, share=share)
        )
        for step, (heard, labels) in enumerate(ahead(prepared)):
            told, instruments = network(heard)
            loss = listener_loss(told, instruments, labels, families)
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(loss)
            fabric.clip_gradients(network, optimiser, max_norm=2.0)
            optimiser.step()
            scheduler.step()
            average.update_parameters(learner)
            keyed = labels.key != UNKNOWN
            right += int((told.key.argmax(dim=1) == labels.key)[keyed].sum())
            count += int(keyed.sum())
            total += float(loss.detach())
            speed = (step + 1) * training.batch_size / (time.perf_counter() - started)
            observer.step_done(total / (step + 1), right / max(count, 1), speed)
        if not math.isfinite(total):
            raise TrainingError(
                f"the loss is no longer a number in epoch {epoch}",
                path=run.path,
                remedy="train with a lower --learning-rate in a new run folder",
            )
        figures = {
            "loss": total / steps,
            "accuracy": right / max(count, 1),
            **validate(averaged, front_end, validation.take(slice(0, VALIDATION_NOTES)), labeller),
            "notes_per_second": round(speed, 1),
            "seconds": round(time.perf_counter() - started, 2),
            "device": str(fabric.device),
        }
        if fabric.is_global_zero:
            run.finish_epoch(epoch, state, figures)
        observer.epoch_ends({"epoch": epoch, **figures})
        fabric.barrier()
    return averaged, labeller


def family_weights(notes: Notes) -> Tensor:
    """One over the root of how often each family comes, 1 for the mean note; float32 (11,)."""
    families = notes.labels(lambda store: store.family.astype(np.int64))
    count = np.bincount(families[families != UNKNOWN], minlength=len(FAMILIES))
    weights = 1 / np.sqrt(np.maximum(count, 1))
    return torch.from_numpy(weights * count.sum() / max((weights * count).sum(), 1e-9)).float()


def family_shift(notes: Notes) -> Tensor:
    """What is added to the logits of families in use; see `network.FAMILY_PRIOR`; float32 (11,)."""
    families = notes.labels(lambda store: store.family.astype(np.int64))
    count = torch.bincount(torch.from_numpy(families[families != UNKNOWN]), minlength=len(FAMILIES))
    learned = (count * family_weights(notes)).clamp_min(1)
    use = torch.tensor([NSYNTH_NOTES[name] for name in FAMILIES])
    return FAMILY_PRIOR * ((use / use.sum()).log() - (learned / learned.sum()).log())


def _publish(
    run: RunFolder,
    subject: TrainingTask,
    averaged: InstrumentClassifier,
    labeller: Labeller,
    notes: tuple[Notes, Notes],
    seed: int,
) -> None:
    """Calibrate, and write the subject's file."""
    train, validation = notes
    averaged.eval()
    if isinstance(averaged.listener, Listener):
        averaged.listener.family_shift.copy_(family_shift(train))
    front_end = subject.front_end()
    generator = torch.Generator().manual_seed(seed)

    def hear(audio: Tensor) -> ListenerOutput:
        told: ListenerOutput = averaged(front_end(audio))[0]
        return told

    lessons = (
        prepare_batch(batch, labeller, front_end, subject.augmentation, generator, moves=False)
        for batch in batches(validation, VALIDATION_BATCH)
    )
    temperatures = calibrate((averaged(heard)[0], labels) for heard, labels in lessons)
    properties = {
        "network": subject.name,
        "epoch": str(run.log()[-1]["epoch"]),
        "trained_on": " + ".join(store.provenance.title for store in train.stores),
        "licence": " AND ".join(dict.fromkeys(store.provenance.licence for store in train.stores)),
        "citation": "; ".join(store.provenance.citation for store in train.stores),
        "temperatures": temperatures,
        "instruments": labeller.instruments,
    }
    means = mean_embeddings(hear, train, labeller)
    trained = TrainedNetwork(averaged.listener, temperatures, means, properties)
    subject.publish(run.path / subject.file, trained)


def _publish_listener(path: Path, trained: TrainedNetwork) -> None:
    published = CalibratedListener(
        trained.network, trained.temperatures, trained.instruments, pitched_shift(UNPITCHED_SHARE)
    )
    export_listener(published, path, trained.properties)
    told = {name: str(trained.properties[name]) for name in ("trained_on", "licence", "citation")}
    save_weights(trained.network, path.with_name(WEIGHTS_FILE), told)


@torch.no_grad()
def validate(
    learner: InstrumentClassifier, front_end: nn.Module, notes: Notes, labeller: Labeller
) -> dict[str, float]:
    """Figures on notes that are not learned from, as they are: loss and shares that are right."""
    learner.eval()
    device = next(front_end.buffers()).device
    sums: dict[str, list[float]] = {}
    for batch in batches(notes, VALIDATION_BATCH):
        labels = labeller.of(batch.notes).to(device)
        told, _ = learner(front_end(batch.audio_on(device)))
        key = told.key.argmax(dim=1)
        loss = float(functional.cross_entropy(told.key, labels.key))
        figures = {
            "validation_loss": (loss, len(key)),
            "validation_accuracy": _correct_share(key == labels.key, labels.key != UNKNOWN),
            "validation_chroma": _correct_share(
                (key - labels.key) % 12 == 0, labels.key != UNKNOWN
            ),
            "validation_sounding": _correct_share(
                told.sounding.argmax(dim=1) == labels.sounding, labels.sounding != UNKNOWN
            ),
            "validation_family": _correct_share(
                told.family.argmax(dim=1) == labels.family, labels.family != UNKNOWN
            ),
            "validation_velocity": _correct_share(
                (told.velocity.argmax(dim=1) - labels.velocity).abs() <= 1,
                labels.velocity != UNKNOWN,
            ),
            "validation_pitched": _correct_share(told.pitched > 0, labels.key != UNKNOWN),
        }
        for name, (mean, count) in figures.items():
            total = sums.setdefault(name, [0.0, 0.0])
            total[0] += mean * count
            total[1] += count
    return {name: round(total / max(count, 1), 5) for name, (total, count) in sums.items()}


def _correct_share(right: Tensor, known: Tensor) -> tuple[float, int]:
    count = int(known.sum())
    return (float(right[known].float().mean()) if count else 0.0), count


LISTENER_TASK = TrainingTask(
    name="listener",
    network=Listener,
    embedding=ListenerShape().embedding,
    front_end=TorchFrontEnd,
    augmentation=AUGMENTATION,
    moves=True,
    publish=_publish_listener,
    file=MODEL_FILE,
)
