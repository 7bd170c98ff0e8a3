"""Measure how a note moves while its key is held: the statistics of `Motion`.

    control map → levels, pitch and phases at steps of 8 ms
                → less their smooth part (Gaussian, σ = 0.25 s) → lines of vibrato, beats, bands

A partial's own pitch is read from its phases: θ'_m / (2π f_m) is how far it runs ahead.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mechanical_ears.resynthesis.band_noise import (
    BAND_EDGES,
    BANDS,
    STEP_SECONDS,
    Floats,
    measure_bands,
    power_spectrum,
    smooth,
)
from mechanical_ears.resynthesis.control_map import PHASE_STEPS, SILENCE_DB, SINGLES, ControlMap
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.motion_statistics import (
    AUDIBLE_RANGE,
    GROUPS,
    ONSET_SECONDS,
    SMOOTHING_SECONDS,
    Motion,
    group_of,
    phase_drift,
)

STEADY_SECONDS: Final = 0.3  # s, from where movement is measured
KEY_UP_MARGIN: Final = 0.06  # s before the key-up, where measuring ends
MIN_HELD_SECONDS: Final = 0.8  # s, of held sound that can be measured
VIBRATO_RANGE: Final = (3.0, 9.0)  # Hz
LINE_WIDTH: Final = 0.9  # Hz to both sides of a vibrato's rate
MIN_LINE_SHARE: Final = 0.4  # of the power of the movement, that stands in a line
MIN_VIBRATO: Final = 1.5  # cents, root mean square
MIN_TREMOLO: Final = 0.35  # dB, root mean square
MAX_SPREADS: Final = (0.2, 0.6)  # of rate and depth


def measure_motion(control_map: ControlMap) -> Motion | None:
    """Measure how a note moves while its key is held.

    Args:
        control_map: of the note, with phases. Movement faster than half its frames' rate is
            extrapolated: analyse at 16 kHz for more frames.

    Returns:
        None where the key is held for less than about 1.2 s.

    Examples:
        >>> import numpy as np
        >>> from mechanical_ears import Sound, analyse
        >>> from mechanical_ears.resynthesis.motion import measure_motion
        >>> time = np.arange(64_000) / 16_000
        >>> angle = 2 * np.pi * 440 * time + 0.9 * np.cos(2 * np.pi * 5.5 * time)
        >>> note = Sound((0.1 * np.sin(angle)).astype(np.float32), 16_000)
        >>> round(measure_motion(analyse(note, pitch=69)).vibrato_rate, 1)
        5.5
    """
    times = control_map.times
    end = control_map.key_up - KEY_UP_MARGIN
    begin = min(STEADY_SECONDS, 0.25 * control_map.key_up)
    if end - begin < MIN_HELD_SECONDS:
        return None
    grid = np.arange(0, end, STEP_SECONDS)
    held = grid >= begin
    onset = int(min(ONSET_SECONDS, 0.2 * control_map.key_up) / STEP_SECONDS)
    fastest = 0.5 / float(np.median(np.diff(times[(times > begin) & (times < end)])))
    levels = control_map.partials.astype(np.float64)[:SINGLES]
    rows = np.flatnonzero(levels.max(axis=1) > levels.max() - AUDIBLE_RANGE)
    at_grid = interpolation(times, grid, np.float64)
    decibels = np.maximum(at_grid(levels[rows]), levels.max() - 1.6 * AUDIBLE_RANGE)
    smooth_decibels = smooth(decibels, SMOOTHING_SECONDS, onset)
    moving = np.clip(decibels - smooth_decibels, -25, 10)
    share = 10 ** (smooth_decibels[:, held].mean(axis=1) / 20)
    share /= share.sum()
    level = share @ moving

    drift = phase_drift(control_map, rows, grid)
    weights = 10 ** (decibels / 20) * np.sqrt(control_map.frequencies[rows])[:, None]
    shared_drift = (weights * drift).sum(axis=0) / weights.sum(axis=0)
    cents = at_grid(control_map.cents.astype(np.float64)) + shared_drift
    pitch = cents - smooth(cents, SMOOTHING_SECONDS, onset)
    own_drift = drift - shared_drift
    own_pitch = (own_drift - smooth(own_drift, SMOOTHING_SECONDS, onset))[:, held]
    own_level = (moving - level)[:, held]

    line = _find_line(pitch[held], level[held])
    lines: dict[str, Any] = {}
    rest = [pitch[held], level[held], own_pitch, own_level]
    if line is not None:
        is_pitch, rate = line
        statistics, wave = _measure_vibrato(pitch if is_pitch else level, rate, grid, held)
        lines = statistics | _measure_tremolo(moving[:, held], wave, rows, share)
        if not is_pitch:
            lines["vibrato_depth"] = 0.0
        rest = [_without(each, wave) for each in rest]
    beats = _measure_beats(control_map, rows, grid[held])
    own_bands = measure_bands(rest[3], fastest)
    if beats:
        own_bands[_bands_of_beats(beats, rows)] *= 0.5
    return Motion(
        **lines,
        **beats,
        pitch=measure_bands(rest[0], fastest),
        level=measure_bands(rest[1], fastest),
        own_pitch=_by_group(measure_bands(rest[2], fastest), rows, share),
        own_level=_by_group(own_bands, rows, share),
        noise=_measure_noise(control_map, grid, held, onset),
    )


def _find_line(pitch: Floats, level: Floats) -> tuple[bool, float] | None:
    """Whether a line of vibrato (True) or of tremolo alone stands out, and its rate, Hz."""
    for is_pitch, movement, least in ((True, pitch, MIN_VIBRATO), (False, level, MIN_TREMOLO)):
        frequencies, power = power_spectrum(movement)
        inside = (frequencies > VIBRATO_RANGE[0]) & (frequencies < VIBRATO_RANGE[1])
        peak = frequencies[np.where(inside, power, 0).argmax()]
        near = np.abs(frequencies - peak) < LINE_WIDTH
        in_line = power[near].sum()
        if np.sqrt(in_line) > least and in_line > MIN_LINE_SHARE * power.sum():
            return is_pitch, float((frequencies[near] @ power[near]) / in_line)
    return None


def _measure_vibrato(
    movement: Floats, rate: float, grid: Floats, held: Any
) -> tuple[dict[str, Any], Any]:
    """Rate, depth, delay, ramp and spreads of a line, and its analytic signal where held."""
    reflected = np.concatenate([-movement[:0:-1], movement, -movement[-2::-1]])
    bins = np.fft.fft(reflected)
    frequencies = np.fft.fftfreq(len(reflected), STEP_SECONDS)
    bins[np.abs(frequencies - rate) > 1.5 * LINE_WIDTH] = 0  # one side alone: the analytic signal
    signal = 2 * np.fft.ifft(bins)[len(movement) - 1 : 2 * len(movement) - 1]
    envelope = smooth(np.abs(signal), 0.06)
    depth = float(np.median(envelope[held]))
    speed = np.diff(np.unwrap(np.angle(signal[held]))) / (2 * np.pi * STEP_SECONDS)
    clear = speed[envelope[held][1:] > 0.5 * depth]
    rate = float(np.median(clear))
    begins = grid[np.argmax(envelope > 0.25 * depth)]
    full = grid[np.argmax(envelope > 0.8 * depth)]
    statistics = {
        "vibrato_rate": rate,
        "vibrato_depth": depth,
        "vibrato_delay": float(begins),
        "vibrato_ramp": float(max(full - begins, 0.02)),
        "rate_spread": min(1.48 * float(np.median(np.abs(clear - rate))) / rate, MAX_SPREADS[0]),
        "depth_spread": min(float(envelope[held].std()) / depth, MAX_SPREADS[1]),
    }
    return statistics, signal[held]


def _measure_tremolo(moving: Floats, wave: Any, rows: Any, share: Floats) -> dict[str, Any]:
    """Depth and phase of the levels' movement with a line, by group of partials."""
    unit = wave / np.maximum(np.abs(wave), 1e-9)
    with_line = 2 * (moving * np.conj(unit)).mean(axis=1)
    depth, phase = np.zeros(GROUPS), np.zeros(GROUPS)
    last = 0j
    for group in range(GROUPS):
        members = group_of(rows) == group
        if members.any():
            mean = (share[members] * with_line[members]).sum() / share[members].sum()
            last = mean / max(abs(mean), 1e-9) * np.abs(with_line[members]).mean()
        depth[group], phase[group] = abs(last), np.angle(last)
    return {"tremolo_depth": depth, "tremolo_phase": phase}


def _without(movement: Floats, wave: Any) -> Floats:
    """Movement (…, n) less what follows the line, an analytic signal (n,)."""
    amplitude = 2 * (movement * np.conj(wave)).mean(axis=-1, keepdims=True)
    return np.asarray(movement - (amplitude / (np.abs(wave) ** 2).mean() * wave).real)


def _by_group(bands: Floats, rows: Any, share: Floats) -> Floats:
    """Root mean squares (6, 9) of rows (rows, 9); an empty group takes the one below."""
    grouped = np.zeros((GROUPS, BANDS))
    for group in range(GROUPS):
        members = group_of(rows) == group
        if members.any():
            weights = share[members] / share[members].sum()
            grouped[group] = np.sqrt(weights @ bands[members] ** 2)
        elif group:
            grouped[group] = grouped[group - 1]
    return grouped


def _measure_noise(control_map: ControlMap, grid: Floats, held: Any, onset: int) -> Floats:
    """Root mean squares (9,) of the level that the audible bands of noise share, dB."""
    times = control_map.noise_times
    levels = interpolation(times, grid, np.float64)(control_map.noise.astype(np.float64))
    audible = levels[:, held].max(axis=1) > SILENCE_DB + 20
    if not audible.any():
        return np.zeros(BANDS)
    levels = levels[audible]
    weights = 10 ** (levels[:, held].mean(axis=1) / 20)
    shared = weights @ (levels - smooth(levels, SMOOTHING_SECONDS, onset)) / weights.sum()
    steps = np.diff(times[(times > grid[held][0]) & (times < grid[-1])])
    return measure_bands(shared[held], 0.5 / float(np.median(steps)))


def _measure_beats(control_map: ControlMap, rows: Any, grid: Floats) -> dict[str, Any]:
    """Rate, growth and mix of two voices, if two voices explain most of the loud partials."""
    rows = rows[:24]
    at_grid = interpolation(control_map.times, grid, np.float64)
    amplitude = 10 ** (control_map.partials[rows].astype(np.float64) / 20)
    angle = control_map.phases[rows] * (2 * np.pi / PHASE_STEPS)
    signals = at_grid(amplitude * np.cos(angle)) + 1j * at_grid(amplitude * np.sin(angle))
    signals /= np.exp(smooth(np.log(np.abs(signals) + 1e-9), 0.8))
    size = 8 * len(grid)
    spectra = np.abs(np.fft.fft(signals * np.hanning(len(grid)), size))
    frequencies = np.fft.fftfreq(size, STEP_SECONDS)
    lobe = 2.2 / (len(grid) * STEP_SECONDS)
    found = []
    for number, spectrum in zip(rows + 1, spectra, strict=True):
        first = spectrum.argmax()
        offset = np.abs(frequencies - frequencies[first])
        beside = np.where((offset > lobe) & (offset < 20), spectrum, 0)
        second = int(beside.argmax())
        is_peak = spectrum[second] >= max(spectrum[second - 1], spectrum[(second + 1) % size])
        apart = np.abs(frequencies - frequencies[second]) > lobe
        clear = spectrum[second] > max(0.1 * spectrum[first], 2.5 * (beside * apart).max())
        if is_peak and clear:
            found.append((number, offset[second], spectrum[second] / spectrum[first]))
    if len(found) < max(3, 0.5 * len(rows)):
        return {}
    numbers, rates, mixes = np.array(found).T
    growth, _ = np.polyfit(np.log(numbers), np.log(rates), 1, w=1 / numbers)  # slow ones are clear
    growth = float(np.clip(growth, 0, 2))
    first_rates = np.log(rates) - growth * np.log(numbers)
    middle = float(np.median(first_rates))
    if np.median(np.abs(first_rates - middle)) > 0.12:
        return {}
    mix = float(np.clip(np.median(mixes), 0, 1))
    return {"beat_rate": float(np.exp(middle)), "beat_growth": growth, "beat_mix": mix}


def _bands_of_beats(beats: dict[str, Any], rows: Any) -> Any:
    """Which bands (rows, 9) hold the beats of each row."""
    rates = (beats["beat_rate"] * (rows + 1.0) ** beats["beat_growth"])[:, None]
    low, high = np.array(BAND_EDGES[:-1]), np.array(BAND_EDGES[1:])
    return (rates > 0.9 * low) & (rates < 1.1 * high)
