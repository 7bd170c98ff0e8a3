"""The evaluation network, which judges notes that it had no part in generating.

It is trained apart from the listener, with another seed, another spectrogram and another
architecture, and on notes in noise and after lossy resynthesis too, so that it neither shares the
blind spots of the listener nor mistakes artefacts of a vocoder for an instrument:

    audio → |STFT|² of 32 frames, 125 ms apart, 256 ms long, in 200 bands, 24 an octave
          → residual blocks (He et al., "Deep residual learning", 2016) that halve the resolution
          → mean and maximum over time → dense layer → key, sounding pitch, pitched or not
          → these also over frequency → dense layer → family, source, velocity, embedding

There is no harmonic stack, and keys share no weights: each key is learned from its own notes.
(Families are predicted from features pooled over frequency: with the dense layer over all bands
alone, 15 % of them were right on validation presets after 40,000 notes, because each key has to
learn them by itself.) It needs PyTorch; musicians use the listener.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.errors import EarsError
from mechanical_ears.listening.frontend import SAMPLE_RATE, SAMPLES
from mechanical_ears.listening.training.augmentation import Augmentation
from mechanical_ears.listening.training.network import ListenerOutput
from mechanical_ears.listening.training.publish import save_weights
from mechanical_ears.listening.training.train import TrainedNetwork, TrainingTask
from mechanical_ears.note import FAMILIES, QUALITIES, SOURCES, VELOCITIES
from mechanical_ears.pitch import A4_FREQUENCY, A4_MIDI, PITCH_COUNT
from mechanical_ears.training.onnx_export import as_text

SHIPPED = Path(__file__).parent / "weights" / "judge.safetensors"
FRAMES: Final = 32
WINDOW: Final = 4096  # samples, 256 ms
BANDS: Final = 200
BANDS_PER_OCTAVE: Final = 24
LOWEST_MIDI: Final = 20  # MIDI number of the first band
RANGE_DB: Final = 70.0  # below the maximum
SILENCE_POWER: Final = 1e-10  # maximum below which a note is silent
EMBEDDING: Final = 64
CHANNELS: Final = (16, 32, 64, 96)
STRIDES: Final = ((1, 2), (2, 2), (2, 2), (1, 2))  # frames and bands, of the blocks
AUGMENTATION = Augmentation(
    resynthesis_chance=0.4, noise_chance=0.6, level_chance=0.35, gain_chance=0.35
)


class JudgeFrontEnd(nn.Module):
    """Audio (batch, 64000) → level in dB / 70 + 1 above the floor: (batch, 32, 200), 0 … 1."""

    window: Tensor
    samples: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        starts = torch.arange(FRAMES) * (SAMPLES // FRAMES)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("samples", starts[:, None] + torch.arange(WINDOW), persistent=False)
        self.register_buffer("filters", _filters(), persistent=False)

    def forward(self, audio: Tensor) -> tuple[Tensor]:
        """See the class; a tuple, because networks are called with the tuple of a front end."""
        frames = functional.pad(audio, (0, WINDOW))[:, self.samples] * self.window
        power = torch.fft.rfft(frames).abs().square() @ self.filters
        loudest = power.amax(dim=(1, 2), keepdim=True).clamp_min(SILENCE_POWER)
        decibels = 10 * (power / loudest).clamp_min(10 ** (-RANGE_DB / 10)).log10()
        return (1 + decibels / RANGE_DB,)


def _filters() -> Tensor:
    """Triangular filters between neighbouring bands, at least ±1 FFT bin wide; (2049, 200)."""
    midi = LOWEST_MIDI + torch.arange(BANDS) * 12 / BANDS_PER_OCTAVE
    centres = A4_FREQUENCY * torch.exp2((midi - A4_MIDI) / 12) * WINDOW / SAMPLE_RATE
    width = (centres * (2 ** (1 / BANDS_PER_OCTAVE) - 1)).clamp_min(1)
    bins = torch.arange(WINDOW // 2 + 1)[:, None]
    return (1 - (bins - centres).abs() / width).clamp_min(0)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, strided over frames and bands."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, (3, 5), stride, (1, 2), bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, inputs, frames, bands) → (batch, outputs, fewer frames, fewer bands)."""
        hidden = functional.relu(self.norms[0](self.first(features)))
        return functional.relu(self.norms[1](self.second(hidden)) + self.shortcut(features))


class Judge(nn.Module):
    """The evaluation network; it has the same output as the listener."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, CHANNELS[0], (3, 5), (2, 1), (1, 2))
        self.blocks = nn.ModuleList(
            ResidualBlock(inputs, outputs, stride)
            for inputs, outputs, stride in zip(
                CHANNELS, (*CHANNELS[1:], CHANNELS[-1]), STRIDES, strict=True
            )
        )
        bands = math.ceil(BANDS / 2 ** len(CHANNELS))  # each block halves them, rounded up
        self.hidden = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(2 * CHANNELS[-1] * bands, 256), nn.ReLU(), nn.Dropout(0.2)
        )
        pooled = 4 * CHANNELS[-1] + 256
        self.timbre = nn.Sequential(
            nn.BatchNorm1d(pooled),
            nn.Dropout(0.2),
            nn.Linear(pooled, 256),
            nn.ReLU(),
            nn.Dropout(0.2),
        )
        self.key = nn.Linear(256, PITCH_COUNT)
        self.sounding = nn.Linear(256, PITCH_COUNT)
        self.pitched = nn.Linear(256, 1)
        self.family = nn.Linear(256, len(FAMILIES))
        self.source = nn.Linear(256, len(SOURCES))
        self.velocity = nn.Linear(256, len(VELOCITIES))
        self.qualities = nn.Linear(256, len(QUALITIES))
        self.embedding = nn.Linear(256, EMBEDDING)

    def forward(self, spectrogram: Tensor) -> ListenerOutput:
        """Predict logits and embedding of notes; spectrogram: (batch, 32, 200)."""
        return self.forward_with_features(spectrogram)[0]

    def forward_with_features(self, spectrogram: Tensor) -> tuple[ListenerOutput, Tensor]:
        """As `forward`, with the features of timbre (batch, 256), 0 or above."""
        features = functional.relu(self.stem(spectrogram[:, None]))
        for block in self.blocks:
            features = block(features)
        pooled = torch.cat([features.mean(dim=2), features.amax(dim=2)], dim=1)
        hidden = self.hidden(pooled.flatten(1))
        timbre = self.timbre(torch.cat([pooled.mean(dim=2), pooled.amax(dim=2), hidden], dim=1))
        output = ListenerOutput(
            key=self.key(hidden),
            sounding=self.sounding(hidden),
            pitched=self.pitched(hidden)[:, 0],
            family=self.family(timbre),
            source=self.source(timbre),
            velocity=self.velocity(timbre),
            qualities=self.qualities(timbre),
            embedding=functional.normalize(self.embedding(timbre), dim=1),
        )
        return output, timbre


@dataclass(frozen=True, eq=False)
class EvaluationNetwork:
    """The evaluation network, trained and calibrated.

    Attributes:
        network: in evaluation mode.
        temperatures: of calibrated heads, by which their logits are divided.
        about: training data, licence and citation.
    """

    network: Judge
    temperatures: dict[str, float]
    about: dict[str, str]

    @classmethod
    def load(cls, path: str | Path | None = None) -> EvaluationNetwork:
        """Read a file of `ears train judge`; by default the shipped one.

        Raises:
            EarsError: there is no such file, or it is not of this network.
        """
        path = SHIPPED if path is None else Path(path)
        try:
            with safe_open(path, framework="pt") as file:
                about = dict(file.metadata() or {})
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            network = Judge().eval()
            network.load_state_dict(weights)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise EarsError(
                "is not a file of the evaluation network",
                path=path,
                remedy="train one with: ears train judge",
            ) from error
        return cls(network, json.loads(about.pop("temperatures")), about)

    def predict(self, audio: Tensor) -> ListenerOutput:
        """Predict notes; all logits except those of the qualities are calibrated.

        Args:
            audio: float32 (batch, 64000) at 16 kHz, onset at the start.
        """
        return self.predict_with_features(audio)[0]

    @torch.no_grad()
    def predict_with_features(self, audio: Tensor) -> tuple[ListenerOutput, Tensor]:
        """As `predict`, with the features (batch, 256) of `Judge.forward_with_features`."""
        (spectrogram,) = JudgeFrontEnd().to(audio.device)(audio)
        output, features = self.network.forward_with_features(spectrogram)
        calibrated = {
            name: getattr(output, name) / temperature
            for name, temperature in self.temperatures.items()
        }
        return output._replace(**calibrated), features


def _publish(path: Path, trained: TrainedNetwork) -> None:
    """Write weights in half precision, with their properties as metadata."""
    properties = {name: as_text(value) for name, value in trained.properties.items()}
    del properties["instruments"]
    save_weights(trained.network, path, properties)


JUDGE_TASK = TrainingTask(
    name="judge",
    network=Judge,
    embedding=EMBEDDING,
    front_end=JudgeFrontEnd,
    augmentation=AUGMENTATION,
    has_pitch_map=False,
    publish=_publish,
    file="judge.safetensors",
)
