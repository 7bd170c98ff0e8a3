"""The networks that imagine: a mapper, a generator and an encoder around one space of timbres.

    mapper     z ~ N(0, 1), family              → timbre          an instrument, by lot
    encoder    outline of a note, key, velocity → timbre          an instrument, by ear
    generator  timbre, key, velocity            → code → outline  any note of it

A *timbre* is 64 numbers that stand for one instrument on all keys and at all velocities. The mapper
turns a normal distribution into that of timbres (Karras et al., "A style-based generator
architecture", 2019). In the generator each block is scaled and shifted by the timbre (Perez et al.,
"FiLM: visual reasoning with a general conditioning layer", 2018); it knows the key as a place among
soft steps of six semitones, and makes a code (see `codec`).

How loud a key is follows from how hard it is struck by construction, so that no instrument can grow
softer: with a loudness a and a slope b ≥ 0 that the network chooses for each key,

    level = a + b · 40 log10(velocity / 127)        b = 1: gain with the square of the velocity
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.imagining.training.latents import LEVEL_SCALE
from mechanical_ears.note import FAMILIES

PITCH_STEPS: Final = tuple(range(18, 115, 6))  # MIDI numbers of the soft steps
PITCH_FEATURES: Final = len(PITCH_STEPS) + 1
VELOCITY_FEATURES: Final = 3
MOST_SLOPE: Final = 2.0  # of the level, at most
LEAKING: Final = 0.2  # slope of the activations below 0


@dataclass(frozen=True)
class ImaginationShape:
    """Sizes of the networks.

    Attributes:
        z: random numbers that make an instrument.
        timbre: numbers that stand for one.
        components: of a code.
        heard: components of a code that the encoder looks at.
        hidden: units of the generator's blocks.
        blocks: of the generator.
        mapped: units of the mapper and the encoder.
    """

    z: int = 64
    timbre: int = 64
    components: int = 224
    heard: int = 128
    hidden: int = 384
    blocks: int = 4
    mapped: int = 256


class Condition(NamedTuple):
    """What notes are asked for.

    Attributes:
        pitch: MIDI numbers, float32 (n,).
        velocity: 1 … 127, float32 (n,).
        family: float32 (n, 11), shares that sum to 1.
    """

    pitch: Tensor
    velocity: Tensor
    family: Tensor


def pitch_features(pitch: Tensor) -> Tensor:
    """Keys among soft steps, (n, 18)."""
    steps = torch.tensor(PITCH_STEPS, dtype=torch.float32, device=pitch.device)
    near = torch.exp(-((pitch[:, None] - steps) / 6).square())
    return torch.cat([near, (pitch[:, None] - 64) / 24], dim=1)


def velocity_features(velocity: Tensor) -> Tensor:
    """Velocities as gain, as they are, and squared, (n, 3)."""
    share = velocity[:, None] / 127
    return torch.cat([_gain(velocity)[:, None] / 10, 2 * share - 1, share.square() - 0.5], dim=1)


def _gain(velocity: Tensor) -> Tensor:
    """Decibels below the hardest stroke, where gain goes with the square of the velocity."""
    return 40 * (velocity.clamp(1.0, 127.0) / 127).log10()


def _dense(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(LEAKING)]
    return nn.Sequential(*layers[:-1])


class Mapper(nn.Module):
    """z and family → timbre."""

    def __init__(self, shape: ImaginationShape) -> None:
        super().__init__()
        inputs = shape.z + len(FAMILIES)
        self.layers = _dense(inputs, shape.mapped, shape.mapped, shape.mapped, shape.timbre)

    def forward(self, z: Tensor, family: Tensor) -> Tensor:
        """Z (n, 64), family (n, 11) → (n, 64)."""
        timbre: Tensor = self.layers(torch.cat([z, family * 2], dim=1))
        return timbre


class FilmBlock(nn.Module):
    """Two dense layers beside a shortcut, scaled and shifted by a timbre."""

    def __init__(self, width: int, timbre: int) -> None:
        super().__init__()
        self.style = nn.Linear(timbre, 2 * width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor, timbre: Tensor) -> Tensor:
        """(n, width), (n, timbre) → (n, width)."""
        scale, shift = self.style(timbre).chunk(2, dim=1)
        inner = functional.leaky_relu(self.first(features) * (1 + scale) + shift, LEAKING)
        changed: Tensor = self.second(inner)
        return features + changed


class Generator(nn.Module):
    """Timbre, key and velocity → code."""

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
        """Codes, (n, 1 + components)."""
        keys = pitch_features(pitch)
        features = self.enter(torch.cat([timbre, keys, velocity_features(velocity)], dim=1))
        for block in self.blocks:
            features = block(features, timbre)
        values = self.leave(functional.leaky_relu(features, LEAKING))
        loudest, slope = self.loudness(torch.cat([timbre, keys], dim=1)).unbind(dim=1)
        rise = MOST_SLOPE * torch.sigmoid(slope)
        level = (loudest * LEVEL_SCALE - 20 + rise * _gain(velocity)) / LEVEL_SCALE
        return torch.cat([level[:, None], values], dim=1)


class Encoder(nn.Module):
    """Code, key and velocity of one note → timbre, and logits of its family."""

    def __init__(self, shape: ImaginationShape) -> None:
        super().__init__()
        self.heard = shape.heard
        inputs = shape.heard + 1 + PITCH_FEATURES + VELOCITY_FEATURES
        self.layers = _dense(inputs, 2 * shape.mapped, 2 * shape.mapped, shape.mapped)
        self.timbre = nn.Linear(shape.mapped, shape.timbre)
        self.family = nn.Linear(shape.mapped, len(FAMILIES))

    def forward(self, codes: Tensor, pitch: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """Timbres (n, 64) and logits (n, 11) of codes (n, 1 + components)."""
        keys, strokes = pitch_features(pitch), velocity_features(velocity)
        codes = torch.cat([codes[:, :1] + 2, codes[:, 1 : 1 + self.heard]], dim=1)
        features = functional.leaky_relu(
            self.layers(torch.cat([codes, keys, strokes], dim=1)), LEAKING
        )
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

    def imagine(self, z: Tensor, asked: Condition) -> Tensor:
        """Codes of notes of instruments by lot; z (instruments, 64), notes in their order."""
        each = len(asked.pitch) // len(z)
        timbre = self.mapper(z, asked.family[::each]).repeat_interleave(each, dim=0)
        codes: Tensor = self.generator(timbre, asked.pitch, asked.velocity)
        return codes
