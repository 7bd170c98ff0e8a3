"""Sound: samples and their rate, with files, resampling, plots and playback.

Sample n is the sound at n / rate seconds: a sine of frequency f at sample rate r is
y[n] = sin(2π f n / r) for n = 0, 1, …. (The article's `linspace(0, 4, 64000)` includes both ends,
which stretches time by 64000/63999 and is 0.027 cents flat.)
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanical_ears import spectra
from mechanical_ears.deprecation import renamed_arguments
from mechanical_ears.errors import SoundError
from mechanical_ears.files import check_suffix, write_atomically
from mechanical_ears.spectra import HOP_SAMPLES, WINDOW_SAMPLES, Spectrogram, Spectrum

if TYPE_CHECKING:
    from mechanical_ears.pictures import Picture

FORMATS = (".wav", ".flac", ".ogg", ".mp3")

MAX_CHANNELS = 128  # more are samples and channels in the wrong order

# libsndfile 1.2 crashes where an Ogg file has a higher rate, or is written in one piece.
_MAX_OGG_RATE = 200_000  # Hz
_WRITE_BLOCK = 1 << 16  # samples


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound of one or more channels.

    >>> import numpy as np
    >>> from mechanical_ears import Sound
    >>> sound = Sound(np.zeros((16_000, 2)), sample_rate=16_000)
    >>> sound.seconds, sound.channels, sound.mono().samples.shape
    (1.0, 2, (16000,))

    Attributes:
        samples: float32 (samples,), or (samples, channels) of more than one channel, as soundfile
            has it (librosa has channels first). Full scale is [-1, 1].
        sample_rate: Hz.

    Raises:
        SoundError: the samples are not finite numbers of such a shape, or the rate is not a whole
            number above 0.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        _check_rate(self.sample_rate)
        object.__setattr__(self, "samples", _checked_samples(self.samples))

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return 1 if self.samples.ndim == 1 else self.samples.shape[1]

    def mono(self) -> Sound:
        """The mean of all channels as a sound of one channel."""
        if self.channels == 1:
            return self
        return Sound(self.samples.mean(axis=1), self.sample_rate)

    @classmethod
    def sine(cls, frequency: float = 400, seconds: float = 4, sample_rate: int = 16_000) -> Sound:
        """A sine wave: the article's first sound, at the exact rate.

        Args:
            frequency: Hz, above 0 and below half the sample rate.
            seconds: length in s.
            sample_rate: Hz.

        Raises:
            SoundError: the sample rate is too low for the frequency, or the length is 0 samples.
        """
        if not 0 < frequency < sample_rate / 2:
            raise SoundError(
                f"frequency {frequency} Hz is outside 0..{sample_rate / 2:g} Hz",
                remedy="raise the sample rate: a sine needs more than two samples per period",
            )
        count = round(seconds * sample_rate)
        if count < 1:
            raise SoundError(f"{seconds} s at {sample_rate} Hz holds no sample")
        phase = np.arange(count, dtype=np.float64) * (2 * np.pi * frequency / sample_rate)
        return cls(np.sin(phase).astype(np.float32), sample_rate)

    @classmethod
    @renamed_arguments(longest="max_seconds")
    def load(
        cls, path: str | Path, max_seconds: float | None = None, *, mono: bool = True
    ) -> Sound:
        """Read a WAV, FLAC, Ogg or MP3 file, or any other that libsndfile reads, at its own rate.

        Args:
            path: the file.
            max_seconds: seconds to read from the beginning; None for the whole file.
            mono: mix all channels to their mean; otherwise all channels are kept.

        Raises:
            SoundError: there is no such file, or it is no sound, is empty or holds NaN.
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
                frames = -1 if max_seconds is None else math.ceil(max_seconds * sample_rate)
                samples = file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            problem = f"is not a sound that can be read ({str(error).split(': ')[-1].rstrip('.')})"
            remedy = "give a WAV, FLAC, Ogg or MP3 file"
            raise SoundError(problem, path=path, remedy=remedy) from error
        if len(samples) == 0:
            raise SoundError("holds no samples", path=path)
        try:
            sound = cls(samples, int(sample_rate))
        except SoundError as error:
            raise SoundError(error.problem, path=path) from error
        return sound.mono() if mono else sound

    def save(self, path: str | Path) -> Path:
        """Write a WAV, FLAC, Ogg or MP3 file by its suffix (WAV and FLAC: 16 bit).

        Samples beyond full scale are clipped.

        Raises:
            SoundError: the suffix is not one of ``FORMATS``, or the format has no such rate or
                number of channels.
            EarsError: the file cannot be written.
        """
        path = Path(path)
        check_suffix(path, FORMATS, "sound", SoundError)
        try:
            encoded = self._encode(path.suffix[1:].upper())
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
            SoundError: the rate is not a whole number above 0, or leaves no sample.
        """
        if sample_rate == self.sample_rate:
            return self
        _check_rate(sample_rate)
        import soxr

        samples = soxr.resample(self.samples, self.sample_rate, sample_rate, quality="VHQ")
        if len(samples) == 0:
            raise SoundError(f"{self.seconds:.3g} s hold no sample at {sample_rate} Hz")
        return Sound(np.asarray(samples, dtype=np.float32), sample_rate)

    def spectrum(self, window: int = WINDOW_SAMPLES, hop: int = HOP_SAMPLES) -> Spectrum:
        """Intensity of each frequency in the whole sound: |STFT| of the mono mix, summed over time.

        Args:
            window: samples per frame.
            hop: samples between frames.
        """
        return spectra.spectrum(self.mono().samples, self.sample_rate, window, hop)

    def spectrogram(self, window: int = WINDOW_SAMPLES, hop: int = HOP_SAMPLES) -> Spectrogram:
        """Magnitude of each frequency at each time: |STFT| of the mono mix.

        Args:
            window: samples per frame.
            hop: samples between frames.
        """
        return spectra.spectrogram(self.mono().samples, self.sample_rate, window, hop)

    def plot(self, seconds: float | None = 0.1, start: float = 0.0) -> Picture:
        """Draw amplitude over time: by default the first 0.1 s, as in the article.

        Args:
            seconds: length of the section in seconds; None for the rest of the sound.
            start: beginning of the section in seconds.

        Raises:
            SoundError: the section holds no sample.
        """
        from mechanical_ears import pictures

        return pictures.plot_waveform(self, seconds=seconds, start=start)

    def play(self) -> None:
        """Play through the default audio device and wait for the end.

        Raises:
            SoundError: sounddevice or an audio device is missing.
        """
        remedy = "save() it and open the file, or show it in a notebook"
        try:
            import sounddevice
        except ImportError as error:
            raise SoundError(
                "cannot play without sounddevice", remedy=f'pip install "sounddevice", or {remedy}'
            ) from error
        except OSError as error:  # the PortAudio library is missing
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

        wave = base64.b64encode(self._encode("WAV")).decode()
        picture = base64.b64encode(pictures.encode_png(pictures.plot_preview(self))).decode()
        description = f"sound of {self.seconds:.2f} s at {self.sample_rate} Hz"
        return (
            '<div style="max-width: 760px">'
            f'<img style="width: 100%" alt="{description}" src="data:image/png;base64,{picture}">'
            f'<audio controls style="width: 100%" src="data:audio/wav;base64,{wave}"></audio>'
            "</div>"
        )

    def _encode(self, kind: str) -> bytes:
        """Bytes of a sound file of libsndfile's format ``kind``."""
        import soundfile

        remedy = "resample() to 44100 Hz, or save as .wav"
        if kind == "OGG" and self.sample_rate > _MAX_OGG_RATE:
            raise SoundError(f"Ogg takes at most {_MAX_OGG_RATE} Hz", remedy=remedy)
        file = io.BytesIO()
        samples = np.clip(self.samples, -1, 1)
        try:
            rate, channels = self.sample_rate, self.channels
            with soundfile.SoundFile(file, "w", rate, channels, format=kind) as writer:
                for start in range(0, len(samples), _WRITE_BLOCK):
                    writer.write(samples[start : start + _WRITE_BLOCK])
        except soundfile.LibsndfileError as error:
            reason = str(error).split(": ")[-1].rstrip(".")
            if self.channels > 2:
                remedy = "mono() first, or save as .wav"
            problem = f"{kind} does not take {rate} Hz and channels: {channels} ({reason})"
            raise SoundError(problem, remedy=remedy) from error
        return file.getvalue()


def _check_rate(sample_rate: float) -> None:
    if not 0 < sample_rate < math.inf or sample_rate != int(sample_rate):
        raise SoundError(f"sample rate is {sample_rate} Hz, not a whole number above 0")


def _checked_samples(values: ArrayLike) -> NDArray[np.float32]:
    """Finite samples as float32 (samples,) or (samples, channels)."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise SoundError("samples are not an array of numbers") from error
    if array.dtype.kind not in "biuf":
        raise SoundError(f"samples are of type {array.dtype}, not real numbers")
    if array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise SoundError(
            f"samples have the shape {array.shape}, neither (samples,) nor (samples, channels)"
        )
    if array.ndim == 2 and array.shape[1] > MAX_CHANNELS:
        raise SoundError(
            f"samples of the shape {array.shape} have {array.shape[1]} channels, more than "
            f"{MAX_CHANNELS}",
            remedy="give (samples, channels), not (channels, samples)",
        )
    samples = np.ascontiguousarray(array[:, 0] if array.shape[1:] == (1,) else array, np.float32)
    finite = np.isfinite(samples)
    if not finite.all():
        number = int(np.argmin(finite)) // (samples.size // len(samples))
        raise SoundError(f"sample {number} is not a finite number (NaN or infinity)")
    return samples


def find_sound_files(path: str | Path) -> list[Path]:
    """Sound files in a folder and its subfolders, sorted, without hidden ones.

    Args:
        path: the folder; for a file, whatever its suffix, the list holds only this file.

    Raises:
        SoundError: there is no such folder or file.
    """
    path = Path(path)
    if not path.exists():
        raise SoundError("no such file or folder", path=path)
    if not path.is_dir():
        return [path]
    files = [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in FORMATS
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    ]
    return sorted(files, key=lambda file: file.relative_to(path).as_posix())


def read_duration(path: str | Path) -> float:
    """Length of a sound file in seconds, by its header."""
    import soundfile

    return float(soundfile.info(path).duration)
