"""Effects on notes, for augmentation: pure functions on batches of audio.

Filters are given in decibels over frequency, d(f), and made causal: the minimum-phase response of
that magnitude has the cepstrum of ln|H| = d · ln 10 / 20 folded to positive times (Oppenheim and
Schafer, "Discrete-Time Signal Processing", 1989),

    h = IDFT exp DFT(fold(IDFT ln|H|)),  fold(c)[n] = c[n] · {1 at n = 0, N/2; 2 between; 0 after}

A room is the direct sound with a tail of noise that decays by 60 dB in T seconds (Polack, "La
transmission de l'énergie sonore dans les salles", 1988; Moorer, "About this reverberation
business", 1979):  h[n] = δ[n] + g · w[n] · 10^(−3 n / (T r)),  w white, r the sample rate.

Delays by fractions of a sample interpolate the sound by a cubic B-spline, whose coefficients have
the spectrum divided by (2 + cos ω) / 3 (Unser, "Splines: a perfect fit for signal and image
processing", 1999). At twice the sample rate, images are 50 dB below a partial at 6 kHz and 75 dB
below one at 3 kHz.

All audio is float32 (batch, samples) at 16 kHz; parameters are (batch,), one for each note, on the
device of the audio. No function changes its arguments, and silence stays silence.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from mechanical_ears.note import NOTE_SAMPLE_RATE as RATE

FILTER_SAMPLES = 4096  # of an impulse response: a grid of 3.9 Hz
MIN_GAIN_DB = -90.0  # of stop bands
ORDER = 4  # of the Butterworth band limits: 24 dB an octave
PIVOT_FREQUENCY = 1000.0  # Hz, unchanged by a tilt
MAX_TILT_DB = 24.0  # where a tilt levels out
NOISE_KINDS = ("white", "pink", "brown", "hum")
MIN_NOISE_FREQUENCY = 20.0  # Hz, of pink and brown noise
HUM_PARTIALS = 20  # of the mains frequency
FADE_SECONDS = 0.005  # at a cut
VOCODER_WINDOW = 1024  # samples
MAX_DELAY_SECONDS = 0.06
MAX_DETUNING_CENTS = 100.0
_TINY = 1e-12  # avoids division by zero in silence


@lru_cache
def fast_length(minimum: int) -> int:
    """The shortest even length ≥ ``minimum`` whose only prime factors are 2, 3 and 5."""
    length = minimum + minimum % 2
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


def amplitude_ratio(decibels: Tensor) -> Tensor:
    """Amplitude ratio of a level in dB (20 → 10)."""
    return torch.exp(decibels * (math.log(10) / 20))


def detune(audio: Tensor, cents: Tensor) -> Tensor:
    """Detune by resampling: y(t) = x(t · 2^(cents / 1200)); the onset does not move.

    Args:
        audio: float32 (batch, samples); silence after its end.
        cents: (batch,) in ±100, above 0 for higher and shorter.
    """
    time = torch.arange(audio.shape[1], device=audio.device, dtype=torch.float32)
    lead = torch.expm1(cents.to(torch.float32) * (math.log(2) / 1200))[:, None] * time
    return _interpolate(_spline(audio), lead)


def chorus(audio: Tensor, delay: Tensor, rate: Tensor, depth: Tensor, level: Tensor) -> Tensor:
    """Add a copy with a modulated delay, like a second player; the mean pitch stays.

    Args:
        audio: float32 (batch, samples).
        delay: mean delay of the copy in s; with the modulation within 0..0.06.
        rate: of the modulation in Hz.
        depth: deviation of the pitch of the copy to either side, in cents.
        level: of the copy relative to the note, in dB.
    """
    time = torch.arange(audio.shape[1], device=audio.device, dtype=torch.float32) / RATE
    omega = 2 * math.pi * rate[:, None]
    delays = delay[:, None] + swing(rate, depth)[:, None] * torch.sin(omega * time)
    copy = _interpolate(_spline(audio), -RATE * delays)
    return audio + amplitude_ratio(level)[:, None] * copy


def swing(rate: Tensor, depth: Tensor) -> Tensor:
    """Amplitude in s of a delay modulated at ``rate`` Hz, for a deviation of ``depth`` cents."""
    return torch.expm1(depth * (math.log(2) / 1200)) / (2 * math.pi * rate)


def blur_phases(audio: Tensor, blur: Tensor, rng: torch.Generator) -> Tensor:
    """Resynthesise from short-time magnitudes with inexact phases.

    This is the loss of a vocoder, a codec or a network that makes sound from a spectrogram (Griffin
    and Lim, "Signal estimation from modified short-time Fourier transform", 1984): phases are off
    by up to ``blur`` · 180°, so that partials of equal magnitude sound rougher.

    Args:
        audio: float32 (batch, samples).
        blur: (batch,), 0 (nothing changes) to 1 (phases are random).
        rng: of the phases, on the device of the audio.
    """
    sizes = (VOCODER_WINDOW, VOCODER_WINDOW // 4)
    window = torch.hann_window(VOCODER_WINDOW, device=audio.device)
    # padded with zeros, as notes may be shorter than a window
    frames = torch.stft(audio, *sizes, window=window, pad_mode="constant", return_complex=True)
    error = torch.rand(frames.shape, generator=rng, device=audio.device).mul_(2).sub_(1)
    error.mul_(math.pi * blur[:, None, None])
    blurred = frames * torch.polar(torch.ones_like(error), error)
    return torch.istft(blurred, *sizes, window=window, length=audio.shape[1])


def _spline(audio: Tensor) -> Tensor:
    """A sixth of the B-spline coefficients at twice the rate, padded at both ends for delays."""
    before, after = _margins(audio.shape[1])
    length = fast_length(before + audio.shape[1] + after)
    padding = (before, length - before - audio.shape[1])
    spectrum = torch.fft.rfft(torch.nn.functional.pad(audio, padding))
    omega = torch.arange(spectrum.shape[1], device=audio.device) * (math.pi / length)
    spline: Tensor = torch.fft.irfft(spectrum / (2 + torch.cos(omega)), 2 * length)
    return spline


def _margins(samples: int) -> tuple[int, int]:
    stretch = 2 ** (MAX_DETUNING_CENTS / 1200) - 1
    return math.ceil(MAX_DELAY_SECONDS * RATE) + 2, math.ceil(stretch * samples) + 4


def _interpolate(spline: Tensor, lead: Tensor) -> Tensor:
    """The sound at sample n + lead[n]; lead: float32 (batch, samples)."""
    before, _ = _margins(lead.shape[1])
    lead = 2 * lead
    whole = torch.floor(lead)
    t = lead.sub_(whole)
    first = torch.arange(lead.shape[1], device=lead.device) * 2 + (2 * before - 1)
    index = whole.to(torch.int64).add_(first)
    a, b, c, d = (spline[:, tap:].gather(1, index) for tap in range(4))
    sound = (b - c).mul_(3).add_(d).sub_(a).mul_(t)
    sound.add_((a + c).sub_(b, alpha=2), alpha=3).mul_(t)
    sound.add_(c - a, alpha=3).mul_(t)
    return sound.add_(a).add_(b, alpha=4).add_(c)


def tilt(slope: Tensor) -> Tensor:
    """A spectral tilt of ``slope`` dB an octave around 1 kHz, within ±24 dB.

    Returns:
        Decibels, float32 (batch, FILTER_SAMPLES // 2 + 1).
    """
    octaves = torch.log2(_frequencies(slope.device) / PIVOT_FREQUENCY)
    return (slope[:, None] * octaves).clamp(-MAX_TILT_DB, MAX_TILT_DB)


def peaks(gain: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    """Broad peaks and dips: Gaussian in octaves.

    Args:
        gain: dB at the centre, float32 (batch, peaks).
        centre: Hz, (batch, peaks).
        width: octaves from the centre to where the gain is exp(−½) of it, (batch, peaks).

    Returns:
        Decibels, float32 (batch, FILTER_SAMPLES // 2 + 1).
    """
    distance = torch.log2(_frequencies(gain.device) / centre[..., None]) / width[..., None]
    return (gain[..., None] * torch.exp(-0.5 * distance.square())).sum(1)


def low_pass(cutoff: Tensor) -> Tensor:
    """A Butterworth low-pass, −3 dB at ``cutoff`` Hz (infinite for none), in dB as `tilt`."""
    return _butterworth(_frequencies(cutoff.device) / cutoff[:, None])


def high_pass(cutoff: Tensor) -> Tensor:
    """A Butterworth high-pass, −3 dB at ``cutoff`` Hz (0 for none), in dB as `tilt`."""
    return _butterworth(cutoff[:, None] / _frequencies(cutoff.device))


def _butterworth(frequency_ratio: Tensor) -> Tensor:
    return (-10 * torch.log10(1 + frequency_ratio ** (2 * ORDER))).clamp(min=MIN_GAIN_DB)


def _frequencies(device: torch.device) -> Tensor:
    """Hz of the grid of a filter; half a step instead of 0 Hz."""
    steps = torch.arange(FILTER_SAMPLES // 2 + 1, device=device, dtype=torch.float32)
    return steps.clamp(min=0.5) * (RATE / FILTER_SAMPLES)


def minimum_phase(decibels: Tensor) -> Tensor:
    """The minimum-phase impulse response with these magnitudes.

    Args:
        decibels: float32 (batch, FILTER_SAMPLES // 2 + 1), the sum of all filters.

    Returns:
        float32 (batch, FILTER_SAMPLES).
    """
    nepers = decibels.clamp(min=MIN_GAIN_DB) * (math.log(10) / 20)
    cepstrum = torch.fft.irfft(nepers, FILTER_SAMPLES)
    fold = torch.zeros(FILTER_SAMPLES, device=decibels.device)
    fold[1 : FILTER_SAMPLES // 2] = 2
    fold[0] = fold[FILTER_SAMPLES // 2] = 1
    response: Tensor = torch.fft.irfft(torch.exp(torch.fft.rfft(cepstrum * fold)), FILTER_SAMPLES)
    return response


def room_response(decay: Tensor, level: Tensor, max_seconds: float, rng: torch.Generator) -> Tensor:
    """Impulse response of a room: the direct sound and a decaying tail of noise.

    Args:
        decay: seconds in which the tail falls by 60 dB (RT60).
        level: energy of the whole tail relative to the direct sound, in dB.
        max_seconds: length of tails, the longest decay.
        rng: on the device of ``decay``.

    Returns:
        float32 (batch, max_seconds · 16,000).
    """
    count = math.ceil(max_seconds * RATE)
    time = torch.arange(count, device=decay.device) / RATE
    noise = torch.randn(len(decay), count, device=decay.device, generator=rng)
    tail = noise * torch.exp(time * (-3 * math.log(10) / decay)[:, None])
    tail[:, 0] = 0
    tail *= (amplitude_ratio(level) / tail.square().sum(1).sqrt().clamp(min=_TINY))[:, None]
    tail[:, 0] = 1
    return tail


def convolve(audio: Tensor, *responses: Tensor) -> Tensor:
    """Apply several filters to notes, in one Fourier transform.

    Args:
        audio: float32 (batch, samples).
        responses: impulse responses, each float32 (batch, its samples).

    Returns:
        float32 (batch, samples): cut at the end of the notes.
    """
    samples = audio.shape[1]
    length = fast_length(samples + sum(response.shape[1] for response in responses))
    spectrum = torch.fft.rfft(audio, length)
    for response in responses:
        spectrum = spectrum * torch.fft.rfft(response, length)
    filtered: Tensor = torch.fft.irfft(spectrum, length)
    return filtered[:, :samples]


def shift(audio: Tensor, start: Tensor) -> Tensor:
    """Skip ``start`` samples; below 0, insert as much silence before the onset."""
    samples = audio.shape[1]
    index = torch.arange(samples, device=audio.device) + start[:, None]
    inside = (index >= 0) & (index < samples)
    return audio.gather(1, index.clamp(0, samples - 1)) * inside


def cut(audio: Tensor, end: Tensor) -> Tensor:
    """Silence from sample ``end`` on, after a fade of 5 ms."""
    time = torch.arange(audio.shape[1], device=audio.device)
    return audio * ((end[:, None] - time) / (FADE_SECONDS * RATE)).clamp(0, 1)


def clip(audio: Tensor, over: Tensor, hard: Tensor) -> Tensor:
    """Overdrive the peak by ``over`` dB.

    Args:
        audio: float32 (batch, samples).
        over: dB, 0 or more.
        hard: bool; True for hard clipping, False for soft (tanh).

    Returns:
        float32 (batch, samples), scaled back to a peak no higher than before.
    """
    peak = audio.abs().amax(1).clamp(min=_TINY)[:, None]
    driven = audio * (amplitude_ratio(over)[:, None] / peak)
    return peak * torch.where(hard[:, None], driven.clamp(-1, 1), torch.tanh(driven))


def make_noise(kind: Tensor, mains: Tensor, samples: int, rng: torch.Generator) -> Tensor:
    """Make noise, shaped in the frequency domain.

    Args:
        kind: int64 (batch,), index in ``NOISE_KINDS``: white (equal power per Hz), pink (−3 dB an
            octave), brown (−6 dB an octave), hum (the mains with 20 partials of random levels).
        mains: Hz, 50 or 60, (batch,); rounded to the frequencies of a transform of ``samples``.
        samples: length.
        rng: on the device of ``kind``.

    Returns:
        float32 (batch, samples), of any level.
    """
    device, batch, length = kind.device, len(kind), fast_length(samples)
    bins = length // 2 + 1
    frequency = torch.arange(bins, device=device) * (RATE / length)
    octaves = frequency.clamp(min=MIN_NOISE_FREQUENCY) / MIN_NOISE_FREQUENCY
    audible = (frequency >= MIN_NOISE_FREQUENCY).to(torch.float32)
    shapes = [torch.ones_like(octaves), audible * octaves**-0.5, audible / octaves]
    shape = torch.stack([*shapes, torch.zeros_like(octaves)])
    numbers = torch.randn(batch, bins, 2, device=device, generator=rng)
    spectrum = torch.view_as_complex(numbers) * shape[kind]

    partial = torch.arange(1, HUM_PARTIALS + 1, device=device)
    index = (mains[:, None] * partial * (length / RATE)).round().to(torch.int64)
    lines = torch.randn(batch, HUM_PARTIALS, 2, device=device, generator=rng)
    hum = (kind == NOISE_KINDS.index("hum"))[:, None] & (index < bins)
    spectrum.scatter_add_(
        1, index.clamp(max=bins - 1), torch.view_as_complex(lines) * (hum * (length / partial))
    )
    noise: Tensor = torch.fft.irfft(spectrum, length)
    return noise[:, :samples]


def power(audio: Tensor, first: Tensor, end: Tensor) -> Tensor:
    """Mean square from sample ``first`` to ``end``, float32 (batch,)."""
    time = torch.arange(audio.shape[1], device=audio.device)
    part = (time >= first[:, None]) & (time < end[:, None])
    return (audio.square() * part).sum(1) / (end - first).clamp(min=1)


def add_noise(audio: Tensor, noise: Tensor, snr: Tensor, first: Tensor, end: Tensor) -> Tensor:
    """Add noise to the whole, at a signal-to-noise ratio measured over a part.

    Args:
        audio: float32 (batch, samples).
        noise: float32 (batch, samples), of any level.
        snr: dB, mean power of the note over that of the noise, from sample ``first`` to ``end``.
        first: int64 (batch,), beginning of the part.
        end: int64 (batch,), its end.
    """
    noise_power = power(noise, first, end).clamp(min=_TINY)
    factor = (power(audio, first, end) / noise_power).sqrt() * amplitude_ratio(-snr)
    return audio + factor[:, None] * noise


def set_peak(audio: Tensor, peak: Tensor) -> Tensor:
    """Scale each note to a peak of ``peak`` dB of full scale; silence stays."""
    highest = audio.abs().amax(1)
    gain = torch.where(highest > 0, amplitude_ratio(peak) / highest.clamp(min=_TINY), 1)
    return audio * gain[:, None]


def apply_gain(audio: Tensor, decibels: Tensor) -> Tensor:
    """Apply a gain of ``decibels``, limited to a peak of 1.

    Args:
        audio: float32 (batch, samples).
        decibels: (batch,).
    """
    louder = audio * amplitude_ratio(decibels)[:, None]
    return louder / louder.abs().amax(1).clamp(min=1)[:, None]
