"""The generative networks: mapper, generator and encoder around one space of timbres.

    mapper     z ~ N(0, 1), family              → timbre                 a random instrument
    encoder    latent of a note, key, velocity  → timbre                 the note's instrument
    generator  timbre, key, velocity            → latent → control grid  any note of it

A *timbre* is a vector of 64 numbers that represents one instrument at all keys and velocities. The
mapper turns a normal distribution into that of timbres (Karras et al., "A style-based generator
architecture", 2019). In the generator each block is scaled and shifted by the timbre (Perez et al.,
"FiLM: visual reasoning with a general conditioning layer", 2018); its input encodes the key by soft
steps of six semitones, its output is a latent (see `latents`).

How loud a key is follows from the velocity by construction, so that no instrument can grow softer:
with a loudness a and a slope b ≥ 0 that the network predicts for each key,

    level = a + b · 40 log10(velocity / 127)        b = 1: gain with the square of the velocity
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.imagining.training.latents import LEVEL_SCALE_DB, Codec
from mechanical_ears.note import FAMILIES

PITCH_STEPS: Final = tuple(range(18, 115, 6))  # MIDI numbers of the soft steps
PITCH_FEATURES: Final = len(PITCH_STEPS) + 1
VELOCITY_FEATURES: Final = 3
MAX_SLOPE: Final = 2.0  # b, of the level over velocity
LEAKY_SLOPE: Final = 0.2  # of the activations below 0


@dataclass(frozen=True)
class ImaginationShape:
    """Sizes of the networks.

    Attributes:
        z: random numbers per instrument.
        timbre: numbers of a timbre.
        components: of a latent.
        encoder_components: leading components of a latent that the encoder uses.
        hidden: units of the generator's blocks.
        blocks: of the generator.
        dense: units of the mapper's and encoder's layers.
    """

    z: int = 64
    timbre: int = 64
    components: int = 224
    encoder_components: int = 128
    hidden: int = 384
    blocks: int = 4
    dense: int = 256

    @classmethod
    def of(cls, codec: Codec) -> ImaginationShape:
        """The usual sizes for the latents of a codec."""
        count = len(codec.deviation)
        return cls(components=count, encoder_components=min(cls.encoder_components, count))


class Condition(NamedTuple):
    """What notes are to be: the condition of generator and critics.

    Attributes:
        pitch: MIDI numbers, float32 (n,).
        velocity: 1 … 127, float32 (n,).
        family: float32 (n, 11), shares that sum to 1.
    """

    pitch: Tensor
    velocity: Tensor
    family: Tensor

    def to(self, device: torch.device) -> Condition:
        """The same on a device."""
        return Condition(*(part.to(device) for part in self))


def pitch_features(pitch: Tensor) -> Tensor:
    """Keys (n,) by soft steps, (n, 18)."""
    steps = torch.tensor(PITCH_STEPS, dtype=torch.float32, device=pitch.device)
    near = torch.exp(-((pitch[:, None] - steps) / 6).square())
    return torch.cat([near, (pitch[:, None] - 64) / 24], dim=1)


def velocity_features(velocity: Tensor) -> Tensor:
    """Velocities (n,) as gain, linear, and squared, (n, 3)."""
    share = velocity[:, None] / 127
    gain = _velocity_gain(velocity)[:, None] / 10
    return torch.cat([gain, 2 * share - 1, share.square() - 0.5], dim=1)


def _velocity_gain(velocity: Tensor) -> Tensor:
    """Decibels below velocity 127, where gain goes with the square of the velocity."""
    return 40 * (velocity.clamp(1.0, 127.0) / 127).log10()


def _dense(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(LEAKY_SLOPE)]
    return nn.Sequential(*layers[:-1])


class Mapper(nn.Module):
    """z and family → timbre."""

    def __init__(self, shape: ImaginationShape) -> None:
        super().__init__()
        inputs = shape.z + len(FAMILIES)
        self.layers = _dense(inputs, shape.dense, shape.dense, shape.dense, shape.timbre)

    def forward(self, z: Tensor, family: Tensor) -> Tensor:
        """Z (n, 64), family (n, 11) → (n, 64)."""
        timbre: Tensor = self.layers(torch.cat([z, family * 2], dim=1))
        return timbre


class FilmBlock(nn.Module):
    """Two dense layers with a shortcut, scaled and shifted by a timbre."""

    def __init__(self, width: int, timbre: int) -> None:
        super().__init__()
        self.style = nn.Linear(timbre, 2 * width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor, timbre: Tensor) -> Tensor:
        """(n, width), (n, timbre) → (n, width)."""
        scale, shift = self.style(timbre).chunk(2, dim=1)
        inner = functional.leaky_relu(self.first(features) * (1 + scale) + shift, LEAKY_SLOPE)
        residual: Tensor = self.second(inner)
        return features + residual


class Generator(nn.Module):
    """Timbre, key and velocity → latent."""

    def __init__(self, shape: ImaginationShape) -> None:
        super().__init__()
        inputs = shape.timbre + PITCH_FEATURES + VELOCITY_FEATURES
        self.enter = nn.Linear(inputs, shape.hidden)
        self.blocks = nn.ModuleList(
            FilmBlock(shape.hidden, shape.timbre) for _ in range(shape.blocks)
        )
        self.leave = nn.Linear(shape.hidden, shape.components)
        self.loudness = _dense(shape.timbre + PITCH_FEATURES, 128, 2)

    def forward(self, timbre: Tensor, pitch: Tensor, velocity: Tensor) -> Tensor:
        """Latents, (n, 1 + components)."""
        keys = pitch_features(pitch)
        features = self.enter(torch.cat([timbre, keys, velocity_features(velocity)], dim=1))
        for block in self.blocks:
            features = block(features, timbre)
        values = self.leave(functional.leaky_relu(features, LEAKY_SLOPE))
        loudness, slope = self.loudness(torch.cat([timbre, keys], dim=1)).unbind(dim=1)
        slope = MAX_SLOPE * torch.sigmoid(slope)
        level = (loudness * LEVEL_SCALE_DB - 20 + slope * _velocity_gain(velocity)) / LEVEL_SCALE_DB
        return torch.cat([level[:, None], values], dim=1)


class Encoder(nn.Module):
    """Latent, key and velocity of one note → timbre, and logits of its family."""

    def __init__(self, shape: ImaginationShape) -> None:
        super().__init__()
        self.components = shape.encoder_components
        inputs = self.components + 1 + PITCH_FEATURES + VELOCITY_FEATURES
        self.layers = _dense(inputs, 2 * shape.dense, 2 * shape.dense, shape.dense)
        self.timbre = nn.Linear(shape.dense, shape.timbre)
        self.family = nn.Linear(shape.dense, len(FAMILIES))

    def forward(self, latents: Tensor, pitch: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """Timbres (n, 64) and logits (n, 11) of latents (n, 1 + components)."""
        inputs = [
            latents[:, :1] + 2,
            latents[:, 1 : 1 + self.components],
            pitch_features(pitch),
            velocity_features(velocity),
        ]
        features = functional.leaky_relu(self.layers(torch.cat(inputs, dim=1)), LEAKY_SLOPE)
        return self.timbre(features), self.family(features)


class Networks(nn.Module):
    """Mapper, generator and encoder.

    Args:
        shape: their sizes.
    """

    def __init__(self, shape: ImaginationShape) -> None:
        super().__init__()
        self.shape = shape
        self.mapper = Mapper(shape)
        self.generator = Generator(shape)
        self.encoder = Encoder(shape)

    def imagine(self, z: Tensor, condition: Condition) -> Tensor:
        """Latents of notes of random instruments.

        Args:
            z: (instruments, 64).
            condition: of the notes, the same number of each instrument, in the order of ``z``.
        """
        notes = len(condition.pitch) // len(z)
        timbre = self.mapper(z, condition.family[::notes]).repeat_interleave(notes, dim=0)
        latents: Tensor = self.generator(timbre, condition.pitch, condition.velocity)
        return latents
