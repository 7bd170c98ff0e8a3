"""The article's pitch detector, exactly: four small convolutions on raw audio and two dense layers.

    audio (64000) → 4 × [convolution of 9 taps, no padding → ReLU → mean of each 4]
                    with 4, 8, 12, 16 channels: 15998, 3997, 997, 247 steps
                  → flatten, step by step → dense 512, ReLU → dense 128 → softmax

2,092,556 parameters. Source: Laurens Koppenol and David Isaacs Paternostro, "Music to My
Mechanical Ears: Exploring the Rimworld of Sound Space: Episode 1", ODSC, 2021. They wrote it in
Keras; initial values follow Keras' defaults (Glorot and Bengio, "Understanding the difficulty of
training deep feedforward neural networks", 2010: uniform in ±sqrt(6 / (fan in + fan out)), where
a convolution's fans count its taps), and weights saved by Keras can be loaded.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.files import write_atomically

SAMPLE_RATE = 16_000  # Hz
SAMPLES = 64_000  # 4 seconds
CHANNELS = (4, 8, 12, 16)  # of the four convolutions
KERNEL = 9  # taps
POOL = 4  # samples averaged into one
HIDDEN = 512  # units of the first dense layer
PITCHES = 128  # MIDI numbers 0..127
PARAMETERS = 2_092_556

_OPSET = 17  # ONNX operators of 2022
_IR_VERSION = 8  # the file format that goes with them; every ONNX Runtime we support reads it


def flat_size() -> int:
    """Number of features after the convolutions of 64,000 samples: 247 steps of 16 channels."""
    length = SAMPLES
    for _ in CHANNELS:
        length = (length - KERNEL + 1) // POOL
    return length * CHANNELS[-1]


def initialise(layer: nn.Conv1d | nn.Linear, generator: torch.Generator | None = None) -> None:
    """Initialise a layer as Keras does: Glorot-uniform weights and zero biases."""
    limit = glorot_limit(layer)
    nn.init.uniform_(layer.weight, -limit, limit, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def glorot_limit(layer: nn.Conv1d | nn.Linear) -> float:
    """The bound of Glorot's uniform distribution, with fans counted as Keras counts them."""
    taps = math.prod(layer.weight.shape[2:])
    return math.sqrt(6 / (taps * (layer.weight.shape[0] + layer.weight.shape[1])))


class ArticleNetwork(nn.Module):
    """The article's network.

    Args:
        generator: of the initial weights; by default the global one of PyTorch.
        fused: whether the convolutions run in the kernels of `fused_conv` (float32 on a CPU
            only, several times faster) or in PyTorch's own operations (everywhere, and for
            ``torch.compile`` and export). ``None`` selects by the input.
    """

    def __init__(
        self, *, generator: torch.Generator | None = None, fused: bool | None = None
    ) -> None:
        super().__init__()
        self.fused = fused
        sizes = pairwise((1, *CHANNELS))
        self.convolutions = nn.ModuleList(nn.Conv1d(*each, KERNEL) for each in sizes)
        self.hidden = nn.Linear(flat_size(), HIDDEN)
        self.pitch = nn.Linear(HIDDEN, PITCHES)
        for layer in self.layers():
            initialise(layer, generator)

    def layers(self) -> list[nn.Conv1d | nn.Linear]:
        """The six layers with weights, in the order of Keras' ``get_weights``."""
        convolutions = [layer for layer in self.convolutions if isinstance(layer, nn.Conv1d)]
        return [*convolutions, self.hidden, self.pitch]

    def forward(self, audio: Tensor) -> Tensor:
        """Logits of the 128 pitches.

        Args:
            audio: float (batch, 64000) in [-1, 1], 4 seconds at 16 kHz.

        Returns:
            float (batch, 128); softmax makes them the article's probabilities.

        Raises:
            ValueError: another shape, or not float32 on a CPU when ``fused=True``.
        """
        if audio.ndim != 2 or audio.shape[1] != SAMPLES:
            raise ValueError(f"audio is {tuple(audio.shape)}, need (batch, {SAMPLES})")
        features = self._convolve_fused(audio) if self._fuse(audio) else self._convolve(audio)
        logits: Tensor = self.pitch(functional.relu(self.hidden(features)))
        return logits

    def _fuse(self, audio: Tensor) -> bool:
        if self.fused is not None:
            return self.fused
        return (
            audio.device.type == "cpu"
            and audio.dtype == self.hidden.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
            and importlib.util.find_spec("numba") is not None
        )

    def _convolve_fused(self, audio: Tensor) -> Tensor:
        # numba takes time to load
        from mechanical_ears.listening.training.fused_conv import convolve_relu_pool

        features = audio[:, None, :]
        for layer in self.layers()[: len(CHANNELS)]:
            features = convolve_relu_pool(features, layer.weight, cast(Tensor, layer.bias))
        return features.transpose(1, 2).flatten(1)  # as Keras: all channels of a moment together

    def _convolve(self, audio: Tensor) -> Tensor:
        """In PyTorch's operations: images of height 1, channels last, twice as fast on a CPU."""
        features = audio[:, None, None, :].to(memory_format=torch.channels_last)
        for layer in self.layers()[: len(CHANNELS)]:
            weight = layer.weight[:, :, None, :].to(memory_format=torch.channels_last)
            features = functional.relu(functional.conv2d(features, weight, layer.bias))
            features = functional.avg_pool2d(features, (1, POOL))
        return features.permute(0, 2, 3, 1).flatten(1)

    @classmethod
    def from_keras(cls, arrays: Sequence[NDArray[Any]], *, fused: bool | None = None) -> Self:
        """A network with weights from Keras.

        Args:
            arrays: as returned by ``model.get_weights()`` of the article's model: kernel and bias
                of each layer; kernels of convolutions (9, in, out), of dense layers (in, out).
            fused: as for the class.

        Raises:
            ValueError: another number of arrays or other shapes.
        """
        network = cls(fused=fused)
        layers = network.layers()
        if len(arrays) != 2 * len(layers):
            raise ValueError(f"{len(arrays)} arrays, need {2 * len(layers)}: kernel and bias each")
        with torch.no_grad():
            for index, layer in enumerate(layers):
                kernel, bias = arrays[2 * index : 2 * index + 2]
                shape = tuple(layer.weight.shape)[::-1]
                if kernel.shape != shape or bias.shape != shape[-1:]:
                    raise ValueError(
                        f"layer {index + 1}: kernel {kernel.shape} and bias {bias.shape}, "
                        f"need {shape} and {shape[-1:]}"
                    )
                layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel.T)))
                cast(Tensor, layer.bias).copy_(torch.from_numpy(np.ascontiguousarray(bias)))
        return network

    def to_keras(self) -> list[NDArray[np.float32]]:
        """The weights as ``model.set_weights`` of the article's Keras model takes them."""
        arrays: list[NDArray[np.float32]] = []
        for layer in self.layers():
            for tensor in (layer.weight, cast(Tensor, layer.bias)):
                arrays.append(tensor.detach().float().cpu().numpy().T.copy())
        return arrays


def export_onnx(network: ArticleNetwork, path: Path, properties: Mapping[str, str]) -> None:
    """Write the network as an ONNX file, whole or not at all.

    Input ``audio``: float32 (batch, 64000) in [-1, 1], 16 kHz. Output ``probabilities``: float32
    (batch, 128), softmax included. The dense weights, 99.8 % of all, are stored as float16 and
    cast by the graph, which ONNX Runtime does once, on loading: 4.2 MB instead of 8.4.

    Args:
        network: on any device.
        path: the file, replaced if it exists.
        properties: metadata of the file (source, licence, …), in addition to the sample rate.

    Raises:
        EarsError: the file cannot be written.
    """
    weights: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def constant(name: str, array: NDArray[Any]) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(operation: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(operation, inputs, [output], **attributes))
        return output

    arrays = network.to_keras()
    last = add("Unsqueeze", ["audio", constant("channel_axis", np.array([1]))], "features")
    for index in range(len(CHANNELS)):
        name = f"convolution_{index + 1}"
        kernel, bias = arrays[2 * index : 2 * index + 2]
        inputs = [last, constant(f"{name}_weight", kernel.T), constant(f"{name}_bias", bias)]
        last = add("Relu", [add("Conv", inputs, name)], f"{name}_relu")
        last = add("AveragePool", [last], f"{name}_pool", kernel_shape=[POOL], strides=[POOL])
    last = add("Transpose", [last], "time_major", perm=[0, 2, 1])
    last = add("Flatten", [last], "flat")
    for name, (kernel, bias) in {"hidden": arrays[-4:-2], "pitch": arrays[-2:]}.items():
        half = constant(f"{name}_weight_half", kernel.astype(np.float16))
        weight = add("Cast", [half], f"{name}_weight", to=TensorProto.FLOAT)
        last = add("Gemm", [last, weight, constant(f"{name}_bias", bias)], name)
        last = add("Relu", [last], f"{name}_relu") if name == "hidden" else last
    add("Softmax", [last], "probabilities", axis=-1)

    audio = helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", SAMPLES])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", PITCHES])
    graph = helper.make_graph(nodes, "article", [audio], [output], weights)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="mechanical-ears",
    )
    helper.set_model_props(model, {"sample_rate": str(SAMPLE_RATE), **properties})
    onnx.checker.check_model(model, full_check=True)
    with write_atomically(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
