"""Instruments nearly like those of the corpus, so that some hundred of them are enough.

A luthier's next violin is not the same: each time an instrument is drawn it passes a filter of its
own, gentle bells an octave apart along the frequency axis, has a little more or less breath, and
may fade faster. In decibels all these add to an outline, and what is added has a code too:

    Δx = (w ⊙ Δy) V / σ        Δy(row, frame) = Σ_j g_j b_j(frequency of the row, time)

so that a varied note costs eleven additions of a code. All notes of an instrument vary alike. Cells
at the floor ought not to move; as the floor is soft, that they do is not heard.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from mechanical_ears.imagining.training.latents import Codec, GridTensors, block_sizes, weighted
from mechanical_ears.note import HOLD_SECONDS
from mechanical_ears.pitch import PITCH_COUNT, midi_to_hz
from mechanical_ears.resynthesis.control_grid import (
    GRID_FRAMES,
    GRID_NOISE_FRAMES,
    SLOT_CENTRES,
    grid_noise_times,
    grid_times,
)
from mechanical_ears.resynthesis.control_map import PARTIALS, SINGLES, band_centres, group_positions

BELLS: Final = tuple(100.0 * 2**octave for octave in range(8))  # Hz, middles
WIDTH: Final = 1.0  # octaves, of a bell
FILTERED: Final = 2.0  # dB, standard deviation of a bell
BREATH: Final = 2.0  # dB, the same of the noise
FADING: Final = 1.5  # dB/s, the same of a faster decay, never a slower one
VARIED: Final = 0.7  # of the instruments


class Variation(nn.Module):
    """Adds variations to codes.

    Args:
        codec: of the codes.
    """

    table: Tensor

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        rows = [_differences(pitch) for pitch in range(PITCH_COUNT)]
        flat = torch.cat([weighted(row) for row in rows])
        codes = flat @ codec.basis.cpu() / codec.deviation.cpu()
        self.register_buffer("table", codes.reshape(PITCH_COUNT, len(BELLS) + 2, -1))

    def gains(self, instruments: int, lots: torch.Generator) -> Tensor:
        """Variations by lot, (instruments, 10): of the bells, breath and fading."""
        gains = torch.randn(instruments, len(BELLS) + 2, generator=lots)
        gains *= torch.tensor([*[FILTERED] * len(BELLS), BREATH, FADING])
        gains[:, -1] = gains[:, -1].clamp_min(0)
        return gains * (torch.rand(instruments, 1, generator=lots) < VARIED)

    def forward(self, codes: Tensor, pitch: Tensor, gains: Tensor) -> Tensor:
        """Vary notes.

        Args:
            codes: (n, 1 + components).
            pitch: (n,).
            gains: (n, 10).
        """
        added = torch.einsum("nj,njd->nd", gains, self.table[pitch.long()])
        return torch.cat([codes[:, :1], codes[:, 1:] + added], dim=1)


def _differences(pitch: int) -> GridTensors:
    """What each variation by one unit adds to outlines of a key, a batch of 10."""
    count = len(BELLS) + 2
    first = midi_to_hz(float(pitch))
    numbers = np.concatenate([np.arange(1.0, SINGLES + 1), group_positions()])
    partials = np.zeros((count, len(numbers), GRID_FRAMES), dtype=np.float32)
    slots = np.zeros((count, len(SLOT_CENTRES), GRID_FRAMES), dtype=np.float32)
    noise = np.zeros((count, len(band_centres()), GRID_NOISE_FRAMES), dtype=np.float32)
    parts = (
        (partials, numbers * first),
        (slots, np.array(SLOT_CENTRES) * first),
        (noise, band_centres()),
    )
    for bell, middle in enumerate(BELLS):
        for rows, frequencies in parts:
            apart = np.log2(frequencies / middle) / WIDTH
            rows[bell] = np.exp(-(apart**2))[:, None]
    noise[-2] = 1.0
    for rows, times in (
        (partials, grid_times()),
        (slots, grid_times()),
        (noise, grid_noise_times()),
    ):
        rows[-1] = -np.minimum(times, HOLD_SECONDS)
    silent = {name: torch.zeros(count, size) for name, size in block_sizes().items()}
    return GridTensors(
        partials=torch.from_numpy(partials),
        slots=torch.from_numpy(slots),
        noise=torch.from_numpy(noise),
        cents=silent["cents"],
        fine=torch.zeros(count, PARTIALS - SINGLES),
        offsets=silent["offsets"],
        stiffness=silent["stiffness"][:, 0],
        ratios=silent["ratios"],
    )
