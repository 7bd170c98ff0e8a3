"""Simulation of a lossy codec such as MP3.

Overlapping frames of 2M = 1152 samples become M lines each by the modified discrete cosine
transform (Princen and Bradley, "Analysis/synthesis filter bank design based on time domain aliasing
cancellation", 1986), here folded to M values and transformed by the DCT-IV, its own inverse:

    X[k] = √(2/M) Σ_n u[n] cos(π/M (n + ½)(k + ½)),   u = (−c_r − d, a − b_r)

of a frame (a, b, c, d), with _r for reversed. Each critical band of each frame is then rounded to
steps for which the rounding noise is ``margin`` dB below the sound, spread over neighbouring bands
as hearing masks them (Schroeder, Atal and Hall, "Optimizing digital speech coders by exploiting
masking properties of the human ear", 1979):

    step_b = √(12 · 10^(−margin/10) Σ_a S[a, b] · mean_{k in a} X[k]²)

A band that others mask is rounded to 0: it appears and disappears from frame to frame, the
"birdies" of low bit rates. A rounding error of one step spreads over a whole frame: the pre-echo.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mechanical_ears.note import NOTE_SAMPLE_RATE as RATE

LINES = 576  # M, lines per frame, as in MP3
_UPWARD, _DOWNWARD = 10.0, 25.0  # dB per Bark by which masking falls, to higher and lower bands
_TINY = 1e-12  # the finest step, for silence


def lossy_codec(audio: Tensor, margin: Tensor, cutoff: Tensor) -> Tensor:
    """Encode and decode.

    Args:
        audio: float32 (batch, samples) at 16 kHz.
        margin: (batch,), dB of the noise below the sound in each band; about 6 is a very low bit
            rate, 25 a high one.
        cutoff: (batch,), Hz above which the codec drops everything.

    Returns:
        float32 (batch, samples); silence in is silence out.
    """
    samples = audio.shape[1]
    lines = _analyse(audio)
    kept = _line_frequencies(audio.device) < cutoff[:, None]
    bands = _bands(audio.device)
    share = bands / bands.sum(0)
    masked = lines.square() @ share @ _spreading(bands.shape[1], audio.device)
    scale = 12 * torch.exp(margin * (-math.log(10) / 10))[:, None, None]
    steps = (masked * scale).sqrt().clamp(min=_TINY) @ bands.T
    return _synthesise(torch.round(lines / steps) * steps * kept[:, None])[:, :samples]


def _line_frequencies(device: torch.device) -> Tensor:
    """Hz of the lines, (LINES,)."""
    return (torch.arange(LINES, device=device) + 0.5) * (RATE / 2 / LINES)


def _bands(device: torch.device) -> Tensor:
    """Critical band of each line, one-hot float32 (LINES, bands); Zwicker's Bark scale."""
    hertz = _line_frequencies(device)
    bark = 13 * torch.atan(0.00076 * hertz) + 3.5 * torch.atan((hertz / 7500).square())
    return torch.nn.functional.one_hot(bark.to(torch.int64)).to(torch.float32)


def _spreading(bands: int, device: torch.device) -> Tensor:
    """Share of the power of each band that masks another, float32 (masking, masked)."""
    index = torch.arange(bands, device=device)
    above = index - index[:, None]
    fall = torch.where(above > 0, _UPWARD * above, -_DOWNWARD * above)
    return torch.exp(fall * (-math.log(10) / 10))


def _window(device: torch.device) -> Tensor:
    """The sine window, whose square and mirrored square sum to 1."""
    return torch.sin((torch.arange(2 * LINES, device=device) + 0.5) * (math.pi / 2 / LINES))


def _analyse(audio: Tensor) -> Tensor:
    """Lines of all frames, float32 (batch, frames, LINES)."""
    whole = -(-audio.shape[1] // LINES) * LINES
    padded = torch.nn.functional.pad(audio, (LINES, LINES + whole - audio.shape[1]))
    frames = padded.unfold(1, 2 * LINES, LINES) * _window(audio.device)
    a, b, c, d = frames.chunk(4, dim=2)
    return _dct_iv(torch.cat([-c.flip(2) - d, a - b.flip(2)], dim=2))


def _synthesise(lines: Tensor) -> Tensor:
    """Resynthesise the sound, float32 (batch, whole frames of LINES samples)."""
    u, v = _dct_iv(lines).chunk(2, dim=2)
    window = _window(lines.device)
    earlier = torch.cat([v, -v.flip(2)], dim=2) * window[:LINES]
    later = torch.cat([-u.flip(2), -u], dim=2) * window[LINES:]
    return (earlier[:, 1:] + later[:, :-1]).flatten(1)


def _dct_iv(values: Tensor) -> Tensor:
    """DCT-IV along the last axis through a complex FFT of half the length (orthonormal)."""
    count = values.shape[-1]
    position = torch.arange(count // 2, device=values.device) + 0.125
    twist = torch.polar(torch.ones_like(position), position * (-math.pi / count))
    pairs = torch.complex(values[..., ::2].contiguous(), values.flip(-1)[..., ::2].contiguous())
    rotated = torch.fft.fft(pairs * twist) * twist * math.sqrt(2 / count)
    return torch.stack([rotated.real, -rotated.imag.flip(-1)], dim=-1).flatten(-2)
