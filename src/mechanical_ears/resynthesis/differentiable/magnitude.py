"""What the ears would hear of a control map, without rendering it: analytic, and differentiable.

The front end of the ears (listening/frontend.py) takes powers of windowed spectra in bands m. A
partial of frequency f and amplitude A(t) shows there, around the moment τ of a frame,

    P_m = R_m(f) · Ā² + R′_m(f) · V + R″_m(f) · w(0)² A(0)²
    Ā = ∫ w A / ∫ w        V = ∫ w² A² / ∫ w² − Ā²
    R_m(f) = Σ_k filter[m, k] · W((f − f_k) L / rate)²

with the lobe W of the window w: the mean amplitude stands in the lobe, and what fluctuates about
it, V, within a few bins around, R′. Where a window holds the onset, the jump from silence to A(0)
reaches far: a step of height 1 has the spectrum 1 / (π x)² at x bins from its frequency, R″.
Partials add in power, as those of unknown phases do on average. Noise of S mean square a Hz adds
S · g · Σ_k filter[m, k], where g is what one bin shows of noise (Welch, "The use of fast Fourier
transform for the estimation of power spectra", 1967).

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
from torch.nn import functional

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
from mechanical_ears.pitch import A4_FREQUENCY, A4_MIDI
from mechanical_ears.resynthesis.analysis.framed_spectra import hann_lobe
from mechanical_ears.resynthesis.control_grid import STIFF
from mechanical_ears.resynthesis.control_map import (
    BANDS,
    FRAME_COUNTS,
    MODES,
    NOISE_FRAMES,
    PARTIALS,
    SILENCE_DB,
    SINGLES,
    ControlMap,
    band_centres,
    band_edges,
    frame_times,
    group_weights,
)

LOWEST: Final = 16.0  # Hz, below which nothing is heard
HIGHEST_HEARD: Final = 0.49 * SAMPLE_RATE  # Hz
TOGETHER: Final = 8  # notes
STEPS: Final = 4  # of the table, in a bin
UNHEARD: Final = 1e-12  # of a partial's power; between bins a lobe has nulls, slow as subnormals
EDGE: Final = 1e-6  # share of a frame in a window, below which it is none: subnormals, again
SPREAD_BINS: Final = 3.0  # to each side, over which fluctuations are spread; a step reaches on
ROUNDING: Final = 1e-5  # of a steady amplitude's square, that fluctuates in float32 only
FINE_STEP: Final = 0.0005  # s, of the integrals over time
_DECIBEL: Final = float(np.log(10) / 20)
_FLOORS: Final = float(10 / np.log(10) / FLOOR)  # from the logarithm of a power to 80 dB as 1


class ControlMapBatch(NamedTuple):
    """Control maps on one grid of frames.

    Attributes:
        partials: float32 (batch, 72, frames), dB.
        noise: float32 (batch, 40, frames of the noise), dB.
        fine: float32 (batch, 336), dB.
        frequencies: float32 (batch, 392), Hz, of partials and modes; 0 for none.
    """

    partials: Tensor
    noise: Tensor
    fine: Tensor
    frequencies: Tensor


class MagnitudeFeatures(NamedTuple):
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
    maps: Sequence[ControlMap],
    *,
    seconds: float = NOTE_SECONDS,
    key_up: float = HOLD_SECONDS,
    frames: int = FRAME_COUNTS[-1],
) -> ControlMapBatch:
    """Maps laid onto one grid, as many frames as the finest has unless told otherwise.

    Args:
        maps: of notes of any length; what lies beyond their end is silent.
        seconds: of the grid.
        key_up: s, of the grid.
        frames: of the partials, one of `FRAME_COUNTS`.
    """
    times = frame_times(seconds, key_up, frames)
    noise_times = frame_times(seconds, key_up, NOISE_FRAMES)
    partials = [_at(each.partials, each.times, times, each.seconds) for each in maps]
    noise = [_at(each.noise, each.noise_times, noise_times, each.seconds) for each in maps]
    return ControlMapBatch(
        torch.from_numpy(np.stack(partials)),
        torch.from_numpy(np.stack(noise)),
        torch.from_numpy(np.stack([each.fine.astype(np.float32) for each in maps])),
        torch.from_numpy(np.stack([each.frequencies.astype(np.float32) for each in maps])),
    )


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
    """Outlines at chosen pitches, on their own grid; gradients go to their levels.

    Hear them by `MagnitudeRender` with the outlines' frames. Frequencies are those that
    `controls_of` gives; no gradient goes to what tells them.

    Args:
        partials: float32 (batch, 64, frames), dB; this and all others as in `Outlines`.
        slots: float32 (batch, 8, frames), dB.
        noise: float32 (batch, 40, frames of the noise), dB.
        fine: float32 (batch, 336), dB.
        offsets: float32 (batch, 48), cents.
        stiffness: float32 (batch,), log10 B.
        ratios: float32 (batch, 8).
        pitch: float32 (batch,), MIDI number.
    """
    with torch.no_grad():
        first = A4_FREQUENCY * torch.exp2((pitch.double() - A4_MIDI) / 12)[:, None]
        stiff = torch.where(stiffness > STIFF, 10.0 ** stiffness.double(), 0.0)[:, None]
        numbers = torch.arange(1, PARTIALS + 1, device=pitch.device, dtype=torch.float64)
        multiples = numbers * ((1 + stiff * numbers.square()) / (1 + stiff)).sqrt()
        multiples[:, :SINGLES] *= torch.exp2(offsets.double() / 1200)
        sounding = (slots > SILENCE_DB).any(dim=2)
        frequencies = first * torch.cat([multiples, ratios.double() * sounding], dim=1)
    rows = torch.cat([partials, slots], dim=1)
    return ControlMapBatch(rows, noise, fine, frequencies.float())


def _at(
    rows: NDArray[np.float16], own: NDArray[np.float64], times: NDArray[np.float64], end: float
) -> NDArray[np.float32]:
    """Rows (rows, frames) of a map at other moments."""
    laid = np.array([np.interp(times, own, row) for row in rows.astype(np.float32)])
    laid[:, times > end + 0.1] = SILENCE_DB
    return laid.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Kind:
    """The constants of one kind of frame.

    Attributes:
        response: float32 (places, bands), R.
        spread: float32 (places, bands), R′.
        skirt: float32 (places, bands), R″.
        onset: float32 (frames,), the window's square at time 0.
        mean: float32 (frames of the map, frames), of amplitudes.
        square: float32 (frames of the map, frames), of squared amplitudes.
        noise_square: float32 (frames of the noise, frames), of powers of noise.
        noise_gain: float32 (bands,), power shown for noise of 1 mean square a Hz.
        noise_bands: float32 (40, bands), where the bands lie between those of the noise.
    """

    response: NDArray[np.float32]
    spread: NDArray[np.float32]
    skirt: NDArray[np.float32]
    onset: NDArray[np.float32]
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
    places = (window // 2 + 1) * STEPS
    apart = np.arange(places) / STEPS  # bins
    lobe = hann_lobe(apart) ** 2
    wide = np.maximum(0, 1 - apart / SPREAD_BINS)
    skirt = np.where(apart > SPREAD_BINS, 1 / np.maximum(np.pi * apart, 1) ** 2, 0)
    ones = np.ones((len(filters), 1), dtype=np.float32)
    full = 1.5 / _shown(wide, ones)  # Σ W², of a whole lobe
    middles = filters.argmax(axis=0) * SAMPLE_RATE / window
    gain = 1.5 * SAMPLE_RATE / window * 2  # of a bin, for noise of 1 mean square a Hz
    bands = np.interp(middles, band_centres(), np.arange(BANDS))
    between = np.maximum(0, 1 - np.abs(np.arange(BANDS)[:, None] - bands))
    moments = centres / SAMPLE_RATE
    begins = np.clip(centres / window, 0, 0.5)  # where the onset lies in the window
    return _Kind(
        np.asarray(_shown(lobe, filters), dtype=np.float32),
        np.asarray(_shown(wide, filters) * full, dtype=np.float32),
        np.asarray(_shown(skirt, filters), dtype=np.float32),
        np.asarray(np.cos(np.pi * begins) ** 4, dtype=np.float32),
        _averages(times, moments, window / SAMPLE_RATE, 1),
        _averages(times, moments, window / SAMPLE_RATE, 2),
        _averages(noise_times, moments, window / SAMPLE_RATE, 2),
        np.asarray(filters.sum(axis=0) * gain, dtype=np.float32),
        between.astype(np.float32),
    )


def _shown(lobe: NDArray[np.float64], filters: NDArray[np.float32]) -> NDArray[np.float64]:
    """What bands show of a lobe at each place, (places, bands).

    Args:
        lobe: (places,), its power at a distance of so many places.
        filters: (bins, bands); a bin is every fourth place.
    """
    around = np.concatenate([lobe[:0:-1], lobe, np.zeros(STEPS)])  # middle at len(lobe) − 1
    shown = np.zeros((filters.shape[1], len(lobe)))
    for row, taken in zip(shown, np.ascontiguousarray(filters.T), strict=True):
        bins = np.flatnonzero(taken)
        first, last = bins[0], bins[-1] + 1
        weights = taken[first:last].astype(np.float64)
        for step in range(STEPS):  # places of one offset from the bins: a convolution over bins
            begin = len(lobe) - 1 + step - STEPS * (last - 1)
            count = len(row[step::STEPS]) + len(weights) - 1
            heard = around[begin : begin + STEPS * count : STEPS]
            row[step::STEPS] = np.convolve(heard, weights, "valid")
    shown[shown < UNHEARD] = 0
    return np.ascontiguousarray(shown.T)


def _averages(
    times: NDArray[np.float64], moments: NDArray[np.float64], length: float, power: int
) -> NDArray[np.float32]:
    """Means over windows of what is linear between ``times``, float32 (frames, moments)."""
    fine = np.arange(-length, times[-1] + length, FINE_STEP)
    phase = np.clip((fine[:, None] - moments) / length, -0.5, 0.5)
    window = np.cos(np.pi * phase) ** (2 * power)
    inside = (fine >= 0) & (fine <= times[-1])
    at = np.interp(fine[inside], times, np.arange(len(times)))
    before = np.minimum(at.astype(np.int64), len(times) - 2)
    share = (at - before)[:, None]
    sums = np.zeros((len(times), len(moments)))
    np.add.at(sums, before, (1 - share) * window[inside])
    np.add.at(sums, before + 1, share * window[inside])
    means = sums / window.sum(axis=0)
    return np.where(means < EDGE, 0, means).astype(np.float32)


class MagnitudeRender(nn.Module):
    """From control maps to what the ears hear; its constants travel with it to a GPU.

    Args:
        seconds: of the maps' grid.
        key_up: s.
        frames: of the partials.
        noise_frames: of the noise.
    """

    def __init__(
        self,
        seconds: float = NOTE_SECONDS,
        key_up: float = HOLD_SECONDS,
        frames: int = FRAME_COUNTS[-1],
        noise_frames: int = NOISE_FRAMES,
    ) -> None:
        super().__init__()
        times = frame_times(seconds, key_up, frames)
        noise_times = frame_times(seconds, key_up, noise_frames)
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

    def forward(self, maps: ControlMapBatch) -> MagnitudeFeatures:
        """Hear maps; see `MagnitudeFeatures`.

        Notes with equally many partials below 8 kHz are heard together: a high one has few.
        """
        inside = (maps.frequencies > LOWEST) & (maps.frequencies < HIGHEST_HEARD)
        numbers = torch.arange(1, PARTIALS + 1, device=inside.device)
        last = (inside[:, :PARTIALS] * numbers).amax(dim=1)
        counts, order = last.sort()
        told = counts.tolist()
        pitch, envelope = [], []
        for first in range(0, len(told), TOGETHER):
            these = order[first : first + TOGETHER]
            some = ControlMapBatch(*(part.index_select(0, these) for part in maps))
            powers = self._powers(some, inside[these], told[first : first + TOGETHER][-1])
            pitch.append(powers[0])
            envelope.append(powers[1])
        back = order.argsort()
        pitch_map, loudest = _relative(torch.cat(pitch).index_select(0, back))
        shape, _ = _relative(torch.cat(envelope).index_select(0, back))
        level = (1 + _FLOORS * loudest.log()).clamp_min(0)
        return MagnitudeFeatures(pitch_map, shape, level)

    def _buffer(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def _powers(self, maps: ControlMapBatch, inside: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Powers (batch, frames, bands) of long and short frames, of so many partials."""
        rows = [maps.partials[:, : min(count, SINGLES)], maps.partials[:, -MODES:]]
        if count > SINGLES:
            groups = maps.partials[:, SINGLES:-MODES]
            upper = self._buffer("upper")[: count - SINGLES] @ groups
            upper = upper + maps.fine[:, : count - SINGLES, None]
            silent = (groups <= SILENCE_DB).all(dim=1, keepdim=True)
            rows.insert(1, upper.masked_fill(silent, SILENCE_DB))

        def of_these(values: Tensor) -> Tensor:
            return torch.cat([values[:, :count], values[:, PARTIALS:]], dim=1)

        amplitudes = torch.exp(torch.cat(rows, dim=1) * _DECIBEL)
        frequencies, counted = of_these(maps.frequencies), of_these(inside).float()
        density = torch.exp((maps.noise - self._buffer("widths")) * (2 * _DECIBEL))
        pitch = self._shown("pitch", amplitudes, density, frequencies, counted)
        return pitch, self._shown("envelope", amplitudes, density, frequencies, counted)

    def _shown(
        self,
        kind: str,
        amplitudes: Tensor,
        density: Tensor,
        frequencies: Tensor,
        counted: Tensor,
    ) -> Tensor:
        """Powers (batch, frames, bands) of one kind of frame; ``counted`` is 0 or 1 a partial."""
        noise = (density @ self._buffer(f"{kind}_noise_square") + NOTHING * 1e-6).log()
        power = torch.exp(noise.transpose(1, 2) @ self._buffer(f"{kind}_noise_bands"))
        power = power * self._buffer(f"{kind}_noise_gain")
        first = amplitudes[:, None, :, 0].square() * counted[:, None]
        begun = _read_at(self._buffer(f"{kind}_skirt"), frequencies[:, None], first)
        power = power + begun * self._buffer(f"{kind}_onset")[:, None]
        mean = (amplitudes @ self._buffer(f"{kind}_mean")).square()  # (batch, partials, frames)
        rest = amplitudes.square() @ self._buffer(f"{kind}_square") - (1 + ROUNDING) * mean
        frequencies, counted = frequencies[:, :, None], counted[:, :, None]
        steady = _read_at(self._buffer(f"{kind}_response"), frequencies, counted)
        spread = _read_at(self._buffer(f"{kind}_spread"), frequencies, counted)
        power = torch.baddbmm(power, mean.transpose(1, 2), steady)
        return torch.baddbmm(power, rest.clamp_min(0).transpose(1, 2), spread)


def _read_at(table: Tensor, frequencies: Tensor, weights: Tensor) -> Tensor:
    """Sums of rows of a table.

    Args:
        table: (places, bands), read between its rows.
        frequencies: Hz, (batch, sums, rows), where.
        weights: of the same shape, of each row in its sum.

    Returns:
        (batch, sums, bands).
    """
    places = frequencies * (len(table) - STEPS) / (SAMPLE_RATE / 2)
    places = places.clamp(0, len(table) - 1.001)
    before = places.detach().floor()
    share = places - before
    between = torch.stack([weights * (1 - share), weights * share], dim=-1)
    rows = before.long()[..., None] + torch.arange(2, device=before.device)
    read = functional.embedding_bag(
        rows.flatten(2).flatten(0, 1),
        table,
        per_sample_weights=between.flatten(2).flatten(0, 1),
        mode="sum",
    )
    return read.view(*frequencies.shape[:2], -1)


def _relative(power: Tensor) -> tuple[Tensor, Tensor]:
    """0 … 1 for the top 80 dB below each note's maximum, silence is 0; and the maximum."""
    loudest = power.flatten(1).max(dim=1).values.clamp_min(SILENT_POWER)
    top = 1 - _FLOORS * loudest.log()
    return ((power + NOTHING).log() * _FLOORS + top[:, None, None]).clamp_min(0), loudest


@cache
def _module(seconds: float, key_up: float) -> MagnitudeRender:
    return MagnitudeRender(seconds, key_up)


def render_magnitude(maps: Sequence[ControlMap] | ControlMap) -> MagnitudeFeatures:
    """What the ears would hear of maps, 4 s from the onset, without rendering them.

    Args:
        maps: one or several; the key-up of each may lie where it will.
    """
    chosen = [maps] if isinstance(maps, ControlMap) else list(maps)
    with torch.no_grad():
        heard: MagnitudeFeatures = _module(NOTE_SECONDS, HOLD_SECONDS)(map_batch(chosen))
    return heard
