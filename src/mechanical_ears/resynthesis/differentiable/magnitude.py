"""The front end's features of a control map, without rendering it: analytic and differentiable.

The front end of the ears (listening/frontend.py) takes powers of windowed spectra in bands m. A
partial of frequency f and amplitude A(t) shows there, around the time τ of a frame,

    P_m = R_m(f) · Ā² + R′_m(f) · V + R″_m(f) · w(0)² A(0)²
    Ā = ∫ w A / ∫ w        V = ∫ w² A² / ∫ w² − Ā²
    R_m(f) = Σ_k filter[m, k] · W((f − f_k) L / rate)²

with the lobe W of the window w: the mean amplitude appears in the lobe, and what fluctuates about
it, V, within a few bins around, R′. Where a window contains the onset, the step from silence to
A(0) reaches far: a step of height 1 has the spectrum 1 / (π x)² at x bins from its frequency, R″.
Partials add in power, as those of unknown phases do on average. Noise of S mean square per Hz adds
S · g · Σ_k filter[m, k], where g is what one bin shows of noise (Welch, "The use of fast Fourier
transform for the estimation of power spectra", 1967).

R is a table over frequency, in quarters of a bin (frame_responses.py). A note costs a few small
matrix products, no phase and no Fourier transform; gradients reach all amplitudes, the frequencies
and the noise. Vibrato is left out: a partial has its mean frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.listening import frontend
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.resynthesis import control_map as layout
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.differentiable.control_map_batch import (
    ControlMapBatch,
    map_batch,
    split_by_partials,
)
from mechanical_ears.resynthesis.differentiable.frame_responses import TABLE_STEPS, frame_response

MIN_FREQUENCY: Final = 16.0  # Hz
MAX_FREQUENCY: Final = 0.49 * frontend.SAMPLE_RATE  # Hz
CHUNK_NOTES: Final = 8
ROUNDING: Final = 1e-5  # of a steady amplitude's square, that fluctuates in float32 only
_LOG_AMPLITUDE: Final = float(np.log(10) / 20)  # nepers per dB
_LEVEL_SCALE: Final = float(10 / np.log(10) / frontend.RANGE_DB)  # log of a power to 80 dB as 1


class MagnitudeFeatures(NamedTuple):
    """The features of `FrontEndFeatures`, as tensors.

    Attributes:
        pitch_map: float32 (batch, 24, 300), 0..1 over the top 80 dB.
        envelope: float32 (batch, 48, 24), 0..1.
        level: float32 (batch,), loudest band in dBFS / 80 + 1; 0 where silent.
    """

    pitch_map: Tensor
    envelope: Tensor
    level: Tensor


class MagnitudeRender(nn.Module):
    """From control maps to the front end's features; its constants move to a GPU with it.

    Args:
        frames: of the partials, over 4 s with the key-up at 3 s.
        noise_frames: of the noise.
    """

    def __init__(
        self, frames: int = layout.FRAME_COUNTS[-1], noise_frames: int = layout.NOISE_FRAMES
    ) -> None:
        super().__init__()
        times = layout.frame_times(NOTE_SECONDS, HOLD_SECONDS, frames)
        noise_times = layout.frame_times(NOTE_SECONDS, HOLD_SECONDS, noise_frames)
        bands = frontend.layout()
        self._add_constant("group_weights", layout.group_weights())
        widths = 10 * np.log10(np.diff(layout.band_edges()))
        self._add_constant("band_widths", widths.astype(np.float32)[:, None])
        kinds = {
            "pitch": (frontend.PITCH_WINDOW, bands.pitch_centres, bands.pitch_filters),
            "envelope": (frontend.ENVELOPE_WINDOW, bands.envelope_centres, bands.envelope_filters),
        }
        for name, kind in kinds.items():
            for field, values in vars(frame_response(*kind, times, noise_times)).items():
                self._add_constant(f"{name}_{field}", values)

    def _add_constant(self, name: str, values: NDArray[np.float32]) -> None:
        self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, maps: ControlMapBatch) -> MagnitudeFeatures:
        """Compute the features of maps."""
        chunks, restore = split_by_partials(maps, MIN_FREQUENCY, MAX_FREQUENCY, CHUNK_NOTES)
        powers = [self._powers(each.maps, each.audible, each.partials) for each in chunks]
        kinds = zip(*powers, strict=True)
        pitch, envelope = (torch.cat(kind).index_select(0, restore) for kind in kinds)
        pitch_map, loudest = _relative(pitch)
        shape, _ = _relative(envelope)
        level = (1 + _LEVEL_SCALE * loudest.log()).clamp_min(0)
        return MagnitudeFeatures(pitch_map, shape, level)

    def _powers(self, maps: ControlMapBatch, audible: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Powers (batch, frames, bands) of long and short frames.

        They are of the first ``count`` partials, the modes and the noise.
        """
        rows = [maps.partials[:, : min(count, layout.SINGLES)], maps.partials[:, -layout.MODES :]]
        if count > layout.SINGLES:
            groups = maps.partials[:, layout.SINGLES : -layout.MODES]
            upper = self.get_buffer("group_weights")[: count - layout.SINGLES] @ groups
            upper = upper + maps.fine[:, : count - layout.SINGLES, None]
            silent = (groups <= layout.SILENCE_DB).all(dim=1, keepdim=True)
            rows.insert(1, upper.masked_fill(silent, layout.SILENCE_DB))

        def rendered(values: Tensor) -> Tensor:
            return torch.cat([values[:, :count], values[:, layout.PARTIALS :]], dim=1)

        amplitudes = torch.exp(torch.cat(rows, dim=1) * _LOG_AMPLITUDE)
        frequencies, weights = rendered(maps.frequencies), rendered(audible).float()
        density = torch.exp((maps.noise - self.get_buffer("band_widths")) * (2 * _LOG_AMPLITUDE))
        pitch = self._band_powers("pitch", amplitudes, density, frequencies, weights)
        return pitch, self._band_powers("envelope", amplitudes, density, frequencies, weights)

    def _band_powers(
        self, kind: str, amplitudes: Tensor, density: Tensor, frequencies: Tensor, weights: Tensor
    ) -> Tensor:
        """Powers (batch, frames, bands) of one kind of frame.

        Args:
            kind: "pitch" or "envelope".
            amplitudes: (batch, partials, frames of the map).
            density: of the noise, (batch, 40, frames of the noise).
            frequencies: Hz, (batch, partials).
            weights: (batch, partials), 0 for partials that are not audible, else 1.
        """

        def constant(name: str) -> Tensor:
            return self.get_buffer(f"{kind}_{name}")

        noise = (density @ constant("noise_square") + frontend.MIN_POWER * 1e-6).log()
        power = torch.exp(noise.transpose(1, 2) @ constant("noise_bands"))
        power = power * constant("noise_gain")
        first = amplitudes[:, None, :, 0].square() * weights[:, None]
        step = sum_responses(constant("skirt"), frequencies[:, None], first)
        power = power + step * constant("onset")[:, None]
        mean = (amplitudes @ constant("mean")).square()  # (batch, partials, frames)
        rest = amplitudes.square() @ constant("square") - (1 + ROUNDING) * mean
        frequencies, weights = frequencies[:, :, None], weights[:, :, None]
        steady = sum_responses(constant("response"), frequencies, weights)
        spread = sum_responses(constant("spread"), frequencies, weights)
        power = torch.baddbmm(power, mean.transpose(1, 2), steady)
        return torch.baddbmm(power, rest.clamp_min(0).transpose(1, 2), spread)


def sum_responses(table: Tensor, frequencies: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of responses, interpolated linearly between the rows of a table.

    Args:
        table: (rows, bands), from 0 Hz in steps of a quarter of a bin.
        frequencies: Hz, (batch, sums, terms).
        weights: (batch, sums, terms).

    Returns:
        (batch, sums, bands).
    """
    positions = frequencies * (len(table) - TABLE_STEPS) / (frontend.SAMPLE_RATE / 2)
    positions = positions.clamp(0, len(table) - 1.001)
    before = positions.detach().floor()
    fraction = positions - before
    shares = torch.stack([weights * (1 - fraction), weights * fraction], dim=-1)
    rows = before.long()[..., None] + torch.arange(2, device=before.device)
    indices, factors = (each.flatten(2).flatten(0, 1) for each in (rows, shares))
    sums = functional.embedding_bag(indices, table, per_sample_weights=factors, mode="sum")
    return sums.view(*frequencies.shape[:2], -1)


def _relative(power: Tensor) -> tuple[Tensor, Tensor]:
    """The top 80 dB below each note's maximum as 0..1, 0 for silence; and the maximum."""
    loudest = power.flatten(1).max(dim=1).values.clamp_min(frontend.SILENCE_POWER)
    top = 1 - _LEVEL_SCALE * loudest.log()
    levels = (power + frontend.MIN_POWER).log() * _LEVEL_SCALE + top[:, None, None]
    return levels.clamp_min(0), loudest


@cache
def _default_render() -> MagnitudeRender:
    return MagnitudeRender()


def render_magnitude(maps: Sequence[ControlMap] | ControlMap) -> MagnitudeFeatures:
    """The front end's features of maps, of 4 s from the onset, without rendering sound.

    Args:
        maps: one or several, with any key-ups.
    """
    batch = [maps] if isinstance(maps, ControlMap) else list(maps)
    with torch.no_grad():
        features: MagnitudeFeatures = _default_render()(map_batch(batch))
    return features
