"""Control grids as sound, differentiably, for critics of raw audio.

The same sums as in sine_bank.py and noise_bands.py, in PyTorch, for 4 s at 16 kHz. With hops of H
samples, a partial of frequency ω, phase φ and amplitude a_h at hop h is, for |k| ≤ H,

    y[hH + k] = Σ_h (1 − |k|/H) · a_h · Re( e^(i(ω h H + φ)) · e^(iω k) )

one matrix product per note: (hops × 2 partials) with (2 partials × 2H). Carriers at all hops are
products of those at a few: e^(iωH(32 a + b)) = e^(iωH 32 a) · e^(iωH b). Noise is made of blocks
with random phases that overlap by half. Phases are sampled at each call; real and generated notes
that are rendered from one state of the generator have the same ones.

Gradients reach the levels of partials and noise, but not frequencies. Vibrato is left out: a
partial has its mean frequency, as in magnitude.py.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mechanical_ears.listening.frontend import SAMPLE_RATE, SAMPLES
from mechanical_ears.resynthesis.control_grid import grid_noise_times, grid_times
from mechanical_ears.resynthesis.control_map import (
    MODES,
    PARTIALS,
    SILENCE_DB,
    SINGLES,
    band_centres,
    band_edges,
    group_weights,
)
from mechanical_ears.resynthesis.differentiable.control_map_batch import (
    Chunk,
    ControlMapBatch,
    split_by_partials,
)
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.synthesis.noise_bands import NOISE_PHASES, block_samples
from mechanical_ears.resynthesis.synthesis.render import HOP_SECONDS, MAX_FREQUENCY_SHARE, fade

HOP: Final = round(HOP_SECONDS * SAMPLE_RATE)  # samples
HOPS: Final = SAMPLES // HOP + 1
STRIDE: Final = 32  # hops between the coarse carriers
CHUNK_NOTES: Final = 2  # in one product, which fits in the cache
SILENCE_MARGIN: Final = 0.01  # dB above silence, up to which rounding raises a row
MIN_FREQUENCY: Final = 1.0  # Hz, below which there is no partial
_LOG_AMPLITUDE: Final = math.log(10) / 20  # nepers per dB
_TURN: Final = 2 * math.pi


class Waveform(nn.Module):
    """From control grids to sound; its constants move to a GPU with it."""

    def __init__(self) -> None:
        super().__init__()
        size = block_samples(SAMPLE_RATE)
        hops = np.arange(HOPS) * (HOP / SAMPLE_RATE)
        blocks = np.arange(SAMPLES // (size // 2) + 1) * (size / 2 / SAMPLE_RATE)
        bins = np.arange(size // 2 + 1) * (SAMPLE_RATE / size)
        grids = {
            "at_hops": (grid_times(), hops),
            "at_blocks": (grid_noise_times(), blocks),
            "at_bins": (band_centres(), bins),
        }
        for name, (grid, points) in grids.items():
            self._add_constant(name, interpolation(grid, points, np.float64).weights())
        # bin 0 is left out: noise has no offset
        self._add_constant("magnitude", (bins > 0) * size * np.sqrt(SAMPLE_RATE / (2 * size)))
        self._add_constant("block_window", np.sin(np.pi * (np.arange(size) + 0.5) / size))
        self._add_constant("group_weights", group_weights())
        self._add_constant("band_widths", 10 * np.log10(np.diff(band_edges()))[:, None])
        self._add_constant("triangle", 1 - np.abs(np.arange(-HOP, HOP)) / HOP)
        gains = np.ones(SAMPLES, dtype=np.float32)
        fade(gains, SAMPLE_RATE)
        self._add_constant("fades", gains)
        phases = torch.arange(NOISE_PHASES) * (_TURN / NOISE_PHASES)
        unit_circle = torch.polar(torch.ones_like(phases), phases)
        self.register_buffer("unit_circle", unit_circle, persistent=False)

    def _add_constant(self, name: str, values: NDArray[np.float64] | NDArray[np.float32]) -> None:
        self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)

    def forward(self, maps: ControlMapBatch, generator: torch.Generator | None = None) -> Tensor:
        """Render notes.

        Args:
            maps: of control grids, see `grid_batch`.
            generator: of the phases, on the CPU; PyTorch's own if not given.

        Returns:
            float32 (batch, 64000).
        """
        shape, device = maps.frequencies.shape, maps.partials.device
        phases = torch.rand(shape, generator=generator, dtype=torch.float64).to(device)
        highest = MAX_FREQUENCY_SHARE * SAMPLE_RATE
        chunks, restore = split_by_partials(maps, MIN_FREQUENCY, highest, CHUNK_NOTES)
        sines = torch.cat([self._sines(chunk, phases[chunk.indices]) for chunk in chunks])
        sound = sines.index_select(0, restore) + self._noise(maps.noise, generator)
        return sound * self.get_buffer("fades")

    def _amplitudes(self, maps: ControlMapBatch, audible: Tensor, count: int) -> Tensor:
        """(batch, partials and modes, hops), of the first ``count`` partials and the modes."""
        weights = self.get_buffer("group_weights")[: max(0, count - SINGLES)]
        upper = weights @ maps.partials[:, SINGLES:-MODES]
        rows = [maps.partials[:, : min(count, SINGLES)], upper, maps.partials[:, -MODES:]]
        silent = (torch.cat(rows, dim=1) <= SILENCE_DB + SILENCE_MARGIN) | ~audible[:, :, None]
        rows[1] = upper + maps.fine[:, : upper.shape[1], None]
        amplitudes = torch.exp(torch.cat(rows, dim=1) * _LOG_AMPLITUDE).masked_fill(silent, 0)
        return amplitudes @ self.get_buffer("at_hops")

    def _sines(self, chunk: Chunk, phases: Tensor) -> Tensor:
        """Sound (batch, 64000) of partials and modes; phases are in turns, (batch, 392)."""
        maps, count = chunk.maps, chunk.partials
        rendered = torch.arange(PARTIALS + MODES, device=phases.device)
        rendered = torch.cat([rendered[:count], rendered[PARTIALS:]])
        amplitudes = self._amplitudes(maps, chunk.audible[:, rendered], count)
        with torch.no_grad():
            turns = maps.frequencies[:, rendered].double() / SAMPLE_RATE
            carriers = _carriers(turns * HOP, phases[:, rendered])
            offsets = torch.arange(-HOP, HOP, device=phases.device)
            angle = (_TURN * turns[:, :, None] * offsets).float()
            basis = torch.cat([angle.cos(), -angle.sin()], dim=1) * self.get_buffer("triangle")
        left = torch.cat([amplitudes * carriers.real, amplitudes * carriers.imag], dim=1)
        blocks = left.transpose(1, 2) @ basis
        sound: Tensor = blocks[:, :-1, HOP:] + blocks[:, 1:, :HOP]
        return sound.flatten(1)

    def _noise(self, noise: Tensor, generator: torch.Generator | None) -> Tensor:
        """Sound (batch, 64000) of noise with levels (batch, 40, frames), dB."""
        levels = noise @ self.get_buffer("at_blocks")
        silent = levels <= SILENCE_DB + 1
        density = (levels - self.get_buffer("band_widths")).masked_fill(silent, 2 * SILENCE_DB)
        shape = torch.exp(density.transpose(1, 2) @ self.get_buffer("at_bins") * _LOG_AMPLITUDE)
        phases = torch.randint(NOISE_PHASES, shape.shape, generator=generator, dtype=torch.int32)
        carriers = self.get_buffer("unit_circle")[phases.to(shape.device)]
        blocks = torch.fft.irfft(shape * self.get_buffer("magnitude") * carriers)
        window = self.get_buffer("block_window")
        blocks = blocks * window
        blocks = blocks - blocks.sum(dim=2, keepdim=True) / window.sum() * window
        half = blocks.shape[2] // 2
        sound: Tensor = blocks[:, :-1, half:] + blocks[:, 1:, :half]
        return sound.flatten(1)


def _carriers(turns: Tensor, phases: Tensor) -> Tensor:
    """Carriers at all hops, complex64 (batch, partials, HOPS).

    Args:
        turns: per hop, float64 (batch, partials).
        phases: turns, float64 (batch, partials).
    """

    def at_hops(hops: Tensor, start: Tensor) -> Tensor:
        angle = turns[:, :, None] * hops + start
        angle = ((angle - angle.round()) * _TURN).float()
        return torch.polar(torch.ones_like(angle), angle)

    hops = torch.arange(STRIDE, device=turns.device)
    coarse = at_hops(hops * STRIDE, phases[:, :, None])[..., None]
    fine = at_hops(hops, torch.zeros_like(phases)[:, :, None])[:, :, None]
    return (coarse * fine).flatten(2)[:, :, :HOPS]
