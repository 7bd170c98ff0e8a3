"""Sound: a row of numbers, and how many of them pass in a second.

A sine of frequency f at sample rate r is  y[n] = sin(2π f n / r)  for n = 0, 1, …: sample n stands
at n/r seconds exactly. (The article lays `linspace(0, 4, 64000)` with both ends included, which
stretches time by 64000/63999 and sounds 0.027 cents flat.)
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mechanical_ears import spectra
from mechanical_ears.errors import SoundError
from mechanical_ears.files import write_atomically
from mechanical_ears.spectra import HOP, WINDOW, Spectrogram, Spectrum

if TYPE_CHECKING:
    from mechanical_ears.pictures import Picture

FORMATS = (".wav", ".flac", ".ogg", ".mp3")

# libsndfile 1.2 ends the whole process where an Ogg file is faster, or is handed over in one piece.
_OGG_FASTEST = 200_000  # Hz
_WRITTEN_AT_ONCE = 1 << 16  # samples


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
    def load(cls, path: str | Path, longest: float | None = None) -> Sound:
        """Read a WAV, FLAC, Ogg or MP3 file (whatever libsndfile reads), mixed down to mono.

        Args:
            path: the file.
            longest: s that are read at most; None for all.

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
            path.open("rb").close()
        except OSError as error:
            raise SoundError(f"cannot be read ({error.strerror})", path=path) from error
        try:
            with soundfile.SoundFile(path) as file:
                sample_rate = file.samplerate
                frames = -1 if longest is None else math.ceil(longest * sample_rate)
                channels = file.read(frames, dtype="float32", always_2d=True)
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
            SoundError: the suffix is not one of ``FORMATS``, or the format knows no such rate.
            EarsError: the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in FORMATS:
            raise SoundError(
                f'the suffix "{path.suffix}" names no sound format',
                path=path,
                remedy=f"use one of {', '.join(FORMATS)}",
            )
        try:
            encoded = self._encoded(path.suffix[1:].upper())
        except SoundError as error:
            raise SoundError(error.problem, path=path, remedy=error.remedy) from error
        with write_atomically(path) as temporary:
            temporary.write_bytes(encoded)
        return path

    def resample(self, sample_rate: int) -> Sound:
        """The same sound at another rate, band-limited (soxr, very high quality).

        Args:
            sample_rate: Hz.

        Raises:
            SoundError: the rate is not above 0, or leaves no sample.
        """
        if sample_rate == self.sample_rate:
            return self
        if sample_rate <= 0:
            raise SoundError(f"sample rate is {sample_rate} Hz, not above 0")
        import soxr

        samples = soxr.resample(self.samples, self.sample_rate, sample_rate, quality="VHQ")
        if len(samples) == 0:
            raise SoundError(f"{self.seconds:.3g} s hold no sample at {sample_rate} Hz")
        return Sound(np.asarray(samples, dtype=np.float32), sample_rate)

    def spectrum(self, window: int = WINDOW, hop: int = HOP) -> Spectrum:
        """How strong each frequency is in the whole sound: |STFT| summed over time."""
        return spectra.spectrum(self.samples, self.sample_rate, window, hop)

    def spectrogram(self, window: int = WINDOW, hop: int = HOP) -> Spectrogram:
        """How strong each frequency is at each time: |STFT|."""
        return spectra.spectrogram(self.samples, self.sample_rate, window, hop)

    def plot(self, seconds: float | None = 0.1, start: float = 0.0) -> Picture:
        """Draw amplitude over time: the first 0.1 s, as in the article, or another stretch.

        Args:
            seconds: length of the stretch in s; None for all there is.
            start: where it begins, in s.

        Raises:
            SoundError: nothing of the sound lies in the stretch.
        """
        from mechanical_ears import pictures

        return pictures.waveform(self, seconds=seconds, start=start)

    def play(self) -> None:
        """Play through the default audio device and wait for the end.

        Raises:
            SoundError: there is no way to play here.
        """
        remedy = "save() it and open the file, or show it in a notebook"
        try:
            import sounddevice
        except ImportError as error:
            raise SoundError(
                "cannot play without sounddevice", remedy=f'pip install "sounddevice", or {remedy}'
            ) from error
        except OSError as error:  # sounddevice is there, the PortAudio library is not
            raise SoundError(f"cannot play ({error})", remedy=remedy) from error
        try:
            sounddevice.play(np.clip(self.samples, -1, 1), self.sample_rate, blocking=True)
        except sounddevice.PortAudioError as error:
            raise SoundError(f"no audio device plays this ({error})", remedy=remedy) from error

    def _repr_html_(self) -> str:
        """Show a player and a picture in a notebook."""
        if len(self.samples) == 0:
            return "<p>a sound of 0 s</p>"
        from mechanical_ears import pictures

        wave = base64.b64encode(self._encoded("WAV")).decode()
        picture = base64.b64encode(pictures.png(pictures.strip(self))).decode()
        words = f"sound of {self.seconds:.2f} s at {self.sample_rate} Hz"
        return (
            '<div style="max-width: 760px">'
            f'<img style="width: 100%" alt="{words}" src="data:image/png;base64,{picture}">'
            f'<audio controls style="width: 100%" src="data:audio/wav;base64,{wave}"></audio>'
            "</div>"
        )

    def _encoded(self, kind: str) -> bytes:
        """The bytes of a sound file of libsndfile's format ``kind``."""
        import soundfile

        remedy = "resample() to 44100 Hz, or save as .wav"
        if kind == "OGG" and self.sample_rate > _OGG_FASTEST:
            raise SoundError(f"Ogg takes at most {_OGG_FASTEST} Hz", remedy=remedy)
        file = io.BytesIO()
        samples = np.clip(self.samples, -1, 1)
        try:
            with soundfile.SoundFile(file, "w", self.sample_rate, 1, format=kind) as writer:
                for start in range(0, len(samples), _WRITTEN_AT_ONCE):
                    writer.write(samples[start : start + _WRITTEN_AT_ONCE])
        except soundfile.LibsndfileError as error:
            reason = str(error).split(": ")[-1].rstrip(".")
            raise SoundError(
                f"{kind} does not take {self.sample_rate} Hz ({reason})", remedy=remedy
            ) from error
        return file.getvalue()


def sound_files(path: str | Path) -> list[Path]:
    """Every sound file in a folder and below, sorted; hidden ones are passed over.

    Args:
        path: the folder; a file stands for itself, whatever its suffix.

    Raises:
        SoundError: there is nothing at the path.
    """
    path = Path(path)
    if not path.exists():
        raise SoundError("no such file or folder", path=path)
    if not path.is_dir():
        return [path]
    found = [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in FORMATS
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    ]
    return sorted(found, key=lambda file: file.relative_to(path).as_posix())


def sound_seconds(path: str | Path) -> float:
    """Length of a sound file in seconds, as its header has it."""
    import soundfile

    return float(soundfile.info(path).duration)
