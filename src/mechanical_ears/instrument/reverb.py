"""Reverb of a room: convolution with decaying noise.

After Moorer, "About this reverberation business" (1979): the impulse response is white noise,
independent for left and right, whose level falls by 60 dB in T(f) seconds: T below 1 kHz, less
above. It is built in bands by Fourier transforms, starts after a few milliseconds, and has an
energy of 1, so that ``mix`` is the level of the room relative to the dry sound. The convolution is
done by overlap and add.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mechanical_ears.instrument.sampled import Audio

DECAY_SECONDS: Final = 1.8  # s, to fall by 60 dB, below 1 kHz
LENGTH_SHARE: Final = 1.2  # of the decay: length of the impulse response
DELAY_SECONDS: Final = 0.012  # s, before the reverb starts
MIN_FREQUENCY: Final = 120.0  # Hz, below which a room would only boom
BAND_EDGES: Final = (250.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0)  # Hz, upper edges
DECAY_SHARES: Final = (1.0, 1.0, 0.8, 0.6, 0.4, 0.25)  # of the decay time, in each band
BLOCK_FRAMES: Final = 1 << 16


def room_response(sample_rate: int, seconds: float = DECAY_SECONDS, seed: int = 0) -> Audio:
    """Impulse response of a room, float32 (frames, 2).

    Args:
        sample_rate: Hz.
        seconds: s in which the level falls by 60 dB, below 1 kHz.
        seed: of the noise; another seed is another room.
    """
    count = round(LENGTH_SHARE * seconds * sample_rate)
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((count, 2)), axis=0)
    frequencies = np.fft.rfftfreq(count, 1 / sample_rate)
    times = np.arange(count) / sample_rate
    response = np.zeros((count, 2))
    low = MIN_FREQUENCY
    for high, share in zip(BAND_EDGES, DECAY_SHARES, strict=True):
        band = (frequencies >= low) & (frequencies < high)
        noise = np.fft.irfft(spectrum * band[:, None], count, axis=0)
        response += noise * (10 ** (-3 * times / (seconds * share)))[:, None]
        low = high
    response /= np.sqrt(np.square(response).sum(axis=0))
    delay = round(DELAY_SECONDS * sample_rate)
    return np.asarray(np.pad(response, ((delay, 0), (0, 0))), dtype=np.float32)


def add_reverb(audio: Audio, sample_rate: int, mix: float, seed: int = 0) -> Audio:
    """A sound in a room, float32 (frames + length of the room's response, 2).

    Args:
        audio: float32 (frames, 2).
        sample_rate: Hz.
        mix: level of the room relative to the dry sound, 0..1.
        seed: of the room.
    """
    response = room_response(sample_rate, seed=seed)
    output = np.zeros((len(audio) + len(response), 2), dtype=np.float32)
    output[: len(audio)] = audio
    size = 1 << (BLOCK_FRAMES + len(response)).bit_length()
    step = size - len(response)
    for channel in range(2):
        filtered = np.fft.rfft(mix * response[:, channel], size)
        for first in range(0, len(audio), step):
            block = audio[first : first + step, channel]
            wet = np.fft.irfft(np.fft.rfft(block, size) * filtered, size)
            end = min(first + len(block) + len(response), len(output))
            output[first:end, channel] += wet[: end - first]
    return output
