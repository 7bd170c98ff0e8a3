"""The listener: from what the ears hear of a note to its key, sound, family, velocity, qualities.

A note's partials form one pattern on the log-frequency axis, wherever it lies. So the network looks
for the pattern with the same weights everywhere, and a key's evidence is read off where the key
stands:

    harmonic stack   channel h holds the pitch map moved down by 36·log2(h) bins: at the place of
                     a fundamental all its partials lie above each other (Bittner et al., "A
                     lightweight instrument-agnostic model for polyphonic note transcription", 2022)
    convolutions     small kernels over time and frequency, then one place for each semitone
    attention        frames weighted by how much they tell, and the strongest
    semitone blocks  depthwise kernels of ±2 octaves weigh octaves against each other, then
                     mixtures of channels (Liu et al., "A ConvNet for the 2020s", 2022)
    heads            key and sounding pitch: one logit a place; the rest from the features at the
                     heard key and over all places, the spectrum seen from the heard key, the
                     envelope and the level

Most instruments sound at their key. Those that do not are learned one by one, and what was learned
of an organ must not move the keys of an unknown synthesiser by an octave. So, after training, the
sounding pitch is added to the logits of the key: log p(key) + ``SOUNDING_WEIGHT`` ·
log p(sounding). (Chosen on validation and training presets: 0.3 is the greatest weight that costs
no training preset its key.)

How often families come is not the same in the training fonts (an eighth are leads of synthesisers)
and in use; logits of families are moved half way (``FAMILY_PRIOR``) from the one to NSynth's own
distribution (Saerens et al. 2002, as in `publish`). On validation presets any way of a half to all
of it is as good.

Seen from its key, a spectrum shows partials by their number, wherever the note lies: what makes a
clarinet a clarinet on every key. Absolute frequencies tell formants; they are kept in wide bands
only, too coarse to learn presets by heart.
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
SEMITONES: Final = BINS // BINS_PER_SEMITONE  # places, from MIDI 19 to 118
BELOW_KEY: Final = 2 * BINS_PER_OCTAVE  # bins below the heard key that are seen from it
ABOVE_KEY: Final = 5 * BINS_PER_OCTAVE + BINS_PER_SEMITONE  # bins from it up: 32 partials
SEGMENT_ENDS: Final = (4, 10, 17, 24)  # pitch-map frames at which attack, body, hold and end stop
SOUNDING_WEIGHT: Final = 0.3  # weight of the sounding pitch in the key that is told, see above
FAMILY_PRIOR: Final = 0.5  # of the way to how often families come in use
NSYNTH_NOTES: Final = {  # of each family in all of NSynth (Engel et al. 2017, table 2)
    "bass": 68_955,
    "brass": 13_830,
    "flute": 9_423,
    "guitar": 35_423,
    "keyboard": 54_991,
    "mallet": 35_066,
    "organ": 36_577,
    "reed": 14_866,
    "string": 20_594,
    "synth_lead": 5_501,
    "vocal": 10_753,
}
FORMANT_BAND: Final = BINS_PER_OCTAVE // 3  # bins of a band of the absolute spectrum: 4 semitones


@dataclass(frozen=True)
class ListenerShape:
    """Sizes of the network.

    Attributes:
        first: channels after the harmonic stack.
        middle: channels at a place for each semitone.
        wide: channels of the features from which all is told.
        blocks: semitone blocks.
        hidden: units from which family and the like are told.
        embedding: dimensions of the embedding.
        dropout: chance that a value from which family and the like are told is left out.
    """

    first: int = 24
    middle: int = 48
    wide: int = 64
    blocks: int = 3
    hidden: int = 256
    embedding: int = 96
    dropout: float = 0.3


class ListenerOutput(NamedTuple):
    """What the network tells of notes; logits unless said otherwise.

    Attributes:
        key: (batch, 128), the key that a player would press.
        sounding: (batch, 128), the MIDI number nearest to what sounds.
        pitched: (batch,), one single pitch, rather than silence, noise or a chord.
        family: (batch, 11).
        source: (batch, 3).
        velocity: (batch, 5), NSynth's steps.
        qualities: (batch, 10), each on its own.
        embedding: (batch, embedding), of length 1: near for notes of like instruments.
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
    """Weighs places up to two octaves away, then mixes channels; added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reach = nn.Conv1d(channels, channels, 49, padding=24, groups=channels)
        self.norm = nn.BatchNorm1d(channels)
        self.mix = nn.Sequential(
            nn.Conv1d(channels, 2 * channels, 1), nn.ReLU(), nn.Conv1d(2 * channels, channels, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (batch, channels, 1, semitones) to the same."""
        norm = self.norm
        widened, narrowed = cast("nn.Conv1d", self.mix[0]), cast("nn.Conv1d", self.mix[2])
        reached = functional.batch_norm(
            _conv1d(self.reach, features, 24),
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            norm.training,
        )
        return features + _conv1d(narrowed, functional.relu(_conv1d(widened, reached)))


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
        self.telling = nn.Linear(shape.wide, 1)
        self.join = nn.Conv1d(2 * shape.wide, shape.wide, 1)
        self.blocks = nn.ModuleList(SemitoneBlock(shape.wide) for _ in range(shape.blocks))
        self.key = nn.Conv1d(shape.wide, 1, 1)
        self.sounding = nn.Conv1d(shape.wide, 1, 1)
        self.beyond = nn.Parameter(torch.full((2,), -6.0))  # logits of keys off the axis
        self.partials = _dense(len(SEGMENT_ENDS) * (BELOW_KEY + ABOVE_KEY), 128, shape.dropout / 2)
        self.formants = _dense(len(SEGMENT_ENDS) * (BINS // FORMANT_BAND), 64, shape.dropout / 2)
        self.course = _dense(ENVELOPE_FRAMES * ENVELOPE_BANDS, 128, shape.dropout / 2)
        told = 3 * shape.wide + 128 + 64 + 128 + 1
        self.trunk = nn.Sequential(
            nn.BatchNorm1d(told),
            nn.Dropout(shape.dropout),
            nn.Linear(told, shape.hidden),
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
        """Numbers of a note's features, see `forward_with_features`."""
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
        """As `forward`, with the features before and behind the trunk (batch, ``features``).

        Those before are normalised; from those behind family, velocity and the like are predicted.
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
        places = joined[:, :, 0]
        heard = key.softmax(dim=1)
        at_key = (places @ heard[:, :, None])[:, :, 0]
        spectra = segment_spectra(pitch_map)
        formants = functional.avg_pool1d(spectra, FORMANT_BAND)
        norm, *layers = self.trunk
        before = norm(
            torch.cat(
                [
                    at_key,
                    places.mean(dim=2),
                    places.amax(dim=2),
                    self.partials(align_to_key(spectra, heard.detach()).flatten(1)),
                    self.formants(formants.flatten(1)),
                    self.course(envelope.flatten(1)),
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
        """The places' logits (batch, 100) among all 128 MIDI numbers."""
        around = (FIRST_BIN_MIDI, PITCH_COUNT - FIRST_BIN_MIDI - SEMITONES)
        off = 1 - functional.pad(torch.ones(1, SEMITONES, device=logits.device), around)
        return functional.pad(logits, around) + self.beyond[head] * off


def harmonic_stack(pitch_map: Tensor) -> Tensor:
    """Lay the partials of each place above each other.

    Args:
        pitch_map: (batch, frames, bins).

    Returns:
        (batch, harmonics, frames, bins); what lies beyond the axis is silent.
    """
    shifts = [round(BINS_PER_OCTAVE * math.log2(harmonic)) for harmonic in HARMONICS]
    below = -min(shifts)
    wide = functional.pad(pitch_map[:, None], (below, max(shifts)))
    bins = pitch_map.shape[2]
    return torch.cat([wide[..., below + by : below + by + bins] for by in shifts], dim=1)


def segment_spectra(pitch_map: Tensor) -> Tensor:
    """Mean spectra of attack, body, hold and end: (batch, frames, bins) → (batch, 4, bins)."""
    frames = torch.arange(pitch_map.shape[1], device=pitch_map.device)
    ends = torch.tensor(SEGMENT_ENDS, device=pitch_map.device)
    begins = functional.pad(ends[:-1], (1, 0))
    taken = (frames >= begins[:, None]) & (frames < ends[:, None])
    return (taken / (ends - begins)[:, None]).to(pitch_map.dtype) @ pitch_map


def align_to_key(spectra: Tensor, heard: Tensor) -> Tensor:
    """Move spectra so that the heard key always stands at the same place.

    Args:
        spectra: (batch, times, bins).
        heard: (batch, semitones), probability of each key.

    Returns:
        (batch, times, ``BELOW_KEY`` + ``ABOVE_KEY``), the mean over keys by their probability.
    """
    batch, times, _ = spectra.shape
    wide = functional.pad(spectra, (BELOW_KEY, ABOVE_KEY - BINS_PER_SEMITONE))
    places = wide.shape[2] // BINS_PER_SEMITONE
    semitones = (BELOW_KEY + ABOVE_KEY) // BINS_PER_SEMITONE
    # A vector of places + 1 numbers, laid one behind the other and read in rows of so many places,
    # steps one to the right in each row: row u of the matrix takes from wide what lies u up.
    tiled = functional.pad(heard, (0, places + 1 - SEMITONES))[:, None].expand(-1, semitones, -1)
    rows = tiled.flatten(1)[:, : semitones * places].reshape(batch, semitones, places)
    columns = wide.reshape(batch, times, places, BINS_PER_SEMITONE).transpose(1, 2).flatten(2)
    seen = (rows @ columns).reshape(batch, semitones, times, BINS_PER_SEMITONE)
    return seen.transpose(1, 2).flatten(2)


def _conv1d(conv: nn.Conv1d, features: Tensor, padding: int = 0) -> Tensor:
    """A convolution along an axis of (batch, channels, 1, places), a picture one place high.

    ONNX Runtime does these faster, and keeps its own order of channels from one to the next.
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
