"""Sound: a row of numbers, and how many of them pass in a second.

A sine of frequency f at sample rate r is  y[n] = sin(2π f n / r)  for n = 0, 1, …: sample n stands
at n/r seconds exactly. (The article lays `linspace(0, 4, 64000)` with both ends included, which
stretches time by 64000/63999 and sounds 0.027 cents flat.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import SoundError
from mechanical_ears.files import written_whole

FORMATS = (".wav", ".flac", ".ogg", ".mp3")


@dataclass(frozen=True, eq=False)
class Sound:
    """A mono sound.

    Attributes:
        samples: float32 (samples,), full scale is [-1, 1].
        sample_rate: Hz.

    Raises:
        SoundError: the samples are not one row of finite numbers, or the rate is not above 0.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        samples = np.ascontiguousarray(self.samples, dtype=np.float32)
        if samples.ndim != 1:
            raise SoundError(f"samples have the shape {samples.shape}, not (samples,)")
        if not np.isfinite(samples).all():
            place = int(np.argmin(np.isfinite(samples)))
            raise SoundError(f"sample {place} is not a finite number (NaN or infinity)")
        if self.sample_rate <= 0:
            raise SoundError(f"sample rate is {self.sample_rate} Hz, not above 0")
        object.__setattr__(self, "samples", samples)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    @classmethod
    def sine(cls, frequency: float = 400, seconds: float = 4, sample_rate: int = 16_000) -> Sound:
        """A sine wave: the article's first sound, at the exact rate.

        Args:
            frequency: Hz, above 0 and below half the sample rate.
            seconds: length in s.
            sample_rate: Hz.

        Raises:
            SoundError: the frequency cannot be told at that sample rate, or there is no length.
        """
        if not 0 < frequency < sample_rate / 2:
            raise SoundError(
                f"frequency {frequency} Hz is outside 0..{sample_rate / 2:g} Hz",
                remedy="a sine needs more than two samples a period: raise the sample rate",
            )
        count = round(seconds * sample_rate)
        if count < 1:
            raise SoundError(f"{seconds} s at {sample_rate} Hz holds no sample")
        phase = np.arange(count, dtype=np.float64) * (2 * np.pi * frequency / sample_rate)
        return cls(np.sin(phase).astype(np.float32), sample_rate)

    @classmethod
    def load(cls, path: str | Path) -> Sound:
        """Read a WAV, FLAC, Ogg or MP3 file (whatever libsndfile reads), mixed down to mono.

        Raises:
            SoundError: there is no such file, it is no sound, it is empty or holds NaN.
        """
        import soundfile

        path = Path(path)
        if not path.exists():
            raise SoundError("no such file", path=path)
        if path.is_dir():
            raise SoundError("is a folder, not a sound file", path=path)
        try:
            channels, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            raise SoundError(
                f"is not a sound that can be read ({str(error).split(': ')[-1].rstrip('.')})",
                path=path,
                remedy="give a WAV, FLAC, Ogg or MP3 file",
            ) from error
        if len(channels) == 0:
            raise SoundError("holds no samples", path=path)
        mono = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
        try:
            return cls(mono, int(sample_rate))
        except SoundError as error:
            raise SoundError(error.problem, path=path) from error

    def save(self, path: str | Path) -> Path:
        """Write a WAV, FLAC, Ogg or MP3 file by its suffix (WAV and FLAC: 16 bit).

        Samples beyond full scale are clipped.

        Raises:
            SoundError: the suffix is not one of ``FORMATS``.
            EarsError: the file cannot be written.
        """
        import soundfile

        path = Path(path)
        if path.suffix.lower() not in FORMATS:
            raise SoundError(
                f'the suffix "{path.suffix}" names no sound format',
                path=path,
                remedy=f"use one of {', '.join(FORMATS)}",
            )
        clipped = np.clip(self.samples, -1, 1)
        with written_whole(path) as temporary:
            try:
                soundfile.write(temporary, clipped, self.sample_rate)
            except soundfile.LibsndfileError as error:
                raise OSError(None, str(error)) from error
        return path

    def resample(self, sample_rate: int) -> Sound:
        """The same sound at another rate, band-limited (soxr, very high quality)."""
        if sample_rate == self.sample_rate:
            return self
        import soxr

        samples = soxr.resample(self.samples, self.sample_rate, sample_rate, quality="VHQ")
        return Sound(np.asarray(samples, dtype=np.float32), sample_rate)
