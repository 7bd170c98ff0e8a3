"""What the ears would hear of a control map, without rendering it: analytic, and differentiable.

The front end of the ears (listening/frontend.py) takes powers of windowed spectra in bands m. A
partial of frequency f and amplitude A(t) shows there, around the moment τ of a frame,

    P_m = R_m(f) · Ā² + R′_m(f) · V        Ā = ∫ w A / ∫ w        V = ∫ w² A² / ∫ w² − Ā²
    R_m(f) = Σ_k filter[m, k] · W((f − f_k) L / rate)²

with the lobe W of the window w: the mean amplitude stands in the lobe, and what fluctuates about
it, V, within a few bins around, R′. Partials add in power, as those of unknown phases do on
average. Noise of S mean square a Hz adds S · g · Σ_k filter[m, k], where g is what one bin shows of
noise (Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967).

R is a table over frequency, in quarters of a bin; the integrals over time are one matrix for each
kind of frame, since amplitudes are linear between the frames of the map. A note costs a few small
matrix products, no phase and no Fourier transform; gradients go to all amplitudes, to the
frequencies and to the noise. Vibrato is not shown: a partial stands at its mean frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mechanical_ears.imagining.controls import (
    BANDS,
    FRAMES,
    MODES,
    NOISE_FRAMES,
    SILENCE,
    SINGLES,
    Controls,
    band_centres,
    band_edges,
    frame_times,
    group_weights,
)
from mechanical_ears.imagining.windows import hann_lobe
from mechanical_ears.listening.frontend import (
    ENVELOPE_WINDOW,
    FLOOR,
    NOTHING,
    PITCH_WINDOW,
    SAMPLE_RATE,
    layout,
)
from mechanical_ears.listening.frontend import (
    SILENCE as SILENT_POWER,
)
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS

LOWEST: Final = 16.0  # Hz, below which nothing is heard
STEPS: Final = 4  # of the table, in a bin
SPREAD_BINS: Final = 3.0  # to each side, over which fluctuations are spread
ROUNDING: Final = 1e-5  # of a steady amplitude's square, that fluctuates in float32 only
FINE_STEP: Final = 0.0005  # s, of the integrals over time
_DECIBEL: Final = float(np.log(10) / 20)


class MapBatch(NamedTuple):
    """Control maps on one grid of frames.

    Attributes:
        partials: float32 (batch, 72, frames), dB.
        noise: float32 (batch, 40, 112), dB.
        fine: float32 (batch, 336), dB.
        frequencies: float32 (batch, 392), Hz, of partials and modes; 0 for none.
    """

    partials: Tensor
    noise: Tensor
    fine: Tensor
    frequencies: Tensor


class Heard(NamedTuple):
    """What the ears hear, as their front end tells it.

    Attributes:
        pitch_map: float32 (batch, 24, 300), 0 … 1 over the top 80 dB.
        envelope: float32 (batch, 48, 24), 0 … 1.
        level: float32 (batch,), loudest band in dBFS / 80 + 1; 0 where silent.
    """

    pitch_map: Tensor
    envelope: Tensor
    level: Tensor


def map_batch(
    maps: Sequence[Controls],
    *,
    seconds: float = NOTE_SECONDS,
    key_up: float = HOLD_SECONDS,
    frames: int = FRAMES[-1],
) -> MapBatch:
    """Maps laid onto one grid, as many frames as the finest has unless told otherwise.

    Args:
        maps: of notes of any length; what lies beyond their end is silent.
        seconds: of the grid.
        key_up: s, of the grid.
        frames: of the partials, one of `FRAMES`.
    """
    times = frame_times(seconds, key_up, frames)
    noise_times = frame_times(seconds, key_up, NOISE_FRAMES)
    partials = [_at(each.partials, each.times, times, each.seconds) for each in maps]
    noise = [_at(each.noise, each.noise_times, noise_times, each.seconds) for each in maps]
    return MapBatch(
        torch.from_numpy(np.stack(partials)),
        torch.from_numpy(np.stack(noise)),
        torch.from_numpy(np.stack([each.fine.astype(np.float32) for each in maps])),
        torch.from_numpy(np.stack([each.frequencies.astype(np.float32) for each in maps])),
    )


def _at(
    rows: NDArray[np.float16], own: NDArray[np.float64], times: NDArray[np.float64], end: float
) -> NDArray[np.float32]:
    """Rows (rows, frames) of a map at other moments."""
    laid = np.array([np.interp(times, own, row) for row in rows.astype(np.float32)])
    laid[:, times > end + 0.1] = SILENCE
    return laid.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Kind:
    """The constants of one kind of frame.

    Attributes:
        response: float32 (places, bands), R.
        spread: float32 (places, bands), R′.
        mean: float32 (frames of the map, frames), of amplitudes.
        square: float32 (frames of the map, frames), of squared amplitudes.
        noise_square: float32 (112, frames), of powers of noise.
        noise_gain: float32 (bands,), power shown for noise of 1 mean square a Hz.
        noise_bands: float32 (40, bands), where the bands lie between those of the noise.
    """

    response: NDArray[np.float32]
    spread: NDArray[np.float32]
    mean: NDArray[np.float32]
    square: NDArray[np.float32]
    noise_square: NDArray[np.float32]
    noise_gain: NDArray[np.float32]
    noise_bands: NDArray[np.float32]


def _kind(
    window: int,
    centres: NDArray[np.int64],
    filters: NDArray[np.float32],
    times: NDArray[np.float64],
    noise_times: NDArray[np.float64],
) -> _Kind:
    bins = np.arange(window // 2 + 1)
    offset = np.arange(len(bins) * STEPS)[:, None] / STEPS - bins
    lobes = hann_lobe(offset) ** 2
    wide = np.maximum(0, 1 - np.abs(offset) / SPREAD_BINS)
    wide *= 1.5 / np.maximum(wide.sum(axis=1, keepdims=True), 1e-9)  # Σ W², of a whole lobe
    middles = filters.argmax(axis=0) * SAMPLE_RATE / window
    gain = 1.5 * SAMPLE_RATE / window * 2  # of a bin, for noise of 1 mean square a Hz
    bands = np.interp(middles, band_centres(), np.arange(BANDS))
    between = np.maximum(0, 1 - np.abs(np.arange(BANDS)[:, None] - bands))
    moments = centres / SAMPLE_RATE
    return _Kind(
        np.asarray(lobes @ filters, dtype=np.float32),
        np.asarray(wide @ filters, dtype=np.float32),
        _averages(times, moments, window / SAMPLE_RATE, 1),
        _averages(times, moments, window / SAMPLE_RATE, 2),
        _averages(noise_times, moments, window / SAMPLE_RATE, 2),
        np.asarray(filters.sum(axis=0) * gain, dtype=np.float32),
        between.astype(np.float32),
    )


def _averages(
    times: NDArray[np.float64], moments: NDArray[np.float64], length: float, power: int
) -> NDArray[np.float32]:
    """Means over windows of what is linear between ``times``, float32 (frames, moments)."""
    fine = np.arange(-length, times[-1] + length, FINE_STEP)
    at = np.interp(fine, times, np.arange(len(times)))
    hats = np.maximum(0, 1 - np.abs(at - np.arange(len(times))[:, None]))
    hats *= (fine >= 0) & (fine <= times[-1])
    phase = np.clip((fine[:, None] - moments) / length, -0.5, 0.5)
    window = np.cos(np.pi * phase) ** (2 * power)
    return np.asarray(hats @ window / window.sum(axis=0), dtype=np.float32)


class MagnitudeRender(nn.Module):
    """From control maps to what the ears hear; its constants travel with it to a GPU.

    Args:
        seconds: of the maps' grid.
        key_up: s.
        frames: of the partials.
    """

    def __init__(
        self,
        seconds: float = NOTE_SECONDS,
        key_up: float = HOLD_SECONDS,
        frames: int = FRAMES[-1],
    ) -> None:
        super().__init__()
        times = frame_times(seconds, key_up, frames)
        noise_times = frame_times(seconds, key_up, NOISE_FRAMES)
        parts = layout()
        self._keep("upper", group_weights())
        widths = 10 * np.log10(np.diff(band_edges()))
        self._keep("widths", widths.astype(np.float32)[:, None])
        for name, kind in {
            "pitch": _kind(
                PITCH_WINDOW, parts.pitch_centres, parts.pitch_filters, times, noise_times
            ),
            "envelope": _kind(
                ENVELOPE_WINDOW, parts.envelope_centres, parts.envelope_filters, times, noise_times
            ),
        }.items():
            for field, values in vars(kind).items():
                self._keep(f"{name}_{field}", values)

    def _keep(self, name: str, values: NDArray[np.float32]) -> None:
        self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, maps: MapBatch) -> Heard:
        """Hear maps; see `Heard`."""
        told = maps.partials
        upper = self._buffer("upper") @ told[:, SINGLES:-MODES] + maps.fine[:, :, None]
        silent = (told[:, SINGLES:-MODES] <= SILENCE).all(dim=1, keepdim=True)
        upper = upper.masked_fill(silent, SILENCE)
        decibels = torch.cat([told[:, :SINGLES], upper, told[:, -MODES:]], dim=1)
        inside = (maps.frequencies > LOWEST) & (maps.frequencies < 0.49 * SAMPLE_RATE)
        heard = inside.any(dim=0).nonzero()[:, 0]  # partials that any of the notes has
        frequencies = maps.frequencies[:, heard]
        amplitudes = torch.exp(decibels[:, heard] * _DECIBEL) * inside[:, heard, None]
        density = maps.noise - self._buffer("widths")
        pitch = self._powers("pitch", amplitudes, density, frequencies)
        envelope = self._powers("envelope", amplitudes, density, frequencies)
        loudest = pitch.amax(dim=(1, 2)).clamp_min(SILENT_POWER)
        level = (1 + 10 * loudest.log10() / FLOOR).clamp_min(0)
        return Heard(_relative(pitch), _relative(envelope), level)

    def _buffer(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def _powers(
        self, kind: str, amplitudes: Tensor, density: Tensor, frequencies: Tensor
    ) -> Tensor:
        """Powers (batch, frames, bands) of one kind of frame."""
        mean = (amplitudes @ self._buffer(f"{kind}_mean")).square()  # (batch, partials, frames)
        rest = amplitudes.square() @ self._buffer(f"{kind}_square") - (1 + ROUNDING) * mean
        steady = mean.transpose(1, 2) @ _read_at(self._buffer(f"{kind}_response"), frequencies)
        spread = _read_at(self._buffer(f"{kind}_spread"), frequencies)
        moving = rest.clamp_min(0).transpose(1, 2) @ spread
        noise = torch.exp(density * (2 * _DECIBEL)) @ self._buffer(f"{kind}_noise_square")
        levels = noise.clamp_min(NOTHING * 1e-6).log().transpose(1, 2)
        shown = torch.exp(levels @ self._buffer(f"{kind}_noise_bands"))
        return steady + moving + shown * self._buffer(f"{kind}_noise_gain")


def _read_at(table: Tensor, frequencies: Tensor) -> Tensor:
    """Rows of a table (places, bands) at frequencies (batch, rows): (batch, rows, bands)."""
    places = frequencies * (len(table) - STEPS) / (SAMPLE_RATE / 2)
    places = places.clamp(0, len(table) - 1.001)
    before = places.detach().floor().long()
    first, second = table[before], table[before + 1]
    return torch.lerp(first, second, (places - before)[:, :, None])


def _relative(power: Tensor) -> Tensor:
    """0 … 1 for the top 80 dB below the note's maximum; silence is 0."""
    loudest = power.amax(dim=(1, 2), keepdim=True).clamp_min(SILENT_POWER)
    decibels = 10 * (power.clamp_min(NOTHING) / loudest).log10()
    return (1 + decibels / FLOOR).clamp_min(0)


@cache
def _module(seconds: float, key_up: float) -> MagnitudeRender:
    return MagnitudeRender(seconds, key_up)


def render_magnitude(maps: Sequence[Controls] | Controls) -> Heard:
    """What the ears would hear of maps, 4 s from the onset, without rendering them.

    Args:
        maps: one or several; the key-up of each may lie where it will.
    """
    chosen = [maps] if isinstance(maps, Controls) else list(maps)
    with torch.no_grad():
        heard: Heard = _module(NOTE_SECONDS, HOLD_SECONDS)(map_batch(chosen))
    return heard
