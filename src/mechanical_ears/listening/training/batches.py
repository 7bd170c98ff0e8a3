"""What a network learns from: notes augmented, moved, blended, or made into what has no pitch.

Instruments are few beside the notes they give, and a network that knows them all by heart has not
learned what a flute is. So instruments are made that nobody built: a pitch map is moved by some
semitones with its labels, as if formants lay elsewhere; and two notes of one family are blended,
the other moved to the same key, their powers added (after Zhang et al., "mixup: Beyond empirical
risk minimization", 2018, but within a label, so that the label stays whole).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.listening.frontend import BINS, RANGE_DB
from mechanical_ears.listening.training import effects
from mechanical_ears.listening.training.augment import Augmentation, augment
from mechanical_ears.listening.training.labels import UNKNOWN, Labeller, Labels
from mechanical_ears.listening.training.network import BINS_PER_SEMITONE
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, PITCH_COUNT
from mechanical_ears.training.feed import Batch

LN10 = math.log(10)
UNPITCHED_SHARE = 0.2  # of the notes of a batch, made into noise, silence or chords
CHORD_SHARE = 0.75  # of those: chords are harder to tell from notes than noise is
DYAD_SHARE = 0.3  # of the chords of other notes, that have two notes instead of three
NOISE_COLOURS = 3  # of noise: white, pink, brown
TRIADS = ((3, 7), (4, 7), (5, 9), (4, 10))  # semitones above a note, of its own chords
TRANSPOSE_CHANCE = 0.4  # that a pitch map is moved by up to …
MAX_TRANSPOSITION = 4  # … so many semitones either way
BLEND_CHANCE = 0.3  # that a note is blended with another of its family …
MAX_BLEND_DISTANCE = 12  # … no more than so many semitones away …
MAX_BLEND_LEVEL = 10.0  # … and so many dB louder or softer at the most


@torch.no_grad()
def prepare_batch(
    batch: Batch,
    labeller: Labeller,
    front_end: nn.Module,
    how: Augmentation,
    generator: torch.Generator,
    *,
    moves: bool,
) -> tuple[tuple[Tensor, ...], Labels]:
    """What is heard of a batch, augmented, some of it without pitch; and its labels.

    Args:
        batch: notes as they are.
        labeller: gives their labels.
        front_end: audio float32 (batch, 64000) → tensors.
        how: the notes are augmented.
        generator: on the CPU, of all that is drawn.
        moves: whether the first tensor is a pitch map, some of which are moved with their labels.
    """
    device = next(front_end.buffers()).device
    labels = labeller.of(batch.notes).to(device)
    audio, labels = remove_pitch(batch.audio_on(device), labels, generator)
    changed = augment(audio, labels.key.clamp_min(0), how, generator)
    labels = replace(
        labels,
        qualities=labels.qualities.masked_fill(~changed.qualities, UNKNOWN),
        pitched=labels.pitched * changed.audible,
        key=labels.key.masked_fill(~changed.audible, UNKNOWN),
        sounding=labels.sounding.masked_fill(~changed.audible, UNKNOWN),
    )
    heard: tuple[Tensor, ...] = front_end(changed.audio)
    if not moves:
        return heard, labels
    by = torch.randint(
        -MAX_TRANSPOSITION, MAX_TRANSPOSITION + 1, (len(audio),), generator=generator
    )
    by *= torch.rand(len(audio), generator=generator) < TRANSPOSE_CHANCE
    pitch_map, labels = transpose(heard[0], labels, by.to(device))
    return blend((pitch_map, *heard[1:]), labels, generator)


def transpose(pitch_map: Tensor, labels: Labels, by: Tensor) -> tuple[Tensor, Labels]:
    """Pitch maps moved by ``by`` (batch,) semitones, with their labels, where keys stay on a piano.

    What the move uncovers at an end of the axis is silent.
    """
    key = labels.key + by
    on_piano = (key >= PIANO_MIN_PITCH) & (key <= PIANO_MAX_PITCH) & (labels.key != UNKNOWN)
    by = by * on_piano
    sounding = torch.where(labels.sounding == UNKNOWN, UNKNOWN, labels.sounding + by)
    return (
        _shift_spectra(pitch_map, by),
        replace(labels, key=labels.key + by, sounding=sounding.clamp(UNKNOWN, PITCH_COUNT - 1)),
    )


def blend(
    heard: tuple[Tensor, ...], labels: Labels, generator: torch.Generator
) -> tuple[tuple[Tensor, ...], Labels]:
    """Some notes that sound at their key with another such of their family over them, in unison.

    Args:
        heard: pitch map (batch, frames, bins), envelope (batch, frames, bands), level (batch,).
        labels: of the batch; a blended note keeps its key and family, and what both agree on.
        generator: on the CPU, of which notes are blended, with which, and how loud.
    """
    count, device = len(labels.key), labels.key.device
    chance = torch.rand(count, count, generator=generator).to(device)
    chosen = torch.rand(count, generator=generator).to(device) < BLEND_CHANCE
    level = (torch.rand(count, generator=generator).to(device) * 2 - 1) * MAX_BLEND_LEVEL
    away = labels.key[:, None] - labels.key
    alike = (labels.family[:, None] == labels.family) & (away.abs() <= MAX_BLEND_DISTANCE)
    plain = (labels.key != UNKNOWN) & (labels.sounding == labels.key) & (labels.family != UNKNOWN)
    alike &= plain[:, None] & plain & ~torch.eye(count, dtype=torch.bool, device=device)
    partner = torch.where(alike, chance, -1).argmax(dim=1)
    rows = torch.nonzero(chosen & alike.any(dim=1))[:, 0]
    partner, level = partner[rows], level[rows]
    by = labels.key[rows] - labels.key[partner]
    pitch_map, envelope = heard[0].clone(), heard[1].clone()
    pitch_map[rows] = _add_levels(heard[0][rows], _shift_spectra(heard[0][partner], by), level)
    envelope[rows] = _add_levels(heard[1][rows], heard[1][partner], level)

    def agreed(values: Tensor, others: Tensor) -> Tensor:
        changed = values.clone()
        changed[rows] = torch.where(values[rows] == others, values[rows], UNKNOWN)
        return changed

    return (pitch_map, envelope, *heard[2:]), replace(
        labels,
        source=agreed(labels.source, labels.source[partner]),
        velocity=agreed(labels.velocity, labels.velocity[partner]),
        qualities=agreed(labels.qualities, labels.qualities[partner]),
        instrument=agreed(labels.instrument, labels.instrument[partner]),
    )


def _shift_spectra(pitch_map: Tensor, by: Tensor) -> Tensor:
    """Pitch maps (batch, frames, bins) moved up by ``by`` (batch,) semitones; silence follows."""
    places = torch.arange(BINS, device=by.device) - BINS_PER_SEMITONE * by[:, None]
    inside = (places >= 0) & (places < BINS)
    taken = places.clamp(0, BINS - 1)[:, None].expand_as(pitch_map)
    return pitch_map.gather(2, taken) * inside[:, None]


def _add_levels(heard: Tensor, other: Tensor, level: Tensor) -> Tensor:
    """Powers of two pictures of sound added, the other ``level`` (batch,) dB louder."""
    power, added = (torch.exp((each - 1) * (RANGE_DB * 0.1 * LN10)) for each in (heard, other))
    total = power + added * torch.exp(level * (0.1 * LN10))[:, None, None]
    loudest = total.amax(dim=(1, 2), keepdim=True)
    return (1 + (total / loudest).log10() * (10 / RANGE_DB)).clamp_min(0)


def remove_pitch(
    audio: Tensor, labels: Labels, generator: torch.Generator
) -> tuple[Tensor, Labels]:
    """Make the first notes of a batch into chords, noise and silence, which have no single pitch.

    Args:
        audio: float32 (batch, samples); other notes of the batch give the chords' notes.
        labels: of the batch; what is made loses them, but for ``pitched``.
        generator: on the CPU, of which notes sound together.
    """
    count = round(UNPITCHED_SHARE * len(audio))
    if count < 4:
        return audio, labels
    audio = audio.clone()
    chords = round(CHORD_SHARE * (count - 1))
    noises = count - 1 - chords
    gains = torch.rand(chords, 2, 1, generator=generator).to(audio.device) * 0.6 + 0.7
    partner = torch.randint(count, len(audio), (chords, 2), generator=generator)
    peak = audio.abs().amax(dim=1, keepdim=True).clamp_min(1e-4)
    even = audio / peak
    clash = (labels.key[:chords, None].cpu() - labels.key[partner].cpu()) % 12
    clash[:, 1] *= torch.rand(chords, generator=generator) >= DYAD_SHARE
    heard = (clash != 0).to(audio.device)  # an octave or a unison is one pitch
    others = even[partner]
    for place in range(0, chords, 2):  # each second chord is the note's own
        triad = TRIADS[int(torch.randint(len(TRIADS), (), generator=generator))]
        others[place] = torch.stack([_speed_up(even[place], above) for above in triad])
        heard[place] = True
    mixed = even[:chords] + (gains * heard[:, :, None] * others).sum(dim=1)
    audio[:chords] = mixed * peak[:chords] / 2
    colour = torch.randint(NOISE_COLOURS, (noises,), generator=generator)
    noise = effects.make_noise(colour, torch.full((noises,), 50.0), audio.shape[1], generator)
    noise *= 0.1 / noise.square().mean(dim=1, keepdim=True).sqrt()
    audio[chords : chords + noises] = noise.to(audio.device)
    audio[chords + noises] = 0
    lost = torch.zeros(len(audio), dtype=torch.bool, device=audio.device)
    lost[:chords] = heard.any(dim=1)
    lost[chords:count] = True
    return audio, labels.without(lost)


def _speed_up(audio: Tensor, semitones: int) -> Tensor:
    """Audio (samples,) played so much faster that it sounds higher; silence after its end."""
    shorter = functional.interpolate(
        audio[None, None], scale_factor=2 ** (-semitones / 12), mode="linear"
    )[0, 0]
    return functional.pad(shorter, (0, len(audio) - len(shorter)))
