"""The evaluation network: ears that had no part in making what they judge.

It is trained apart from the listener, with another seed, on another picture of sound, by another
architecture, and hears notes in noise and after lossy resynthesis too, so that it neither shares
the listener's blind spots nor mistakes a vocoder's traces for an instrument:

    audio → |STFT|² of 32 frames, 125 ms apart, 256 ms long, in 200 bands, 24 an octave
          → residual blocks (He et al., "Deep residual learning", 2016) that halve the picture
          → mean and maximum over time → dense layer → key, sounding pitch, one pitch or none
          → of these over frequency, too → dense layer → family, source, velocity, embedding

No harmonic stack, no weights shared between keys: it learns each key from its notes. (Families are
another matter: with the dense layer over all places alone, after 40,000 notes 15 % of them were
right on validation presets, for each key has to learn them by itself.) It needs PyTorch; what
musicians use is the listener.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.errors import EarsError
from mechanical_ears.listening.frontend import SAMPLE_RATE, SAMPLES
from mechanical_ears.listening.training.augment import Augmentation
from mechanical_ears.listening.training.network import ListenerOutput
from mechanical_ears.listening.training.publish import save_weights
from mechanical_ears.listening.training.train import TrainedNetwork, TrainingTask
from mechanical_ears.note import FAMILIES, QUALITIES, SOURCES, VELOCITIES
from mechanical_ears.pitch import A4_FREQUENCY, A4_MIDI, PITCH_COUNT

SHIPPED = Path(__file__).parent / "weights" / "judge.safetensors"
FRAMES: Final = 32
WINDOW: Final = 4096  # samples, 256 ms
BANDS: Final = 200
BANDS_PER_OCTAVE: Final = 24
LOWEST_MIDI: Final = 20  # of the first band
RANGE_DB: Final = 70.0  # dB below the maximum that are seen
SILENCE_POWER: Final = 1e-10  # power of the loudest place below which a note is silent
EMBEDDING: Final = 64
CHANNELS: Final = (16, 32, 64, 96)
STRIDES: Final = ((1, 2), (2, 2), (2, 2), (1, 2))  # frames and bands, of the blocks
AUGMENTATION = Augmentation(
    resynthesis_chance=0.4, noise_chance=0.6, level_chance=0.35, gain_chance=0.35
)


class JudgeFrontEnd(nn.Module):
    """Audio (batch, 64000) → level in dB / 70 + 1 above the floor: (batch, 32, 200), 0 … 1."""

    window: Tensor
    places: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        starts = torch.arange(FRAMES) * (SAMPLES // FRAMES)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("places", starts[:, None] + torch.arange(WINDOW), persistent=False)
        self.register_buffer("filters", _filters(), persistent=False)

    def forward(self, audio: Tensor) -> tuple[Tensor]:
        """See the class; a tuple, as networks take what a front end returns."""
        frames = functional.pad(audio, (0, WINDOW))[:, self.places] * self.window
        power = torch.fft.rfft(frames).abs().square() @ self.filters
        loudest = power.amax(dim=(1, 2), keepdim=True).clamp_min(SILENCE_POWER)
        decibels = 10 * (power / loudest).clamp_min(10 ** (-RANGE_DB / 10)).log10()
        return (1 + decibels / RANGE_DB,)


def _filters() -> Tensor:
    """Triangles between neighbouring bands, at least one FFT bin to each side; (2049, 200)."""
    midi = LOWEST_MIDI + torch.arange(BANDS) * 12 / BANDS_PER_OCTAVE
    places = A4_FREQUENCY * torch.exp2((midi - A4_MIDI) / 12) * WINDOW / SAMPLE_RATE
    width = (places * (2 ** (1 / BANDS_PER_OCTAVE) - 1)).clamp_min(1)
    bins = torch.arange(WINDOW // 2 + 1)[:, None]
    return (1 - (bins - places).abs() / width).clamp_min(0)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; halves bands, and frames if asked."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, (3, 5), stride, (1, 2), bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, inputs, frames, bands) → (batch, outputs, fewer frames, fewer bands)."""
        changed = functional.relu(self.norms[0](self.first(picture)))
        return functional.relu(self.norms[1](self.second(changed)) + self.shortcut(picture))


class Judge(nn.Module):
    """The evaluation network; it tells what the listener tells."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, CHANNELS[0], (3, 5), (2, 1), (1, 2))
        self.blocks = nn.ModuleList(
            ResidualBlock(inputs, outputs, stride)
            for inputs, outputs, stride in zip(
                CHANNELS,
                (*CHANNELS[1:], CHANNELS[-1]),
                STRIDES,
                strict=True,
            )
        )
        bands = BANDS
        for _ in CHANNELS:
            bands = (bands + 1) // 2
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

    def forward(self, picture: Tensor) -> ListenerOutput:
        """Tell what is heard; picture: (batch, 32, 200)."""
        features = functional.relu(self.stem(picture[:, None]))
        for block in self.blocks:
            features = block(features)
        pooled = torch.cat([features.mean(dim=2), features.amax(dim=2)], dim=1)
        hidden = self.hidden(pooled.flatten(1))
        anywhere = torch.cat([pooled.mean(dim=2), pooled.amax(dim=2), hidden], dim=1)
        timbre = self.timbre(anywhere)
        return ListenerOutput(
            key=self.key(hidden),
            sounding=self.sounding(hidden),
            pitched=self.pitched(hidden)[:, 0],
            family=self.family(timbre),
            source=self.source(timbre),
            velocity=self.velocity(timbre),
            qualities=self.qualities(timbre),
            embedding=functional.normalize(self.embedding(timbre), dim=1),
        )


@dataclass(frozen=True, eq=False)
class EvaluationNetwork:
    """The trained judge.

    Attributes:
        network: the judge, not training.
        temperatures: logits of each calibrated head are divided by its own.
        about: what it was trained on, licence and citation.
    """

    network: Judge
    temperatures: dict[str, float]
    about: dict[str, str]

    @classmethod
    def load(cls, path: str | Path | None = None) -> EvaluationNetwork:
        """Read a file of `ears train judge`; the shipped one if none is given.

        Raises:
            EarsError: there is no such file, or it holds something else.
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
                "is no file of the evaluation network",
                path=path,
                remedy="train one with: ears train judge",
            ) from error
        return cls(network, json.loads(about.pop("temperatures")), about)

    @torch.no_grad()
    def hear(self, audio: Tensor) -> ListenerOutput:
        """What it tells of audio float32 (batch, 64000) at 16 kHz, onset at the start; logits.

        All logits but those of the qualities are calibrated.
        """
        told = cast("ListenerOutput", self.network(*JudgeFrontEnd().to(audio.device)(audio)))
        return told._replace(
            **{name: getattr(told, name) / heat for name, heat in self.temperatures.items()}
        )


def _publish(path: Path, trained: TrainedNetwork) -> None:
    """Write weights in half precision, with what is known of them."""
    told = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in trained.properties.items()
        if name != "instruments"
    }
    save_weights(trained.network, path, told)


JUDGE_TASK = TrainingTask(
    name="judge",
    network=Judge,
    embedding=EMBEDDING,
    front_end=JudgeFrontEnd,
    augmentation=AUGMENTATION,
    moves=False,
    publish=_publish,
    file="judge.safetensors",
)
