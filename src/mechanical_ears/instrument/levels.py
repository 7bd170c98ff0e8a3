"""Levels of a note over time: how loud it is, how fast it decays, how long its release is."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.instrument.zones import ENVELOPE_RANGE_DB

AUDIBLE_RANGE_DB: Final = 60.0  # dB below a note's loudest block, down to which it counts
BLOCK_SECONDS: Final = 0.05  # s, of a level
LOUD_SECONDS: Final = 0.4  # s, of `momentary_level`
MIN_BLOCKS: Final = 4  # through which the slope of a decay is fitted
RELEASE_BLOCK_SECONDS: Final = 0.01  # s, of a level of a release
RELEASE_SMOOTHING: Final = 3  # blocks over which the levels of a release are averaged
RELEASE_FALLS_DB: Final = (20.0, 10.0)  # dB of fall by which a release is measured
RELEASE_RANGE_SECONDS: Final = (0.04, 6.0)  # s for 80 dB
MIN_RELEASE_SHARE: Final = 1e-3  # of a note's peak; below it at its key-up it has no release


def block_powers(audio: NDArray[np.float32], frames: int) -> NDArray[np.float64]:
    """Mean squares of consecutive blocks, float64 (blocks,); an incomplete last one is left out.

    Args:
        audio: float32 (samples,) or (frames, channels).
        frames: length of a block.
    """
    count = len(audio) // frames
    width = frames * math.prod(audio.shape[1:])
    blocks = audio[: count * frames].reshape(count, width).astype(np.float64)
    return np.asarray(np.mean(blocks**2, axis=1))


def momentary_level(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Mean square of the loudest 400 ms (the block of ITU-R BS.1770) in dB of full scale.

    A shorter sound counts as followed by silence.

    Args:
        audio: float32 (frames, channels).
        sample_rate: Hz.
    """
    quarter = max(1, round(LOUD_SECONDS / 4 * sample_rate))
    padded = np.pad(audio, ((0, max(0, 4 * quarter - len(audio))), (0, 0)))
    windows = np.convolve(block_powers(padded, quarter), np.full(4, 0.25), mode="valid")
    return float(10 * np.log10(windows.max() + 1e-14))


def decay_rate(samples: NDArray[np.float32], sample_rate: int) -> float:
    """How fast a note decays from its loudest block on, in dB/s, by a line through its levels.

    A note that reaches its maximum late (a slow attack) is measured from a third of its length on.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
    """
    levels = 10 * np.log10(overlapping_powers(samples[:, None], sample_rate) + 1e-14)
    first = int(levels.argmax())
    if 2 * first > len(levels):
        first = len(levels) // 3
    decay = levels[first:]
    audible = np.flatnonzero(decay > decay[0] - AUDIBLE_RANGE_DB) if len(decay) else np.array([])
    count = int(audible[-1]) + 1 if len(audible) else 0
    becomes_silent = count < len(decay)
    hop = BLOCK_SECONDS / 2
    if count < MIN_BLOCKS:
        return AUDIBLE_RANGE_DB / (BLOCK_SECONDS * MIN_BLOCKS) if becomes_silent else 0.0
    slope = -float(np.polyfit(np.arange(count) * hop, decay[:count], 1)[0])
    return max(slope, AUDIBLE_RANGE_DB / (count * hop)) if becomes_silent else slope


def measure_release(
    samples: NDArray[np.float32], sample_rate: int, hold_seconds: float, decay: float = 0.0
) -> float | None:
    """How long a note takes to fall by 80 dB after its key-up, in s; None if it ended before.

    Four times the time of a fall by 20 dB (or eight times 10 dB), since what follows may be noise
    of the recording; by a line through the levels where the note does not fall that far.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        hold_seconds: s, from the note's start to the key-up.
        decay: dB/s, of the note while it is held; its release is at least as fast.
    """
    key_up = round(hold_seconds * sample_rate)
    block = max(1, round(RELEASE_BLOCK_SECONDS * sample_rate))
    before, after = samples[max(0, key_up - 5 * block) : key_up], samples[key_up:]
    peak, peak_before = (float(np.abs(part).max(initial=0.0)) for part in (samples, before))
    if len(after) < RELEASE_SMOOTHING * block or peak_before <= MIN_RELEASE_SHARE * peak:
        return None
    smoothing = np.full(RELEASE_SMOOTHING, 1 / RELEASE_SMOOTHING)
    powers = np.convolve(block_powers(after, block), smoothing, mode="valid")
    initial = block_powers(before, len(before))
    levels = 10 * np.log10(powers / initial + 1e-12)
    times = (np.arange(len(levels)) + RELEASE_SMOOTHING / 2) * RELEASE_BLOCK_SECONDS
    for fall in RELEASE_FALLS_DB:
        loud = np.flatnonzero(levels > -fall)
        last = int(loud[-1]) if len(loud) else -1
        if last + 1 < len(levels):
            seconds = float(times[last : last + 2].mean()) if last >= 0 else 0.0
            return _clip_release(ENVELOPE_RANGE_DB / fall * seconds)
    end = len(levels) - max(RELEASE_SMOOTHING, len(levels) // 20)  # the last blocks fade out
    slope = -float(np.polyfit(times[:end], levels[:end], 1)[0]) if end > 2 else 0.0
    return _clip_release(ENVELOPE_RANGE_DB / max(slope, decay, 1.0))


def _clip_release(seconds: float) -> float:
    """A release within `RELEASE_RANGE_SECONDS`, rounded to two digits."""
    return float(f"{np.clip(seconds, *RELEASE_RANGE_SECONDS):.2g}")


def overlapping_powers(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Mean squares of blocks of 50 ms, every 25 ms; one of all frames, if there are fewer."""
    halves = block_powers(audio, max(1, round(BLOCK_SECONDS / 2 * sample_rate)))
    return (halves[1:] + halves[:-1]) / 2 if len(halves) > 1 else block_powers(audio, len(audio))
