"""Sample files: WAV with what a sampler wants to know, and FLAC.

A WAV file is a RIFF of chunks (Microsoft and IBM, "Multimedia Programming Interface and Data
Specifications 1.0", 1991). Beside ``fmt`` and ``data`` stand here

    smpl    the key it was recorded at, how far above it (2⁻³² of a semitone), and its loop, whose
            end is the last frame that is played
    LIST    INAM name, ICOP licence, ISFT who wrote it
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import SoundError
from mechanical_ears.instrument.sampled import Sample
from mechanical_ears.instrument.zones import InstrumentError, Loop

SOFTWARE: Final = "Mechanical Ears"
BITS: Final = (16, 24)
_SMPL: Final = struct.Struct("<9I")
_LOOP: Final = struct.Struct("<6I")
_CENT: Final = 2**32 / 100  # of a semitone's fraction


@dataclass(frozen=True)
class SampleFacts:
    """What a WAV file's ``smpl`` chunk tells.

    Attributes:
        root: MIDI number of the key.
        cents: how far the recording lies above it.
        loop: what is gone over, or None.
    """

    root: int
    cents: float = 0.0
    loop: Loop | None = None


def wav_bytes(
    sample: Sample,
    bits: int,
    facts: SampleFacts | None = None,
    name: str = "",
    licence: str = "",
) -> bytes:
    """A WAV file of 16 or 24 bits."""
    channels, rate = sample.audio.shape[1], sample.sample_rate
    width = bits // 8
    layout = struct.pack(
        "<HHIIHH", 1, channels, rate, rate * channels * width, channels * width, bits
    )
    chunks = _chunk(b"fmt ", layout)
    if facts is not None:
        chunks += _chunk(b"smpl", _smpl(facts, rate))
    texts = {b"INAM": name, b"ICOP": licence, b"ISFT": SOFTWARE}
    told = b"".join(_chunk(key, text.encode() + b"\0") for key, text in texts.items() if text)
    chunks += _chunk(b"LIST", b"INFO" + told)
    chunks += _chunk(b"data", _packed(sample.audio, bits))
    return _chunk(b"RIFF", b"WAVE" + chunks)


def flac_bytes(sample: Sample, bits: int) -> bytes:
    """A FLAC file of 16 or 24 bits."""
    import soundfile

    file = io.BytesIO()
    whole = integers(sample.audio, bits)
    shifted = (whole << (32 - bits)).astype(np.int32)  # libsndfile takes the upper bits
    soundfile.write(file, shifted, sample.sample_rate, format="FLAC", subtype=f"PCM_{bits}")
    return file.getvalue()


def integers(audio: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    """Whole numbers of so many bits; clipped, rounded to the nearest."""
    highest = 2 ** (bits - 1) - 1
    return np.asarray(np.clip(np.rint(audio * (highest + 1.0)), -highest - 1, highest), np.int32)


def read_sample(path: Path) -> tuple[Sample, SampleFacts | None]:
    """A sample file and, of a WAV, what its ``smpl`` chunk tells.

    Raises:
        SoundError: it cannot be read.
    """
    import soundfile

    if not path.is_file():
        raise SoundError("no such sample file", path=path)
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise SoundError("is no sound that can be read", path=path) from error
    if len(audio) == 0:
        raise SoundError("holds no samples", path=path)
    if not np.isfinite(audio).all():
        raise SoundError("holds a number that is not finite", path=path)
    if audio.shape[1] > 2:
        audio = audio.mean(axis=1, keepdims=True)
    facts = _facts(path) if path.suffix.lower() == ".wav" else None
    if facts is not None and facts.loop is not None and facts.loop.end > len(audio):
        facts = SampleFacts(facts.root, facts.cents)
    return Sample(np.ascontiguousarray(audio), int(rate)), facts


def _facts(path: Path) -> SampleFacts | None:
    """The ``smpl`` chunk of a WAV file; None where there is none, or it makes no sense."""
    with path.open("rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return None
        while len(head := file.read(8)) == 8:
            name, length = head[:4], struct.unpack("<I", head[4:])[0]
            if name == b"smpl":
                return _parsed(file.read(length))
            file.seek(length + length % 2, 1)
    return None


def _parsed(data: bytes) -> SampleFacts | None:
    if len(data) < _SMPL.size:
        return None
    told: tuple[Any, ...] = _SMPL.unpack_from(data)
    root, fraction, count = told[3], told[4], told[7]
    if root > 127:
        return None
    loop = None
    if count and len(data) >= _SMPL.size + _LOOP.size:
        _, kind, start, last, _, _ = _LOOP.unpack_from(data, _SMPL.size)
        loop = Loop(start, last + 1) if kind == 0 and start <= last else None
    return SampleFacts(root, fraction / _CENT, loop)


def _smpl(facts: SampleFacts, rate: int) -> bytes:
    semitones = math.floor(facts.cents / 100)
    fraction = round((facts.cents - 100 * semitones) * _CENT)
    root = facts.root + semitones
    if fraction >= 2**32 or not 0 <= root <= 127:
        root, fraction = min(max(root, 0), 127), min(fraction, 2**32 - 1)
    loops = 0 if facts.loop is None else 1
    data = _SMPL.pack(0, 0, round(1e9 / rate), root, fraction, 0, 0, loops, 0)
    if facts.loop is not None:
        data += _LOOP.pack(0, 0, facts.loop.start, facts.loop.end - 1, 0, 0)
    return data


def _packed(audio: NDArray[np.float32], bits: int) -> bytes:
    if bits not in BITS:
        raise InstrumentError(f"{bits} bits a sample", remedy="use 16 or 24")
    whole = integers(audio, bits)
    if bits == 16:
        return whole.astype("<i2").tobytes()
    return whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
