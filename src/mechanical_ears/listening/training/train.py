"""Training of the listener: AdamW, a cosine schedule, averaged weights; notes augmented each time.

The loss is in `losses`, augmentation in `augment` and `batches`. Some notes are turned into sounds
without a single pitch (noise, silence, chords), and some are transposed or blended into instruments
that do not exist. AdamW (Loshchilov & Hutter 2019) with a cosine schedule; the exponential moving
average of the weights is calibrated and published.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from mechanical_ears.corpus.split import SPLITS
from mechanical_ears.corpus.store import Store
from mechanical_ears.listening.frontend import SAMPLE_RATE, SAMPLES
from mechanical_ears.listening.training import calibrate, losses
from mechanical_ears.listening.training.augmentation import Augmentation
from mechanical_ears.listening.training.batches import UNPITCHED_SHARE, prepare_batch
from mechanical_ears.listening.training.frontend_torch import TorchFrontEnd
from mechanical_ears.listening.training.labels import UNKNOWN, Labeller
from mechanical_ears.listening.training.losses import InstrumentClassifier
from mechanical_ears.listening.training.network import Listener, ListenerOutput, ListenerShape
from mechanical_ears.listening.training.publish import (
    CalibratedListener,
    export_listener,
    save_weights,
)
from mechanical_ears.listening.training.validate import validate
from mechanical_ears.training.device import Hardware, compile_network, launch_fabric, torch_settings
from mechanical_ears.training.feed import StoredNotes, load_batches, prefetch, shuffle
from mechanical_ears.training.observer import Observer
from mechanical_ears.training.run import Figures, RunFolder, State
from mechanical_ears.training.schedules import moving_average, schedule, set_updates, warm_up_cosine
from mechanical_ears.workers import worker_count

MODEL_FILE = "model.onnx"
WEIGHTS_FILE = "listener.safetensors"  # the same network, for training with it
# The level is random for some notes only: where it is plausible it may indicate the velocity, and
# the network learns how far to rely on it.
AUGMENTATION = Augmentation(
    detune_chance=0.35, noise_chance=0.45, level_chance=0.05, gain_chance=0.1
)
AVERAGE_SHARE = 0.05  # of all steps, over which the weights are averaged
VALIDATION_NOTES = 2000
WARM_UP_STEPS = 300
LAST_RATE = 0.01  # of the learning rate, at the end
MAX_GRADIENT_NORM = 2.0


@dataclass(frozen=True)
class ListenerTraining:
    """Configuration of a training.

    Attributes:
        corpora: stores with a train and a validation side.
        epochs: number of rounds; after each the run is saved and validated.
        epoch_notes: random notes in a round; all if the stores hold fewer.
        batch_size: notes in a step, over all processes.
        learning_rate: highest rate of AdamW.
        weight_decay: of AdamW.
        seed: of the initial weights, the order of notes and the augmentation.
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
    """A network to be trained: the listener, or another one with the same output.

    Attributes:
        name: in the configuration of the run and in the published file.
        network: makes the network, which is called with the tensors of the front end.
        embedding: dimensions of its embedding.
        front_end: makes the module before it: audio float32 (batch, 64000) → tensors.
        augmentation: of its notes.
        has_pitch_map: whether the tensors are pitch map, envelope and level, so that notes can be
            transposed and blended.
        publish: writes the published file.
        file: name of that file in the run folder.
    """

    name: str
    network: Callable[[], nn.Module]
    embedding: int
    front_end: Callable[[], nn.Module]
    augmentation: Augmentation
    has_pitch_map: bool
    publish: Callable[[Path, TrainedNetwork], None]
    file: str


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network after its training, on the CPU.

    Attributes:
        network: with the averaged weights.
        temperatures: of the calibrated heads.
        instruments: float32 (instruments, embedding), mean embeddings of length 1.
        properties: metadata of the published file.
    """

    network: nn.Module
    temperatures: dict[str, float]
    instruments: Tensor
    properties: Mapping[str, object]


def train_listener(
    training: ListenerTraining,
    run_path: Path,
    observer: Observer,
    hardware: Hardware | None = None,
    task: TrainingTask | None = None,
) -> list[Figures]:
    """Train a network, or resume a training, until all rounds are done; then publish it.

    Args:
        training: configuration.
        run_path: the run folder.
        observer: is called with the progress.
        hardware: where to compute.
        task: the network; by default the listener.

    Returns:
        The log: figures of each round.

    Raises:
        CorpusError: a store cannot be used.
        TrainingError: the run folder belongs to another training, a checkpoint is damaged, or the
            loss is not finite.
    """
    task = task or LISTENER_TASK
    stores = [Store(path) for path in training.corpora]
    train = StoredNotes.from_stores(stores, SPLITS[0], SAMPLE_RATE, SAMPLES)
    validation = shuffle(
        StoredNotes.from_stores(stores, SPLITS[1], SAMPLE_RATE, SAMPLES), training.seed, 0
    )
    config = {
        "network": task.name,
        **asdict(training),
        "train_sha256": train.fingerprint(),
        "validation_sha256": validation.fingerprint(),
    }
    fabric = launch_fabric(hardware or Hardware(), mixed=True)
    # On a CPU half of the cores prepare batches while the others train.
    threads = max(1, worker_count() // 2) if fabric.device.type == "cpu" else None
    with fabric.rank_zero_first():
        run = RunFolder(run_path, config, ("corpora", "epochs"), writes=fabric.is_global_zero)
    with closing(run), torch_settings(threads=threads):
        averaged, labeller = _train(training, task, run, fabric, (train, validation), observer)
        if fabric.is_global_zero:
            _publish(run, task, averaged.cpu(), labeller, (train, validation), training.seed)
    return run.log()


def _train(
    training: ListenerTraining,
    task: TrainingTask,
    run: RunFolder,
    fabric: Any,
    notes: tuple[StoredNotes, StoredNotes],
    observer: Observer,
) -> tuple[InstrumentClassifier, Labeller]:
    """Train the remaining rounds; returns the averaged network."""
    train, validation = notes
    labeller = Labeller(train.stores)
    torch.manual_seed(training.seed)
    classifier = InstrumentClassifier(task.network(), len(labeller.instruments), task.embedding)
    round_notes = min(training.epoch_notes, len(train))
    whole, rest = divmod(round_notes, training.batch_size)
    steps: int = whole + (rest >= fabric.world_size)  # each process has a part of every batch
    horizon = AVERAGE_SHARE * training.epochs * steps + 1

    def newest_share(update: int) -> float:
        return max(1 / horizon, 9 / (10 + update))  # a young average forgets the initial weights

    average = moving_average(classifier, newest_share)
    averaged = cast("InstrumentClassifier", average.module)
    adam = torch.optim.AdamW(
        classifier.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    # the names of tensors in checkpoints begin with these keys
    state: State = {"learner": classifier, "averaged": averaged, "optimiser": adam}
    done = run.resume(state)
    set_updates(average, done * steps)
    factor = warm_up_cosine(WARM_UP_STEPS, training.epochs * steps, LAST_RATE)
    scheduler = schedule(adam, factor, done * steps)
    network, optimiser = fabric.setup(compile_network(classifier, fabric.device), adam)
    average.to(fabric.device)
    front_end = task.front_end().to(fabric.device)
    weights = losses.family_weights(losses.family_counts(train)).to(fabric.device)
    share = (fabric.global_rank, fabric.world_size)

    for epoch in range(done + 1, training.epochs + 1):
        started = time.perf_counter()
        observer.epoch_begins(epoch, training.epochs, steps)
        seed = np.random.SeedSequence([training.seed, epoch, share[0]]).generate_state(1)[0]
        rng = torch.Generator().manual_seed(int(seed))
        order = shuffle(train, training.seed, epoch).select(slice(0, round_notes))
        network.train()
        total_loss, correct, count = 0.0, 0, 0
        prepared = (
            prepare_batch(
                batch, labeller, front_end, task.augmentation, rng, has_pitch_map=task.has_pitch_map
            )
            for batch in load_batches(order, training.batch_size, share=share)
        )
        for step, (inputs, labels) in enumerate(prefetch(prepared)):
            output, instruments = network(inputs)
            loss = losses.listener_loss(output, instruments, labels, weights)
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(loss)
            fabric.clip_gradients(network, optimiser, max_norm=MAX_GRADIENT_NORM)
            optimiser.step()
            scheduler.step()
            average.update_parameters(classifier)
            known = labels.key != UNKNOWN
            correct += int((output.key.argmax(dim=1) == labels.key)[known].sum())
            count += int(known.sum())
            total_loss += float(loss.detach())
            speed = (step + 1) * training.batch_size / (time.perf_counter() - started)
            observer.step_done(total_loss / (step + 1), correct / max(count, 1), speed)
        run.check_loss(total_loss, epoch)
        figures = {
            "loss": total_loss / steps,
            "accuracy": correct / max(count, 1),
            **validate(
                averaged, front_end, validation.select(slice(0, VALIDATION_NOTES)), labeller
            ),
            "notes_per_second": round(speed, 1),
            "seconds": round(time.perf_counter() - started, 2),
            "device": str(fabric.device),
        }
        if fabric.is_global_zero:
            run.finish_epoch(epoch, state, figures)
        observer.epoch_ends({"epoch": epoch, **figures})
        fabric.barrier()
    return averaged, labeller


def _publish(
    run: RunFolder,
    task: TrainingTask,
    averaged: InstrumentClassifier,
    labeller: Labeller,
    notes: tuple[StoredNotes, StoredNotes],
    seed: int,
) -> None:
    """Calibrate the network, and write its file."""
    train, validation = notes
    averaged.eval()
    if isinstance(averaged.listener, Listener):
        averaged.listener.family_shift.copy_(calibrate.family_shift(train))
    front_end = task.front_end()
    rng = torch.Generator().manual_seed(seed)

    def predict(audio: Tensor) -> ListenerOutput:
        output: ListenerOutput = averaged(front_end(audio))[0]
        return output

    prepared = (
        prepare_batch(batch, labeller, front_end, task.augmentation, rng, has_pitch_map=False)
        for batch in load_batches(validation, calibrate.BATCH_NOTES)
    )
    temperatures = calibrate.fit_temperatures(
        (averaged(inputs)[0], labels) for inputs, labels in prepared
    )
    properties = {
        "network": task.name,
        "epoch": str(run.log()[-1]["epoch"]),
        "trained_on": " + ".join(store.provenance.title for store in train.stores),
        "licence": " AND ".join(dict.fromkeys(store.provenance.licence for store in train.stores)),
        "citation": "; ".join(store.provenance.citation for store in train.stores),
        "temperatures": temperatures,
        "instruments": labeller.instruments,
    }
    means = calibrate.mean_embeddings(predict, train, labeller)
    trained = TrainedNetwork(averaged.listener, temperatures, means, properties)
    task.publish(run.path / task.file, trained)


def _publish_listener(path: Path, trained: TrainedNetwork) -> None:
    shift = calibrate.pitched_shift(UNPITCHED_SHARE)
    listener = CalibratedListener(trained.network, trained.temperatures, trained.instruments, shift)
    export_listener(listener, path, trained.properties)
    names = ("trained_on", "licence", "citation")
    metadata = {name: str(trained.properties[name]) for name in names}
    save_weights(trained.network, path.with_name(WEIGHTS_FILE), metadata)


LISTENER_TASK = TrainingTask(
    name="listener",
    network=Listener,
    embedding=ListenerShape().embedding,
    front_end=TorchFrontEnd,
    augmentation=AUGMENTATION,
    has_pitch_map=True,
    publish=_publish_listener,
    file=MODEL_FILE,
)
