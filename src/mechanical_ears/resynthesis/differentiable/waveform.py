"""Outlines as sound, differentiably: what a critic of raw audio listens to.

The same sums as in sines.py and hiss.py, in PyTorch, for 4 s at 16 kHz. With hops of H samples, a
partial of frequency ω, phase φ and amplitude a_h at hop h is, for |k| ≤ H,

    y[hH + k] = Σ_h (1 − |k|/H) · a_h · Re( e^(i(ω h H + φ)) · e^(iω k) )

one matrix product a note: (hops × 2 partials) with (2 partials × 2H). Carriers at all hops are
products of those at a few: e^(iωH(32 a + b)) = e^(iωH 32 a) · e^(iωH b). Noise is made of blocks
with random phases, half of one over the other. Phases are drawn at each call; real and imagined
notes that are rendered from one state of the lots have the same ones.

Gradients go to the levels of partials and noise. Frequencies are told by no gradient, and vibrato
is not played: a partial stands at its mean frequency, as in magnitude.py.
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
    BANDS,
    MODES,
    PARTIALS,
    SILENCE_DB,
    SINGLES,
    band_centres,
    band_edges,
    group_weights,
)
from mechanical_ears.resynthesis.differentiable.magnitude import ControlMapBatch
from mechanical_ears.resynthesis.synthesis.noise_bands import PHASES, block_samples
from mechanical_ears.resynthesis.synthesis.render import BAND, FADE_IN, FADE_OUT, HOP

HOP_SAMPLES: Final = round(HOP * SAMPLE_RATE)
HOPS: Final = SAMPLES // HOP_SAMPLES + 1
STRIDE: Final = 32  # hops between the coarse carriers
TOGETHER: Final = 2  # notes in one product, which stays in the cache
BARELY: Final = 0.01  # dB above silence, up to which rounding brings a row
LOWEST: Final = 1.0  # Hz, below which there is no partial
_DECIBEL: Final = math.log(10) / 20
_TURN: Final = 2 * math.pi


class Waveform(nn.Module):
    """From outlines on their own grid to sound; its constants travel with it to a GPU."""

    def __init__(self) -> None:
        super().__init__()
        size = block_samples(SAMPLE_RATE)
        hops = np.arange(HOPS) * (HOP_SAMPLES / SAMPLE_RATE)
        blocks = np.arange(SAMPLES // (size // 2) + 1) * (size / 2 / SAMPLE_RATE)
        bins = np.arange(size // 2 + 1) * (SAMPLE_RATE / size)
        places = np.interp(bins, band_centres(), np.arange(BANDS))
        heard = bins > 0  # no direct current
        self._keep("at_hops", _weights(np.interp(hops, grid_times(), np.arange(96.0)), 96))
        noise_times = grid_noise_times()
        at_blocks = np.interp(blocks, noise_times, np.arange(float(len(noise_times))))
        self._keep("at_blocks", _weights(at_blocks, len(noise_times)))
        self._keep("at_bins", _weights(places, BANDS))
        self._keep("magnitude", heard * size * np.sqrt(SAMPLE_RATE / (2 * size)))
        self._keep("block_window", np.sin(np.pi * (np.arange(size) + 0.5) / size))
        self._keep("upper", group_weights())
        self._keep("widths", 10 * np.log10(np.diff(band_edges()))[:, None])
        self._keep("triangle", 1 - np.abs(np.arange(-HOP_SAMPLES, HOP_SAMPLES)) / HOP_SAMPLES)
        self._keep("fades", _fades())
        turns = torch.arange(PHASES) * (_TURN / PHASES)
        turned = torch.polar(torch.ones_like(turns), turns)
        self.register_buffer("turns", turned, persistent=False)

    def _keep(self, name: str, values: NDArray[np.float64] | NDArray[np.float32]) -> None:
        self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)

    def forward(self, maps: ControlMapBatch, lots: torch.Generator | None = None) -> Tensor:
        """Play notes.

        Args:
            maps: of outlines, see `outline_batch`.
            lots: of the phases, on the CPU; PyTorch's own if not given.

        Returns:
            float32 (batch, 64000).
        """
        device = maps.partials.device
        shape = maps.frequencies.shape
        phases = torch.rand(shape, generator=lots, dtype=torch.float64).to(device)
        inside = (maps.frequencies > LOWEST) & (maps.frequencies < BAND * SAMPLE_RATE)
        numbers = torch.arange(1, PARTIALS + 1, device=device)
        counts, order = (inside[:, :PARTIALS] * numbers).amax(dim=1).sort()
        told = counts.tolist()
        played = []
        for first in range(0, len(told), TOGETHER):  # high notes have few partials
            these = order[first : first + TOGETHER]
            some = ControlMapBatch(*(part.index_select(0, these) for part in maps))
            count = told[first : first + TOGETHER][-1]
            played.append(self._sines(some, inside[these], phases[these], count))
        sound = torch.cat(played).index_select(0, order.argsort())
        return (sound + self._hiss(maps.noise, lots)) * self.get_buffer("fades")

    def _amplitudes(self, maps: ControlMapBatch, inside: Tensor, count: int) -> Tensor:
        """(batch, partials and modes, hops)."""
        weights = self.get_buffer("upper")[: max(0, count - SINGLES)]
        upper = weights @ maps.partials[:, SINGLES:-MODES]
        rows = [maps.partials[:, : min(count, SINGLES)], upper, maps.partials[:, -MODES:]]
        silent = (torch.cat(rows, dim=1) <= SILENCE_DB + BARELY) | ~inside[:, :, None]
        rows[1] = upper + maps.fine[:, : upper.shape[1], None]
        amplitudes = torch.exp(torch.cat(rows, dim=1) * _DECIBEL).masked_fill(silent, 0)
        return amplitudes @ self.get_buffer("at_hops")

    def _sines(self, maps: ControlMapBatch, inside: Tensor, phases: Tensor, count: int) -> Tensor:
        """Sound (batch, 64000) of so many partials, and the modes."""
        chosen = torch.arange(PARTIALS + MODES, device=phases.device)
        chosen = torch.cat([chosen[:count], chosen[PARTIALS:]])
        amplitudes = self._amplitudes(maps, inside[:, chosen], count)
        with torch.no_grad():
            turns = maps.frequencies[:, chosen].double() / SAMPLE_RATE
            carriers = _carriers(turns * HOP_SAMPLES, phases[:, chosen])
            offsets = torch.arange(-HOP_SAMPLES, HOP_SAMPLES, device=phases.device)
            angle = (_TURN * turns[:, :, None] * offsets).float()
            basis = torch.cat([angle.cos(), -angle.sin()], dim=1) * self.get_buffer("triangle")
        left = torch.cat([amplitudes * carriers.real, amplitudes * carriers.imag], dim=1)
        made = left.transpose(1, 2) @ basis
        summed: Tensor = made[:, :-1, HOP_SAMPLES:] + made[:, 1:, :HOP_SAMPLES]
        return summed.flatten(1)

    def _hiss(self, noise: Tensor, lots: torch.Generator | None) -> Tensor:
        """Noise (batch, 64000) of levels (batch, 40, frames), dB."""
        levels = noise @ self.get_buffer("at_blocks")
        silent = levels <= SILENCE_DB + 1
        density = (levels - self.get_buffer("widths")).masked_fill(silent, 2 * SILENCE_DB)
        shape = torch.exp(density.transpose(1, 2) @ self.get_buffer("at_bins") * _DECIBEL)
        random = torch.randint(PHASES, shape.shape, generator=lots, dtype=torch.int32)
        turned = self.get_buffer("turns")[random.to(shape.device)]
        blocks = torch.fft.irfft(shape * self.get_buffer("magnitude") * turned)
        window = self.get_buffer("block_window")
        blocks = blocks * window
        blocks = blocks - blocks.sum(dim=2, keepdim=True) / window.sum() * window
        half = blocks.shape[2] // 2
        summed: Tensor = blocks[:, :-1, half:] + blocks[:, 1:, :half]
        return summed.flatten(1)


def _weights(places: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """What reads between so many rows at places, (rows, places)."""
    return np.asarray(np.maximum(0, 1 - np.abs(np.arange(rows)[:, None] - places)))


def _fades() -> NDArray[np.float64]:
    gains = np.ones(SAMPLES)
    for seconds, gain in ((FADE_IN, gains), (FADE_OUT, gains[::-1])):
        count = round(seconds * SAMPLE_RATE)
        gain[:count] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    return gains


def _carriers(turns: Tensor, phases: Tensor) -> Tensor:
    """Sines of so many turns a hop at all hops, complex64 (batch, partials, HOPS)."""

    def turned(hops: Tensor, begin: Tensor) -> Tensor:
        angle = turns[:, :, None] * hops + begin
        angle = ((angle - angle.round()) * _TURN).float()
        return torch.polar(torch.ones_like(angle), angle)

    hops = torch.arange(STRIDE, device=turns.device)
    coarse = turned(hops * STRIDE, phases[:, :, None])[..., None]
    fine = turned(hops, torch.zeros_like(phases)[:, :, None])[:, :, None]
    return (coarse * fine).flatten(2)[:, :, :HOPS]
