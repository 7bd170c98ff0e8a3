"""Sustain loops: where to go back so that nobody hears it, and the cross-fade that sees to it.

A loop from frame s to frame e repeats x[s … e−1]. Nobody hears the seam if what comes before e is
like what comes before s. The windows a before e and b before s are compared by

    2 ⟨a, b⟩ / (‖a‖² + ‖b‖²)

which is 1 where both are equal in shape and in level, for all s at once by Fourier transforms. The
best of several ends is taken; longer loops, which sound less like a machine, are preferred as long
as they fit about as well. Then the last c frames
of the loop are blended into the c frames before its start,

    y[e − c + i] = (f_i · x[e − c + i] + g_i · x[s − c + i]) / √(f_i² + g_i² + 2 r f_i g_i)

with g rising from 0 to 1, f = 1 − g and r = ⟨a, b⟩ / (‖a‖ ‖b‖): the divisor keeps the power
constant whatever the two stretches have in common (r = 1: a plain linear fade; r = 0: a fade of
equal power). Behind the end stands what follows the start, so that interpolators which read on read
the right thing.

What falls slowly while it is looped would rise again at each seam: its slope is taken out first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.instrument.zones import Loop

LONGEST_WINDOW: Final = 0.200  # s, that are compared
PERIODS: Final = 12  # of the note, at least, in a window
SHORTEST, LONGEST = 0.25, 4.0  # s, of a loop
FADE: Final = 0.5  # of the loop, at most
LONGEST_FADE: Final = 0.5  # s
ENDS: Final = 4  # that are tried
LONGER: Final = 0.01  # of the likeness, that twice the length is worth
TAIL: Final = 256  # frames behind the end that go on as the loop does
FEWEST: Final = 64  # frames of a loop
STRETCH: Final = 0.002  # s around a seam that are measured
NEIGHBOURHOOD: Final = 0.050  # s on each side of it


@dataclass(frozen=True, eq=False)
class Looped:
    """A sound that can be held.

    Attributes:
        audio: float32 (frames, channels), the loop's cross-fade made.
        loop: what is gone over.
        fit: correlation of what is blended, −1..1.
    """

    audio: NDArray[np.float32]
    loop: Loop
    fit: float


def find_loop(
    audio: NDArray[np.float32],
    sample_rate: int,
    frequency: float,
    first: float,
    last: float,
) -> Looped | None:
    """Loop a held note; None where it is too short.

    Args:
        audio: float32 (frames, channels).
        sample_rate: Hz.
        frequency: Hz, of the note.
        first: s, from where the loop may start: after the attack.
        last: s, to where it may reach: before the key-up.
    """
    low, high = round(first * sample_rate), min(round(last * sample_rate), len(audio))
    window = round(min(LONGEST_WINDOW, max(PERIODS / frequency, 0.03)) * sample_rate)
    least = max(round(SHORTEST * sample_rate), FEWEST)
    if high - low < least + window + FEWEST:
        window = max((high - low) // 4, FEWEST)
        least = max((high - low) // 4, FEWEST)
        if high - low < least + window + FEWEST:
            return None
    level = _levelled(audio, low, high)
    mono = level.mean(axis=1)
    search = _Search(mono[low:high], window)
    best: tuple[float, float, int, int] | None = None
    room = high - low - least - window
    longest = round(LONGEST * sample_rate)
    for end in np.unique(np.linspace(high - room // 3, high, ENDS).astype(np.int64)).tolist():
        alike, fits = search.compared(end - low, least)
        lengths = end - (low + window + np.arange(len(fits)))
        scores = alike + LONGER * np.log2(np.minimum(lengths, longest) / longest)
        scores[lengths > longest] -= 1
        place = int(scores.argmax())
        if best is None or scores[place] > best[0]:
            best = (float(scores[place]), float(fits[place]), low + window + place, end)
    if best is None:
        return None
    _, fit, start, end = best
    fade = round(min(FADE * (end - start), LONGEST_FADE * sample_rate, start - low + window))
    return Looped(crossfaded(level, Loop(start, end), fade, fit), Loop(start, end), fit)


def crossfaded(
    audio: NDArray[np.float32], loop: Loop, fade: int, fit: float
) -> NDArray[np.float32]:
    """The sound up to its loop's end, its last ``fade`` frames blended, and a short tail.

    Args:
        audio: float32 (frames, channels).
        loop: where it will be repeated.
        fade: frames, at most ``loop.start`` and the loop's length.
        fit: correlation of the two stretches, −1..1.
    """
    fade = max(0, min(fade, loop.start, loop.end - loop.start))
    made = audio[: loop.end].copy()
    if fade:
        rising = (np.arange(fade, dtype=np.float64) + 0.5) / fade
        rising = 0.5 - 0.5 * np.cos(np.pi * rising)
        falling = 1 - rising
        alike = min(max(fit, 0.0), 1.0)
        power = np.sqrt(falling**2 + rising**2 + 2 * alike * falling * rising)
        before = audio[loop.start - fade : loop.start]
        blended = (falling / power)[:, None] * made[loop.end - fade :]
        made[loop.end - fade :] = blended + (rising / power)[:, None] * before
    tail = np.resize(made[loop.start : loop.end], (TAIL, made.shape[1]))
    return np.concatenate([made, tail]).astype(np.float32)


def unrolled(audio: NDArray[np.float32], loop: Loop | None, frames: int) -> NDArray[np.float32]:
    """So many frames of a sound, going over its loop; silence behind one that has none."""
    if loop is None or frames <= loop.end:
        taken = audio[:frames]
        return np.pad(taken, ((0, frames - len(taken)), (0, 0)))
    turns = math.ceil((frames - loop.end) / (loop.end - loop.start))
    again = np.tile(audio[loop.start : loop.end], (turns, 1))
    return np.concatenate([audio[: loop.end], again])[:frames]


def click(audio: NDArray[np.float32], loop: Loop, sample_rate: int) -> float:
    """How far the seam of a loop stands out, in dB: 0 is not at all.

    The mean square of the third difference, which no smooth seam raises, within 2 ms of the seam
    is compared with the loudest other 2 ms of its neighbourhood, 50 ms on each side.
    """
    reach = round(NEIGHBOURHOOD * sample_rate)
    before = audio[: loop.end][-min(reach, loop.end) :]
    played = np.concatenate([before, unrolled(audio, loop, loop.end + reach)[loop.end :]])
    return seam(played, len(before), sample_rate)


def seam(played: NDArray[np.float32], place: int, sample_rate: int) -> float:
    """How far a place in what is played stands out of its neighbourhood, dB; see `click`."""
    rough = np.square(np.diff(played.astype(np.float64), 3, axis=0)).sum(axis=1)
    half = max(2, round(STRETCH * sample_rate / 2))
    sums = np.convolve(rough, np.ones(2 * half), mode="valid")
    centre = place - half - 1  # of the window around the seam
    near = sums[max(0, centre - half // 2) : centre + half // 2 + 1]
    others = np.concatenate([sums[: max(0, centre - 2 * half)], sums[centre + 2 * half :]])
    quiet = 1e-14 * len(played)
    return float(10 * np.log10((near.max(initial=0) + quiet) / (others.max(initial=0) + quiet)))


class _Search:
    """Correlations of one window with all others, its transform made once.

    Args:
        mono: float32 (frames,), where windows may lie.
        window: frames.
    """

    def __init__(self, mono: NDArray[np.float32], window: int) -> None:
        self._mono, self._window = mono, window
        self._size = _quick_size(len(mono) + window)
        self._spectrum = np.fft.rfft(mono, self._size)
        powers = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
        self._norms = np.sqrt(np.maximum(powers[window:] - powers[:-window], 1e-12))

    def compared(self, end: int, least: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Likeness and correlation of the window before ``end`` with those ``least`` before it."""
        sought = self._mono[end - self._window : end]
        other = np.conj(np.fft.rfft(sought, self._size))
        products = np.fft.irfft(self._spectrum * other, self._size)
        count = end - least - self._window + 1
        norm, norms = self._norms[end - self._window], self._norms[:count]
        likeness = 2 * products[:count] / (norms**2 + norm**2)
        return likeness, products[:count] / (norms * norm)


def _quick_size(least: int) -> int:
    """A length that is quickly transformed: 2ⁿ, 3 · 2ⁿ or 5 · 2ⁿ."""
    return min(m << max(0, math.ceil(math.log2(least / m))) for m in (1, 3, 5))


def _levelled(audio: NDArray[np.float32], low: int, high: int) -> NDArray[np.float32]:
    """The sound with the slope between two frames taken out from the first on."""
    part = audio[low:high].astype(np.float64)
    block = max(1, len(part) // 24)
    blocks = part[: len(part) // block * block].reshape(-1, block * audio.shape[1])
    decibels = 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-12)
    places = (np.arange(len(decibels)) + 0.5) * block
    slope = float(np.polyfit(places, decibels, 1)[0])  # dB a frame
    frames = np.clip(np.arange(len(audio)) - low, 0, None)
    gain = 10 ** (-slope * np.minimum(frames, high - low) / 20)
    return np.asarray(audio * gain[:, None], dtype=np.float32)
