"""The listener: a network from the front end's features to key, sounding pitch, family and more.

The partials of a note form one pattern on the log-frequency axis, wherever it is. Therefore the
network searches for the pattern with the same weights everywhere, and each key is scored at its own
position on the axis:

    harmonic stack   channel h is the pitch map shifted down by 36·log2(h) bins, so that at the
                     position of a fundamental all its partials coincide (Bittner et al., "A
                     lightweight instrument-agnostic model for polyphonic note transcription", 2022)
    convolutions     small kernels over time and frequency, then one position for each semitone
    attention        mean of the frames, weighted by how informative they are, and their maximum
    semitone blocks  depthwise kernels of ±2 octaves compare octaves with each other, then channels
                     are mixed (Liu et al., "A ConvNet for the 2020s", 2022)
    heads            key and sounding pitch: one logit for each position; all others from the
                     features at the predicted key and pooled over all positions, the spectrum
                     aligned to the predicted key, the envelope and the level

Most instruments sound at their key. Those that do not are learned one by one, and what was learned
of an organ must not shift the keys of an unknown synthesiser by an octave. Therefore, after
training, the sounding pitch is added to the logits of the key: log p(key) + ``SOUNDING_WEIGHT`` ·
log p(sounding). (Chosen on validation and training presets: 0.3 is the greatest weight that costs
no training preset its key.)

A spectrum aligned to its key shows partials by their number, wherever the note is: what makes a
clarinet a clarinet on every key. Absolute frequencies show formants; they are kept in wide bands
only, too coarse to learn presets by heart.

The names of modules are the names of weights in listener.safetensors and in checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.listening.frontend import (
    BINS,
    BINS_PER_OCTAVE,
    ENVELOPE_BANDS,
    ENVELOPE_FRAMES,
    FIRST_BIN_MIDI,
    PITCH_FRAMES,
)
from mechanical_ears.note import FAMILIES, QUALITIES, SOURCES, VELOCITIES
from mechanical_ears.pitch import PITCH_COUNT

HARMONICS: Final = (0.5, 1, 2, 3, 4, 5, 6, 8)
BINS_PER_SEMITONE: Final = BINS_PER_OCTAVE // 12
SEMITONES: Final = BINS // BINS_PER_SEMITONE  # positions, from MIDI 19 to 118
BELOW_KEY: Final = 2 * BINS_PER_OCTAVE  # bins below the key, of the aligned spectrum
ABOVE_KEY: Final = 5 * BINS_PER_OCTAVE + BINS_PER_SEMITONE  # bins from the key up: 32 partials
SEGMENT_ENDS: Final = (4, 10, 17, 24)  # frames of the pitch map: attack, body, hold and end
SOUNDING_WEIGHT: Final = 0.3  # of the sounding pitch in the logits of the key
FORMANT_BAND: Final = BINS_PER_OCTAVE // 3  # bins of a band for formants: 4 semitones


@dataclass(frozen=True)
class ListenerShape:
    """Sizes of the network.

    Attributes:
        first: channels after the harmonic stack.
        middle: channels at one position for each semitone.
        wide: channels of the features of the heads.
        blocks: number of semitone blocks.
        hidden: units of the trunk, from which family, velocity and the like are predicted.
        embedding: dimensions of the embedding.
        dropout: probability of dropout in the trunk.
    """

    first: int = 24
    middle: int = 48
    wide: int = 64
    blocks: int = 3
    hidden: int = 256
    embedding: int = 96
    dropout: float = 0.3


class ListenerOutput(NamedTuple):
    """Output of the listener for notes; logits except for the embedding.

    Attributes:
        key: (batch, 128), the key that a player would press.
        sounding: (batch, 128), the MIDI number nearest to the sounding fundamental.
        pitched: (batch,), a single pitch rather than silence, noise or a chord.
        family: (batch, 11).
        source: (batch, 3).
        velocity: (batch, 5), NSynth's steps.
        qualities: (batch, 10), of independent probabilities.
        embedding: (batch, embedding), of length 1: close for notes of similar instruments.
    """

    key: Tensor
    sounding: Tensor
    pitched: Tensor
    family: Tensor
    source: Tensor
    velocity: Tensor
    qualities: Tensor
    embedding: Tensor


class SemitoneBlock(nn.Module):
    """Residual block: compares positions up to two octaves apart, then mixes channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reach = nn.Conv1d(channels, channels, 49, padding=24, groups=channels)
        self.norm = nn.BatchNorm1d(channels)
        self.mix = nn.Sequential(
            nn.Conv1d(channels, 2 * channels, 1), nn.ReLU(), nn.Conv1d(2 * channels, channels, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (batch, channels, 1, semitones) → the same shape."""
        norm = self.norm
        expand, project = cast("nn.Conv1d", self.mix[0]), cast("nn.Conv1d", self.mix[2])
        hidden = functional.batch_norm(
            _conv1d(self.reach, features, 24),
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            norm.training,
        )
        return features + _conv1d(project, functional.relu(_conv1d(expand, hidden)))


class Listener(nn.Module):
    """The network behind `ears listen`."""

    family_shift: Tensor

    def __init__(self, shape: ListenerShape | None = None) -> None:
        super().__init__()
        shape = shape or ListenerShape()
        self.shape = shape
        self.first = nn.Sequential(
            nn.Conv2d(len(HARMONICS), shape.first, (3, 5), (2, 1), (1, 2)), nn.ReLU()
        )
        self.second = _conv_norm_relu(shape.first, shape.middle, (2, BINS_PER_SEMITONE), (1, 0))
        self.third = _conv_norm_relu(shape.middle, shape.wide, (1, 1), (1, 1))
        self.telling = nn.Linear(shape.wide, 1)  # attention to frames
        self.join = nn.Conv1d(2 * shape.wide, shape.wide, 1)
        self.blocks = nn.ModuleList(SemitoneBlock(shape.wide) for _ in range(shape.blocks))
        self.key = nn.Conv1d(shape.wide, 1, 1)
        self.sounding = nn.Conv1d(shape.wide, 1, 1)
        self.beyond = nn.Parameter(torch.full((2,), -6.0))  # logits of keys outside the axis
        self.partials = _dense(len(SEGMENT_ENDS) * (BELOW_KEY + ABOVE_KEY), 128, shape.dropout / 2)
        self.formants = _dense(len(SEGMENT_ENDS) * (BINS // FORMANT_BAND), 64, shape.dropout / 2)
        envelope = _dense(ENVELOPE_FRAMES * ENVELOPE_BANDS, 128, shape.dropout / 2)
        self.add_module("course", envelope)  # its name in weights files
        inputs = 3 * shape.wide + 128 + 64 + 128 + 1
        self.trunk = nn.Sequential(
            nn.BatchNorm1d(inputs),
            nn.Dropout(shape.dropout),
            nn.Linear(inputs, shape.hidden),
            nn.ReLU(),
            nn.Dropout(shape.dropout),
            nn.Linear(shape.hidden, shape.hidden),
            nn.ReLU(),
        )
        self.pitched = nn.Linear(shape.hidden, 1)
        self.family = nn.Linear(shape.hidden, len(FAMILIES))
        self.register_buffer("family_shift", torch.zeros(len(FAMILIES)), persistent=False)
        self.source = nn.Linear(shape.hidden, len(SOURCES))
        self.velocity = nn.Linear(shape.hidden, len(VELOCITIES))
        self.qualities = nn.Linear(shape.hidden, len(QUALITIES))
        self.embedding = nn.Linear(shape.hidden, shape.embedding)

    @property
    def features(self) -> int:
        """Number of features of a note, see `forward_with_features`."""
        return cast("nn.BatchNorm1d", self.trunk[0]).num_features + self.shape.hidden

    def forward(self, pitch_map: Tensor, envelope: Tensor, level: Tensor) -> ListenerOutput:
        """Predict logits and embedding of notes.

        Args:
            pitch_map: (batch, 24, 300), see `frontend.FrontEndFeatures`.
            envelope: (batch, 48, 24).
            level: (batch,).
        """
        return self.forward_with_features(pitch_map, envelope, level)[0]

    def forward_with_features(
        self, pitch_map: Tensor, envelope: Tensor, level: Tensor
    ) -> tuple[ListenerOutput, Tensor]:
        """As `forward`, with the features before and after the trunk (batch, ``features``).

        The former are normalised; from the latter family, velocity and the like are predicted.
        """
        features = self.third(self.second(self.first(harmonic_stack(pitch_map))))
        weight = self.telling(features.amax(dim=3).transpose(1, 2)).softmax(dim=1)
        weighted = weight.transpose(1, 2)[:, None] @ features
        strongest = features.amax(dim=2, keepdim=True)
        joined = functional.relu(_conv1d(self.join, torch.cat([weighted, strongest], dim=1)))
        for block in self.blocks:
            joined = block(joined)
        joined = functional.relu(joined)
        key = _conv1d(self.key, joined)[:, 0, 0]
        sounding = _conv1d(self.sounding, joined)[:, 0, 0]
        positions = joined[:, :, 0]
        probabilities = key.softmax(dim=1)
        at_key = (positions @ probabilities[:, :, None])[:, :, 0]
        spectra = segment_spectra(pitch_map)
        aligned = align_to_key(spectra, probabilities.detach())
        formants = functional.avg_pool1d(spectra, FORMANT_BAND)
        norm, *layers = self.trunk
        before = norm(
            torch.cat(
                [
                    at_key,
                    positions.mean(dim=2),
                    positions.amax(dim=2),
                    self.partials(aligned.flatten(1)),
                    self.formants(formants.flatten(1)),
                    self.get_submodule("course")(envelope.flatten(1)),
                    level[:, None],
                ],
                dim=1,
            )
        )
        hidden = before
        for layer in layers:
            hidden = layer(hidden)
        family = self.family(hidden)
        if not self.training:
            key = key + SOUNDING_WEIGHT * sounding.log_softmax(dim=1)
            family = family + self.family_shift
        output = ListenerOutput(
            key=self._all_keys(key, 0),
            sounding=self._all_keys(sounding, 1),
            pitched=self.pitched(hidden)[:, 0],
            family=family,
            source=self.source(hidden),
            velocity=self.velocity(hidden),
            qualities=self.qualities(hidden),
            embedding=functional.normalize(self.embedding(hidden), dim=1),
        )
        return output, torch.cat([before, hidden], dim=1)

    def _all_keys(self, logits: Tensor, head: int) -> Tensor:
        """Logits of positions (batch, 100) → of all 128 MIDI numbers."""
        padding = (FIRST_BIN_MIDI, PITCH_COUNT - FIRST_BIN_MIDI - SEMITONES)
        outside = 1 - functional.pad(torch.ones(1, SEMITONES, device=logits.device), padding)
        return functional.pad(logits, padding) + self.beyond[head] * outside


def harmonic_stack(pitch_map: Tensor) -> Tensor:
    """Stack shifted pitch maps, so that the partials of a fundamental coincide.

    Args:
        pitch_map: (batch, frames, bins).

    Returns:
        (batch, harmonics, frames, bins); silent beyond the axis.
    """
    shifts = [round(BINS_PER_OCTAVE * math.log2(harmonic)) for harmonic in HARMONICS]
    below = -min(shifts)
    padded = functional.pad(pitch_map[:, None], (below, max(shifts)))
    bins = pitch_map.shape[2]
    return torch.cat([padded[..., below + shift :][..., :bins] for shift in shifts], dim=1)


def segment_spectra(pitch_map: Tensor) -> Tensor:
    """Mean spectra of attack, body, hold and end: (batch, frames, bins) → (batch, 4, bins)."""
    frames = torch.arange(pitch_map.shape[1], device=pitch_map.device)
    ends = torch.tensor(SEGMENT_ENDS, device=pitch_map.device)
    begins = functional.pad(ends[:-1], (1, 0))
    inside = (frames >= begins[:, None]) & (frames < ends[:, None])
    return (inside / (ends - begins)[:, None]).to(pitch_map.dtype) @ pitch_map


def align_to_key(spectra: Tensor, probabilities: Tensor) -> Tensor:
    """Shift spectra so that the key is always at bin ``BELOW_KEY``.

    Args:
        spectra: (batch, segments, bins).
        probabilities: (batch, semitones), of each key.

    Returns:
        (batch, segments, ``BELOW_KEY`` + ``ABOVE_KEY``), the mean over keys by their probability.
    """
    batch, segments, _ = spectra.shape
    padded = functional.pad(spectra, (BELOW_KEY, ABOVE_KEY - BINS_PER_SEMITONE))
    positions = padded.shape[2] // BINS_PER_SEMITONE
    semitones = (BELOW_KEY + ABOVE_KEY) // BINS_PER_SEMITONE
    # A vector of n + 1 numbers, repeated and read in rows of n, moves one to the right from row to
    # row: row u of this Toeplitz matrix selects from the padded spectra what is u semitones up.
    tiled = functional.pad(probabilities, (0, positions + 1 - SEMITONES))[:, None]
    tiled = tiled.expand(-1, semitones, -1).flatten(1)[:, : semitones * positions]
    rows = tiled.reshape(batch, semitones, positions)
    columns = padded.reshape(batch, segments, positions, BINS_PER_SEMITONE)
    aligned = rows @ columns.transpose(1, 2).flatten(2)
    aligned = aligned.reshape(batch, semitones, segments, BINS_PER_SEMITONE)
    return aligned.transpose(1, 2).flatten(2)


def _conv1d(conv: nn.Conv1d, features: Tensor, padding: int = 0) -> Tensor:
    """A 1-d convolution of (batch, channels, 1, positions), as a 2-d one of height 1.

    ONNX Runtime computes these faster, and keeps its own order of channels in between.
    """
    weight = conv.weight[:, :, None]
    return functional.conv2d(features, weight, conv.bias, padding=(0, padding), groups=conv.groups)


def _dense(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, outputs), nn.ReLU())


def _conv_norm_relu(
    inputs: int, outputs: int, stride: tuple[int, int], padding: tuple[int, int]
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def example_inputs(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Random inputs of the right shapes, for export and tests."""
    return (
        torch.rand(batch, PITCH_FRAMES, BINS),
        torch.rand(batch, ENVELOPE_FRAMES, ENVELOPE_BANDS),
        torch.rand(batch),
    )
