"""What the ears hear of a note: a log-frequency spectrogram, an envelope, a level.

A cochlea spaces frequencies by their ratio, so that an octave is the same distance everywhere and
the partials of a note stand in one pattern that only moves with the pitch (Brown, "Calculation of a
constant Q spectral transform", 1991). Here, for frames of 256 ms at chosen moments:

    power[m]  = Σ_k w[m, k] · |STFT[k]|²           w: triangles around f_m, at least one bin wide
    f_m       = f_0 · 2^(m / 36)                    36 bins an octave, 3 a semitone
    pitch map = max(0, 1 + dB(power / max power) / 80)     0 … 1 over the top 80 dB

Below about 600 Hz the triangles are one FFT bin wide and interpolate between bins; above, they sum
the power of a third of a semitone. The moments lie close at the attack and ever wider towards 4 s.
A second, faster STFT (32 ms frames in 24 bands, 8 ms apart at the attack) keeps what the long
frames blur: how the note begins, holds and ends. The level in dBFS is kept apart: all else is
relative to the note's own maximum, and a change of gain changes nothing in it.

NumPy and PyTorch compute the same: `extract_features` for inference, `TorchFrontEnd` for training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.matmul import LARGEST

SAMPLE_RATE: Final = 16_000  # Hz
SAMPLES: Final = 64_000  # 4 s
FLOOR: Final = 80.0  # dB below the maximum that are heard

PITCH_WINDOW: Final = 4096  # samples, 256 ms
PITCH_FRAMES: Final = 24
BINS_PER_OCTAVE: Final = 36
BINS: Final = 300
LOWEST_MIDI: Final = 19  # of bin 0; a third of a semitone a bin
PITCH_ATTACK: Final = 10  # frames at the attack, 32 ms apart
PITCH_STEP: Final = 512  # samples, 32 ms

ENVELOPE_WINDOW: Final = 512  # samples, 32 ms
ENVELOPE_FRAMES: Final = 48
ENVELOPE_BANDS: Final = 24
ENVELOPE_ATTACK: Final = 32  # frames at the attack, 8 ms apart
ENVELOPE_STEP: Final = 128  # samples, 8 ms
ENVELOPE_LOWEST, ENVELOPE_HIGHEST = 60.0, 7600.0  # Hz, outer centres of the bands

SILENCE: Final = 1e-10  # power of the loudest place below which a note is silent
QUIET: Final = 1e-3  # power of a frame beside the loudest one's, below which it has no say, −30 dB
NOTHING: Final = SILENCE * 10 ** (-FLOOR / 10)  # power that no note can make heard


TOGETHER: Final = 32_768  # samples of frames transformed at a time, which stay in the cache


@dataclass(frozen=True)
class Bands:
    """Neighbouring bands and the only bins that they take from: a block of the sparse filters.

    Attributes:
        bins, bands: where the block lies.
        filters: float32 (bins, bands).
    """

    bins: slice
    bands: slice
    filters: NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """The constants of the front end as arrays.

    Attributes:
        pitch_centres: int64 (24,), samples, middles of the long frames.
        pitch_window: float32 (4096,), Hann.
        pitch_filters: float32 (2049, 300).
        envelope_centres, envelope_window, envelope_filters: the same of the short ones.
    """

    pitch_centres: NDArray[np.int64]
    pitch_window: NDArray[np.float32]
    pitch_filters: NDArray[np.float32]
    envelope_centres: NDArray[np.int64]
    envelope_window: NDArray[np.float32]
    envelope_filters: NDArray[np.float32]


@cache
def _blocks(short: bool) -> tuple[Bands, ...]:
    """The filters of the short or of the long frames, cut where they are zero anyway."""
    parts = layout()
    filters, frames = (
        (parts.envelope_filters, ENVELOPE_FRAMES) if short else (parts.pitch_filters, PITCH_FRAMES)
    )
    firsts = (filters > 0).argmax(axis=0)
    lasts = len(filters) - (filters[::-1] > 0).argmax(axis=0)
    blocks, begin = [], 0
    for end in range(1, filters.shape[1] + 1):
        wider = (lasts[end] - firsts[begin]) * (end + 1 - begin) if end < len(lasts) else math.inf
        if wider * frames > LARGEST:
            bins, bands = slice(firsts[begin], lasts[end - 1]), slice(begin, end)
            blocks.append(Bands(bins, bands, np.ascontiguousarray(filters[bins, bands])))
            begin = end
    return tuple(blocks)


@cache
def layout() -> Layout:
    """The constants, computed once."""
    bins = LOWEST_MIDI + np.arange(BINS) * 12 / BINS_PER_OCTAVE
    log_centres = 440 * np.exp2((bins - 69) / 12)
    bark = np.arcsinh(np.array([ENVELOPE_LOWEST, ENVELOPE_HIGHEST]) / 600)  # Traunmüller's shape
    band_centres = 600 * np.sinh(np.linspace(bark[0], bark[1], ENVELOPE_BANDS))
    return Layout(
        _centres(PITCH_FRAMES, PITCH_ATTACK, PITCH_STEP),
        _hann(PITCH_WINDOW),
        _triangles(log_centres, PITCH_WINDOW),
        _centres(ENVELOPE_FRAMES, ENVELOPE_ATTACK, ENVELOPE_STEP),
        _hann(ENVELOPE_WINDOW),
        _triangles(band_centres, ENVELOPE_WINDOW),
    )


def _centres(frames: int, attack: int, step: int) -> NDArray[np.int64]:
    """Evenly from 0, then with growing distance to the end."""
    even = np.arange(attack) * step
    later = np.geomspace(even[-1], SAMPLES - step, frames - attack + 1)[1:]
    return np.concatenate([even, np.maximum.accumulate(later.round())]).astype(np.int64)


def _hann(length: int) -> NDArray[np.float32]:
    """Hann's window, scaled so that a full-scale sine has the peak 1."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return np.asarray(window * 2 / window.sum(), dtype=np.float32)


def _triangles(centres: NDArray[np.float64], window: int) -> NDArray[np.float32]:
    """Triangles of height 1 from neighbour to neighbour, at least one FFT bin to each side."""
    places = centres * window / SAMPLE_RATE
    gaps = np.maximum(np.diff(places), 1)
    left, right = np.concatenate([gaps[:1], gaps]), np.concatenate([gaps, gaps[-1:]])
    offset = np.arange(window // 2 + 1)[:, None] - places
    return np.maximum(0, 1 - np.abs(offset) / np.where(offset < 0, left, right)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FrontEndFeatures:
    """What the ears hear of notes.

    Attributes:
        pitch_map: float32 (batch, 24 frames, 300 bins), 0 … 1.
        envelope: float32 (batch, 48 frames, 24 bands), 0 … 1.
        level: float32 (batch,), loudest partial or band in dBFS / 80 + 1; 0 where silent.
        power: float32 (batch, 2049), power spectrum, the sum over the long frames that lie within
            30 dB of the loudest, each divided by its own total. For `periodicity`, not the network.
    """

    pitch_map: NDArray[np.float32]
    envelope: NDArray[np.float32]
    level: NDArray[np.float32]
    power: NDArray[np.float32]


def extract_features(audio: NDArray[np.float32]) -> FrontEndFeatures:
    """Hear notes in NumPy.

    Args:
        audio: float32 (batch, 64000) at 16 kHz, onset at the start.
    """
    parts = layout()
    half = PITCH_WINDOW // 2
    short = half - ENVELOPE_WINDOW // 2
    pitch = np.empty((len(audio), PITCH_FRAMES, BINS), dtype=np.float32)
    envelope = np.empty((len(audio), ENVELOPE_FRAMES, ENVELOPE_BANDS), dtype=np.float32)
    even = np.empty((len(audio), half + 1), dtype=np.float32)
    for note, samples in enumerate(audio):  # one by one they stay in the processor's cache
        padded = np.zeros(len(samples) + 2 * half, dtype=np.float32)
        padded[half:-half] = samples
        power = _power(padded, parts.pitch_centres, parts.pitch_window)
        pitch[note] = _banded(power, _blocks(False))
        even[note] = _evened(power)
        power = _power(padded, parts.envelope_centres + short, parts.envelope_window)
        envelope[note] = _banded(power, _blocks(True))
    loudest = np.maximum(pitch.max(axis=(1, 2)), SILENCE)
    level = np.maximum(0, 1 + 10 * np.log10(loudest) / FLOOR)
    return FrontEndFeatures(_relative(pitch), _relative(envelope), level.astype(np.float32), even)


def _power(
    padded: NDArray[np.float32], starts: NDArray[np.int64], window: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Power spectra (frames, bins) of frames that begin at ``starts``."""
    power = np.empty((len(starts), len(window) // 2 + 1), dtype=np.float32)
    together = TOGETHER // len(window)
    frames = np.empty((together, len(window)), dtype=np.float32)
    for first in range(0, len(starts), together):
        here = starts[first : first + together].tolist()
        for frame, start in zip(frames, here, strict=False):
            np.multiply(padded[start : start + len(window)], window, out=frame)
        spectrum = np.fft.rfft(frames[: len(here)])
        part = power[first : first + together]
        np.multiply(spectrum.real, spectrum.real, out=part)
        part += spectrum.imag**2
    return power


def _banded(power: NDArray[np.float32], blocks: tuple[Bands, ...]) -> NDArray[np.float32]:
    """Power (frames, bands) of power spectra (frames, bins)."""
    bands = np.empty((len(power), blocks[-1].bands.stop), dtype=np.float32)
    for block in blocks:
        bands[:, block.bands] = power[:, block.bins] @ block.filters
    return bands


def _evened(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum (bins,) of the spectra (frames, bins) that are not too quiet, each over its total."""
    totals = power.sum(axis=1)
    sounding = totals > max(QUIET * float(totals.max()), SILENCE)
    weights = np.divide(sounding, totals, out=np.zeros_like(totals), where=sounding)
    return np.asarray(weights @ power, dtype=np.float32)


def _relative(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 … 1 for the top 80 dB below the note's maximum; silence is 0."""
    loudest = np.maximum(power.max(axis=(1, 2), keepdims=True), SILENCE)
    decibels = 10 * np.log10(np.maximum(power, NOTHING) / loudest)
    return np.asarray(np.maximum(0, 1 + decibels / FLOOR), dtype=np.float32)
