"""Voices made of formulas: what the toy corpus plays.

Additive voices are sums of damped partials,

    y(t) = Σ_n a_n · e^(−d_n t) · sin(2π f_n t + φ_n)
    f_n = n · f0 · sqrt((1 + B n²) / (1 + B))

with B = 0 for all but the stiff strings of the piano (Fletcher, "Normal vibration frequencies of a
stiff piano string", 1964); the first partial stands at f0 exactly. Plucked strings take d_n from
the loop of Karplus and Strong, "Digital synthesis of plucked-string and drum timbres" (1983), whose
two-point average multiplies a partial by cos(π f_n / loop rate) once a period. The rest is

    y(t) = sin(2π f0 t + I(t) · sin(2π m f0 t))              m a whole number

of Chowning, "The synthesis of complex audio spectra by means of frequency modulation" (1973). Its
sideband n is no stronger than (I/2)^n / n!, which says how large I may be below half the rate.

Subtractive voices send a sawtooth's or a pulse's harmonics, a_n = sin(π d n) / n with the pulse's
width d, through a resonant low-pass of second order whose cutoff f_c falls from its first to its
last place, as an analogue synthesiser's envelope moves it (Moog, "Voltage-controlled electronic
music modules", 1965):

    |H(f)|² = 1 / ((1 − x²)² + (x / Q)²),   x = f / f_c
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS

_SOFT_TILT = 9.0  # dB per octave that the softest touch is darker than the hardest
_C4 = 261.6  # Hz
_FLOOR = -80.0  # dB below the strongest partial, where partials are left out
FADE_SECONDS = 0.05  # s, in which every note reaches zero
_BLOCK = 256  # samples, one factor of the partial bank
_LOOP_RATE = 44_100.0  # Hz, at which the plucked string's loop is thought to run
_ALIAS = 1e-3  # amplitude that the first sideband beyond half the sample rate may have
_COLOURED = 32  # partials that have a strength of their own
_KNOBS = 6  # numbers of a synthesiser's panel
_HOP = 128  # samples between the places where a moving filter is set anew

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class KeyPress:
    """One key press: f0 in Hz, force 0..1, length in samples, rate in Hz, the note's own chance."""

    frequency: float
    force: float
    count: int
    rate: int
    chance: np.random.Generator

    @property
    def times(self) -> Samples:
        """Time of each sample in s."""
        return np.arange(self.count, dtype=np.float64) / self.rate

    def numbers(self, limit: int = 400) -> Samples:
        """Numbers 1, 2, … of the harmonics below half the sample rate, at most ``limit``."""
        below = math.ceil(self.rate / 2 / self.frequency) - 1
        return np.arange(1, min(below, limit) + 1, dtype=np.float64)


@dataclass(frozen=True)
class Timbre:
    """What makes an instrument.

    Attributes:
        colour: dB (_COLOURED,), the strength of single partials beside the tilt.
        tilt: dB per octave by which partials weaken at the hardest touch.
        attack: s.
        decay: s in which a struck C4 falls by 60 dB.
        release: s in which a sounding note falls by 60 dB once the key is up.
        shape: 0..1, the one thing each voice may choose for itself.
        knobs: 0..1 (_KNOBS,), of a synthesiser's panel.
    """

    colour: Samples
    tilt: float
    attack: float
    decay: float
    release: float
    shape: float
    knobs: Samples

    def amplitudes(self, numbers: Samples, force: float) -> Samples:
        """Amplitude (partials,) of harmonics at a touch of ``force`` 0..1."""
        tilt = self.tilt + _SOFT_TILT * (1 - force)
        colour = np.zeros(len(numbers))
        colour[:_COLOURED] = self.colour[: len(numbers)]
        return np.power(10, (colour - tilt * np.log2(numbers)) / 20)

    def damping(self, frequency: float) -> float:
        """Decay rate in 1/s of a struck note: doubled for two octaves up."""
        return math.log(1000) / self.decay * math.sqrt(frequency / _C4)


def _bank(
    touch: KeyPress, frequencies: Samples, amplitudes: Samples, decays: float | Samples = 0.0
) -> Samples:
    """Sum of damped partials with chance phases.

    e^(s (kB + j)) = e^(s k B) · e^(s j) makes the sum over partials a product of two small
    matrices, blocks × partials and partials × samples of a block.
    """
    floor = 10 ** (_FLOOR / 20) * amplitudes.max()
    audible = (frequencies < touch.rate / 2) & (amplitudes > floor)
    phases = touch.chance.uniform(0, 2 * np.pi, len(frequencies))
    exponents = ((2j * np.pi * frequencies - decays) / touch.rate)[audible]
    starts = (amplitudes * np.exp(1j * phases))[audible]
    blocks = np.arange(-(-touch.count // _BLOCK)) * _BLOCK
    outer = starts * np.exp(np.outer(blocks, exponents))
    inner = np.exp(np.outer(exponents, np.arange(_BLOCK)))
    total = outer.real @ inner.imag + outer.imag @ inner.real
    samples: Samples = total.reshape(-1)[: touch.count]
    return samples


def _noise(touch: KeyPress, gains: Callable[[Samples], Samples]) -> Samples:
    """Gaussian noise with ``gains`` (of frequencies in Hz), scaled to a mean square of 1."""
    bins = np.arange(touch.count // 2 + 1, dtype=np.float64)
    frequencies = bins * touch.rate / touch.count
    pairs = touch.chance.standard_normal((2, len(frequencies)))
    spectrum = gains(frequencies) * (pairs[0] + 1j * pairs[1])
    spectrum[0] = 0
    noise: Samples = np.fft.irfft(spectrum, touch.count)
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def _drawbars(timbre: Timbre, touch: KeyPress) -> Samples:
    numbers = touch.numbers(8)
    numbers = numbers[numbers != 7]  # an organ has no drawbar for the seventh
    return _bank(touch, numbers * touch.frequency, timbre.amplitudes(numbers, touch.force))


def _bowed(timbre: Timbre, touch: KeyPress) -> Samples:
    numbers = touch.numbers()
    return _bank(touch, numbers * touch.frequency, timbre.amplitudes(numbers, touch.force))


def _reed(timbre: Timbre, touch: KeyPress) -> Samples:
    numbers = touch.numbers()
    amplitudes = timbre.amplitudes(numbers, touch.force)
    amplitudes[1::2] *= 0.15 * timbre.shape
    return _bank(touch, numbers * touch.frequency, amplitudes)


def _sung(timbre: Timbre, touch: KeyPress) -> Samples:
    numbers = touch.numbers()
    frequencies = numbers * touch.frequency
    formants = np.array([300 + 500 * timbre.shape, 2200 - 1300 * timbre.shape, 2800])  # Hz
    bells = np.exp(-0.5 * (np.log2(frequencies[:, None] / formants) / 0.2) ** 2)
    vowel = 0.1 + bells @ np.array([1.0, 0.6, 0.4])
    return _bank(touch, frequencies, vowel * timbre.amplitudes(numbers, touch.force))


def _hammered(timbre: Timbre, touch: KeyPress) -> Samples:
    numbers = touch.numbers()
    stiffness = (0.5 + 5 * timbre.shape) * 1e-4 * touch.frequency / _C4
    stretch = np.sqrt((1 + stiffness * numbers**2) / (1 + stiffness))
    decays = timbre.damping(touch.frequency) * (1 + 0.1 * (numbers - 1))
    amplitudes = timbre.amplitudes(numbers, touch.force)
    return _bank(touch, numbers * touch.frequency * stretch, amplitudes, decays)


def _plucked(timbre: Timbre, touch: KeyPress) -> Samples:
    numbers = touch.numbers()
    frequencies = numbers * touch.frequency
    place = 0.08 + 0.2 * timbre.shape  # of the string's length, where it is plucked
    amplitudes = timbre.amplitudes(numbers, touch.force) * np.abs(np.sin(np.pi * place * numbers))
    averages = np.cos(np.pi * np.minimum(frequencies, 0.45 * _LOOP_RATE) / _LOOP_RATE)
    losses = -touch.frequency * np.log(averages)
    decays = timbre.damping(touch.frequency) + losses - losses[0]
    return _bank(touch, frequencies, amplitudes, decays)


def _bar(timbre: Timbre, touch: KeyPress) -> Samples:
    ratios = np.array([1.0, 3.9 + 0.2 * timbre.shape, 9.2 + timbre.shape])  # a tuned wooden bar
    amplitudes = timbre.amplitudes(ratios, touch.force)
    decays = timbre.damping(touch.frequency) * ratios
    tone = _bank(touch, ratios * touch.frequency, amplitudes, decays)
    knock = _noise(touch, lambda hertz: 1 / (1 + (hertz / 2000) ** 2))
    return tone + 0.1 * touch.force * knock * np.exp(-touch.times / 0.008)


def _blown(timbre: Timbre, touch: KeyPress) -> Samples:
    numbers = touch.numbers(12)
    tone = _bank(touch, numbers * touch.frequency, timbre.amplitudes(numbers, touch.force))

    def breath(hertz: Samples) -> Samples:
        octaves = np.log2(np.maximum(hertz, 20) / (2 * touch.frequency))
        return np.exp(-0.5 * (octaves / 1.2) ** 2)

    return tone + (0.02 + 0.06 * timbre.shape) * _noise(touch, breath)


def _modulated(timbre: Timbre, touch: KeyPress, indices: Samples) -> Samples:
    modulator = 1 + round(2 * timbre.shape)
    sidebands = math.floor((touch.rate / 2 - touch.frequency) / (modulator * touch.frequency))
    first = max(0, sidebands) + 1  # the first that would lie beyond half the sample rate
    largest = 2 * math.exp((math.log(_ALIAS) + math.lgamma(first + 1)) / first)
    angles = 2 * np.pi * touch.frequency * touch.times
    index = np.minimum(indices * (0.3 + 3 * touch.force), largest)
    voice: Samples = np.sin(angles + index * np.sin(modulator * angles))
    return voice


def _brass(timbre: Timbre, touch: KeyPress) -> Samples:
    return _modulated(timbre, touch, 1 - 0.7 * np.exp(-touch.times / (3 * timbre.attack)))


def _lead(timbre: Timbre, touch: KeyPress) -> Samples:
    return _modulated(timbre, touch, np.full(touch.count, 1.2))


def _tines(timbre: Timbre, touch: KeyPress) -> Samples:
    fall = np.exp(-timbre.damping(touch.frequency) * touch.times)
    return fall * _modulated(timbre, touch, np.sqrt(fall))


def _filtered(samples: Samples, rate: int, cutoffs: Samples, resonance: float) -> Samples:
    """Sound through a resonant low-pass, set anew every ``_HOP`` samples by overlap and add.

    Args:
        samples: float64 (samples,).
        rate: Hz.
        cutoffs: Hz, one for each hop (samples // ``_HOP`` + 1 at least).
        resonance: Q.
    """
    length = 4 * _HOP
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)  # sums to 2 at this hop
    count = len(samples) // _HOP + 4
    padded = np.pad(samples, (3 * _HOP, count * _HOP + length - len(samples) - 3 * _HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[: count * _HOP : _HOP]
    place = np.fft.rfftfreq(length, 1 / rate) / np.pad(cutoffs, (1, 3), "edge")[:count, None]
    gains = 1 / np.sqrt((1 - place**2) ** 2 + (place / resonance) ** 2)
    changed = np.fft.irfft(np.fft.rfft(frames * window) * gains, length) / 2
    total = np.zeros((count + 3, _HOP))
    for quarter in range(4):
        total[quarter : quarter + count] += changed[:, quarter * _HOP : (quarter + 1) * _HOP]
    return total.reshape(-1)[3 * _HOP : 3 * _HOP + len(samples)]


def _synthesised(timbre: Timbre, touch: KeyPress, lowest: float, fall: float) -> Samples:
    """A subtractive voice.

    Args:
        timbre: its knobs are the pulse's width, the sawtooth's share, the filter's place,
            movement and resonance, and the time of its movement.
        touch: the key press.
        lowest: octaves above the key at which the filter may stand at the least.
        fall: dB a second by which the voice grows weaker while the key is held.
    """
    width, saw, place, movement, time, resonance = timbre.knobs
    numbers = touch.numbers()
    pulse = np.abs(np.sin(np.pi * (0.1 + 0.4 * width) * numbers))
    amplitudes = np.where(saw > 0.5, 1.0, pulse) / numbers
    wave = _bank(touch, numbers * touch.frequency, amplitudes)
    moments = np.arange(touch.count // _HOP + 2) * _HOP / touch.rate
    falling = np.exp(-moments / (0.05 * 20**time))  # s, 0.05 … 1
    octaves = lowest + 3 * place + 2 * touch.force + 3 * movement * touch.force * falling
    cutoffs = np.minimum(touch.frequency * np.exp2(octaves), touch.rate)
    voice = _filtered(wave, touch.rate, cutoffs, 0.6 + 2 * resonance**2)
    faded: Samples = voice * np.power(10, -fall * touch.times / 20)
    return faded


def _synthesised_bass(timbre: Timbre, touch: KeyPress) -> Samples:
    return _synthesised(timbre, touch, 0.3, 40 * max(0.0, timbre.shape - 0.3))


def _synthesised_lead(timbre: Timbre, touch: KeyPress) -> Samples:
    return _synthesised(timbre, touch, 2.0, 0.0)


def _synthesised_strings(timbre: Timbre, touch: KeyPress) -> Samples:
    return _synthesised(timbre, touch, 1.0, 0.0)


@dataclass(frozen=True)
class Recipe:
    """A kind of voice, its NSynth labels, and the ranges its timbres are drawn from."""

    family: str
    source: str
    voice: Callable[[Timbre, KeyPress], Samples]
    tilt: tuple[float, float]  # dB per octave
    attack: tuple[float, float]  # s
    struck: bool = False  # falls silent by itself

    def draw(self, chance: np.random.Generator) -> Timbre:
        """A new instrument of this kind."""
        colour = chance.normal(0, 3, _COLOURED)
        colour[0] = 3.0  # the fundamental is never the one that is missing
        return Timbre(
            colour=colour,
            tilt=chance.uniform(*self.tilt),
            attack=chance.uniform(*self.attack),
            decay=math.exp(chance.uniform(math.log(1.5), math.log(12))),
            release=math.exp(chance.uniform(math.log(0.1), math.log(1.5))),
            shape=chance.uniform(),
            knobs=chance.uniform(size=_KNOBS),
        )

    def qualities(self, timbre: Timbre) -> tuple[str, ...]:
        """NSynth's qualities that a timbre of this kind has, in NSynth's order."""
        low, high = self.tilt
        quarter = (high - low) / 4
        applies = {
            "bright": quarter > 0 and timbre.tilt < low + quarter,
            "dark": quarter > 0 and timbre.tilt > high - quarter,
            "fast_decay": self.struck and timbre.decay < 4,
            "long_release": timbre.release > 0.9,
            "percussive": self.voice is _bar,
        }
        return tuple(quality for quality, true in applies.items() if true)


RECIPES = (
    Recipe("organ", "electronic", _drawbars, (0, 5), (0.005, 0.02)),
    Recipe("keyboard", "synthetic", _hammered, (4, 9), (0.002, 0.004), struck=True),
    Recipe("brass", "synthetic", _brass, (0, 0), (0.02, 0.08)),
    Recipe("guitar", "synthetic", _plucked, (2, 6), (0.002, 0.004), struck=True),
    Recipe("reed", "synthetic", _reed, (3, 7), (0.02, 0.06)),
    Recipe("flute", "synthetic", _blown, (9, 15), (0.03, 0.1)),
    Recipe("mallet", "synthetic", _bar, (6, 12), (0.002, 0.003), struck=True),
    Recipe("string", "synthetic", _bowed, (4, 8), (0.05, 0.2)),
    Recipe("bass", "electronic", _plucked, (5, 9), (0.003, 0.006), struck=True),
    Recipe("synth_lead", "synthetic", _lead, (0, 0), (0.003, 0.02)),
    Recipe("keyboard", "electronic", _tines, (0, 0), (0.002, 0.004), struck=True),
    Recipe("vocal", "synthetic", _sung, (3, 6), (0.04, 0.12)),
    Recipe("bass", "synthetic", _synthesised_bass, (0, 0), (0.002, 0.01)),
    Recipe("synth_lead", "synthetic", _synthesised_lead, (0, 0), (0.002, 0.05)),
    Recipe("string", "synthetic", _synthesised_strings, (0, 0), (0.08, 0.4)),
)


def envelope(touch: KeyPress, attack: float, release: float) -> Samples:
    """How a key press begins and ends: (samples,) in 0..1, zero at both ends.

    Args:
        touch: the key press; the key goes up after three quarters of it.
        attack: s, a raised cosine.
        release: s in which the sound falls by 60 dB once the key is up.
    """
    levels = np.ones(touch.count)
    hold = round(HOLD_SECONDS / NOTE_SECONDS * touch.count)
    levels[hold:] = np.exp(-math.log(1000) / release / touch.rate * np.arange(touch.count - hold))
    rise = min(round(attack * touch.rate), hold)
    levels[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    last = round(FADE_SECONDS * touch.rate)
    levels[-last:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, last + 1) / last)
    return levels
