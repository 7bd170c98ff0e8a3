"""Augmentation: random variations of the corpus' instruments, so that some hundred are enough.

A luthier's next violin is not the same: each time an instrument is drawn, all its notes pass one
random filter, gentle bells an octave apart along the frequency axis, have a little more or less
noise, and may decay faster. In decibels all these add to a control grid, and in latents too:

    Δx = (w ⊙ Δy) V / σ        Δy(row, frame) = Σ_j g_j b_j(frequency of the row, time)

so that a varied note costs ten additions of a latent. Cells at the floor should not move; as the
floor is soft, it is inaudible that they do.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from mechanical_ears.imagining.training.latents import Codec, GridTensors, to_vector
from mechanical_ears.note import HOLD_SECONDS
from mechanical_ears.pitch import PITCH_COUNT, midi_to_hz
from mechanical_ears.resynthesis.control_grid import (
    GRID_SHAPES,
    SLOT_CENTRES,
    grid_noise_times,
    grid_times,
)
from mechanical_ears.resynthesis.control_map import SINGLES, band_centres, group_positions

BELL_CENTRES: Final = tuple(100.0 * 2**octave for octave in range(8))  # Hz
BELL_OCTAVES: Final = 1.0  # width of a bell
BELL_DB: Final = 2.0  # standard deviation of a bell's gain
NOISE_DB: Final = 2.0  # standard deviation of the noise's gain
DECAY_DB_PER_SECOND: Final = 1.5  # standard deviation of a faster decay, never a slower one
VARIED_SHARE: Final = 0.7  # of the instruments
VARIATIONS: Final = len(BELL_CENTRES) + 2


class Augmentation(nn.Module):
    """Adds variations to latents.

    Args:
        codec: of the latents.
    """

    table: Tensor

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        vectors = torch.cat([to_vector(grid_of_variations(key)) for key in range(PITCH_COUNT)])
        latents = vectors @ codec.basis.cpu() / codec.deviation.cpu()
        self.register_buffer("table", latents.reshape(PITCH_COUNT, VARIATIONS, -1))

    def random_gains(self, instruments: int, rng: torch.Generator) -> Tensor:
        """Random variations, (instruments, 10): gains of the bells, noise and decay."""
        gains = torch.randn(instruments, VARIATIONS, generator=rng)
        gains *= torch.tensor([*[BELL_DB] * len(BELL_CENTRES), NOISE_DB, DECAY_DB_PER_SECOND])
        gains[:, -1] = gains[:, -1].clamp_min(0)
        return gains * (torch.rand(instruments, 1, generator=rng) < VARIED_SHARE)

    def forward(self, latents: Tensor, pitch: Tensor, gains: Tensor) -> Tensor:
        """Vary notes.

        Args:
            latents: (n, 1 + components).
            pitch: MIDI numbers, (n,).
            gains: (n, 10), see `random_gains`.
        """
        added = torch.einsum("nj,njd->nd", gains, self.table[pitch.long()])
        return torch.cat([latents[:, :1], latents[:, 1:] + added], dim=1)


def grid_of_variations(key: int) -> GridTensors:
    """What each variation by one unit adds to the control grid of a key, a batch of 10."""
    fundamental = midi_to_hz(float(key))
    numbers = np.concatenate([np.arange(1.0, SINGLES + 1), group_positions()])
    grid = GridTensors(**{name: torch.zeros(VARIATIONS, *s) for name, s in GRID_SHAPES.items()})
    blocks = (
        (grid.partials, numbers * fundamental, grid_times()),
        (grid.slots, np.array(SLOT_CENTRES) * fundamental, grid_times()),
        (grid.noise, band_centres(), grid_noise_times()),
    )
    for rows, frequencies, times in blocks:
        for bell, centre in enumerate(BELL_CENTRES):
            octaves = np.log2(frequencies / centre) / BELL_OCTAVES
            rows[bell] = torch.from_numpy(np.exp(-(octaves**2)))[:, None]
        rows[-1] = -torch.from_numpy(np.minimum(times, HOLD_SECONDS))
    grid.noise[-2] = 1.0
    return grid
