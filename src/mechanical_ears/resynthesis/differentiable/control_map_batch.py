"""Batches of control maps as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.pitch import A4_FREQUENCY, A4_MIDI
from mechanical_ears.resynthesis import control_map as layout
from mechanical_ears.resynthesis.control_grid import IDEAL_STIFFNESS
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.interpolation import interpolation

MAX_LATE: float = 0.1  # s after the end of a map, from where it is silent


class ControlMapBatch(NamedTuple):
    """Control maps on one grid of frames.

    Attributes:
        partials: dB, float32 (batch, 72, frames).
        noise: dB, float32 (batch, 40, frames of the noise).
        fine: dB, float32 (batch, 336).
        frequencies: Hz, float32 (batch, 392), of partials and modes; 0 for none.
    """

    partials: Tensor
    noise: Tensor
    fine: Tensor
    frequencies: Tensor


class Chunk(NamedTuple):
    """Some notes of a batch, with similarly many partials.

    Attributes:
        maps: of the notes.
        audible: bool (notes, 392), which partials and modes are between two frequencies.
        partials: number of the highest audible partial of any note.
        indices: int64 (notes,), of the notes in the batch.
    """

    maps: ControlMapBatch
    audible: Tensor
    partials: int
    indices: Tensor


def split_by_partials(
    maps: ControlMapBatch, lowest: float, highest: float, size: int
) -> tuple[list[Chunk], Tensor]:
    """Split a batch by the number of audible partials: high notes have few, and cost little.

    Args:
        maps: of the notes.
        lowest: Hz, above which partials are audible.
        highest: Hz, below which they are.
        size: notes in a chunk at most.

    Returns:
        The chunks, and the index that restores the order of the batch once they are concatenated.
    """
    audible = (maps.frequencies > lowest) & (maps.frequencies < highest)
    numbers = torch.arange(1, layout.PARTIALS + 1, device=audible.device)
    counts, order = (audible[:, : layout.PARTIALS] * numbers).amax(dim=1).sort()
    last = counts[size - 1 :: size].tolist() + counts[-1:].tolist()  # of each chunk
    chunks = []
    for indices, count in zip(torch.split(order, size), last, strict=False):
        part = ControlMapBatch(*(values.index_select(0, indices) for values in maps))
        chunks.append(Chunk(part, audible[indices], count, indices))
    return chunks, order.argsort()


def map_batch(
    maps: Sequence[ControlMap], *, frames: int = layout.FRAME_COUNTS[-1]
) -> ControlMapBatch:
    """Interpolate maps to one grid of 4 s with the key-up at 3 s.

    Args:
        maps: of notes of any length; what is beyond their end is silent.
        frames: of the partials, one of `FRAME_COUNTS`; by default those of the finest map.
    """
    times = layout.frame_times(NOTE_SECONDS, HOLD_SECONDS, frames)
    noise_times = layout.frame_times(NOTE_SECONDS, HOLD_SECONDS, layout.NOISE_FRAMES)
    partials = [_interpolate(each.partials, each.times, times, each.seconds) for each in maps]
    noise = [_interpolate(each.noise, each.noise_times, noise_times, each.seconds) for each in maps]
    fine = [each.fine.astype(np.float32) for each in maps]
    frequencies = [each.frequencies.astype(np.float32) for each in maps]
    columns = (partials, noise, fine, frequencies)
    return ControlMapBatch(*(torch.from_numpy(np.stack(each)) for each in columns))


def _interpolate(
    rows: NDArray[np.float16],
    frames: NDArray[np.float64],
    times: NDArray[np.float64],
    seconds: float,
) -> NDArray[np.float32]:
    """Rows (rows, frames) of a map of some length at other times."""
    values = interpolation(frames, times, np.float64)(rows.astype(np.float32))
    values[:, times > seconds + MAX_LATE] = layout.SILENCE_DB
    return values.astype(np.float32)


def grid_batch(
    partials: Tensor,
    slots: Tensor,
    noise: Tensor,
    fine: Tensor,
    offsets: Tensor,
    stiffness: Tensor,
    ratios: Tensor,
    pitch: Tensor,
) -> ControlMapBatch:
    """Control grids at given pitches, on their own frames; gradients reach their levels.

    Frequencies are those of `to_control_maps`; no gradient reaches what they are computed from.

    Args:
        partials: dB, float32 (batch, 64, frames); this and all others as in `ControlGrid`.
        slots: dB, float32 (batch, 8, frames).
        noise: dB, float32 (batch, 40, frames of the noise).
        fine: dB, float32 (batch, 336).
        offsets: cents, float32 (batch, 48).
        stiffness: log10 B, float32 (batch,).
        ratios: float32 (batch, 8).
        pitch: MIDI number, float32 (batch,).
    """
    with torch.no_grad():
        first = A4_FREQUENCY * torch.exp2((pitch.double() - A4_MIDI) / 12)[:, None]
        stiff = torch.where(stiffness > IDEAL_STIFFNESS, 10.0 ** stiffness.double(), 0.0)[:, None]
        numbers = torch.arange(1, layout.PARTIALS + 1, device=pitch.device, dtype=torch.float64)
        multiples = numbers * ((1 + stiff * numbers.square()) / (1 + stiff)).sqrt()
        multiples[:, : layout.SINGLES] *= torch.exp2(offsets.double() / 1200)
        sounding = (slots > layout.SILENCE_DB).any(dim=2)
        frequencies = first * torch.cat([multiples, ratios.double() * sounding], dim=1)
    rows = torch.cat([partials, slots], dim=1)
    return ControlMapBatch(rows, noise, fine, frequencies.float())
