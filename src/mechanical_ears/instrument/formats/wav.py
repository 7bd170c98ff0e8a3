"""Sample files: WAV with a sampler's metadata, and FLAC.

Besides ``fmt`` and ``data``, a WAV file (see riff.py) may have the chunks

    smpl    the key of the recording, how far the recording is sharp of it (in 2⁻³² semitones), and
            its loop, whose end is the last frame that is played
    LIST    INAM name, ICOP licence, ISFT software
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears import riff
from mechanical_ears.errors import SoundError
from mechanical_ears.instrument.sampled import Sample
from mechanical_ears.instrument.zones import InstrumentError, Loop

SOFTWARE: Final = "Mechanical Ears"
BIT_DEPTHS: Final = (16, 24)
_PCM: Final = 1  # format tag of ``fmt``
_SMPL: Final = struct.Struct("<9I")
_LOOP: Final = struct.Struct("<6I")
_FORWARD: Final = 0  # type of a loop
_FRACTIONS_PER_CENT: Final = 2**32 / 100


@dataclass(frozen=True)
class SamplerMetadata:
    """Contents of a WAV file's ``smpl`` chunk.

    Attributes:
        root: MIDI number of the key.
        cents: cents by which the recording is sharp of the key.
        loop: frames to repeat, or None.
    """

    root: int
    cents: float = 0.0
    loop: Loop | None = None


def encode_wav(
    sample: Sample,
    bits: int,
    metadata: SamplerMetadata | None = None,
    name: str = "",
    licence: str = "",
) -> bytes:
    """Bytes of a WAV file.

    Args:
        sample: the audio; samples beyond full scale are clipped.
        bits: 16 or 24.
        metadata: contents of the ``smpl`` chunk; None for a file without it.
        name: for the INAM chunk.
        licence: for the ICOP chunk.

    Raises:
        InstrumentError: the number of bits is another one.
    """
    channels, rate = sample.audio.shape[1], sample.sample_rate
    frame_bytes = channels * bits // 8
    header = (_PCM, channels, rate, rate * frame_bytes, frame_bytes, bits)
    chunks = [riff.encode_chunk("fmt ", struct.pack("<HHIIHH", *header))]
    if metadata is not None:
        chunks.append(riff.encode_chunk("smpl", _encode_smpl(metadata, rate)))
    texts = {"INAM": name, "ICOP": licence, "ISFT": SOFTWARE}
    info = [riff.encode_chunk(key, text.encode() + b"\0") for key, text in texts.items() if text]
    chunks.append(riff.encode_list("INFO", *info))
    chunks.append(riff.encode_chunk("data", _encode_pcm(sample.audio, bits)))
    return riff.encode_riff("WAVE", *chunks)


def encode_flac(sample: Sample, bits: int) -> bytes:
    """Bytes of a FLAC file of 16 or 24 bits."""
    import soundfile

    file = io.BytesIO()
    shifted = quantise(sample.audio, bits) << (32 - bits)  # libsndfile reads the upper bits
    soundfile.write(file, shifted, sample.sample_rate, format="FLAC", subtype=f"PCM_{bits}")
    return file.getvalue()


def quantise(audio: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    """Integers of a number of bits: rounded to the nearest and clipped at full scale."""
    scale = 2.0 ** (bits - 1)
    return np.asarray(np.clip(np.rint(audio * scale), -scale, scale - 1), np.int32)


def read_sample(path: Path) -> tuple[Sample, SamplerMetadata | None]:
    """Read a sample file and, of a WAV file, its ``smpl`` chunk.

    More than two channels are mixed to one.

    Raises:
        SoundError: the file cannot be read, is empty or holds a number that is not finite.
    """
    import soundfile

    if not path.is_file():
        raise SoundError("no such sample file", path=path)
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise SoundError("is not a sound that can be read", path=path) from error
    if len(audio) == 0:
        raise SoundError("holds no samples", path=path)
    if not np.isfinite(audio).all():
        raise SoundError("holds a number that is not finite", path=path)
    if audio.shape[1] > 2:
        audio = audio.mean(axis=1, keepdims=True)
    metadata = _read_smpl(path) if path.suffix.lower() == ".wav" else None
    if metadata is not None and metadata.loop is not None and metadata.loop.end > len(audio):
        metadata = SamplerMetadata(metadata.root, metadata.cents)
    return Sample(np.ascontiguousarray(audio), int(rate)), metadata


def _read_smpl(path: Path) -> SamplerMetadata | None:
    """The ``smpl`` chunk of a WAV file; None if it is missing or invalid."""
    with path.open("rb") as file:
        if riff.read_header(file) is None:
            return None
        for chunk in riff.walk_chunks(file):
            if chunk.name == "smpl":
                return _decode_smpl(riff.read_chunk(file, chunk))
    return None


def _decode_smpl(data: bytes) -> SamplerMetadata | None:
    if len(data) < _SMPL.size:
        return None
    _, _, _, root, fraction, _, _, loops, _ = _SMPL.unpack_from(data)
    if root > 127:
        return None
    loop = None
    if loops and len(data) >= _SMPL.size + _LOOP.size:
        _, kind, start, last, _, _ = _LOOP.unpack_from(data, _SMPL.size)
        loop = Loop(start, last + 1) if kind == _FORWARD and start <= last else None
    return SamplerMetadata(root, fraction / _FRACTIONS_PER_CENT, loop)


def _encode_smpl(metadata: SamplerMetadata, rate: int) -> bytes:
    semitones = math.floor(metadata.cents / 100)
    fraction = round((metadata.cents - 100 * semitones) * _FRACTIONS_PER_CENT)
    root = metadata.root + semitones
    if fraction >= 2**32 or not 0 <= root <= 127:
        root, fraction = min(max(root, 0), 127), min(fraction, 2**32 - 1)
    loop = metadata.loop
    sample_nanoseconds = round(1e9 / rate)
    data = _SMPL.pack(0, 0, sample_nanoseconds, root, fraction, 0, 0, int(loop is not None), 0)
    if loop is not None:
        data += _LOOP.pack(0, _FORWARD, loop.start, loop.end - 1, 0, 0)
    return data


def _encode_pcm(audio: NDArray[np.float32], bits: int) -> bytes:
    if bits not in BIT_DEPTHS:
        raise InstrumentError(f"{bits} bits per sample", remedy="use 16 or 24")
    integers = quantise(audio, bits)
    if bits == 16:
        return integers.astype("<i2").tobytes()
    return integers.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
