"""From a trained listener to the one file that `ears listen` runs.

Published are the averaged weights as an ONNX graph whose outputs are probabilities. Those of key,
sounding pitch, family, source, velocity and of a single pitch are calibrated by temperatures (Guo
et al., "On calibration of modern neural networks", 2017): logits are divided by the number under
which the answers to notes of unseen instruments, augmented as in training, are likeliest. What has
no single pitch comes far more often in training than in recordings of notes; its logit is moved
from the one share to the other, as Bayes' rule has it for any two priors (Saerens et al.,
"Adjusting the outputs of a classifier to new a priori probabilities", 2002). The nearest known
instruments come from the same graph: the cosine of the note's embedding with the mean of each
instrument's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.files import write_atomically
from mechanical_ears.listening.training.labels import UNKNOWN, Labeller, Labels
from mechanical_ears.listening.training.network import ListenerOutput, example_inputs
from mechanical_ears.training.feed import Notes, batches

CALIBRATED = ("key", "sounding", "family", "source", "velocity")
PITCHED = "pitched"  # calibrated, too
TEMPERATURES = torch.logspace(-0.7, 0.7, 57)  # that are tried
INSTRUMENT_NOTES = 8  # whose mean embedding stands for it
UNPITCHED_IN_USE = 0.005  # share of recordings without a single pitch that is reckoned with
BATCH_NOTES = 64  # notes
INPUTS = ("pitch_map", "envelope", "level")
OUTPUTS = ("key", "sounding", "pitched", "family", "source", "velocity", "qualities", "nearness")

PredictNotes = Callable[[Tensor], ListenerOutput]  # audio float32 (batch, 64000) → logits


class CalibratedListener(nn.Module):
    """The listener with its calibration and the instruments it knows.

    Args:
        listener: trained.
        temperatures: of the calibrated heads.
        instruments: float32 (instruments, embedding), mean embeddings of length 1.
        pitched_shift: added to the logit of a single pitch, see `pitched_shift`.
    """

    instruments: Tensor

    def __init__(
        self,
        listener: nn.Module,
        temperatures: Mapping[str, float],
        instruments: Tensor,
        pitched_shift: float = 0.0,
    ) -> None:
        super().__init__()
        self.listener = listener
        self.pitched_shift = pitched_shift
        self.temperatures = dict(temperatures)
        self.register_buffer("instruments", instruments)

    def forward(self, pitch_map: Tensor, envelope: Tensor, level: Tensor) -> tuple[Tensor, ...]:
        """Probabilities in the order of ``OUTPUTS``."""
        told: ListenerOutput = self.listener(pitch_map, envelope, level)
        logits = told._asdict()
        softened = {
            name: (logits[name] / self.temperatures[name]).softmax(dim=1) for name in CALIBRATED
        }
        return (
            softened["key"],
            softened["sounding"],
            (told.pitched / self.temperatures[PITCHED] + self.pitched_shift).sigmoid(),
            softened["family"],
            softened["source"],
            softened["velocity"],
            told.qualities.sigmoid(),
            told.embedding @ self.instruments.T,
        )


def pitched_shift(share: float) -> float:
    """What moves the logit of a single pitch from training to use.

    Args:
        share: of the notes in training that have none, 0..1.
    """
    return math.log((1 - UNPITCHED_IN_USE) / UNPITCHED_IN_USE * share / (1 - share))


@torch.no_grad()
def calibrate(answers: Iterable[tuple[ListenerOutput, Labels]]) -> dict[str, float]:
    """The temperature of each calibrated head under which the right answers are likeliest.

    Args:
        answers: what the network tells of batches of notes of instruments that it did not learn,
            some without a single pitch, and their labels; all on the CPU.
    """
    logits: dict[str, list[Tensor]] = {name: [] for name in (*CALIBRATED, PITCHED)}
    wanted: dict[str, list[Tensor]] = {name: [] for name in (*CALIBRATED, PITCHED)}
    for told, labels in answers:
        for name in logits:
            known = getattr(labels, name) != UNKNOWN
            logits[name].append(getattr(told, name)[known])
            wanted[name].append(getattr(labels, name)[known])
    best = {}
    for name in logits:
        told_all, wanted_all = torch.cat(logits[name]), torch.cat(wanted[name])
        if not wanted_all.numel():
            best[name] = 1.0
            continue
        losses = [
            functional.binary_cross_entropy_with_logits(told_all / heat, wanted_all)
            if name == PITCHED
            else functional.cross_entropy(told_all / heat, wanted_all)
            for heat in TEMPERATURES
        ]
        best[name] = float(TEMPERATURES[int(torch.stack(losses).argmin())])
    return best


@torch.no_grad()
def mean_embeddings(hear: PredictNotes, notes: Notes, labeller: Labeller) -> Tensor:
    """Mean embedding of each instrument that has notes here; float32 (instruments, embedding)."""
    numbers = labeller.of(notes).instrument
    chosen = torch.cat(
        [
            torch.nonzero(numbers == number)[:INSTRUMENT_NOTES, 0]
            for number in range(len(labeller.instruments))
        ]
    )
    few = notes.take(chosen.numpy())
    told = [
        hear(batch.audio_on(torch.device("cpu"))).embedding for batch in batches(few, BATCH_NOTES)
    ]
    embeddings, owners = torch.cat(told), numbers[chosen]
    sums = torch.zeros(len(labeller.instruments), embeddings.shape[1])
    sums.index_add_(0, owners, embeddings)
    return functional.normalize(sums, dim=1)


def save_weights(network: nn.Module, path: Path, told: Mapping[str, str]) -> None:
    """Write a network's weights in half precision, as safetensors.

    Args:
        network: on the CPU.
        path: the file, replaced if it exists.
        told: what the file says of itself.
    """
    weights = {
        name: values.half().contiguous() if values.is_floating_point() else values
        for name, values in network.state_dict().items()
    }
    with write_atomically(path) as temporary:
        save_file(weights, temporary, metadata=dict(told))


def export_listener(
    published: CalibratedListener, path: Path, properties: Mapping[str, object]
) -> None:
    """Write the ONNX file, whole or not at all.

    Args:
        published: on the CPU.
        path: the file, replaced if it exists.
        properties: what the file says of itself; values that are no text are written as JSON.
    """
    published.eval()
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        published,
        example_inputs(),
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_shapes=tuple({0: batch} for _ in INPUTS),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    for key, value in properties.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        program.model.metadata_props[key] = text
    with write_atomically(path) as temporary:
        program.save(temporary, external_data=False)
