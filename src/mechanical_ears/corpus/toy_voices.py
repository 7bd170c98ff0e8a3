"""Voices of the toy corpus, synthesised from formulas.

Additive voices are sums of damped partials,

    y(t) = Σ_n a_n · e^(−d_n t) · sin(2π f_n t + φ_n)
    f_n = n · f0 · sqrt((1 + B n²) / (1 + B))

with B = 0 for all but the stiff strings of the piano (Fletcher, "Normal vibration frequencies of a
stiff piano string", 1964); the first partial is at f0 exactly. Plucked strings take d_n from the
loop of Karplus and Strong, "Digital synthesis of plucked-string and drum timbres" (1983), whose
two-point average multiplies a partial by cos(π f_n / loop rate) once per period. Frequency
modulation is

    y(t) = sin(2π f0 t + I(t) · sin(2π m f0 t))              m an integer

of Chowning, "The synthesis of complex audio spectra by means of frequency modulation" (1973). Its
sideband n is at most (I/2)^n / n!, which limits I so that no sideband above half the rate is
audible.

Subtractive voices filter the harmonics of a sawtooth or a pulse, a_n = sin(π d n) / n with the
pulse width d, with a resonant second-order low-pass whose cutoff f_c falls during the note, like
the filter envelope of an analogue synthesiser (Moog, "Voltage-controlled electronic music modules",
1965):

    |H(f)|² = 1 / ((1 − x²)² + (x / Q)²),   x = f / f_c
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS

FADE_SECONDS = 0.05  # s, final fade of every note to zero
_SOFT_TILT = 9.0  # dB per octave by which the softest note is darker than the hardest
_C4_FREQUENCY = 261.6  # Hz
_FLOOR_DB = -80.0  # dB relative to the strongest partial; weaker ones are omitted
_BLOCK_SAMPLES = 256  # of a block of the sum of partials
_LOOP_RATE = 44_100.0  # Hz, sample rate of the plucked string's loop
_MAX_ALIAS = 1e-3  # amplitude of the first sideband above half the sample rate
_COLOURED_PARTIALS = 32  # partials with a random level
_KNOB_COUNT = 6  # parameters of the subtractive synthesiser
_HOP_SAMPLES = 128  # between updates of a moving filter

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class KeyPress:
    """A note: f0 in Hz, force 0..1, length in samples, rate in Hz, random generator."""

    frequency: float
    force: float
    count: int
    rate: int
    rng: np.random.Generator

    @property
    def times(self) -> Samples:
        """Time of each sample in s, (samples,)."""
        return np.arange(self.count, dtype=np.float64) / self.rate

    def harmonic_numbers(self, limit: int = 400) -> Samples:
        """Numbers 1, 2, … of the harmonics below half the sample rate, at most ``limit``."""
        below = math.ceil(self.rate / 2 / self.frequency) - 1
        return np.arange(1, min(below, limit) + 1, dtype=np.float64)


@dataclass(frozen=True)
class Timbre:
    """Parameters of an instrument.

    Attributes:
        colour: dB (_COLOURED_PARTIALS,), level of each partial relative to the tilt.
        tilt: dB per octave by which partials fall at the highest velocity.
        attack: s.
        decay: s in which a struck C4 falls by 60 dB.
        release: s in which a note falls by 60 dB after the key is released.
        shape: 0..1, a parameter that each voice uses in its own way.
        knobs: 0..1 (_KNOB_COUNT,), parameters of the subtractive synthesiser.
    """

    colour: Samples
    tilt: float
    attack: float
    decay: float
    release: float
    shape: float
    knobs: Samples

    def amplitudes(self, numbers: Samples, force: float) -> Samples:
        """Amplitudes (partials,) of harmonics at a ``force`` of 0..1."""
        tilt = self.tilt + _SOFT_TILT * (1 - force)
        colour = np.zeros(len(numbers))
        colour[:_COLOURED_PARTIALS] = self.colour[: len(numbers)]
        return np.power(10, (colour - tilt * np.log2(numbers)) / 20)

    def damping(self, frequency: float) -> float:
        """Decay rate in 1/s of a struck note; it doubles in two octaves."""
        return math.log(1000) / self.decay * math.sqrt(frequency / _C4_FREQUENCY)


def _partial_bank(
    key: KeyPress, frequencies: Samples, amplitudes: Samples, decays: float | Samples = 0.0
) -> Samples:
    """Sum of damped partials with random phases.

    e^(s (kB + j)) = e^(s k B) · e^(s j) makes the sum over partials a product of two small
    matrices, blocks × partials and partials × samples of a block.
    """
    floor = 10 ** (_FLOOR_DB / 20) * amplitudes.max()
    audible = (frequencies < key.rate / 2) & (amplitudes > floor)
    phases = key.rng.uniform(0, 2 * np.pi, len(frequencies))
    exponents = ((2j * np.pi * frequencies - decays) / key.rate)[audible]
    starts = (amplitudes * np.exp(1j * phases))[audible]
    blocks = np.arange(-(-key.count // _BLOCK_SAMPLES)) * _BLOCK_SAMPLES
    outer = starts * np.exp(np.outer(blocks, exponents))
    inner = np.exp(np.outer(exponents, np.arange(_BLOCK_SAMPLES)))
    total = outer.real @ inner.imag + outer.imag @ inner.real
    samples: Samples = total.reshape(-1)[: key.count]
    return samples


def _noise(key: KeyPress, gains: Callable[[Samples], Samples]) -> Samples:
    """Gaussian noise filtered by ``gains`` (a function of Hz), scaled to a mean square of 1."""
    bins = np.arange(key.count // 2 + 1, dtype=np.float64)
    frequencies = bins * key.rate / key.count
    pairs = key.rng.standard_normal((2, len(frequencies)))
    spectrum = gains(frequencies) * (pairs[0] + 1j * pairs[1])
    spectrum[0] = 0
    noise: Samples = np.fft.irfft(spectrum, key.count)
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def _drawbar_organ(timbre: Timbre, key: KeyPress) -> Samples:
    numbers = key.harmonic_numbers(8)
    numbers = numbers[numbers != 7]  # organs have no drawbar for the seventh harmonic
    return _partial_bank(key, numbers * key.frequency, timbre.amplitudes(numbers, key.force))


def _bowed_string(timbre: Timbre, key: KeyPress) -> Samples:
    numbers = key.harmonic_numbers()
    return _partial_bank(key, numbers * key.frequency, timbre.amplitudes(numbers, key.force))


def _reed(timbre: Timbre, key: KeyPress) -> Samples:
    numbers = key.harmonic_numbers()
    amplitudes = timbre.amplitudes(numbers, key.force)
    amplitudes[1::2] *= 0.15 * timbre.shape
    return _partial_bank(key, numbers * key.frequency, amplitudes)


def _voice(timbre: Timbre, key: KeyPress) -> Samples:
    numbers = key.harmonic_numbers()
    frequencies = numbers * key.frequency
    formants = np.array([300 + 500 * timbre.shape, 2200 - 1300 * timbre.shape, 2800])  # Hz
    bells = np.exp(-0.5 * (np.log2(frequencies[:, None] / formants) / 0.2) ** 2)
    vowel = 0.1 + bells @ np.array([1.0, 0.6, 0.4])
    return _partial_bank(key, frequencies, vowel * timbre.amplitudes(numbers, key.force))


def _hammered_string(timbre: Timbre, key: KeyPress) -> Samples:
    numbers = key.harmonic_numbers()
    stiffness = (0.5 + 5 * timbre.shape) * 1e-4 * key.frequency / _C4_FREQUENCY
    stretch = np.sqrt((1 + stiffness * numbers**2) / (1 + stiffness))
    decays = timbre.damping(key.frequency) * (1 + 0.1 * (numbers - 1))
    amplitudes = timbre.amplitudes(numbers, key.force)
    return _partial_bank(key, numbers * key.frequency * stretch, amplitudes, decays)


def _plucked_string(timbre: Timbre, key: KeyPress) -> Samples:
    numbers = key.harmonic_numbers()
    frequencies = numbers * key.frequency
    position = 0.08 + 0.2 * timbre.shape  # of the pluck, as a fraction of the string
    amplitudes = timbre.amplitudes(numbers, key.force) * np.abs(np.sin(np.pi * position * numbers))
    averages = np.cos(np.pi * np.minimum(frequencies, 0.45 * _LOOP_RATE) / _LOOP_RATE)
    losses = -key.frequency * np.log(averages)
    decays = timbre.damping(key.frequency) + losses - losses[0]
    return _partial_bank(key, frequencies, amplitudes, decays)


def _bar(timbre: Timbre, key: KeyPress) -> Samples:
    ratios = np.array([1.0, 3.9 + 0.2 * timbre.shape, 9.2 + timbre.shape])  # a tuned wooden bar
    amplitudes = timbre.amplitudes(ratios, key.force)
    decays = timbre.damping(key.frequency) * ratios
    tone = _partial_bank(key, ratios * key.frequency, amplitudes, decays)
    knock = _noise(key, lambda hertz: 1 / (1 + (hertz / 2000) ** 2))
    return tone + 0.1 * key.force * knock * np.exp(-key.times / 0.008)


def _flute(timbre: Timbre, key: KeyPress) -> Samples:
    numbers = key.harmonic_numbers(12)
    tone = _partial_bank(key, numbers * key.frequency, timbre.amplitudes(numbers, key.force))

    def breath(hertz: Samples) -> Samples:
        octaves = np.log2(np.maximum(hertz, 20) / (2 * key.frequency))
        return np.exp(-0.5 * (octaves / 1.2) ** 2)

    return tone + (0.02 + 0.06 * timbre.shape) * _noise(key, breath)


def _frequency_modulation(timbre: Timbre, key: KeyPress, indices: Samples) -> Samples:
    modulator = 1 + round(2 * timbre.shape)
    sidebands = math.floor((key.rate / 2 - key.frequency) / (modulator * key.frequency))
    first = max(0, sidebands) + 1  # the first above half the sample rate
    max_index = 2 * math.exp((math.log(_MAX_ALIAS) + math.lgamma(first + 1)) / first)
    angles = 2 * np.pi * key.frequency * key.times
    index = np.minimum(indices * (0.3 + 3 * key.force), max_index)
    voice: Samples = np.sin(angles + index * np.sin(modulator * angles))
    return voice


def _fm_brass(timbre: Timbre, key: KeyPress) -> Samples:
    return _frequency_modulation(timbre, key, 1 - 0.7 * np.exp(-key.times / (3 * timbre.attack)))


def _fm_lead(timbre: Timbre, key: KeyPress) -> Samples:
    return _frequency_modulation(timbre, key, np.full(key.count, 1.2))


def _electric_piano(timbre: Timbre, key: KeyPress) -> Samples:
    fall = np.exp(-timbre.damping(key.frequency) * key.times)
    return fall * _frequency_modulation(timbre, key, np.sqrt(fall))


def _moving_low_pass(samples: Samples, rate: int, cutoffs: Samples, resonance: float) -> Samples:
    """Filter a sound with a resonant low-pass whose cutoff moves, by overlap-add.

    Args:
        samples: float64 (samples,).
        rate: Hz.
        cutoffs: Hz, one for each hop (at least samples // ``_HOP_SAMPLES`` + 1).
        resonance: Q.
    """
    length = 4 * _HOP_SAMPLES
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)  # sums to 2 at this hop
    count = len(samples) // _HOP_SAMPLES + 4
    before, after = 3 * _HOP_SAMPLES, (count - 3) * _HOP_SAMPLES + length - len(samples)
    padded = np.pad(samples, (before, after))
    frames = sliding_window_view(padded, length)[: count * _HOP_SAMPLES : _HOP_SAMPLES]
    relative = np.fft.rfftfreq(length, 1 / rate) / np.pad(cutoffs, (1, 3), "edge")[:count, None]
    gains = 1 / np.sqrt((1 - relative**2) ** 2 + (relative / resonance) ** 2)
    filtered = np.fft.irfft(np.fft.rfft(frames * window) * gains, length) / 2
    total = np.zeros((count + 3, _HOP_SAMPLES))
    for quarter in range(4):
        start = quarter * _HOP_SAMPLES
        total[quarter : quarter + count] += filtered[:, start : start + _HOP_SAMPLES]
    return total.reshape(-1)[before : before + len(samples)]


def _subtractive(timbre: Timbre, key: KeyPress, lowest: float, fall: float) -> Samples:
    """A subtractive voice.

    Args:
        timbre: its knobs are pulse width, waveform (sawtooth above 0.5), base and depth of the
            cutoff, time of its fall, and resonance.
        key: the note.
        lowest: lowest cutoff in octaves above the key.
        fall: decay in dB per second while the key is held.
    """
    width, waveform, base, depth, fall_time, resonance = timbre.knobs
    numbers = key.harmonic_numbers()
    pulse = np.abs(np.sin(np.pi * (0.1 + 0.4 * width) * numbers))
    amplitudes = np.where(waveform > 0.5, 1.0, pulse) / numbers
    wave = _partial_bank(key, numbers * key.frequency, amplitudes)
    moments = np.arange(key.count // _HOP_SAMPLES + 2) * _HOP_SAMPLES / key.rate
    falling = np.exp(-moments / (0.05 * 20**fall_time))  # s, 0.05 … 1
    octaves = lowest + 3 * base + 2 * key.force + 3 * depth * key.force * falling
    cutoffs = np.minimum(key.frequency * np.exp2(octaves), key.rate)
    voice = _moving_low_pass(wave, key.rate, cutoffs, 0.6 + 2 * resonance**2)
    faded: Samples = voice * np.power(10, -fall * key.times / 20)
    return faded


def _synth_bass(timbre: Timbre, key: KeyPress) -> Samples:
    return _subtractive(timbre, key, 0.3, 40 * max(0.0, timbre.shape - 0.3))


_synth_lead = partial(_subtractive, lowest=2.0, fall=0.0)
_synth_strings = partial(_subtractive, lowest=1.0, fall=0.0)


@dataclass(frozen=True)
class Recipe:
    """A kind of instrument: a voice, its labels in NSynth's words and ranges of its timbre."""

    family: str
    source: str
    voice: Callable[[Timbre, KeyPress], Samples]
    tilt: tuple[float, float]  # dB per octave
    attack: tuple[float, float]  # s
    struck: bool = False  # decays while the key is held

    def sample_timbre(self, rng: np.random.Generator) -> Timbre:
        """A random timbre of this kind."""
        colour = rng.normal(0, 3, _COLOURED_PARTIALS)
        colour[0] = 3.0  # the fundamental is never missing
        return Timbre(
            colour=colour,
            tilt=rng.uniform(*self.tilt),
            attack=rng.uniform(*self.attack),
            decay=math.exp(rng.uniform(math.log(1.5), math.log(12))),
            release=math.exp(rng.uniform(math.log(0.1), math.log(1.5))),
            shape=rng.uniform(),
            knobs=rng.uniform(size=_KNOB_COUNT),
        )

    def qualities(self, timbre: Timbre) -> tuple[str, ...]:
        """NSynth's qualities of a timbre of this kind, in NSynth's order."""
        low, high = self.tilt
        quarter = (high - low) / 4
        flags = {
            "bright": quarter > 0 and timbre.tilt < low + quarter,
            "dark": quarter > 0 and timbre.tilt > high - quarter,
            "fast_decay": self.struck and timbre.decay < 4,
            "long_release": timbre.release > 0.9,
            "percussive": self.voice is _bar,
        }
        return tuple(quality for quality, applies in flags.items() if applies)


RECIPES = (
    Recipe("organ", "electronic", _drawbar_organ, (0, 5), (0.005, 0.02)),
    Recipe("keyboard", "synthetic", _hammered_string, (4, 9), (0.002, 0.004), struck=True),
    Recipe("brass", "synthetic", _fm_brass, (0, 0), (0.02, 0.08)),
    Recipe("guitar", "synthetic", _plucked_string, (2, 6), (0.002, 0.004), struck=True),
    Recipe("reed", "synthetic", _reed, (3, 7), (0.02, 0.06)),
    Recipe("flute", "synthetic", _flute, (9, 15), (0.03, 0.1)),
    Recipe("mallet", "synthetic", _bar, (6, 12), (0.002, 0.003), struck=True),
    Recipe("string", "synthetic", _bowed_string, (4, 8), (0.05, 0.2)),
    Recipe("bass", "electronic", _plucked_string, (5, 9), (0.003, 0.006), struck=True),
    Recipe("synth_lead", "synthetic", _fm_lead, (0, 0), (0.003, 0.02)),
    Recipe("keyboard", "electronic", _electric_piano, (0, 0), (0.002, 0.004), struck=True),
    Recipe("vocal", "synthetic", _voice, (3, 6), (0.04, 0.12)),
    Recipe("bass", "synthetic", _synth_bass, (0, 0), (0.002, 0.01)),
    Recipe("synth_lead", "synthetic", _synth_lead, (0, 0), (0.002, 0.05)),
    Recipe("string", "synthetic", _synth_strings, (0, 0), (0.08, 0.4)),
)


def envelope(key: KeyPress, attack: float, release: float) -> Samples:
    """Amplitude envelope of a note: (samples,) in 0..1, zero at both ends.

    Args:
        key: the note; the key is released after three quarters of it.
        attack: s, a raised cosine.
        release: s in which the sound falls by 60 dB after the release.
    """
    levels = np.ones(key.count)
    hold = round(HOLD_SECONDS / NOTE_SECONDS * key.count)
    levels[hold:] = np.exp(-math.log(1000) / release / key.rate * np.arange(key.count - hold))
    rise = min(round(attack * key.rate), hold)
    levels[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    last = round(FADE_SECONDS * key.rate)
    levels[-last:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, last + 1) / last)
    return levels
