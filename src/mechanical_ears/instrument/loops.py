"""Sustain loops: two points of a held note between which it can repeat without an audible seam.

A loop from frame s to frame e repeats x[s … e−1]. The seam is inaudible if the frames before e are
like the frames before s. The windows a before e and b before s are compared by

    2 ⟨a, b⟩ / (‖a‖² + ‖b‖²)

which is 1 where both are equal in shape and in level, for all s at once by Fourier transforms.
Several ends are tried; longer loops, which sound less mechanical, are preferred where they match
about as well, and starts where the level does not change. Of the best of them the first is taken
at whose seam level, brightness and pitch do not jump (seams.py). Where the note moves too much for
that, starts are preferred at moments when it moves little, such as the turning points of a vibrato.
The last c frames of the loop are blended with the c frames before its start,

    y[e − c + i] = (f_i · x[e − c + i] + g_i · x[s − c + i]) / √(f_i² + g_i² + 2 r f_i g_i)

with g rising from 0 to 1, f = 1 − g and r = ⟨a, b⟩ / (‖a‖ ‖b‖): the divisor keeps the power
constant whatever the two stretches have in common (r = 1: a linear fade; r = 0: a fade of equal
power). After the end follow some frames of the loop's start, for players that interpolate past it.

A slow decay within the loop would jump back up at each seam: its slope is removed first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.instrument.levels import block_powers
from mechanical_ears.instrument.seams import (
    level_frames,
    measure_seam,
    natural_changes,
    pitch_frames,
)
from mechanical_ears.instrument.zones import Loop

MIN_WINDOW_SECONDS, MAX_WINDOW_SECONDS = 0.03, 0.200  # s, of the windows that are compared
WINDOW_PERIODS: Final = 12  # periods of the note that a window holds, if it may be that long
MIN_LOOP_SECONDS, MAX_LOOP_SECONDS = 1.0, 4.0  # s
MIN_LOOP_SHARE: Final = 0.5  # of a note too short for a loop of 1 s
MIN_FRAMES: Final = 64  # of a loop and of a window
MAX_FADE_SHARE: Final = 0.5  # of the loop's length
MAX_FADE_SECONDS: Final = 0.5  # s
END_CANDIDATES: Final = 6
MAX_ATTEMPTS: Final = (8, 24)  # loops that are measured, of steady notes and of moving ones
MAX_NATURAL_CHANGE: Final = 0.7  # of what is allowed at a seam, above which there is a penalty
CHANGE_PENALTY: Final = 0.1  # of the similarity, for each time what is allowed
START_CANDIDATES: Final = 8  # for each end
START_SPACING_SECONDS: Final = 0.02  # s, from one candidate to the next
MAX_LEVEL_CHANGE: Final = 0.4  # dB at a loop's start, above which there is a penalty
LEVEL_PENALTY: Final = 0.02  # of the similarity, for each dB above
DOUBLING_BONUS: Final = 0.01  # of the similarity, for a loop of twice the length
TOO_LONG_PENALTY: Final = 1.0  # of the similarity, for a loop above MAX_LOOP_SECONDS
TAIL_FRAMES: Final = 256  # of the loop's start, repeated after its end; as many fade out
SLOPE_BLOCKS: Final = 24  # levels through which the slope is fitted
SEAM_SECONDS: Final = 0.002  # s, around a seam
NEIGHBOURHOOD_SECONDS: Final = 0.050  # s, on each side of a seam


@dataclass(frozen=True, eq=False)
class LoopedAudio:
    """A note that can be held for any time.

    Attributes:
        audio: float32 (frames, channels), with the cross-fade, up to a few frames past the loop.
        loop: frames to repeat.
        correlation: of the stretches that are cross-faded, −1..1.
    """

    audio: NDArray[np.float32]
    loop: Loop
    correlation: float


def find_loop(
    audio: NDArray[np.float32],
    sample_rate: int,
    frequency: float,
    first: float,
    last: float,
) -> LoopedAudio | None:
    """Find the best loop of a held note; None if the note is too short.

    Args:
        audio: float32 (frames, channels).
        sample_rate: Hz.
        frequency: Hz, of the note.
        first: s, earliest start of the loop: after the attack.
        last: s, latest end of the loop: before the key-up.
    """
    low, high = round(first * sample_rate), min(round(last * sample_rate), len(audio))
    window_seconds = max(WINDOW_PERIODS / frequency, MIN_WINDOW_SECONDS)
    window = round(min(MAX_WINDOW_SECONDS, window_seconds) * sample_rate)
    min_length = min(round(MIN_LOOP_SECONDS * sample_rate), round(MIN_LOOP_SHARE * (high - low)))
    if high - low < min_length + window + MIN_FRAMES:
        window = min_length = max((high - low) // 4, MIN_FRAMES)
        if high - low < min_length + window + MIN_FRAMES:
            return None
    level = _remove_slope(audio, low, high)
    mono = level.mean(axis=1)
    matcher = _WindowMatcher(mono[low:high], window)
    level_changes = _level_changes(mono, level_frames(frequency, sample_rate))
    slack = high - low - min_length - window
    max_length = round(MAX_LOOP_SECONDS * sample_rate)
    scores: dict[int, NDArray[np.float64]] = {}  # by the loop's end, of starts from `first_start`
    correlations: dict[int, NDArray[np.float64]] = {}
    first_start = low + window
    ends = np.linspace(high - slack // 3, high, END_CANDIDATES).astype(np.int64)
    for end in np.unique(ends).tolist():
        similarities, correlations[end] = matcher.compare(end - low, min_length)
        starts = first_start + np.arange(len(similarities))
        lengths = end - starts
        bonus = DOUBLING_BONUS * np.log2(np.minimum(lengths, max_length) / max_length)
        scores[end] = similarities + bonus - TOO_LONG_PENALTY * (lengths > max_length)
        scores[end] -= LEVEL_PENALTY * np.maximum(level_changes[starts] - MAX_LEVEL_CHANGE, 0)
    reach = pitch_frames(frequency, sample_rate)

    def prepare(start: int, end: int) -> tuple[float, LoopedAudio]:
        """Excess of the changes at the seam, and the loop."""
        max_fade = min(MAX_FADE_SHARE * (end - start), MAX_FADE_SECONDS * sample_rate)
        fade = round(min(max_fade, start - low + window))
        loop, correlation = Loop(start, end), float(correlations[end][start - first_start])
        audio = crossfade_loop(level, loop, fade, correlation)
        unrolled = unroll_loop(audio, loop, end + reach).mean(axis=1)
        excess = measure_seam(unrolled, end, frequency, sample_rate).excess
        return excess, LoopedAudio(audio, loop, correlation)

    best: tuple[float, LoopedAudio] | None = None
    for attempt in range(2):
        if attempt:  # the note moves: start where it does so least
            changes = natural_changes(mono, frequency, sample_rate)[first_start:]
            for each in scores.values():
                excess = np.maximum(changes[: len(each)] - MAX_NATURAL_CHANGE, 0)
                each -= np.minimum(CHANGE_PENALTY * excess, TOO_LONG_PENALTY)
        candidates = _best_starts(scores, round(START_SPACING_SECONDS * sample_rate))
        for start, end in candidates[: MAX_ATTEMPTS[attempt]]:
            prepared = prepare(first_start + start, end)
            if best is None or prepared[0] < best[0]:
                best = prepared
            if best[0] <= 1:
                return best[1]
    return None if best is None else best[1]


def _best_starts(scores: dict[int, NDArray[np.float64]], spacing: int) -> list[tuple[int, int]]:
    """Starts and ends with the best scores, best first.

    Args:
        scores: of starts, by end.
        spacing: frames between starts of one end.
    """
    best: list[tuple[float, int, int]] = []
    for end, scores_of_end in scores.items():
        left = scores_of_end.copy()
        for _ in range(START_CANDIDATES):
            start = int(left.argmax())
            if not np.isfinite(left[start]):
                break
            best.append((float(left[start]), start, end))
            left[max(0, start - spacing) : start + spacing] = -np.inf
    return [(start, end) for _, start, end in sorted(best, reverse=True)]


def crossfade_loop(
    audio: NDArray[np.float32], loop: Loop, fade: int, correlation: float
) -> NDArray[np.float32]:
    """The sound up to its loop's end, its last frames cross-faded, and a tail.

    The tail is 256 frames of the loop's start and 256 more that fade out: they are not played, but
    a file that is heard by itself ends without a step.

    Args:
        audio: float32 (frames, channels).
        loop: frames to repeat.
        fade: frames; clipped to ``loop.start`` and the loop's length.
        correlation: of the two stretches, −1..1; below 0 counts as 0.
    """
    fade = max(0, min(fade, loop.start, loop.end - loop.start))
    output = audio[: loop.end].copy()
    if fade:
        rising = (np.arange(fade, dtype=np.float64) + 0.5) / fade
        rising = 0.5 - 0.5 * np.cos(np.pi * rising)
        falling = 1 - rising
        common = min(max(correlation, 0.0), 1.0)
        norm = np.sqrt(falling**2 + rising**2 + 2 * common * falling * rising)
        before = audio[loop.start - fade : loop.start]
        blend = (falling / norm)[:, None] * output[loop.end - fade :]
        output[loop.end - fade :] = blend + (rising / norm)[:, None] * before
    tail = np.resize(output[loop.start : loop.end], (2 * TAIL_FRAMES, output.shape[1]))
    fading = np.pi * np.arange(1, TAIL_FRAMES + 1) / TAIL_FRAMES
    tail[TAIL_FRAMES:] *= 0.5 + 0.5 * np.cos(fading)[:, None]
    return np.concatenate([output, tail]).astype(np.float32)


def unroll_loop(audio: NDArray[np.float32], loop: Loop | None, frames: int) -> NDArray[np.float32]:
    """A number of frames of a sound, its loop repeated; zeros after a sound without a loop.

    Args:
        audio: float32 (frames, channels).
        loop: frames to repeat, or None.
        frames: length of the output.
    """
    if loop is None or frames <= loop.end:
        output = audio[:frames]
        return np.pad(output, ((0, frames - len(output)), (0, 0)))
    repetitions = math.ceil((frames - loop.end) / (loop.end - loop.start))
    repeated = np.tile(audio[loop.start : loop.end], (repetitions, 1))
    return np.concatenate([audio[: loop.end], repeated])[:frames]


def loop_seam_db(audio: NDArray[np.float32], loop: Loop, sample_rate: int) -> float:
    """How far a loop's seam stands out of its neighbourhood, in dB; see `seam_db`.

    Args:
        audio: float32 (frames, channels).
        loop: frames to repeat.
        sample_rate: Hz.
    """
    reach = round(NEIGHBOURHOOD_SECONDS * sample_rate)
    before = audio[: loop.end][-min(reach, loop.end) :]
    after = unroll_loop(audio, loop, loop.end + reach)[loop.end :]
    return seam_db(np.concatenate([before, after]), len(before), sample_rate)


def seam_db(audio: NDArray[np.float32], frame: int, sample_rate: int) -> float:
    """How far a frame stands out of its neighbourhood, in dB; 0 and below: not at all.

    The mean square of the third difference, which no smooth seam raises, within 2 ms of the frame
    is compared with the largest of any other 2 ms.

    Args:
        audio: float32 (frames, channels), about 50 ms on each side of the frame.
        frame: the first frame after the seam.
        sample_rate: Hz.
    """
    roughness = np.square(np.diff(audio.astype(np.float64), 3, axis=0)).sum(axis=1)
    half = max(2, round(SEAM_SECONDS * sample_rate / 2))
    sums = np.convolve(roughness, np.ones(2 * half), mode="valid")
    centre = frame - half - 1  # of the window around the seam
    near = sums[max(0, centre - half // 2) : centre + half // 2 + 1]
    others = np.concatenate([sums[: max(0, centre - 2 * half)], sums[centre + 2 * half :]])
    floor = 1e-14 * len(audio)
    return float(10 * np.log10((near.max(initial=0) + floor) / (others.max(initial=0) + floor)))


class _WindowMatcher:
    """Compares one window of a sound with all earlier ones, its spectrum computed once.

    Args:
        mono: float32 (frames,).
        window: frames.
    """

    def __init__(self, mono: NDArray[np.float32], window: int) -> None:
        self._mono, self._window = mono, window
        self._size = _fast_fft_size(len(mono) + window)
        self._spectrum = np.fft.rfft(mono, self._size)
        energies = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
        self._norms = np.sqrt(np.maximum(energies[window:] - energies[:-window], 1e-12))

    def compare(self, end: int, min_length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Similarity and correlation of the window before ``end`` with the windows before it.

        Item i belongs to the window that starts at frame i; the last one starts ``min_length``
        frames before the window that is compared.
        """
        window = self._mono[end - self._window : end]
        conjugate = np.conj(np.fft.rfft(window, self._size))
        count = end - min_length - self._window + 1
        products = np.fft.irfft(self._spectrum * conjugate, self._size)[:count]
        norm, norms = self._norms[end - self._window], self._norms[:count]
        return 2 * products / (norms**2 + norm**2), products / (norms * norm)


def _level_changes(mono: NDArray[np.float32], frames: int) -> NDArray[np.float64]:
    """Changes of level at each frame, from a number of frames before it to as many after, in dB.

    0 where there are fewer.
    """
    energies = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
    levels = 10 * np.log10(np.maximum(energies[frames:] - energies[:-frames], 1e-12))
    changes = np.zeros(len(mono) + 1)
    if len(levels) > frames:
        changes[frames : len(mono) + 1 - frames] = np.abs(levels[frames:] - levels[:-frames])
    return changes


def _fast_fft_size(minimum: int) -> int:
    """The smallest length 2ⁿ, 3 · 2ⁿ or 5 · 2ⁿ that is long enough."""
    return min(m << max(0, math.ceil(math.log2(minimum / m))) for m in (1, 3, 5))


def _remove_slope(audio: NDArray[np.float32], low: int, high: int) -> NDArray[np.float32]:
    """The sound with its mean slope (in dB) between two frames removed from the first one on."""
    block = max(1, (high - low) // SLOPE_BLOCKS)
    levels = 10 * np.log10(block_powers(audio[low:high], block) + 1e-12)
    centres = (np.arange(len(levels)) + 0.5) * block
    slope = float(np.polyfit(centres, levels, 1)[0])  # dB per frame
    frames = np.clip(np.arange(len(audio)) - low, 0, None)
    gain = 10 ** (-slope * np.minimum(frames, high - low) / 20)
    return np.asarray(audio * gain[:, None], dtype=np.float32)
