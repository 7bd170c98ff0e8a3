"""Analyse a recording of a note: its control map.

    recording → onset → f_1 and B (listening/f0.py) → series of partials, offsets, modes
              (partial_frequencies.py) → c(t) (pitch_track.py) → noise (noise_floor.py)
              → amplitudes and phases (framed_spectra.py, partial_amplitudes.py)

The windows around the frames last four periods of the partials' spacing, the shortest that separate
partials, and at least 12 ms and the distance of two frames. From the power at a partial's
frequency, the power that the noise around it explains is subtracted. Phases are relative to the one
that the partial would have by its frequency alone,

    θ_m(t) = arg X_m(t) − 2π f_m u(t)        u(t) = ∫ 2^(c/1200) dt
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.deprecation import renamed_arguments
from mechanical_ears.errors import SoundError
from mechanical_ears.listening.f0 import RefinedPitch, refine
from mechanical_ears.listening.onset import find_onset
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS, Note
from mechanical_ears.resynthesis import control_map as layout
from mechanical_ears.resynthesis.analysis.framed_spectra import framed_spectra
from mechanical_ears.resynthesis.analysis.noise_floor import noise_density, noise_upper_bound
from mechanical_ears.resynthesis.analysis.partial_amplitudes import fit_envelope, separate_modes
from mechanical_ears.resynthesis.analysis.partial_frequencies import (
    LongSpectrum,
    PartialSeries,
    SeriesDeviations,
    find_deviations,
    find_partial_series,
    long_spectrum,
)
from mechanical_ears.resynthesis.analysis.pitch_track import track_pitch
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.decibels import db_to_power, power_to_db
from mechanical_ears.resynthesis.interpolation import interpolation
from mechanical_ears.resynthesis.time_warp import warp_time
from mechanical_ears.sound import Sound

WINDOW_PERIODS: Final = 4.0  # of the partials' spacing
MIN_WINDOW, MAX_WINDOW = 0.012, 0.22  # s
MIN_NOISE_WINDOW: Final = 0.020  # s, of windows in which noise is measured
NOISE_MARGIN: Final = 1.0  # times the noise's power, up to which a partial is noise
MIN_SECONDS: Final = 0.02  # s, of a sound that can be analysed
MIN_ONSET: Final = 0.02  # s; an earlier onset is the start of the recording
SURE_SALIENCE: Final = 0.8  # from which the pitch given is not questioned
MIN_SALIENCE_GAIN: Final = 1.15  # times the salience that another pitch must have
OTHER_PITCHES: Final = (-1.0, 1.0, -2.0, 2.0)  # semitones: presets sound off their key
MODE_DISTANCE: Final = 14.0  # Hz from a partial, for the fewest frames: nearer ones are beats
RIDGE, SHORT_RIDGE = 0.02, 0.2  # of the sustain, and where windows are short
STEADY_HZ: Final = 5.0  # Hz by which partials may move, for the fewest frames: phases follow them
MODE_PERIODS: Final = 1.5  # of the distance of a mode, that windows of the sustain last
MAX_PARTIAL_HZ: Final = 20_500.0  # Hz, of partials that are analysed
FALL_DB: Final = 6.0  # dB in 100 ms, of a release


@renamed_arguments(what="recording")
def analyse(
    recording: Note | Sound, pitch: float | None = None, *, key_up: float | None = None
) -> ControlMap:
    """Analyse a recording of one note.

    Args:
        recording: of any sample rate and length; channels are mixed. A `Note` has its pitch, and
            where it is 4 s long, its key was held for 3 s, as in NSynth.
        pitch: MIDI number, right to a semitone or two; in a wrong octave the partials between are
            found. None lets the ears predict it.
        key_up: s, where the key was released; None estimates it.

    Raises:
        SoundError: the sound is silent, too short, or has no single pitch.

    Examples:
        >>> import numpy as np
        >>> from mechanical_ears import Sound, analyse
        >>> time = np.arange(32_000) / 16_000
        >>> sound = 0.1 * np.sin(2 * np.pi * 220 * time) + 0.05 * np.sin(2 * np.pi * 440 * time)
        >>> control_map = analyse(Sound(sound.astype(np.float32), 16_000), pitch=57)
        >>> round(control_map.frequency, 1)
        220.0
        >>> control_map.partials[:2, 72].round().tolist()  # dB
        [-20.0, -26.0]
    """
    sound = (recording.sound if isinstance(recording, Note) else recording).mono()
    rate = sound.sample_rate
    start = find_onset(sound.samples, rate) if sound.seconds >= MIN_SECONDS else 0
    if start is None:
        raise SoundError("is silent", remedy="give a recording of a note")
    start = start if start > MIN_ONSET * rate else 0
    samples = sound.samples[start:]
    seconds = len(samples) / rate
    if seconds < MIN_SECONDS:
        raise SoundError(
            f"lasts {seconds * 1000:.3g} ms", remedy=f"give {MIN_SECONDS * 1000:g} ms or more"
        )
    if isinstance(recording, Note):
        pitch = recording.pitch if pitch is None else pitch
        if key_up is None and abs(sound.seconds - NOTE_SECONDS) < 0.01:
            key_up = HOLD_SECONDS
    if pitch is None:
        pitch = _predict_pitch(sound)
    key_up = _estimate_key_up(samples, rate) if key_up is None else key_up - start / rate
    return _analyse(samples, rate, pitch, min(max(key_up, 0.2 * seconds), seconds), start / rate)


def _predict_pitch(sound: Sound) -> float:
    """The MIDI number that the ears predict."""
    from mechanical_ears.listening.ears import listen
    from mechanical_ears.pitch import hz_to_midi

    frequency = listen(sound).frequency
    if frequency is None:
        problem = "has no single pitch that the ears can detect"
        raise SoundError(problem, remedy="give the pitch, as a MIDI number")
    return hz_to_midi(frequency)


def _estimate_key_up(samples: NDArray[np.float32], rate: int) -> float:
    """Where the level begins to fall for the last time, faster than 60 dB/s and twice as before."""
    block = max(1, round(0.02 * rate))
    count = len(samples) // block
    seconds = len(samples) / rate
    if count < 20:
        return seconds
    power = np.square(samples[: count * block].reshape(count, block)).mean(axis=1)
    level = 10 * np.log10(np.maximum(power, 1e-7 * power.max()))
    reach = 5  # blocks, 100 ms
    fall = level[:-reach] - level[reach:]
    steep = np.flatnonzero(fall > FALL_DB)
    if not len(steep):
        return seconds
    last = int(steep[-1])
    while last > 0 and fall[last - 1] > FALL_DB:
        last -= 1
    before = (level[max(0, last - 25)] - level[last]) / 5 if last >= 25 else 0.0
    return (last + 1) * block / rate if fall[last : last + 3].max() > 2 * before else seconds


def _refine_pitch(samples: NDArray[np.float32], rate: int, pitch: float) -> RefinedPitch:
    """The exact frequency near a pitch, or near one beside it that fits far better."""
    refined = refine(samples, rate, pitch)
    if refined.salience >= SURE_SALIENCE:
        return refined
    others = [refine(samples, rate, pitch + step) for step in OTHER_PITCHES]
    best = max(others, key=lambda other: other.salience)
    return best if best.salience > MIN_SALIENCE_GAIN * refined.salience else refined


def _analyse(
    samples: NDArray[np.float32], rate: int, pitch: float, key_up: float, onset: float
) -> ControlMap:
    """The map of a note that begins with its first sample."""
    seconds = len(samples) / rate
    refined = _refine_pitch(samples, rate, pitch)
    spectrum = long_spectrum(samples, rate)
    series = find_partial_series(spectrum, refined)
    frames, deviations = _choose_frames(rate, series, spectrum)
    finer = frames / layout.FRAME_COUNTS[0]
    first_ratios = layout.stiff_string_ratios(np.arange(1.0, 9.0), refined.inharmonicity)
    track = track_pitch(samples, rate, refined.frequency, first_ratios, STEADY_HZ * finer)
    if track.moves:
        deviations = find_deviations(
            spectrum, series, steady=False, mode_distance=MODE_DISTANCE * finer
        )
    times = layout.frame_times(seconds, key_up, frames)
    noise_times = layout.frame_times(seconds, key_up, layout.NOISE_FRAMES)
    cents = track.at(times)
    partials = _partials_below(0.985 * min(rate / 2, MAX_PARTIAL_HZ), series, deviations.offsets)
    modes = deviations.modes[deviations.modes > 0]
    sinusoids = np.concatenate([partials, modes])
    window = min(max(WINDOW_PERIODS / series.spacing, MIN_NOISE_WINDOW), MAX_WINDOW)
    spectra = framed_spectra(samples, rate, noise_times, window)
    ratios = np.exp2(track.at(noise_times) / 1200) if track.moves else None
    ordered = np.sort(sinusoids)
    bound = noise_upper_bound(samples, rate, ordered, series.spacing, noise_times, key_up)
    density = np.minimum(noise_density(spectra, ordered, ratios), bound)
    measured = _sinusoids(samples, rate, sinusoids, len(modes), series.spacing, times, cents)
    at_frames = interpolation(noise_times, times).rows(density.astype(np.float32))
    power = _subtract_noise(measured, sinusoids, at_frames)

    singles = min(layout.SINGLES, len(partials))
    rows = np.full((layout.ROWS, frames), layout.SILENCE_DB)
    rows[layout.SINGLES : -layout.MODES], fine = fit_envelope(power[layout.SINGLES : len(partials)])
    own = np.r_[:singles, len(partials) : len(sinusoids)]  # those with rows of their own
    with_phases = np.r_[:singles, layout.SINGLES : layout.SINGLES + len(modes)]
    rows[with_phases + layout.GROUPS * (with_phases >= layout.SINGLES)] = power_to_db(power[own])
    middles = (np.rint(times * rate) - 0.5) / rate
    turns = np.angle(measured.amplitudes[:, own]).T / (2 * np.pi)
    turns -= np.outer(sinusoids[own], warp_time(times, cents, middles))
    phases = np.zeros((layout.SINGLES + layout.MODES, frames), dtype=np.uint8)
    phases[with_phases] = np.rint(turns * layout.PHASE_STEPS).astype(np.int64) % layout.PHASE_STEPS
    silent = rows.max(axis=1) <= layout.SILENCE_DB
    phases[np.delete(silent, np.s_[layout.SINGLES : -layout.MODES])] = 0
    mode_ratios = np.zeros(layout.MODES, dtype=np.float32)
    mode_ratios[: len(modes)] = modes / refined.frequency
    noise = density + 10 * np.log10(np.diff(layout.band_edges()))
    return ControlMap(
        frequency=refined.frequency,
        inharmonicity=series.inharmonicity,
        divisor=series.divisor,
        seconds=seconds,
        key_up=key_up,
        sample_rate=rate,
        onset=onset,
        cents=cents.astype(np.float16),
        partials=np.maximum(rows, layout.SILENCE_DB).astype(np.float16),
        phases=phases.view(np.int8),
        noise=np.maximum(noise, layout.SILENCE_DB).T.astype(np.float16),
        offsets=np.where(silent[: layout.SINGLES], 0, deviations.offsets).astype(np.float16),
        fine=fine.astype(np.float16),
        modes=mode_ratios,
    )


def _choose_frames(
    rate: int, series: PartialSeries, spectrum: LongSpectrum
) -> tuple[int, SeriesDeviations]:
    """Number of frames, the more the fewer rows a note fills, and its deviations if steady."""
    count = min(rate / 2, MAX_PARTIAL_HZ) / series.spacing
    rows = count if count <= layout.SINGLES else layout.SINGLES + layout.GROUPS
    limits = (*layout.MAX_ROWS[::-1], np.inf)
    for frames, max_rows in zip(layout.FRAME_COUNTS[::-1], limits, strict=True):
        if rows <= max_rows:
            distance = MODE_DISTANCE * frames / layout.FRAME_COUNTS[0]
            deviations = find_deviations(spectrum, series, steady=True, mode_distance=distance)
            if rows + np.count_nonzero(deviations.modes) <= max_rows:
                break
    return frames, deviations


def _partials_below(
    highest: float, series: PartialSeries, offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean frequencies of the partials up to ``highest`` Hz."""
    partials = series.frequencies
    partials[: layout.SINGLES] *= np.exp2(offsets / 1200)
    return partials[: int(np.argmax(np.append(partials, np.inf) >= highest))]


@dataclass(frozen=True, eq=False)
class _Sinusoids:
    """Partials and modes over time.

    Attributes:
        amplitudes: complex64 (frames, partials).
        noise_gains: of the windows, float64 (frames, 1).
    """

    amplitudes: NDArray[np.complex64]
    noise_gains: NDArray[np.float64]


def _sinusoids(
    samples: NDArray[np.float32],
    rate: int,
    frequencies: NDArray[np.float64],
    modes: int,
    spacing: float,
    times: NDArray[np.float64],
    cents: NDArray[np.float64],
) -> _Sinusoids:
    """Measure partials and modes.

    Args:
        samples: float32 (samples,).
        rate: Hz.
        frequencies: Hz, float64 (partials,), the last of them modes.
        modes: how many.
        spacing: Hz, between partials.
        times: s, float64 (frames,).
        cents: float64 (frames,).
    """
    frames = len(times)
    amplitudes = np.empty((frames, len(frequencies)), dtype=np.complex64)
    noise_gains = np.empty((frames, 1))
    first, last = round(layout.ATTACK_SHARE * frames), frames - round(layout.RELEASE_SHARE * frames)
    mode_window = MODE_PERIODS / (MODE_DISTANCE * frames / layout.FRAME_COUNTS[0]) if modes else 0.0
    short = min(max(WINDOW_PERIODS / spacing, MIN_WINDOW, mode_window / 2), MAX_WINDOW)
    step = float(np.diff(times[first:last]).max())
    long = min(max(short, step, mode_window), MAX_WINDOW)
    is_mode = np.arange(len(frequencies)) >= len(frequencies) - modes
    for part, window, ridge in (
        (slice(0, first), short, SHORT_RIDGE),
        (slice(first, last), long, RIDGE),
        (slice(last, frames), short, SHORT_RIDGE),
    ):
        spectra = framed_spectra(samples, rate, times[part], window)
        ratios = np.exp2(cents[part] / 1200)
        moving = ratios[:, None] * frequencies if cents.any() else frequencies
        amplitudes[part] = spectra.amplitudes(moving)
        if modes:
            amplitudes[part] = separate_modes(
                amplitudes[part], frequencies, is_mode, spectra.window_seconds, ridge
            )
        noise_gains[part] = spectra.noise_gain
    return _Sinusoids(amplitudes, noise_gains)


def _subtract_noise(
    sinusoids: _Sinusoids, frequencies: NDArray[np.float64], density: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Power of partials and modes less that of the noise around, float32 (partials, frames).

    Args:
        sinusoids: as measured.
        frequencies: Hz, float64 (partials,).
        density: dB, float32 (frames, bands).
    """
    power = sinusoids.amplitudes.real**2 + sinusoids.amplitudes.imag**2
    around = interpolation(layout.band_centres(), frequencies)(density)
    noise = db_to_power(around) * sinusoids.noise_gains.astype(np.float32)
    rest = np.where(power > NOISE_MARGIN * noise, power - noise, 0)
    return np.ascontiguousarray(rest.T, dtype=np.float32)
