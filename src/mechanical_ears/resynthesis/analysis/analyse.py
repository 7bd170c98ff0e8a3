"""Taking a note apart: from a recording to its control map.

    recording → onset → f_1 and B (listening/f0.py) → c(t) (glide.py) → divisor, offsets, modes
              (series.py) → spectra around the frames (windows.py) → noise (noise.py)
              → amplitudes and phases (partials.py)

The frames' windows last four periods of the base, the shortest that tell partials apart, and at
least 12 ms and the distance of two frames. Of the power that is read at a partial's frequency, what
the noise around it explains is taken away. Phases are told beside the one that the partial would
have by its frequency alone,

    θ_m(t) = arg X_m(t) − 2π f_m u(t)        u(t) = ∫ 2^(c/1200) dt
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import SoundError
from mechanical_ears.listening.f0 import RefinedPitch, refine
from mechanical_ears.listening.onset import find_onset
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS, Note
from mechanical_ears.resynthesis.analysis.framed_spectra import windows
from mechanical_ears.resynthesis.analysis.noise_floor import cap, noise_levels
from mechanical_ears.resynthesis.analysis.partial_amplitudes import apart, decibels, envelope
from mechanical_ears.resynthesis.analysis.partial_frequencies import (
    Base,
    LongSpectrum,
    Series,
    find_base,
    find_series,
    long_spectrum,
)
from mechanical_ears.resynthesis.analysis.pitch_track import PitchTrack, track_pitch, warp
from mechanical_ears.resynthesis.control_map import (
    ATTACK_SHARE,
    BANDS,
    FRAME_COUNTS,
    GROUPS,
    MAX_ROWS,
    MODES,
    NOISE_FRAMES,
    PARTIALS,
    PHASE_STEPS,
    RELEASE_SHARE,
    ROWS,
    SILENCE_DB,
    SINGLES,
    ControlMap,
    band_centres,
    band_edges,
    frame_times,
    stiff_string_ratios,
)
from mechanical_ears.resynthesis.synthesis.timeline import Between, between
from mechanical_ears.sound import Sound

PERIODS: Final = 4.0  # of the base, in a window
SHORTEST: Final = 0.012  # s, of a window
LONGEST: Final = 0.22  # s
NOISE_SHORTEST: Final = 0.020  # s, of a window that looks for noise
NOISE_EXPLAINS: Final = 1.0  # times its power, up to which a partial is noise
LEAST_SECONDS: Final = 0.02  # s, that can be analysed
LATE: Final = 0.02  # s, an onset before which belongs to the note
SURE: Final = 0.8  # salience from which the key given is not doubted
SURER: Final = 1.15  # times the salience that another key must have
OTHER_KEYS: Final = (-1.0, 1.0, -2.0, 2.0)  # semitones: presets sound off their key
MODE_APART: Final = 14.0  # Hz from a partial, for the fewest frames: nearer ones are beats
RIDGE, SHORT_RIDGE = 0.02, 0.2  # of the sustain, and where windows are short
BEATS: Final = 5.0  # Hz by which partials may move, for the fewest frames: phases follow them
MODE_PERIODS: Final = 1.5  # of the distance of a mode, that windows of the sustain last
AUDIBLE: Final = 20_500.0  # Hz, above which no partial is analysed


def analyse(
    what: Note | Sound, pitch: float | None = None, *, key_up: float | None = None
) -> ControlMap:
    """Take a note apart.

    Args:
        what: a recording of one note, of any rate and length. A `Note` tells its key, and where it
            is 4 s long, that its key was held for 3 s, as in NSynth.
        pitch: MIDI number at which it sounds, exact to a semitone or two; a wrong octave is told by
            the partials between. None asks the ears.
        key_up: s, where the key was let go; None guesses.

    Raises:
        SoundError: there is nothing to take apart: silence, too short a sound, or no single pitch.
    """
    sound = what.sound if isinstance(what, Note) else what
    rate = sound.sample_rate
    start = find_onset(sound.samples, rate) if sound.seconds >= LEAST_SECONDS else 0
    if start is None:
        raise SoundError("is silent", remedy="give a recording of a note")
    start = start if start > LATE * rate else 0
    samples = sound.samples[start:]
    seconds = len(samples) / rate
    if seconds < LEAST_SECONDS:
        raise SoundError(
            f"lasts {seconds * 1000:.3g} ms", remedy=f"give {LEAST_SECONDS * 1000:g} ms or more"
        )
    if isinstance(what, Note):
        pitch = what.pitch if pitch is None else pitch
        if key_up is None and abs(sound.seconds - NOTE_SECONDS) < 0.01:
            key_up = HOLD_SECONDS
    if pitch is None:
        pitch = _heard_pitch(sound)
    key_up = _guessed_key_up(samples, rate) if key_up is None else key_up - start / rate
    return _analyse(samples, rate, pitch, min(max(key_up, 0.2 * seconds), seconds), start / rate)


def _heard_pitch(sound: Sound) -> float:
    """The MIDI number at which the ears hear a sound."""
    from mechanical_ears.listening.ears import listen
    from mechanical_ears.pitch import hz_to_midi

    frequency = listen(sound).frequency
    if frequency is None:
        raise SoundError(
            "has no single pitch that the ears hear", remedy="give the pitch, as a MIDI number"
        )
    return hz_to_midi(frequency)


def _guessed_key_up(samples: NDArray[np.float32], rate: int) -> float:
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
    steep = np.flatnonzero(fall > 6.0)
    if not len(steep):
        return seconds
    last = int(steep[-1])
    while last > 0 and fall[last - 1] > 6.0:
        last -= 1
    before = (level[max(0, last - 25)] - level[last]) / 5 if last >= 25 else 0.0
    return (last + 1) * block / rate if fall[last : last + 3].max() > 2 * before else seconds


def _refined(samples: NDArray[np.float32], rate: int, pitch: float) -> RefinedPitch:
    """The exact frequency near the key given, or near one beside it that fits far better."""
    given = refine(samples, rate, pitch)
    if given.salience >= SURE:
        return given
    others = [refine(samples, rate, pitch + step) for step in OTHER_KEYS]
    best = max(others, key=lambda refined: refined.salience)
    return best if best.salience > SURER * given.salience else given


def _analyse(
    samples: NDArray[np.float32], rate: int, pitch: float, key_up: float, begins: float
) -> ControlMap:
    seconds = len(samples) / rate
    refined = _refined(samples, rate, pitch)
    frequency = refined.frequency
    spectrum = long_spectrum(samples, rate)
    base = find_base(spectrum, refined)
    frames, series = _frames(rate, base, spectrum)
    finer = frames / FRAME_COUNTS[0]
    whole = stiff_string_ratios(np.arange(1.0, 9.0), refined.inharmonicity)
    course = track_pitch(samples, rate, frequency, whole, BEATS * finer)
    if course.moves:
        series = find_series(spectrum, base, steady=False, apart=MODE_APART * finer)
    times = frame_times(seconds, key_up, frames)
    noise_times = frame_times(seconds, key_up, NOISE_FRAMES)
    cents = course.at(times)
    partials = _partials(base, series.offsets, 0.985 * min(rate / 2, AUDIBLE))
    modes = series.modes[series.modes > 0]
    asked = np.concatenate([partials, modes])
    levels = _noise(samples, rate, np.sort(asked), base.spacing, noise_times, key_up, course)
    read, gain = _read(samples, rate, asked, len(modes), base.spacing, times, cents)
    power = _without_noise(read, gain, asked, levels, between(noise_times, times))

    singles = min(SINGLES, len(partials))
    rows = np.full((ROWS, frames), SILENCE_DB)
    rows[SINGLES:-MODES], fine = envelope(power[SINGLES : len(partials)])
    own = np.r_[:singles, len(partials) : len(asked)]  # those with rows of their own
    rows[np.r_[:singles, ROWS - MODES : ROWS - MODES + len(modes)]] = decibels(power[own])
    middles = (np.rint(times * rate) - 0.5) / rate
    turns = np.angle(read[:, own]).T / (2 * np.pi)
    turns -= np.outer(asked[own], warp(times, cents, middles))
    phases = np.zeros((SINGLES + MODES, frames), dtype=np.uint8)
    places = np.r_[:singles, SINGLES : SINGLES + len(modes)]
    phases[places] = np.rint(turns * PHASE_STEPS).astype(np.int64) % PHASE_STEPS
    silent = rows.max(axis=1) <= SILENCE_DB
    phases[silent[np.r_[:SINGLES, ROWS - MODES : ROWS]]] = 0
    ratios = np.zeros(MODES, dtype=np.float32)
    ratios[: len(modes)] = modes / frequency
    loudness = levels + 10 * np.log10(np.diff(band_edges()))
    return ControlMap(
        frequency=frequency,
        inharmonicity=base.inharmonicity,
        divisor=base.divisor,
        seconds=seconds,
        key_up=key_up,
        sample_rate=rate,
        onset=begins,
        cents=cents.astype(np.float16),
        partials=np.maximum(rows, SILENCE_DB).astype(np.float16),
        phases=phases.view(np.int8),
        noise=np.maximum(loudness, SILENCE_DB).T.astype(np.float16),
        offsets=np.where(silent[:SINGLES], 0, series.offsets).astype(np.float16),
        fine=fine.astype(np.float16),
        modes=ratios,
    )


def _frames(rate: int, base: Base, spectrum: LongSpectrum) -> tuple[int, Series]:
    """How many frames a note gets, the more the fewer rows it fills, and what it has if steady."""
    count = min(rate / 2, AUDIBLE) / base.spacing
    rows = count if count <= SINGLES else SINGLES + GROUPS
    for frames, most in zip(FRAME_COUNTS[::-1], (*MAX_ROWS[::-1], np.inf), strict=True):
        if rows <= most:
            apart = MODE_APART * frames / FRAME_COUNTS[0]
            series = find_series(spectrum, base, steady=True, apart=apart)
            if rows + np.count_nonzero(series.modes) <= most:
                break
    return frames, series


def _partials(base: Base, offsets: NDArray[np.float64], highest: float) -> NDArray[np.float64]:
    """Frequencies of the partials up to ``highest`` Hz, of a note that does not move."""
    numbers = np.arange(1, PARTIALS + 1) / base.divisor
    places = base.frequency * stiff_string_ratios(numbers, base.inharmonicity)
    places[:SINGLES] *= np.exp2(offsets / 1200)
    return places[: int(np.argmax(places >= highest)) if places[-1] >= highest else PARTIALS]


def _noise(
    samples: NDArray[np.float32],
    rate: int,
    partials: NDArray[np.float64],
    base: float,
    times: NDArray[np.float64],
    key_up: float,
    course: PitchTrack,
) -> NDArray[np.float64]:
    """Levels of the noise, dB of the mean square of 1 Hz, float64 (112, bands)."""
    length = min(max(PERIODS / base, NOISE_SHORTEST), LONGEST)
    moving = np.exp2(course.at(times) / 1200) if course.moves else None
    levels = noise_levels(windows(samples, rate, times, length), partials, moving)
    return np.minimum(levels, cap(samples, rate, partials, base, times, key_up))


def _read(
    samples: NDArray[np.float32],
    rate: int,
    asked: NDArray[np.float64],
    modes: int,
    base: float,
    times: NDArray[np.float64],
    cents: NDArray[np.float64],
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """What stands at partials and modes.

    Args:
        samples: float32 (samples,).
        rate: Hz.
        asked: Hz, float64 (partials,), the last of them modes.
        modes: how many.
        base: Hz, the distance between partials.
        times: s, float64 (frames,).
        cents: float64 (frames,).

    Returns:
        complex64 (frames, partials), and the noise gains of the windows, float64 (frames, 1).
    """
    frames = len(times)
    read = np.empty((frames, len(asked)), dtype=np.complex64)
    gain = np.empty((frames, 1))
    first, last = round(ATTACK_SHARE * frames), frames - round(RELEASE_SHARE * frames)
    alone = MODE_PERIODS / (MODE_APART * frames / FRAME_COUNTS[0]) if modes else 0.0
    short = min(max(PERIODS / base, SHORTEST, alone / 2), LONGEST)
    step = float(np.diff(times[first:last]).max())
    is_mode = np.arange(len(asked)) >= len(asked) - modes
    attack = (slice(0, first), short, SHORT_RIDGE)
    sustain = (slice(first, last), min(max(short, step, alone), LONGEST), RIDGE)
    release = (slice(last, frames), short, SHORT_RIDGE)
    for zone, length, ridge in (attack, sustain, release):
        parts = windows(samples, rate, times[zone], length)
        moving = np.exp2(cents[zone] / 1200)
        read[zone] = parts.read(moving[:, None] * asked if cents.any() else asked)
        if modes:
            read[zone] = apart(read[zone], asked, is_mode, parts.length, ridge)
        gain[zone] = parts.noise_gain
    return read, gain


def _without_noise(
    read: NDArray[np.complex64],
    gain: NDArray[np.float64],
    asked: NDArray[np.float64],
    levels: NDArray[np.float64],
    lies: Between,
) -> NDArray[np.float32]:
    """Power of what is read, less what the noise around it explains, float32 (partials, frames).

    Args:
        read: complex64 (frames, partials).
        gain: float64 (frames, 1), of the windows.
        asked: Hz, float64 (partials,).
        levels: dB, float64 (noise frames, bands).
        lies: where the frames lie between those of the noise.
    """
    power = read.real**2 + read.imag**2
    place = np.interp(asked, band_centres(), np.arange(BANDS))
    low = np.minimum(place.astype(np.int64), BANDS - 2)
    share = (place - low).astype(np.float32)
    told = lies(levels.astype(np.float32))
    around = told[:, low] * (1 - share) + told[:, low + 1] * share
    explained = np.exp2(around * np.float32(np.log2(10) / 10)) * gain.astype(np.float32)
    rest = np.where(power > NOISE_EXPLAINS * explained, power - explained, 0)
    return np.ascontiguousarray(rest.T, dtype=np.float32)
