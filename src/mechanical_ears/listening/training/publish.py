"""From a trained listener to the files that are published.

The averaged weights are written as an ONNX graph whose outputs are calibrated probabilities (see
`calibrate`), for `ears listen`, and as safetensors for training with the network. The nearest known
instruments come from the same graph: the cosine of the embedding of the note with the mean
embedding of each instrument.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from mechanical_ears.files import write_atomically
from mechanical_ears.listening.training.calibrate import CALIBRATED, PITCHED
from mechanical_ears.listening.training.network import ListenerOutput, example_inputs
from mechanical_ears.training.onnx_export import to_onnx

INPUTS = ("pitch_map", "envelope", "level")
OUTPUTS = ("key", "sounding", "pitched", "family", "source", "velocity", "qualities", "nearness")


class CalibratedListener(nn.Module):
    """The listener with its calibration and the instruments it knows.

    Args:
        listener: trained.
        temperatures: of the calibrated heads.
        instruments: float32 (instruments, embedding), mean embeddings of length 1.
        pitched_shift: added to the logit of a single pitch, see `calibrate.pitched_shift`.
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
        """Probabilities in the order of ``OUTPUTS``; shapes as in `Listener.forward`."""
        output: ListenerOutput = self.listener(pitch_map, envelope, level)
        pitched = output.pitched / self.temperatures[PITCHED] + self.pitched_shift
        results = {
            "pitched": pitched.sigmoid(),
            "qualities": output.qualities.sigmoid(),
            "nearness": output.embedding @ self.instruments.T,
        }
        for name in CALIBRATED:
            results[name] = (getattr(output, name) / self.temperatures[name]).softmax(dim=1)
        return tuple(results[name] for name in OUTPUTS)


def save_weights(network: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the weights of a network in half precision, as safetensors.

    Args:
        network: on the CPU.
        path: the file, replaced if it exists.
        metadata: of the file.
    """
    weights = {
        name: values.half().contiguous() if values.is_floating_point() else values
        for name, values in network.state_dict().items()
    }
    with write_atomically(path) as temporary:
        save_file(weights, temporary, metadata=dict(metadata))


def export_listener(
    listener: CalibratedListener, path: Path, properties: Mapping[str, object]
) -> None:
    """Write the ONNX file, whole or not at all.

    Args:
        listener: on the CPU.
        path: the file, replaced if it exists.
        properties: metadata of the file; values other than strings are written as JSON.
    """
    program = to_onnx(listener, example_inputs(), INPUTS, OUTPUTS, properties)
    with write_atomically(path) as temporary:
        program.save(temporary, external_data=False)
