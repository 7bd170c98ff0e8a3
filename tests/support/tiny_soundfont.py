"""Writes SoundFonts of a few hundred bytes with known contents."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mechanical_ears.riff import encode_chunk, encode_list, encode_riff

INSTRUMENT, SAMPLE, KEYS, VELOCITIES, LOOPED = 41, 53, 43, 44, 54  # generator numbers
PADDING = bytes(92)  # 46 zero frames after each sample
RATE = 48_000  # Hz
LOOP = (RATE // 10, RATE // 10 * 9)  # frames


@dataclass(frozen=True)
class TinySample:
    """Data and header of one sample."""

    data: bytes
    kind: int = 1
    root: int = 69
    name: str = "sample"


def sine(frequency: float = 440.0, level: float = 0.5, name: str = "sine") -> TinySample:
    """One second of a sine, looped over whole periods of 10 Hz."""
    phase = 2 * np.pi * frequency * np.arange(RATE) / RATE
    return TinySample((np.sin(phase) * level * 32767).astype("<i2").tobytes(), name=name)


def zone(**generators: int | tuple[int, int]) -> dict[int, int]:
    """Generators of a zone by number, from ``sample``, ``instrument``, ``keys``, ``velocities``."""
    numbers = {"instrument": INSTRUMENT, "sample": SAMPLE, "keys": KEYS, "velocities": VELOCITIES}
    amounts = {
        numbers[name]: value if isinstance(value, int) else value[0] | value[1] << 8
        for name, value in generators.items()
    }
    if "sample" in generators:
        amounts = {LOOPED: 1, **amounts}
    return dict(sorted(amounts.items(), key=lambda item: item[0] in (INSTRUMENT, SAMPLE)))


Zones = Sequence[Mapping[int, int]]


def write_soundfont(
    path: Path,
    samples: Sequence[TinySample],
    instruments: Sequence[Zones],
    presets: Mapping[tuple[int, int, str], Zones],
    info: Mapping[str, str] | None = None,
) -> Path:
    """Write a SoundFont; presets are keyed by (bank, program, name)."""
    data, headers = b"", b""
    for sample in samples:
        vorbis = bool(sample.kind & 0x10)
        unit = 1 if vorbis else 2
        start = len(data) // unit
        end = start + len(sample.data) // unit
        loop = LOOP if vorbis else (start + LOOP[0], start + LOOP[1])
        headers += struct.pack(
            "<20s5IBbHH",
            *(sample.name.encode(), start, end, *loop, RATE, sample.root, 0, 0, sample.kind),
        )
        data += sample.data + (b"" if vorbis else PADDING)
    headers += struct.pack("<20s5IBbHH", b"EOS", *(0,) * 9)
    inst, ibag, igen = _owners([(struct.pack("<20s", b"inst"), zones) for zones in instruments])
    named = [
        (struct.pack("<20sHH", name.encode(), program, bank), zones)
        for (bank, program, name), zones in presets.items()
    ]
    phdr, pbag, pgen = _owners(named, tail=bytes(12), width=24)
    texts = {"INAM": "Tiny", **(info or {})}
    chunks = [encode_chunk("ifil", struct.pack("<HH", 2, 1))]
    for key, text in texts.items():
        padding = bytes(2 - len(text) % 2)  # to an even number of bytes
        chunks.append(encode_chunk(key, text.encode(), padding))
    tables = {
        "phdr": phdr,
        "pbag": pbag,
        "pmod": bytes(10),
        "pgen": pgen,
        "inst": inst,
        "ibag": ibag,
        "imod": bytes(10),
        "igen": igen,
        "shdr": headers,
    }
    lists = [
        encode_list("INFO", *chunks),
        encode_list("sdta", encode_chunk("smpl", data)),
        encode_list("pdta", *(encode_chunk(*table) for table in tables.items())),
    ]
    path.write_bytes(encode_riff("sfbk", *lists))
    return path


def _owners(
    owners: Sequence[tuple[bytes, Zones]], tail: bytes = b"", width: int = 20
) -> tuple[bytes, bytes, bytes]:
    """Tables of presets or instruments: owners, bags, generators."""
    heads, bags, generators = b"", b"", b""
    for head, zones in owners:
        heads += head + struct.pack("<H", len(bags) // 4) + tail
        for entries in zones:
            bags += struct.pack("<HH", len(generators) // 4, 0)
            generators += b"".join(struct.pack("<HH", *entry) for entry in entries.items())
    heads += bytes(width) + struct.pack("<H", len(bags) // 4) + tail
    bags += struct.pack("<HH", len(generators) // 4, 0)
    return heads, bags, generators + bytes(4)
