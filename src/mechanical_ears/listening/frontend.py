"""Front end of the ears: a log-frequency spectrogram, an envelope and the level of a note.

A cochlea spaces frequencies by their ratio, so that an octave is the same distance everywhere and
the partials of a note form one pattern that is shifted by the pitch (Brown, "Calculation of a
constant Q spectral transform", 1991). Here, for frames of 256 ms at chosen times:

    power[m]  = Σ_k w[m, k] · |STFT[k]|²           w: triangles around f_m, at least one bin wide
    f_m       = f_0 · 2^(m / 36)                    36 bins an octave, 3 a semitone
    pitch map = max(0, 1 + dB(power / max power) / 80)     0 … 1 over the top 80 dB

Below about 600 Hz the triangles are one FFT bin wide and interpolate between bins; above, they sum
the power of a third of a semitone. Frames are dense at the attack and ever sparser towards 4 s. A
second, faster STFT (32 ms frames in 24 bands, 8 ms apart at the attack) keeps what the long frames
blur: how the note begins, holds and ends. The level in dBFS is separate: all else is relative to
the note's own maximum, so that gain changes nothing in it.

NumPy and PyTorch compute the same: `extract_features` for inference, `TorchFrontEnd` for training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.matmul import MAX_MULTIPLICATIONS

SAMPLE_RATE: Final = 16_000  # Hz
SAMPLES: Final = 64_000  # of a note, 4 s
RANGE_DB: Final = 80.0  # below the maximum, that the features cover

PITCH_WINDOW: Final = 4096  # samples, 256 ms
PITCH_FRAMES: Final = 24
BINS_PER_OCTAVE: Final = 36
BINS: Final = 300
FIRST_BIN_MIDI: Final = 19  # MIDI number of bin 0; bins are a third of a semitone apart
PITCH_ATTACK: Final = 10  # frames at the attack, 32 ms apart
PITCH_STEP: Final = 512  # samples, 32 ms

ENVELOPE_WINDOW: Final = 512  # samples, 32 ms
ENVELOPE_FRAMES: Final = 48
ENVELOPE_BANDS: Final = 24
ENVELOPE_ATTACK: Final = 32  # frames at the attack, 8 ms apart
ENVELOPE_STEP: Final = 128  # samples, 8 ms
ENVELOPE_MIN_HZ, ENVELOPE_MAX_HZ = 60.0, 7600.0  # outer centres of the bands

SILENCE_POWER: Final = 1e-10  # of the loudest bin, below which a note is silent
MIN_FRAME_POWER_RATIO: Final = 1e-3  # to the loudest frame, −30 dB; quieter frames are left out
MIN_POWER: Final = SILENCE_POWER * 10 ** (-RANGE_DB / 10)  # below the range of any note

BLOCK_SAMPLES: Final = 32_768  # of frames that are transformed together: they stay in the cache


@dataclass(frozen=True)
class FilterBlock:
    """A block of the sparse filter matrix: neighbouring bands and their bins.

    Attributes:
        bins, bands: position of the block in the matrix.
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
        envelope_centres: int64 (48,), samples, middles of the short frames.
        envelope_window: float32 (512,), Hann.
        envelope_filters: float32 (257, 24).
    """

    pitch_centres: NDArray[np.int64]
    pitch_window: NDArray[np.float32]
    pitch_filters: NDArray[np.float32]
    envelope_centres: NDArray[np.int64]
    envelope_window: NDArray[np.float32]
    envelope_filters: NDArray[np.float32]


@cache
def _filter_blocks(short: bool) -> tuple[FilterBlock, ...]:
    """The filters of the short or of the long frames without most of their zeros.

    Blocks are as large as may be in a product that no BLAS splits among threads (`matmul`).
    """
    constants = layout()
    filters = constants.envelope_filters if short else constants.pitch_filters
    frames = ENVELOPE_FRAMES if short else PITCH_FRAMES
    starts = (filters > 0).argmax(axis=0)
    ends = len(filters) - (filters[::-1] > 0).argmax(axis=0)
    blocks, first = [], 0
    for stop in range(1, filters.shape[1] + 1):
        size = (ends[stop] - starts[first]) * (stop + 1 - first) if stop < len(ends) else math.inf
        if size * frames > MAX_MULTIPLICATIONS:  # of the block with one more band
            bins, bands = slice(starts[first], ends[stop - 1]), slice(first, stop)
            blocks.append(FilterBlock(bins, bands, np.ascontiguousarray(filters[bins, bands])))
            first = stop
    return tuple(blocks)


@cache
def layout() -> Layout:
    """The constants of the front end, computed once."""
    bins = FIRST_BIN_MIDI + np.arange(BINS) * 12 / BINS_PER_OCTAVE
    log_centres = 440 * np.exp2((bins - 69) / 12)
    bark = np.arcsinh(np.array([ENVELOPE_MIN_HZ, ENVELOPE_MAX_HZ]) / 600)  # Traunmüller's shape
    band_centres = 600 * np.sinh(np.linspace(bark[0], bark[1], ENVELOPE_BANDS))
    return Layout(
        _frame_centres(PITCH_FRAMES, PITCH_ATTACK, PITCH_STEP),
        _hann(PITCH_WINDOW),
        _triangles(log_centres, PITCH_WINDOW),
        _frame_centres(ENVELOPE_FRAMES, ENVELOPE_ATTACK, ENVELOPE_STEP),
        _hann(ENVELOPE_WINDOW),
        _triangles(band_centres, ENVELOPE_WINDOW),
    )


def _frame_centres(frames: int, attack: int, step: int) -> NDArray[np.int64]:
    """Middles of frames, samples: evenly spaced from 0, then ever farther apart to the end."""
    even = np.arange(attack) * step
    later = np.geomspace(even[-1], SAMPLES - step, frames - attack + 1)[1:]
    return np.concatenate([even, np.maximum.accumulate(later.round())]).astype(np.int64)


def _hann(length: int) -> NDArray[np.float32]:
    """Hann's window, scaled so that a full-scale sine has the peak 1."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return np.asarray(window * 2 / window.sum(), dtype=np.float32)


def _triangles(centres: NDArray[np.float64], window: int) -> NDArray[np.float32]:
    """Triangular filters of height 1 from neighbour to neighbour, at least one bin to each side.

    Args:
        centres: Hz (bands,), ascending.
        window: samples.

    Returns:
        float32 (window // 2 + 1, bands).
    """
    positions = centres * window / SAMPLE_RATE  # bins
    gaps = np.maximum(np.diff(positions), 1)
    left, right = np.concatenate([gaps[:1], gaps]), np.concatenate([gaps, gaps[-1:]])
    offset = np.arange(window // 2 + 1)[:, None] - positions
    return np.maximum(0, 1 - np.abs(offset) / np.where(offset < 0, left, right)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FrontEndFeatures:
    """Features of a batch of notes.

    Attributes:
        pitch_map: float32 (batch, 24 frames, 300 bins), 0 … 1.
        envelope: float32 (batch, 48 frames, 24 bands), 0 … 1.
        level: float32 (batch,), loudest partial or band in dBFS / 80 + 1; 0 where silent.
        power: float32 (batch, 2049), power spectrum, the sum of the long frames within 30 dB of
            the loudest, each divided by its own total. For `periodicity`, not the network.
    """

    pitch_map: NDArray[np.float32]
    envelope: NDArray[np.float32]
    level: NDArray[np.float32]
    power: NDArray[np.float32]


def extract_features(audio: NDArray[np.float32]) -> FrontEndFeatures:
    """Compute the features of notes in NumPy.

    Args:
        audio: float32 (batch, 64000) in [-1, 1] at 16 kHz, onset at the start.
    """
    constants = layout()
    half = PITCH_WINDOW // 2
    pitch = np.empty((len(audio), PITCH_FRAMES, BINS), dtype=np.float32)
    envelope = np.empty((len(audio), ENVELOPE_FRAMES, ENVELOPE_BANDS), dtype=np.float32)
    spectrum = np.empty((len(audio), half + 1), dtype=np.float32)
    for note, samples in enumerate(audio):  # one by one, they stay in the processor's cache
        padded = np.zeros(len(samples) + 2 * half, dtype=np.float32)
        padded[half:-half] = samples
        power = _power_spectra(padded, constants.pitch_centres, constants.pitch_window)
        pitch[note] = _to_bands(power, _filter_blocks(short=False))
        spectrum[note] = _normalised_sum(power)
        starts = constants.envelope_centres + half - ENVELOPE_WINDOW // 2
        power = _power_spectra(padded, starts, constants.envelope_window)
        envelope[note] = _to_bands(power, _filter_blocks(short=True))
    loudest = np.maximum(pitch.max(axis=(1, 2)), SILENCE_POWER)
    level = np.maximum(0, 1 + 10 * np.log10(loudest) / RANGE_DB)
    return FrontEndFeatures(
        _relative_levels(pitch), _relative_levels(envelope), level.astype(np.float32), spectrum
    )


def _power_spectra(
    padded: NDArray[np.float32], starts: NDArray[np.int64], window: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Power spectra (frames, bins) of frames that begin at ``starts``."""
    power = np.empty((len(starts), len(window) // 2 + 1), dtype=np.float32)
    block = BLOCK_SAMPLES // len(window)
    frames = np.empty((block, len(window)), dtype=np.float32)
    for first in range(0, len(starts), block):
        block_starts = starts[first : first + block].tolist()
        for frame, start in zip(frames, block_starts, strict=False):
            np.multiply(padded[start : start + len(window)], window, out=frame)
        spectrum = np.fft.rfft(frames[: len(block_starts)])
        part = power[first : first + block]
        np.multiply(spectrum.real, spectrum.real, out=part)
        part += spectrum.imag**2
    return power


def _to_bands(power: NDArray[np.float32], blocks: tuple[FilterBlock, ...]) -> NDArray[np.float32]:
    """Power (frames, bands) of power spectra (frames, bins)."""
    bands = np.empty((len(power), blocks[-1].bands.stop), dtype=np.float32)
    for block in blocks:
        bands[:, block.bands] = power[:, block.bins] @ block.filters
    return bands


def _normalised_sum(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum (bins,) of spectra (frames, bins), each over its total; quiet frames are left out."""
    totals = power.sum(axis=1)
    sounding = totals > max(MIN_FRAME_POWER_RATIO * float(totals.max()), SILENCE_POWER)
    weights = np.divide(sounding, totals, out=np.zeros_like(totals), where=sounding)
    return np.asarray(weights @ power, dtype=np.float32)


def _relative_levels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 … 1 for the top 80 dB below the note's maximum; silence is 0."""
    loudest = np.maximum(power.max(axis=(1, 2), keepdims=True), SILENCE_POWER)
    decibels = 10 * np.log10(np.maximum(power, MIN_POWER) / loudest)
    return np.asarray(np.maximum(0, 1 + decibels / RANGE_DB), dtype=np.float32)
