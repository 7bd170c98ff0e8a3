"""Let a smooth note move at random, with the statistics of `Motion`.

    levels, pitch and phases at steps of 8 ms, smoothed where the key is held
        + vibrato, beats and random movement in bands → control map with 576 frames

The first 0.1 s are left alone: attacks are neither smoothed nor moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mechanical_ears.resynthesis.band_noise import (
    BANDS,
    STEP_SECONDS,
    Floats,
    random_movement,
    smooth,
)
from mechanical_ears.resynthesis.control_map import (
    FRAME_COUNTS,
    MODES,
    NOISE_FRAMES,
    PHASE_STEPS,
    SILENCE_DB,
    SINGLES,
    ControlMap,
    frame_times,
)
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.motion_statistics import (
    AUDIBLE_RANGE,
    ONSET_SECONDS,
    SMOOTHING_SECONDS,
    Motion,
    group_of,
    phase_drift,
)
from mechanical_ears.resynthesis.synthesis.timeline import Timeline, decay_slopes, make_timeline

MAX_SECONDS: Final = 12.0  # s, of a map that moves all the way; longer notes are looped


def animate(
    control_map: ControlMap, motion: Motion, seed: int, seconds: float | None = None
) -> ControlMap:
    """Let a note move at random, with given statistics.

    What moved before, after the first 0.1 s and while the key is held, is smoothed away.

    Args:
        control_map: of the note; of a grid, see `to_control_maps`.
        motion: the statistics.
        seed: another seed, other movement.
        seconds: length of the note, release included, up to which its hold is lengthened, at most
            12 s; None for its own.

    Returns:
        A map of 576 frames with phases.
    """
    rng = np.random.default_rng(seed)
    timeline = make_timeline(
        control_map.seconds,
        control_map.key_up,
        None if seconds is None else max(min(seconds, MAX_SECONDS), control_map.seconds),
    )
    key_up, length = timeline.key_up, timeline.seconds
    grid = np.arange(0, length + STEP_SECONDS, STEP_SECONDS)
    keyed = grid < key_up
    count, onset = len(grid), int(min(ONSET_SECONDS, 0.2 * key_up) / STEP_SECONDS)
    rows = _rows_at(control_map, timeline, grid)
    hold = np.clip((grid - ONSET_SECONDS) / 0.15, 0, 1) * np.clip((key_up - grid) / 0.06, 0, 1)

    def calming(movement: Floats) -> Floats:
        """What to add to rows (…, grid), so that they do not move where the key is held."""
        steady = movement.copy()
        steady[..., keyed] = smooth(movement[..., keyed], SMOOTHING_SECONDS, onset)
        return np.asarray((steady - movement) * hold)

    levels = calming(rows.levels)
    cents = calming(rows.cents)
    drift = calming(rows.drift)
    moves = np.clip((grid - ONSET_SECONDS) / 0.1, 0, 1)
    group = group_of(np.arange(SINGLES))
    pitch = random_movement(motion.pitch, count, rng) * moves
    level = random_movement(motion.level, count, rng) * moves
    amplitude = 10 ** (rows.levels[:SINGLES, keyed].mean(axis=1) / 20)
    highest = rows.levels[:SINGLES].max(axis=1)
    share = np.where(highest > highest.max() - AUDIBLE_RANGE, amplitude, 0)
    own_level = _own_movement(motion.own_level[group], share, count, rng) * moves
    share = share * np.sqrt(control_map.frequencies[:SINGLES])
    own_pitch = _own_movement(motion.own_pitch[group], share, count, rng) * moves
    if motion.vibrato_rate > 0:
        slow = np.zeros(BANDS)
        slow[:2] = 0.9, 0.45
        rate = np.exp(motion.rate_spread * random_movement(slow, count, rng))
        angle = np.cumsum(2 * np.pi * STEP_SECONDS * motion.vibrato_rate * rate)
        angle += rng.uniform(0, 2 * np.pi)
        depth = np.clip(1 + motion.depth_spread * random_movement(slow, count, rng), 0.1, 2.2)
        depth *= np.clip((grid - motion.vibrato_delay) / max(motion.vibrato_ramp, 0.05), 0, 1)
        pitch += motion.vibrato_depth * depth * np.cos(angle)
        lead = motion.tremolo_phase[group] + rng.uniform(-0.5, 0.5, SINGLES)
        own_level += motion.tremolo_depth[group, None] * depth * np.cos(angle + lead[:, None])
    turns = np.zeros((SINGLES, count))
    if motion.beat_mix > 0:
        beats, turns = _beats(motion, grid, rng)
        own_level += beats * moves
    levels[:SINGLES] += level + own_level
    levels[SINGLES:] += level
    frequencies = control_map.frequencies[:SINGLES, None]
    ahead = np.exp2((rows.drift + drift + own_pitch) / 1200) - np.exp2(rows.drift / 1200)
    ahead[:, : onset + 1] = 0
    turns += np.cumsum(frequencies * ahead, axis=1) * STEP_SECONDS
    noise_levels = random_movement(motion.noise, count, rng) * moves

    times = frame_times(length, key_up, FRAME_COUNTS[-1])
    own = _rows_at(control_map, timeline, times)
    added = interpolation(grid, times, np.float64)
    phases = own.turns
    phases[:SINGLES] += added(turns)
    if not control_map.phases.any():
        phases += rng.random(SINGLES + MODES)[:, None]
    noise_times = frame_times(length, key_up, NOISE_FRAMES)
    noise = _rows_at(control_map, timeline, noise_times).noise
    noise += interpolation(grid, noise_times, np.float64)(noise_levels)
    silent = control_map.partials.max(axis=1) <= SILENCE_DB + 1
    silent_noise = control_map.noise.max(axis=1) <= SILENCE_DB + 1
    partials = np.where(silent[:, None], SILENCE_DB, own.levels + added(levels))
    noise = np.where(silent_noise[:, None], SILENCE_DB, noise)
    return replace(
        control_map,
        seconds=length,
        key_up=key_up,
        partials=np.maximum(partials, SILENCE_DB).astype(np.float16),
        cents=(own.cents + added(cents + pitch)).astype(np.float16),
        phases=np.rint(phases * PHASE_STEPS).astype(np.int64).astype(np.int8),
        noise=np.maximum(noise, SILENCE_DB).astype(np.float16),
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """A control map at other times, its hold lengthened.

    Attributes:
        levels: dB, float64 (72, times).
        noise: dB, float64 (40, times).
        cents: float64 (times,).
        turns: float64 (56, times), phases without jumps.
        drift: float64 (48, times), cents by which partials run ahead.
    """

    levels: Floats
    noise: Floats
    cents: Floats
    turns: Floats
    drift: Floats


def _rows_at(control_map: ControlMap, timeline: Timeline, times: Floats) -> _Rows:
    """The rows of a control map at times of the note to render."""
    map_times = timeline.map_times(times)
    at_times = interpolation(control_map.times, map_times, np.float64)
    at_noise = interpolation(control_map.noise_times, map_times, np.float64)
    levels = at_times(control_map.partials.astype(np.float64))
    noise = at_noise(control_map.noise.astype(np.float64))
    if timeline.loop_seconds:
        elapsed = np.minimum(times, timeline.key_up) - np.minimum(map_times, timeline.map_key_up)
        for rows, own, frames in (
            (levels, control_map.partials, control_map.times),
            (noise, control_map.noise, control_map.noise_times),
        ):
            rows += np.outer(decay_slopes(frames, own.astype(np.float32), timeline), elapsed)
    turns = np.unwrap(control_map.phases / PHASE_STEPS, axis=1, period=1)
    return _Rows(
        levels=levels,
        noise=noise,
        cents=at_times(control_map.cents.astype(np.float64)),
        turns=at_times(turns),
        drift=phase_drift(control_map, np.arange(SINGLES), map_times),
    )


def _own_movement(bands: Floats, share: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Random movement (48, count) of each partial beside the mean of all, weighted by ``share``."""
    own = random_movement(bands, count, rng)
    size = own.std(axis=1, keepdims=True)
    own -= share @ own / max(share.sum(), 1e-12)
    return np.asarray(own * (size / np.maximum(own.std(axis=1, keepdims=True), 1e-12)))


def _beats(motion: Motion, grid: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Decibels and turns (48, grid) that a second voice adds to each partial."""
    numbers = np.arange(1.0, SINGLES + 1)
    rates = motion.beat_rate * rng.uniform(0.85, 1.15) * numbers**motion.beat_growth
    angle = 2 * np.pi * (np.outer(rates, grid) + rng.random(SINGLES)[:, None])
    sum_ = (1 + motion.beat_mix * np.exp(1j * angle)) / np.sqrt(1 + motion.beat_mix**2)
    turns = np.unwrap(np.angle(sum_), axis=1) / (2 * np.pi)
    return 20 * np.log10(np.abs(sum_) + 1e-3), turns
