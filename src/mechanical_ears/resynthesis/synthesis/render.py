"""Render a control map: a note as sound, at any pitch, length and sample rate.

    rows at hops of 2 or 4 ms (timeline.py) → sines, warped by the pitch track (sine_bank.py)
                                            → noise (noise_bands.py)            → sum → fades

Amplitudes are interpolated linearly. With phases, the complex amplitudes are,

    z(t) = (1 − s) z_i + s z_{i+1}        a(t) = (1 − s) |z_i| + s |z_{i+1}|

and as long as a partial turns little from frame to frame (|z| > 0.6 a), z is scaled to the length
a, which a chord of the circle falls short of; where it turns further, the null of the beat stays.

The first partial has exactly the pitch given; partials above half the sample rate are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.deprecation import renamed_arguments
from mechanical_ears.matmul import matmul
from mechanical_ears.pitch import midi_to_hz
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
from mechanical_ears.resynthesis.decibels import db_to_amplitude
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.synthesis.noise_bands import block_samples, render_noise
from mechanical_ears.resynthesis.synthesis.sine_bank import (
    SINC_TAPS,
    carriers,
    sinc_interpolate,
    sine_bank,
)
from mechanical_ears.resynthesis.synthesis.stereo import StereoWidth, partial_sides, to_channels
from mechanical_ears.resynthesis.synthesis.timeline import Timeline, decay_slopes, make_timeline
from mechanical_ears.resynthesis.time_warp import STEP_SECONDS, warp_time
from mechanical_ears.sound import Sound

HOP_SECONDS, FAST_HOP_SECONDS = 0.004, 0.002  # s, for the fewest frames and for more
AUDIBLE_DB: Final = -110.0  # dB; rows that never exceed it are not rendered
MAX_FREQUENCY_SHARE: Final = 0.49  # of the sample rate, of partials that are rendered
SIDE_RANGE_DB: Final = 70.0  # dB below the loudest, beyond which a partial has no side
MIN_CHORD: Final = 0.6  # of the amplitude, above which a partial turns little
FADE_IN_SECONDS, FADE_OUT_SECONDS = 0.0005, 0.005  # s


@dataclass(frozen=True, eq=False)
class _Sinusoids:
    """The partials and modes of a map that are rendered.

    Attributes:
        decibels: float32 (rows, frames).
        phases: turns, float32 (rows, frames); random, and constant in each row, where the map has
            none.
        frequencies: Hz, float64 (rows,).
        numbers: int64 (rows,), which partial each is, from 0; modes follow the partials.
    """

    decibels: NDArray[np.float32]
    phases: NDArray[np.float32]
    frequencies: NDArray[np.float64]
    numbers: NDArray[np.int64]


@renamed_arguments(controls="control_map")
def render(
    control_map: ControlMap,
    *,
    pitch: float | None = None,
    velocity_gain: float = 0.0,
    seconds: float | None = None,
    sample_rate: int | None = None,
    seed: int = 0,
    phases: bool = True,
    partials: bool = True,
    noise: bool = True,
    channels: int = 1,
    width: StereoWidth | None = None,
) -> Sound:
    """Render a control map.

    Args:
        control_map: of the note.
        pitch: MIDI number of the first partial, which may be fractional; None for the map's own.
        velocity_gain: dB.
        seconds: length, release included; None for the map's own. The sustain is looped or cut.
        sample_rate: Hz; None for that of the recording.
        seed: of the noise's phases, and of the partials' where the map has none.
        phases: use the phases of the map; without, only amplitudes move.
        partials: render the partials.
        noise: render the noise.
        channels: 1, or 2 for stereo, whose mean is the mono rendering.
        width: how the two channels differ; None for a correlation of 0.8.

    Returns:
        The sound, its onset at the start.

    Raises:
        ControlMapError: a number is out of range.

    Examples:
        >>> import numpy as np
        >>> from mechanical_ears import Sound, analyse, render
        >>> time = np.arange(32_000) / 16_000
        >>> note = Sound((0.1 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), 16_000)
        >>> sound = render(analyse(note, pitch=57), pitch=64, seconds=3, sample_rate=48_000)
        >>> sound.seconds, sound.sample_rate
        (3.0, 48000)
    """
    rate = control_map.sample_rate if sample_rate is None else sample_rate
    if not 1000 <= rate <= 1_000_000:
        raise ControlMapError(f"sample rate is {rate} Hz, outside 1000..1000000")
    if seconds is not None and not 0.01 <= seconds <= 600:
        raise ControlMapError(f"{seconds:g} s is outside 0.01..600 s")
    if pitch is not None and not -12 <= pitch <= 140:
        raise ControlMapError(f"pitch {pitch:g} is outside −12..140")
    if channels not in (1, 2):
        raise ControlMapError(f"there are {channels} channels, neither 1 nor 2")
    if channels == 1:
        width = None
    elif width is None:
        width = StereoWidth.from_correlation()
    scale = 1.0 if pitch is None else midi_to_hz(pitch) / control_map.frequency
    timeline = make_timeline(control_map.seconds, control_map.key_up, seconds)
    count = round(timeline.seconds * rate)
    sound = np.zeros(count if width is None else (2, count), dtype=np.float32)
    if partials:
        sinusoids = _audible_sinusoids(control_map, scale, rate, seed, phases)
        if len(sinusoids.frequencies):
            sound += _render_sinusoids(control_map, sinusoids, timeline, count, rate, width)
    if noise:
        sound += _render_noise(control_map, timeline, scale, count, rate, seed, width)
    if width is not None:
        sound = to_channels(sound)
    sound *= np.float32(10 ** (velocity_gain / 20))
    fade(sound, rate)
    return Sound(sound, rate)


def _audible_sinusoids(
    control_map: ControlMap, scale: float, rate: int, seed: int, phases: bool
) -> _Sinusoids:
    """Partials, those under the envelope as well, and modes below half the sample rate."""
    rows = control_map.partials.astype(np.float32)
    fine = control_map.fine.astype(np.float32)[:, None]
    decibels = np.full((PARTIALS + MODES, rows.shape[1]), SILENCE_DB, dtype=np.float32)
    decibels[:SINGLES], decibels[PARTIALS:] = rows[:SINGLES], rows[-MODES:]
    if (rows[SINGLES:-MODES] > SILENCE_DB).any():
        decibels[SINGLES:PARTIALS] = matmul(group_weights(), rows[SINGLES:-MODES]) + fine
    frequencies = scale * control_map.frequencies
    highest = frequencies * 2 ** (float(control_map.cents.max()) / 1200)
    audible = (decibels.max(axis=1) > AUDIBLE_DB) & (frequencies > 0)
    audible &= highest < MAX_FREQUENCY_SHARE * rate
    random = np.random.default_rng(seed + 1).random(len(decibels), dtype=np.float32)
    turns = np.broadcast_to(random[:, None], decibels.shape).copy()
    if phases:
        known = control_map.phases.astype(np.float32) / PHASE_STEPS
        turns[:SINGLES], turns[PARTIALS:] = known[:SINGLES], known[SINGLES:]
    return _Sinusoids(
        decibels[audible], turns[audible], frequencies[audible], np.flatnonzero(audible)
    )


def _render_sinusoids(
    control_map: ControlMap,
    sinusoids: _Sinusoids,
    timeline: Timeline,
    count: int,
    rate: int,
    width: StereoWidth | None,
) -> NDArray[np.float32]:
    """Sound of partials and modes, float32 (count,), or mid and side (2, count)."""
    few_frames = len(control_map.cents) == FRAME_COUNTS[0]
    hop = round((HOP_SECONDS if few_frames else FAST_HOP_SECONDS) * rate)
    times, cents = control_map.times, control_map.cents.astype(np.float64)
    clock: NDArray[np.float64] = np.arange(float(count)) / rate
    moves = bool(cents.any())
    warped = clock
    if moves:
        track_times = np.arange(0, timeline.seconds + 0.01, STEP_SECONDS)
        track = np.interp(timeline.map_times(track_times), times, cents)
        warped = warp_time(track_times, track, clock)
    hops = int(warped[-1] * rate) // hop + 2 + (SINC_TAPS // hop + 1 if moves else 0)
    hop_times: NDArray[np.float64] = np.arange(float(hops)) * (hop / rate)
    if moves:  # hops are regular in warped time: back to the clock's
        hop_times = np.interp(hop_times, warped, clock)
    real, imaginary = _complex_amplitudes(times, sinusoids, timeline, hop_times)
    cosine, sine = carriers(sinusoids.frequencies, hops, hop, rate)
    real, imaginary = real * cosine - imaginary * sine, real * sine + imaginary * cosine
    sound = sine_bank(real, imaginary, sinusoids.frequencies, hop, rate)
    if width is not None:
        sides = partial_sides(width, sinusoids.numbers, sinusoids.frequencies, hop_times)
        level = sinusoids.decibels.max(axis=1)
        level += (20 * np.log10(np.abs(sides[0]) + 1e-9)).astype(np.float32)
        wide = level > level.max() - SIDE_RANGE_DB
        frequencies, sides = sinusoids.frequencies[wide], sides[:, wide]
        same, turned = real[:, wide], imaginary[:, wide]
        side = sine_bank(
            same * sides.real - turned * sides.imag,
            same * sides.imag + turned * sides.real,
            frequencies,
            hop,
            rate,
        )
        sound = np.stack([sound, side])
    return sinc_interpolate(sound, warped * rate) if moves else sound[..., :count]


def _complex_amplitudes(
    frame_times: NDArray[np.float64],
    sinusoids: _Sinusoids,
    timeline: Timeline,
    times: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Real and imaginary parts of the amplitudes at times, float32 (times, rows)."""
    map_times = timeline.map_times(times)
    at_times = interpolation(frame_times, map_times)
    amplitudes = db_to_amplitude(sinusoids.decibels)
    amplitudes[sinusoids.decibels <= SILENCE_DB] = 0
    angle = (2 * np.pi) * sinusoids.phases
    real = at_times.rows(np.ascontiguousarray((amplitudes * np.cos(angle)).T))
    imaginary = at_times.rows(np.ascontiguousarray((amplitudes * np.sin(angle)).T))
    length = np.sqrt(real * real + imaginary * imaginary)
    chord = length / np.maximum(at_times.rows(np.ascontiguousarray(amplitudes.T)), 1e-9)
    bent = 1 + (1 / MIN_CHORD - 1) * (chord / MIN_CHORD) ** 2
    gain = np.where(chord > MIN_CHORD, 1 / np.maximum(chord, MIN_CHORD), bent)
    gain *= _length_gains(frame_times, sinusoids.decibels, timeline, times, map_times)
    return real * gain, imaginary * gain


def _length_gains(
    frame_times: NDArray[np.float64],
    decibels: NDArray[np.float32],
    timeline: Timeline,
    times: NDArray[np.float64],
    map_times: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Gains (times, rows or 1) on what the map has at ``map_times``, for another length."""
    key_up, map_key_up = timeline.key_up, timeline.map_key_up
    if key_up == map_key_up:
        return np.ones((1, 1), dtype=np.float32)
    if key_up < map_key_up:
        ends = interpolation(frame_times, np.array([key_up, map_key_up]))
        now, then = ends.rows(np.ascontiguousarray(decibels.T))
        change = np.clip(now - then, -60, 60) * (times > key_up)[:, None]
        return db_to_amplitude(change)
    slopes = decay_slopes(frame_times, decibels, timeline)
    elapsed = np.minimum(times, key_up) - np.minimum(map_times, map_key_up)
    return db_to_amplitude(np.outer(elapsed, slopes).astype(np.float32))


def _render_noise(
    control_map: ControlMap,
    timeline: Timeline,
    scale: float,
    count: int,
    rate: int,
    seed: int,
    width: StereoWidth | None,
) -> NDArray[np.float32]:
    """Sound of the noise, float32 (count,), or mid and side (2, count)."""
    half = block_samples(rate) // 2
    times: NDArray[np.float64] = np.arange(count // half + 2.0) * (half / rate)
    map_times = timeline.map_times(times)
    rows = control_map.noise.astype(np.float32)
    frame_times = control_map.noise_times
    levels = interpolation(frame_times, map_times).rows(np.ascontiguousarray(rows.T))
    levels += 20 * np.log10(_length_gains(frame_times, rows, timeline, times, map_times))
    levels[levels <= SILENCE_DB + 1] = 2 * SILENCE_DB
    return render_noise(levels, scale, count, rate, seed, width)


def fade(sound: NDArray[np.float32], rate: int) -> None:
    """Fade in and out by raised cosines, in place; float32 (samples,) or (samples, channels)."""
    for seconds, part in ((FADE_IN_SECONDS, sound), (FADE_OUT_SECONDS, sound[::-1])):
        count = min(round(seconds * rate), len(sound) // 4)
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))
        part[:count].T[...] *= ramp.astype(np.float32)
