"""What befalls a note between the instrument and the ear: pure functions on batches of audio.

Filters are drawn as decibels over frequency, d(f), and made causal: the minimum-phase response of
that magnitude has the cepstrum of ln|H| = d · ln 10 / 20 folded to positive times (Oppenheim and
Schafer, "Discrete-Time Signal Processing", 1989),

    h = IDFT exp DFT(fold(IDFT ln|H|)),   fold(c)[n] = c[n] · {1 at n = 0, N/2; 2 between; 0 behind}

A room is the direct sound with a tail of noise that decays by 60 dB in T seconds (Polack, "La
transmission de l'énergie sonore dans les salles", 1988; Moorer, "About this reverberation
business", 1979):  h[n] = δ[n] + g · w[n] · 10^(−3 n / (T r)),  w white, r the sample rate.

Delays that are no whole number of samples are read from a cubic B-spline laid through the sound,
whose coefficients are the spectrum divided by (2 + cos ω) / 3 (Unser, "Splines: a perfect fit for
signal and image processing", 1999). Taken at twice the rate, images stay 50 dB below a partial at
6 kHz and 75 dB below one at 3 kHz.

All audio is float32 (batch, samples) at 16 kHz; parameters are (batch,), one for each note, on the
audio's device. Nothing here changes its arguments, and silence in is silence out.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from mechanical_ears.note import NOTE_SAMPLE_RATE as RATE

FILTER_SAMPLES = 4096  # samples of a filter's response: a grid of 3.9 Hz
MIN_GAIN_DB = -90.0  # dB, where the stop bands of filters end
ORDER = 4  # of the Butterworth band limits: 24 dB an octave
PIVOT_FREQUENCY = 1000.0  # Hz, which a tilt leaves alone
MAX_TILT_DB = 24.0  # dB, where a tilt levels out
NOISE_KINDS = ("white", "pink", "brown", "hum")
MIN_NOISE_FREQUENCY = 20.0  # Hz, where pink and brown noise begin
HUM_PARTIALS = 20  # of the mains' frequency
FADE_SECONDS = 0.005  # s, at the end of what is kept
VOCODER_WINDOW = 1024  # samples, in which a sound is resynthesised
MAX_DELAY_SECONDS = 0.06  # s
MAX_DETUNING_CENTS = 100.0  # cents
_TINY = 1e-12  # keeps silence from being divided by zero


@lru_cache
def fast_length(least: int) -> int:
    """The shortest even length from ``least`` on whose only prime factors are 2, 3 and 5."""
    length = least + least % 2
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


def ratio(decibels: Tensor) -> Tensor:
    """Amplitude ratio of a level in dB (20 → 10)."""
    return torch.exp(decibels * (math.log(10) / 20))


def detune(audio: Tensor, cents: Tensor) -> Tensor:
    """Play faster or slower: y(t) = x(t · 2^(cents / 1200)); the onset stays where it is.

    Args:
        audio: float32 (batch, samples); behind its end is silence.
        cents: (batch,) in ±100, above 0 for higher and shorter.
    """
    time = torch.arange(audio.shape[1], device=audio.device, dtype=torch.float32)
    lead = torch.expm1(cents.to(torch.float32) * (math.log(2) / 1200))[:, None] * time
    return _interpolate(_spline(audio), lead)


def chorus(audio: Tensor, delay: Tensor, rate: Tensor, depth: Tensor, level: Tensor) -> Tensor:
    """Add a copy whose delay swings, as if a second player joined; the mean pitch stays.

    Args:
        audio: float32 (batch, samples).
        delay: of the copy in s, in the middle of its swing; with the swing within 0..0.06.
        rate: of the swing in Hz.
        depth: how far the copy's pitch swings to either side, in cents.
        level: of the copy against the note, in dB.
    """
    time = torch.arange(audio.shape[1], device=audio.device, dtype=torch.float32) / RATE
    turn = 2 * math.pi * rate[:, None]
    late = delay[:, None] + swing(rate, depth)[:, None] * torch.sin(turn * time)
    copy = _interpolate(_spline(audio), -RATE * late)
    return audio + ratio(level)[:, None] * copy


def swing(rate: Tensor, depth: Tensor) -> Tensor:
    """How far in s a delay swings to either side for ``depth`` cents ``rate`` times a second."""
    return torch.expm1(depth * (math.log(2) / 1200)) / (2 * math.pi * rate)


def blur_phases(audio: Tensor, blur: Tensor, generator: torch.Generator) -> Tensor:
    """Build the sound anew from its short-time magnitudes with inexact phases.

    What a vocoder, a codec or a network loses when it makes sound from a spectrogram (Griffin and
    Lim, "Signal estimation from modified short-time Fourier transform", 1984): phases are off by up
    to ``blur`` half turns, so that partials of equal magnitude sound rougher.

    Args:
        audio: float32 (batch, samples).
        blur: (batch,), 0 (nothing changes) to 1 (phases are random).
        generator: of the phases, on the audio's device.
    """
    window = torch.hann_window(VOCODER_WINDOW, device=audio.device)
    frames = torch.stft(
        audio,
        VOCODER_WINDOW,
        VOCODER_WINDOW // 4,
        window=window,
        pad_mode="constant",  # notes may be shorter than a window
        return_complex=True,
    )
    off = torch.rand(frames.shape, generator=generator, device=audio.device).mul_(2).sub_(1)
    off.mul_(math.pi * blur[:, None, None])
    turned = frames * torch.polar(torch.ones_like(off), off)
    return torch.istft(
        turned, VOCODER_WINDOW, VOCODER_WINDOW // 4, window=window, length=audio.shape[1]
    )


def _spline(audio: Tensor) -> Tensor:
    """A sixth of the B-spline coefficients at twice the rate, with room at both ends for delays."""
    before, behind = _margins(audio.shape[1])
    length = fast_length(before + audio.shape[1] + behind)
    padding = (before, length - before - audio.shape[1])
    spectrum = torch.fft.rfft(torch.nn.functional.pad(audio, padding))
    omega = torch.arange(spectrum.shape[1], device=audio.device) * (math.pi / length)
    spline: Tensor = torch.fft.irfft(spectrum / (2 + torch.cos(omega)), 2 * length)
    return spline


def _margins(samples: int) -> tuple[int, int]:
    widest = 2 ** (MAX_DETUNING_CENTS / 1200) - 1
    return math.ceil(MAX_DELAY_SECONDS * RATE) + 2, math.ceil(widest * samples) + 4


def _interpolate(spline: Tensor, lead: Tensor) -> Tensor:
    """The sound at sample n + lead[n]; lead: float32 (batch, samples)."""
    before, _ = _margins(lead.shape[1])
    lead = 2 * lead
    whole = torch.floor(lead)
    t = lead.sub_(whole)
    place = torch.arange(lead.shape[1], device=lead.device) * 2 + (2 * before - 1)
    index = whole.to(torch.int64).add_(place)
    a, b, c, d = (spline[:, tap:].gather(1, index) for tap in range(4))
    sound = (b - c).mul_(3).add_(d).sub_(a).mul_(t)
    sound.add_((a + c).sub_(b, alpha=2), alpha=3).mul_(t)
    sound.add_(c - a, alpha=3).mul_(t)
    return sound.add_(a).add_(b, alpha=4).add_(c)


def tilt(slope: Tensor) -> Tensor:
    """A spectrum that rises by ``slope`` dB an octave around 1 kHz, within ±24 dB.

    Returns:
        Decibels, float32 (batch, FILTER // 2 + 1).
    """
    octaves = torch.log2(_frequencies(slope.device) / PIVOT_FREQUENCY)
    return (slope[:, None] * octaves).clamp(-MAX_TILT_DB, MAX_TILT_DB)


def peaks(gain: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    """Broad hills and valleys: Gaussian in octaves.

    Args:
        gain: dB at the middle, float32 (batch, peaks).
        centre: Hz, (batch, peaks).
        width: octaves from the middle to where exp(−½) of the gain is left, (batch, peaks).

    Returns:
        Decibels, float32 (batch, FILTER // 2 + 1).
    """
    away = torch.log2(_frequencies(gain.device) / centre[..., None]) / width[..., None]
    return (gain[..., None] * torch.exp(-0.5 * away.square())).sum(1)


def low_pass(cutoff: Tensor) -> Tensor:
    """Butterworth's low-pass, −3 dB at ``cutoff`` Hz (infinite for none), in dB as `tilt`."""
    return _butterworth(_frequencies(cutoff.device) / cutoff[:, None])


def high_pass(cutoff: Tensor) -> Tensor:
    """Butterworth's high-pass, −3 dB at ``cutoff`` Hz (0 for none), in dB as `tilt`."""
    return _butterworth(cutoff[:, None] / _frequencies(cutoff.device))


def _butterworth(beyond: Tensor) -> Tensor:
    return (-10 * torch.log10(1 + beyond ** (2 * ORDER))).clamp(min=MIN_GAIN_DB)


def _frequencies(device: torch.device) -> Tensor:
    """Hz of a filter's grid; its first stands for 0 Hz, half a step up."""
    steps = torch.arange(FILTER_SAMPLES // 2 + 1, device=device, dtype=torch.float32)
    return steps.clamp(min=0.5) * (RATE / FILTER_SAMPLES)


def minimum_phase(decibels: Tensor) -> Tensor:
    """The causal impulse response with these magnitudes that comes soonest.

    Args:
        decibels: float32 (batch, FILTER // 2 + 1), the sum of what the filters do.

    Returns:
        float32 (batch, FILTER).
    """
    cepstrum = torch.fft.irfft(
        decibels.clamp(min=MIN_GAIN_DB) * (math.log(10) / 20), FILTER_SAMPLES
    )
    fold = torch.zeros(FILTER_SAMPLES, device=decibels.device)
    fold[1 : FILTER_SAMPLES // 2] = 2
    fold[0] = fold[FILTER_SAMPLES // 2] = 1
    response: Tensor = torch.fft.irfft(torch.exp(torch.fft.rfft(cepstrum * fold)), FILTER_SAMPLES)
    return response


def room_response(
    decay: Tensor, level: Tensor, longest: float, generator: torch.Generator
) -> Tensor:
    """Impulse response of a room: the direct sound and a decaying tail of noise.

    Args:
        decay: seconds in which the tail falls by 60 dB (RT60).
        level: energy of the whole tail against the direct sound, in dB.
        longest: s, where tails end; the longest decay.
        generator: on the device of ``decay``.

    Returns:
        float32 (batch, longest · 16,000).
    """
    count = math.ceil(longest * RATE)
    time = torch.arange(count, device=decay.device) / RATE
    noise = torch.randn(len(decay), count, device=decay.device, generator=generator)
    tail = noise * torch.exp(time * (-3 * math.log(10) / decay)[:, None])
    tail[:, 0] = 0
    tail *= (ratio(level) / tail.square().sum(1).sqrt().clamp(min=_TINY))[:, None]
    tail[:, 0] = 1
    return tail


def convolve(audio: Tensor, *responses: Tensor) -> Tensor:
    """Send notes through filters one after another: one transform there, one back.

    Args:
        audio: float32 (batch, samples).
        responses: impulse responses, each float32 (batch, its samples).

    Returns:
        float32 (batch, samples): what rings on beyond the end is left out.
    """
    samples = audio.shape[1]
    length = fast_length(samples + sum(response.shape[1] for response in responses))
    spectrum = torch.fft.rfft(audio, length)
    for response in responses:
        spectrum = spectrum * torch.fft.rfft(response, length)
    filtered: Tensor = torch.fft.irfft(spectrum, length)
    return filtered[:, :samples]


def shift(audio: Tensor, start: Tensor) -> Tensor:
    """Begin ``start`` samples into the note; below 0 with as much silence before its onset."""
    samples = audio.shape[1]
    index = torch.arange(samples, device=audio.device) + start[:, None]
    inside = (index >= 0) & (index < samples)
    return audio.gather(1, index.clamp(0, samples - 1)) * inside


def cut(audio: Tensor, end: Tensor) -> Tensor:
    """Silence from sample ``end`` on, after a fade of 5 ms."""
    time = torch.arange(audio.shape[1], device=audio.device)
    return audio * ((end[:, None] - time) / (FADE_SECONDS * RATE)).clamp(0, 1)


def clip(audio: Tensor, over: Tensor, hard: Tensor) -> Tensor:
    """Overdrive: the peak is driven ``over`` dB beyond what is let through.

    Args:
        audio: float32 (batch, samples).
        over: dB, 0 or more.
        hard: bool; True cuts the tops off, False bends them (tanh).

    Returns:
        float32 (batch, samples), scaled back so that its peak is no higher than before.
    """
    peak = audio.abs().amax(1).clamp(min=_TINY)[:, None]
    driven = audio * (ratio(over)[:, None] / peak)
    return peak * torch.where(hard[:, None], driven.clamp(-1, 1), torch.tanh(driven))


def make_noise(kind: Tensor, mains: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Noise, shaped in the frequency domain.

    Args:
        kind: int64 (batch,), place in ``NOISE_KINDS``: white (power per Hz equal), pink (−3 dB an
            octave), brown (−6 dB an octave), hum (the mains with 20 partials of random levels).
        mains: Hz, 50 or 60, (batch,); taken to the nearest of the steps that ``samples`` allow.
        samples: length.
        generator: on the device of ``kind``.

    Returns:
        float32 (batch, samples), of any level.
    """
    device, batch, length = kind.device, len(kind), fast_length(samples)
    bins = length // 2 + 1
    frequency = torch.arange(bins, device=device) * (RATE / length)
    octaves = frequency.clamp(min=MIN_NOISE_FREQUENCY) / MIN_NOISE_FREQUENCY
    heard = (frequency >= MIN_NOISE_FREQUENCY).to(torch.float32)
    shapes = [torch.ones_like(octaves), heard * octaves**-0.5, heard / octaves]
    shape = torch.stack([*shapes, torch.zeros_like(octaves)])
    grain = torch.randn(batch, bins, 2, device=device, generator=generator)
    spectrum = torch.view_as_complex(grain) * shape[kind]

    partial = torch.arange(1, HUM_PARTIALS + 1, device=device)
    place = (mains[:, None] * partial * (length / RATE)).round().to(torch.int64)
    lines = torch.randn(batch, HUM_PARTIALS, 2, device=device, generator=generator)
    humming = (kind == NOISE_KINDS.index("hum"))[:, None] & (place < bins)
    spectrum.scatter_add_(
        1,
        place.clamp(max=bins - 1),
        torch.view_as_complex(lines) * (humming * (length / partial)),
    )
    noise: Tensor = torch.fft.irfft(spectrum, length)
    return noise[:, :samples]


def power(audio: Tensor, first: Tensor, end: Tensor) -> Tensor:
    """Mean square from sample ``first`` to ``end``, float32 (batch,)."""
    time = torch.arange(audio.shape[1], device=audio.device)
    part = (time >= first[:, None]) & (time < end[:, None])
    return (audio.square() * part).sum(1) / (end - first).clamp(min=1)


def add_noise(audio: Tensor, noise: Tensor, snr: Tensor, first: Tensor, end: Tensor) -> Tensor:
    """Lay noise over everything, as loud as it must be over the part that is listened to.

    Args:
        audio: float32 (batch, samples).
        noise: float32 (batch, samples), of any level.
        snr: dB, mean power of the note over that of the noise, from sample ``first`` to ``end``.
        first: int64 (batch,), where the note begins.
        end: int64 (batch,), where what is kept of it ends.
    """
    there = power(noise, first, end).clamp(min=_TINY)
    factor = (power(audio, first, end) / there).sqrt() * ratio(-snr)
    return audio + factor[:, None] * noise


def level(audio: Tensor, peak: Tensor) -> Tensor:
    """Bring the highest sample of each note to ``peak`` dB of full scale; silence stays."""
    highest = audio.abs().amax(1)
    return audio * torch.where(highest > 0, ratio(peak) / highest.clamp(min=_TINY), 1)[:, None]


def gain(audio: Tensor, decibels: Tensor) -> Tensor:
    """Louder by ``decibels``, but never beyond full scale: what would clip is held at a peak of 1.

    Args:
        audio: float32 (batch, samples).
        decibels: (batch,).
    """
    louder = audio * ratio(decibels)[:, None]
    return louder / louder.abs().amax(1).clamp(min=1)[:, None]
