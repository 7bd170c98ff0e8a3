"""Training examples: notes augmented, transposed, blended, or turned into sounds without a pitch.

There are few instruments compared with their notes, and a network that knows all of them by heart
has not learned what a flute is. Therefore instruments are made that do not exist: a pitch map is
transposed with its labels, as if the formants were elsewhere; and two notes of one family are
blended, the second transposed to the key of the first, their powers added (after Zhang et al.,
"mixup: Beyond empirical risk minimization", 2018, but within a label, which is kept as it is).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.listening.frontend import BINS, RANGE_DB
from mechanical_ears.listening.training import effects
from mechanical_ears.listening.training.augment import augment
from mechanical_ears.listening.training.augmentation import Augmentation
from mechanical_ears.listening.training.labels import UNKNOWN, Labeller, Labels
from mechanical_ears.listening.training.network import BINS_PER_SEMITONE
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, PITCH_COUNT
from mechanical_ears.training.feed import Batch

LN10 = math.log(10)
UNPITCHED_SHARE = 0.2  # of the notes of a batch, turned into noise, silence or chords
CHORD_SHARE = 0.75  # of those: chords are harder to distinguish from notes than noise is
DYAD_SHARE = 0.3  # of the chords of other notes, which have two notes instead of three
NOISE_COLOURS = 3  # white, pink, brown
NOISE_LEVEL = 0.1  # root mean square
TRIADS = ((3, 7), (4, 7), (5, 9), (4, 10))  # semitones above a note, of its own chords
TRANSPOSE_CHANCE = 0.4
MAX_TRANSPOSITION = 4  # semitones up or down
BLEND_CHANCE = 0.3
MAX_BLEND_DISTANCE = 12  # semitones between the keys of blended notes
MAX_BLEND_LEVEL = 10.0  # dB, level of the second note, up or down


@torch.no_grad()
def prepare_batch(
    batch: Batch,
    labeller: Labeller,
    front_end: nn.Module,
    augmentation: Augmentation,
    rng: torch.Generator,
    *,
    has_pitch_map: bool,
) -> tuple[tuple[Tensor, ...], Labels]:
    """Augment a batch, make some of it unpitched, and apply the front end.

    Args:
        batch: notes of the corpus.
        labeller: gives their labels.
        front_end: audio float32 (batch, 64000) → tensors.
        augmentation: of the notes.
        rng: on the CPU.
        has_pitch_map: whether the tensors are pitch map, envelope and level; then some notes are
            transposed and blended.

    Returns:
        The tensors of the front end, and labels.
    """
    device = next(front_end.buffers()).device
    labels = labeller.label(batch.notes).to(device)
    audio, labels = remove_pitch(batch.audio_on(device), labels, rng)
    notes = augment(audio, labels.key.clamp_min(0), augmentation, rng)
    labels = replace(
        labels,
        qualities=labels.qualities.masked_fill(~notes.qualities, UNKNOWN),
        pitched=labels.pitched * notes.audible,
        key=labels.key.masked_fill(~notes.audible, UNKNOWN),
        sounding=labels.sounding.masked_fill(~notes.audible, UNKNOWN),
    )
    inputs: tuple[Tensor, ...] = front_end(notes.audio)
    if not has_pitch_map:
        return inputs, labels
    size = (len(audio),)
    semitones = torch.randint(-MAX_TRANSPOSITION, MAX_TRANSPOSITION + 1, size, generator=rng)
    semitones *= torch.rand(len(audio), generator=rng) < TRANSPOSE_CHANCE
    pitch_map, labels = transpose(inputs[0], labels, semitones.to(device))
    return blend((pitch_map, *inputs[1:]), labels, rng)


def transpose(pitch_map: Tensor, labels: Labels, semitones: Tensor) -> tuple[Tensor, Labels]:
    """Transpose pitch maps by ``semitones`` (batch,), with labels, where keys stay on a piano.

    Bins uncovered at an end of the axis are silent.
    """
    key = labels.key + semitones
    on_piano = (key >= PIANO_MIN_PITCH) & (key <= PIANO_MAX_PITCH) & (labels.key != UNKNOWN)
    semitones = semitones * on_piano
    sounding = torch.where(labels.sounding == UNKNOWN, UNKNOWN, labels.sounding + semitones)
    return (
        _shift_spectra(pitch_map, semitones),
        replace(
            labels, key=labels.key + semitones, sounding=sounding.clamp(UNKNOWN, PITCH_COUNT - 1)
        ),
    )


def blend(
    inputs: tuple[Tensor, ...], labels: Labels, rng: torch.Generator
) -> tuple[tuple[Tensor, ...], Labels]:
    """Blend some notes with another note of their family in unison; both sound at their key.

    Args:
        inputs: pitch map (batch, frames, bins), envelope (batch, frames, bands), level (batch,).
        labels: of the batch; a blended note keeps its key and family, and labels on which both
            notes agree.
        rng: on the CPU.
    """
    count, device = len(labels.key), labels.key.device
    priority = torch.rand(count, count, generator=rng).to(device)
    selected = torch.rand(count, generator=rng).to(device) < BLEND_CHANCE
    level = (torch.rand(count, generator=rng).to(device) * 2 - 1) * MAX_BLEND_LEVEL
    distance = (labels.key[:, None] - labels.key).abs()
    suited = (labels.key != UNKNOWN) & (labels.sounding == labels.key) & (labels.family != UNKNOWN)
    pairs = (labels.family[:, None] == labels.family) & (distance <= MAX_BLEND_DISTANCE)
    pairs &= suited[:, None] & suited & ~torch.eye(count, dtype=torch.bool, device=device)
    partner = torch.where(pairs, priority, -1).argmax(dim=1)
    rows = torch.nonzero(selected & pairs.any(dim=1))[:, 0]
    partner, level = partner[rows], level[rows]
    semitones = labels.key[rows] - labels.key[partner]
    pitch_map, envelope = inputs[0].clone(), inputs[1].clone()
    in_unison = _shift_spectra(inputs[0][partner], semitones)
    pitch_map[rows] = _add_levels(inputs[0][rows], in_unison, level)
    envelope[rows] = _add_levels(inputs[1][rows], inputs[1][partner], level)

    def agreed(values: Tensor) -> Tensor:
        result = values.clone()
        result[rows] = torch.where(values[rows] == values[partner], values[rows], UNKNOWN)
        return result

    return (pitch_map, envelope, *inputs[2:]), replace(
        labels,
        source=agreed(labels.source),
        velocity=agreed(labels.velocity),
        qualities=agreed(labels.qualities),
        instrument=agreed(labels.instrument),
    )


def _shift_spectra(pitch_map: Tensor, semitones: Tensor) -> Tensor:
    """Shift pitch maps (batch, frames, bins) up by ``semitones`` (batch,); pad with silence."""
    bins = torch.arange(BINS, device=semitones.device) - BINS_PER_SEMITONE * semitones[:, None]
    inside = (bins >= 0) & (bins < BINS)
    indices = bins.clamp(0, BINS - 1)[:, None].expand_as(pitch_map)
    return pitch_map.gather(2, indices) * inside[:, None]


def _add_levels(levels: Tensor, others: Tensor, gain: Tensor) -> Tensor:
    """Add the powers of two spectrograms in dB / ``RANGE_DB`` + 1, the second + ``gain`` dB."""
    power, added = (torch.exp((each - 1) * (RANGE_DB * 0.1 * LN10)) for each in (levels, others))
    total = power + added * torch.exp(gain * (0.1 * LN10))[:, None, None]
    loudest = total.amax(dim=(1, 2), keepdim=True)
    return (1 + (total / loudest).log10() * (10 / RANGE_DB)).clamp_min(0)


def remove_pitch(audio: Tensor, labels: Labels, rng: torch.Generator) -> tuple[Tensor, Labels]:
    """Turn the first notes of a batch into chords, noise and silence, which have no single pitch.

    Args:
        audio: float32 (batch, samples); the notes of chords are from the rest of the batch.
        labels: of the batch; the changed notes lose all but ``pitched``, which becomes 0.
        rng: on the CPU.
    """
    count = round(UNPITCHED_SHARE * len(audio))
    if count < 4:
        return audio, labels
    audio = audio.clone()
    chords = round(CHORD_SHARE * (count - 1))
    noises = count - 1 - chords
    gains = torch.rand(chords, 2, 1, generator=rng).to(audio.device) * 0.6 + 0.7
    partner = torch.randint(count, len(audio), (chords, 2), generator=rng)
    peak = audio.abs().amax(dim=1, keepdim=True).clamp_min(1e-4)
    normalised = audio / peak
    interval = (labels.key[:chords, None].cpu() - labels.key[partner].cpu()) % 12
    interval[:, 1] *= torch.rand(chords, generator=rng) >= DYAD_SHARE
    added = (interval != 0).to(audio.device)  # an octave or a unison would be one pitch
    others = normalised[partner]
    for row in range(0, chords, 2):  # every second chord is made of the note itself
        triad = TRIADS[int(torch.randint(len(TRIADS), (), generator=rng))]
        others[row] = torch.stack([_speed_up(normalised[row], semitones) for semitones in triad])
        added[row] = True
    mixed = normalised[:chords] + (gains * added[:, :, None] * others).sum(dim=1)
    audio[:chords] = mixed * peak[:chords] / 2
    colour = torch.randint(NOISE_COLOURS, (noises,), generator=rng)
    noise = effects.make_noise(colour, torch.full((noises,), 50.0), audio.shape[1], rng)
    noise *= NOISE_LEVEL / noise.square().mean(dim=1, keepdim=True).sqrt()
    audio[chords : chords + noises] = noise.to(audio.device)
    audio[chords + noises] = 0
    unpitched = torch.zeros(len(audio), dtype=torch.bool, device=audio.device)
    unpitched[:chords] = added.any(dim=1)
    unpitched[chords:count] = True
    return audio, labels.without_pitch(unpitched)


def _speed_up(audio: Tensor, semitones: int) -> Tensor:
    """Audio (samples,) played faster, so that it sounds higher; silence after its end."""
    shorter = functional.interpolate(
        audio[None, None], scale_factor=2 ** (-semitones / 12), mode="linear"
    )[0, 0]
    return functional.pad(shorter, (0, len(audio) - len(shorter)))
