"""What a network learns from: notes augmented, moved, or made into what has no single pitch."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.listening.augment import Augmentation, augment
from mechanical_ears.listening.frontend import BINS
from mechanical_ears.listening.labels import UNKNOWN, Labeller, Labels
from mechanical_ears.listening.network import BINS_PER_SEMITONE
from mechanical_ears.pitch import PIANO_HIGHEST, PIANO_LOWEST, PITCH_COUNT
from mechanical_ears.training.feed import Batch

UNPITCHED_SHARE = 0.12  # of the notes of a batch, made into noise, silence or chords
TRIADS = ((3, 7), (4, 7), (5, 9), (4, 10))  # semitones above a note, of its own chords
MOVED_CHANCE = 0.4  # that a pitch map is moved by up to …
MOVED = 4  # … so many semitones either way


@torch.no_grad()
def prepare(
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
    audio, labels = without_pitch(batch.audio_on(device), labels, generator)
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
    by = torch.randint(-MOVED, MOVED + 1, (len(audio),), generator=generator)
    by *= torch.rand(len(audio), generator=generator) < MOVED_CHANCE
    pitch_map, labels = moved(heard[0], labels, by.to(device))
    return (pitch_map, *heard[1:]), labels


def moved(pitch_map: Tensor, labels: Labels, by: Tensor) -> tuple[Tensor, Labels]:
    """Pitch maps moved by ``by`` (batch,) semitones, with their labels, where keys stay on a piano.

    What the move uncovers at an end of the axis is silent.
    """
    key = labels.key + by
    on_piano = (key >= PIANO_LOWEST) & (key <= PIANO_HIGHEST) & (labels.key != UNKNOWN)
    by = by * on_piano
    places = torch.arange(BINS, device=by.device) - BINS_PER_SEMITONE * by[:, None]
    inside = (places >= 0) & (places < BINS)
    taken = places.clamp(0, BINS - 1)[:, None].expand_as(pitch_map)
    sounding = torch.where(labels.sounding == UNKNOWN, UNKNOWN, labels.sounding + by)
    return (
        pitch_map.gather(2, taken) * inside[:, None],
        replace(labels, key=labels.key + by, sounding=sounding.clamp(UNKNOWN, PITCH_COUNT - 1)),
    )


def without_pitch(
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
    chords, noises = count // 2, count - count // 2 - 1
    gains = torch.rand(chords, 2, 1, generator=generator).to(audio.device) * 0.6 + 0.7
    partner = torch.randint(count, len(audio), (chords, 2), generator=generator)
    peak = audio.abs().amax(dim=1, keepdim=True).clamp_min(1e-4)
    even = audio / peak
    clash = (labels.key[:chords, None].cpu() - labels.key[partner].cpu()) % 12
    heard = (clash != 0).to(audio.device)  # an octave or a unison is one pitch
    others = even[partner]
    for place in range(0, chords, 2):  # each second chord is the note's own
        triad = TRIADS[int(torch.randint(len(TRIADS), (), generator=generator))]
        others[place] = torch.stack([_played_faster(even[place], above) for above in triad])
        heard[place] = True
    mixed = even[:chords] + (gains * heard[:, :, None] * others).sum(dim=1)
    audio[:chords] = mixed * peak[:chords] / 2
    noise = torch.randn(noises, audio.shape[1], generator=generator).to(audio.device)
    audio[chords : chords + noises] = 0.1 * noise
    audio[chords + noises] = 0
    lost = torch.zeros(len(audio), dtype=torch.bool, device=audio.device)
    lost[:chords] = heard.any(dim=1)
    lost[chords:count] = True
    return audio, labels.without(lost)


def _played_faster(audio: Tensor, semitones: int) -> Tensor:
    """Audio (samples,) played so much faster that it sounds higher; silence after its end."""
    shorter = functional.interpolate(
        audio[None, None], scale_factor=2 ** (-semitones / 12), mode="linear"
    )[0, 0]
    return functional.pad(shorter, (0, len(audio) - len(shorter)))
