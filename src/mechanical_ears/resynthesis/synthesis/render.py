"""Putting a note together again: from a control map to a sound, at any pitch, length and rate.

    rows at hops of 2 or 4 ms (timeline.py) → sines → warp by the f0 track (sines.py)
                                            → noise (hiss.py)                          → sum → fades

Amplitudes are interpolated linearly. With phases, it is the complex amplitudes that are,

    z(t) = (1 − s) z_i + s z_{i+1}        a(t) = (1 − s) |z_i| + s |z_{i+1}|

and as long as a partial turns little from frame to frame (|z| > 0.6 a), z is lengthened to a, which
a chord of the circle falls short of; where it turns further, the beat's null stays.

The first partial sounds at the pitch that is asked for, exactly; partials that would pass half the
sample rate are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.matmul import matmul
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.resynthesis.analysis.pitch_track import warp
from mechanical_ears.resynthesis.control_map import (
    FRAME_COUNTS,
    MODES,
    PARTIALS,
    PHASE_STEPS,
    SILENCE_DB,
    SINGLES,
    ControlMap,
    ControlMapError,
    group_weights,
)
from mechanical_ears.resynthesis.synthesis.noise_bands import block_samples, hiss
from mechanical_ears.resynthesis.synthesis.sine_bank import TAPS, carriers, read_between, sine_bank
from mechanical_ears.resynthesis.synthesis.timeline import Timeline, between, slopes, timeline
from mechanical_ears.sound import Sound

HOP, FAST_HOP = 0.004, 0.002  # s
INAUDIBLE: Final = -110.0  # dB, rows that never pass it are not rendered
BAND: Final = 0.49  # of the sample rate, above which no partial is rendered
TURNS_LITTLE: Final = 0.6  # of the amplitude, that is left of a chord
FADE_IN, FADE_OUT = 0.0005, 0.005  # s
_DECIBEL: Final = np.log2(10) / 20


@dataclass(frozen=True, eq=False)
class _Rows:
    """The partials and modes of a map that are heard.

    Attributes:
        decibels: float32 (rows, frames).
        phases: float32 (rows, frames), turns; constant where the map tells none.
        frequencies: Hz, float64 (rows,).
    """

    decibels: NDArray[np.float32]
    phases: NDArray[np.float32]
    frequencies: NDArray[np.float64]


def render(
    controls: ControlMap,
    *,
    pitch: float | None = None,
    velocity_gain: float = 0.0,
    seconds: float | None = None,
    sample_rate: int | None = None,
    seed: int = 0,
    phases: bool = True,
    partials: bool = True,
    noise: bool = True,
) -> Sound:
    """Put a note together again.

    Args:
        controls: the map.
        pitch: MIDI number, which need not be whole, of the first partial; None for its own.
        velocity_gain: dB.
        seconds: length, release included; None for its own. The sustain is looped or cut.
        sample_rate: Hz; None for that of the recording.
        seed: of the noise's phases, and of the partials' where the map tells none.
        phases: use the phases of the map; without, only amplitudes move.
        partials: render the partials.
        noise: render the noise.

    Returns:
        The sound, its onset at the start.

    Raises:
        ControlsError: a number is out of range.
    """
    rate = controls.sample_rate if sample_rate is None else sample_rate
    if not 1000 <= rate <= 1_000_000:
        raise ControlMapError(f"sample rate is {rate} Hz, outside 1000..1000000")
    if seconds is not None and not 0.01 <= seconds <= 600:
        raise ControlMapError(f"{seconds:g} s is outside 0.01..600 s")
    if pitch is not None and not -12 <= pitch <= 140:
        raise ControlMapError(f"pitch {pitch:g} is outside −12..140")
    scale = 1.0 if pitch is None else midi_to_hz(pitch) / controls.frequency
    line = timeline(controls.seconds, controls.key_up, seconds)
    count = round(line.seconds * rate)
    sound = np.zeros(count, dtype=np.float32)
    if partials:
        rows = _rows(controls, scale, rate, seed, phases)
        if len(rows.frequencies):
            sound += _partials(controls, rows, line, count, rate)
    if noise:
        sound += _noise(controls, line, scale, count, rate, seed)
    sound *= np.float32(10 ** (velocity_gain / 20))
    _fade(sound, rate)
    return Sound(sound, rate)


def _rows(controls: ControlMap, scale: float, rate: int, seed: int, phases: bool) -> _Rows:
    told = controls.partials.astype(np.float32)
    fine = controls.fine.astype(np.float32)[:, None]
    decibels = np.full((PARTIALS + MODES, told.shape[1]), SILENCE_DB, dtype=np.float32)
    decibels[:SINGLES], decibels[PARTIALS:] = told[:SINGLES], told[-MODES:]
    if (told[SINGLES:-MODES] > SILENCE_DB).any():
        decibels[SINGLES:PARTIALS] = matmul(group_weights(), told[SINGLES:-MODES]) + fine
    frequencies = scale * controls.frequencies
    highest = frequencies * 2 ** (float(controls.cents.max()) / 1200)
    heard = (decibels.max(axis=1) > INAUDIBLE) & (highest < BAND * rate) & (frequencies > 0)
    random = np.random.default_rng(seed + 1).random(len(decibels), dtype=np.float32)
    turns = np.broadcast_to(random[:, None], decibels.shape).copy()
    if phases:
        known = controls.phases.astype(np.float32) / PHASE_STEPS
        turns[:SINGLES], turns[PARTIALS:] = known[:SINGLES], known[SINGLES:]
    return _Rows(decibels[heard], turns[heard], frequencies[heard])


def _amplitudes(decibels: NDArray[np.float32]) -> NDArray[np.float32]:
    amplitudes = np.exp2(decibels * np.float32(_DECIBEL))
    return np.asarray(np.where(decibels <= SILENCE_DB, 0, amplitudes), dtype=np.float32)


def _partials(
    controls: ControlMap, rows: _Rows, line: Timeline, count: int, rate: int
) -> NDArray[np.float32]:
    hop = round((HOP if len(controls.cents) == FRAME_COUNTS[0] else FAST_HOP) * rate)
    times, cents = controls.times, controls.cents.astype(np.float64)
    moments = np.arange(float(count)) / rate
    ends = np.arange(0, line.seconds + 0.01, 0.001)
    track = np.interp(line.places(ends), times, cents)
    moves = bool(cents.any())
    heard = warp(ends, track, moments) if moves else moments
    hops = int(heard[-1] * rate) // hop + 2 + (TAPS // hop + 1 if moves else 0)
    at: NDArray[np.float64] = np.arange(float(hops)) * (hop / rate)
    if moves:  # hops stand in the note's own time: back to the clock's
        at = np.interp(at, heard, moments)
    real, imaginary = _complex_amplitudes(times, rows, line, at)
    cosine, sine = carriers(rows.frequencies, hops, hop, rate)
    sound = sine_bank(
        real * cosine - imaginary * sine,
        real * sine + imaginary * cosine,
        rows.frequencies,
        hop,
        rate,
    )
    return read_between(sound, heard * rate) if moves else sound[:count]


def _complex_amplitudes(
    times: NDArray[np.float64], rows: _Rows, line: Timeline, at: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Real and imaginary parts of the amplitudes, float32 (moments, rows)."""
    places = line.places(at)
    lies = between(times, places)
    amplitudes = _amplitudes(rows.decibels)
    angle = (2 * np.pi) * rows.phases
    real = lies(np.ascontiguousarray((amplitudes * np.cos(angle)).T))
    imaginary = lies(np.ascontiguousarray((amplitudes * np.sin(angle)).T))
    length = np.sqrt(real * real + imaginary * imaginary)
    straight = length / np.maximum(lies(np.ascontiguousarray(amplitudes.T)), 1e-9)
    bent = 1 + (1 / TURNS_LITTLE - 1) * (straight / TURNS_LITTLE) ** 2
    gain = np.where(straight > TURNS_LITTLE, 1 / np.maximum(straight, TURNS_LITTLE), bent)
    gain *= _changes(times, rows.decibels, line, at, places)
    return real * gain, imaginary * gain


def _changes(
    times: NDArray[np.float64],
    decibels: NDArray[np.float32],
    line: Timeline,
    at: NDArray[np.float64],
    places: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Gains (moments, rows or 1) that another length brings."""
    if line.key_up == line.map_key_up:
        return np.ones((1, 1), dtype=np.float32)
    if line.key_up < line.map_key_up:
        ends = between(times, np.array([line.key_up, line.map_key_up]))
        now, then = ends(np.ascontiguousarray(decibels.T))
        louder = np.clip(now - then, -60, 60) * (at > line.key_up)[:, None]
        return np.asarray(np.exp2(louder * np.float32(_DECIBEL)))
    fall = slopes(times, decibels, line)
    passed = np.minimum(at, line.key_up) - np.minimum(places, line.map_key_up)
    change = np.outer(passed, fall).astype(np.float32)
    return np.asarray(np.exp2(change * np.float32(_DECIBEL)))


def _noise(
    controls: ControlMap, line: Timeline, scale: float, count: int, rate: int, seed: int
) -> NDArray[np.float32]:
    half = block_samples(rate) // 2
    at: NDArray[np.float64] = np.arange(count // half + 2.0) * (half / rate)
    places = line.places(at)
    rows = controls.noise.astype(np.float32)
    times = controls.noise_times
    levels = between(times, places)(np.ascontiguousarray(rows.T))
    levels += 20 * np.log10(_changes(times, rows, line, at, places))
    levels[levels <= SILENCE_DB + 1] = 2 * SILENCE_DB
    return hiss(levels, scale, count, rate, seed)


def _fade(sound: NDArray[np.float32], rate: int) -> None:
    """Fade in and out by raised cosines, in place."""
    for length, place in ((FADE_IN, slice(None)), (FADE_OUT, slice(None, None, -1))):
        count = min(round(length * rate), len(sound) // 4)
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))
        sound[place][:count] *= ramp.astype(np.float32)
