"""Calibration of a trained network: temperatures, priors, mean embeddings of instruments.

Logits of key, sounding pitch, family, source, velocity and of a single pitch are divided by
temperatures (Guo et al., "On calibration of modern neural networks", 2017): the values that
maximise the likelihood of the labels of notes of unseen instruments, augmented as in training.

Two priors of training are replaced by those of use (Saerens et al., "Adjusting the outputs of a
classifier to new a priori probabilities", 2002), by a shift of the logits:

    log p_use(class) − log p_training(class)

Sounds without a single pitch are far more frequent in training than in recordings of notes. And
families are distributed differently in the training fonts (an eighth are synthesiser leads) and in
use; their logits are shifted half way (``FAMILY_PRIOR``) to the distribution of NSynth. (On
validation presets every share from a half to all of the way is as good.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional

from mechanical_ears.listening.training.labels import UNKNOWN, Labeller, Labels
from mechanical_ears.listening.training.losses import family_counts, family_weights
from mechanical_ears.listening.training.network import ListenerOutput
from mechanical_ears.training.feed import StoredNotes, load_batches

CALIBRATED = ("key", "sounding", "family", "source", "velocity")  # by a softmax
PITCHED = "pitched"  # calibrated by a sigmoid
TEMPERATURES = torch.logspace(-0.7, 0.7, 57)  # candidates
INSTRUMENT_NOTES = 8  # averaged for the mean embedding of an instrument
UNPITCHED_IN_USE = 0.005  # assumed share of recordings without a single pitch
BATCH_NOTES = 64
FAMILY_PRIOR = 0.5  # share of the way from the training distribution of families to NSynth's
# Notes of each of `FAMILIES` in all of NSynth (Engel et al. 2017, table 2)
NSYNTH_NOTES = (68955, 13830, 9423, 35423, 54991, 35066, 36577, 14866, 20594, 5501, 10753)

PredictNotes = Callable[[Tensor], ListenerOutput]  # audio float32 (batch, 64000) → logits


@torch.no_grad()
def fit_temperatures(predictions: Iterable[tuple[ListenerOutput, Labels]]) -> dict[str, float]:
    """Find the temperature of each calibrated head.

    Args:
        predictions: outputs for batches of notes of unseen instruments, some without a single
            pitch, with their labels; all on the CPU.
    """
    names = (*CALIBRATED, PITCHED)
    logits: dict[str, list[Tensor]] = {name: [] for name in names}
    targets: dict[str, list[Tensor]] = {name: [] for name in names}
    for output, labels in predictions:
        for name in names:
            known = getattr(labels, name) != UNKNOWN
            logits[name].append(getattr(output, name)[known])
            targets[name].append(getattr(labels, name)[known])
    best = {}
    for name in names:
        head_logits, head_targets = torch.cat(logits[name]), torch.cat(targets[name])
        if not head_targets.numel():
            best[name] = 1.0
            continue
        loss: Callable[..., Tensor] = functional.cross_entropy
        if name == PITCHED:
            loss = functional.binary_cross_entropy_with_logits
        losses = [loss(head_logits / temperature, head_targets) for temperature in TEMPERATURES]
        best[name] = float(TEMPERATURES[int(torch.stack(losses).argmin())])
    return best


def pitched_shift(unpitched_share: float) -> float:
    """Shift of the logit of a single pitch from the prior of training to that of use.

    Args:
        unpitched_share: of training notes without a single pitch, 0..1.
    """
    odds_in_use = (1 - UNPITCHED_IN_USE) / UNPITCHED_IN_USE
    return math.log(odds_in_use * unpitched_share / (1 - unpitched_share))


def family_shift(notes: StoredNotes) -> Tensor:
    """Shift of the logits of families from the prior of training towards that of use, (11,)."""
    counts = family_counts(notes)
    learned = (counts * family_weights(counts)).clamp_min(1)  # as the loss weights them
    use = torch.tensor(NSYNTH_NOTES)
    return FAMILY_PRIOR * ((use / use.sum()).log() - (learned / learned.sum()).log())


@torch.no_grad()
def mean_embeddings(predict: PredictNotes, notes: StoredNotes, labeller: Labeller) -> Tensor:
    """Mean embedding of each instrument with notes here; float32 (instruments, embedding)."""
    numbers = labeller.label(notes).instrument
    of_instruments = (numbers == number for number in range(len(labeller.instruments)))
    rows = torch.cat([torch.nonzero(each)[:INSTRUMENT_NOTES, 0] for each in of_instruments])
    cpu = torch.device("cpu")
    some = load_batches(notes.select(rows.numpy()), BATCH_NOTES)
    embeddings = torch.cat([predict(batch.audio_on(cpu)).embedding for batch in some])
    sums = torch.zeros(len(labeller.instruments), embeddings.shape[1])
    sums.index_add_(0, numbers[rows], embeddings)
    return functional.normalize(sums, dim=1)
