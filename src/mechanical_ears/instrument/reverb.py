"""A room: convolution with noise that dies away.

After Moorer, "About this reverberation business" (1979): the impulse response is white
noise, apart for left and right, whose level falls by 60 dB in T(f) seconds: in T below 1 kHz,
faster above. It is made in bands by Fourier transforms, begins after a few milliseconds, and has an
energy of 1, so that ``amount`` is the level of the room beside the sound. The convolution is done
by overlap and add.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SECONDS: Final = 1.8  # s, to fall by 60 dB, below 1 kHz
DELAY: Final = 0.012  # s, before the room answers
LOWEST: Final = 120.0  # Hz, below which a room would only boom
OCTAVES: Final = (250.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0)  # Hz, upper edges of bands
SHARES: Final = (1.0, 1.0, 0.8, 0.6, 0.4, 0.25)  # of the time, in each band
BLOCK: Final = 1 << 16  # frames


def room(sample_rate: int, seconds: float = SECONDS, seed: int = 0) -> NDArray[np.float32]:
    """The impulse response of a room, float32 (frames, 2)."""
    count = round(1.2 * seconds * sample_rate)
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal((count, 2)), axis=0)
    frequencies = np.fft.rfftfreq(count, 1 / sample_rate)
    moments = np.arange(count) / sample_rate
    made = np.zeros((count, 2))
    low = LOWEST
    for high, share in zip(OCTAVES, SHARES, strict=True):
        band = (frequencies >= low) & (frequencies < high)
        part = np.fft.irfft(spectrum * band[:, None], count, axis=0)
        made += part * (10 ** (-3 * moments / (seconds * share)))[:, None]
        low = high
    made /= np.sqrt(np.square(made).sum(axis=0))
    return np.asarray(np.pad(made, ((round(DELAY * sample_rate), 0), (0, 0))), dtype=np.float32)


def reverberated(
    audio: NDArray[np.float32], sample_rate: int, amount: float, seed: int = 0
) -> NDArray[np.float32]:
    """A sound in a room, float32 (frames + the room's, 2).

    Args:
        audio: float32 (frames, 2).
        sample_rate: Hz.
        amount: level of the room beside the sound, 0..1.
        seed: another one, another room.
    """
    answer = room(sample_rate, seed=seed)
    made = np.zeros((len(audio) + len(answer), 2), dtype=np.float32)
    made[: len(audio)] = audio
    size = 1 << (BLOCK + len(answer)).bit_length()
    for channel in range(2):
        filtered = np.fft.rfft(amount * answer[:, channel], size)
        for first in range(0, len(audio), size - len(answer)):
            block = audio[first : first + size - len(answer), channel]
            wet = np.fft.irfft(np.fft.rfft(block, size) * filtered, size)
            end = min(first + len(block) + len(answer), len(made))
            made[first:end, channel] += wet[: end - first]
    return made
