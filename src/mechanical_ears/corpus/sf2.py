"""What is inside a SoundFont: its presets, the samples each key of them sounds, their fingerprints.

A SoundFont 2 file (E-mu Systems, "SoundFont Technical Specification", version 2.04, 2006) is a RIFF
file of the form ``sfbk`` with three lists:

    INFO   who made it        INAM name, ICOP copyright, ICMT comment, ISFT …
    sdta   the recordings     smpl: 16-bit frames, one sample behind the other
    pdta   the map            phdr → pbag → pgen → inst → ibag → igen → shdr

A preset (``phdr``) owns zones (``pbag``), a zone owns generators (``pgen``), and one of these names
an instrument (``inst``), whose zones (``ibag``, ``igen``) name samples (``shdr``). A sample sounds
at a key and velocity if both zones' ranges hold them. Each table ends with one record that only
says where the last real record's zones end. A zone that names nothing is global: it sets defaults,
of which this reader needs none (FluidSynth, too, does not pass its key range on).

SoundFont 3 (MuseScore's) is the same but for the recordings: Ogg Vorbis streams, marked with 0x10
in the sample type, and with places counted in bytes, not in frames.

The file is memory-mapped, only its tables are read; recordings are touched when they are hashed.
"""

from __future__ import annotations

import hashlib
import itertools
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import CorpusError
from mechanical_ears.riff import HEADER_BYTES, Chunk, read_header, walk_chunks

SUFFIXES = (".sf2", ".sf3")

KEY_RANGE, VELOCITY_RANGE = 43, 44  # generator numbers; the amount is (lowest, highest)
INSTRUMENT, SAMPLE_ID = 41, 53  # generator numbers; the amount is an index
ROM_SAMPLE, VORBIS_SAMPLE = 0x8000, 0x10  # bits of the sample type
FRAME_BYTES = 2  # bytes of one 16-bit frame

_CHANNEL = re.compile(r"[\s_(\[.-]*\b[LR]\b[)\]]?\s*$")
_PUNCTUATION = re.compile(r"[^a-z0-9#]")

_BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GENERATOR = np.dtype([("number", "<u2"), ("amount", "<u2")])
_MODULATOR = np.dtype(
    [
        ("source", "<u2"),
        ("destination", "<u2"),
        ("amount", "<i2"),
        ("through", "<u2"),
        ("transform", "<u2"),
    ]
)
_TABLES = {
    "phdr": np.dtype(
        [
            ("name", "S20"),
            ("program", "<u2"),
            ("bank", "<u2"),
            ("bag", "<u2"),
            ("library", "<u4"),
            ("genre", "<u4"),
            ("morphology", "<u4"),
        ]
    ),
    "pbag": _BAG,
    "pgen": _GENERATOR,
    "inst": np.dtype([("name", "S20"), ("bag", "<u2")]),
    "ibag": _BAG,
    "igen": _GENERATOR,
    "shdr": np.dtype(
        [
            ("name", "S20"),
            ("start", "<u4"),
            ("end", "<u4"),
            ("loop_start", "<u4"),
            ("loop_end", "<u4"),
            ("sample_rate", "<u4"),
            ("root", "u1"),
            ("correction", "i1"),
            ("link", "<u2"),
            ("type", "<u2"),
        ]
    ),
}


@dataclass(frozen=True)
class Region:
    """Keys and velocities at which one sample sounds.

    Attributes:
        sample: index of the sample in ``SoundFontFile.samples``.
        keys: lowest and highest MIDI pitch, both included.
        velocities: lowest and highest MIDI velocity, both included.
    """

    sample: int
    keys: tuple[int, int]
    velocities: tuple[int, int]

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the region in a grid of MIDI pitch × MIDI velocity."""
        return slice(self.keys[0], self.keys[1] + 1), slice(
            self.velocities[0], self.velocities[1] + 1
        )


@dataclass(frozen=True)
class Preset:
    """A preset of a SoundFont.

    Attributes:
        bank: MIDI bank 0..128; 128 holds the drum kits.
        program: MIDI program 0..127.
        name: its maker's name for it.
        regions: which samples sound where.
    """

    bank: int
    program: int
    name: str
    regions: tuple[Region, ...]

    @property
    def key(self) -> str:
        """``bank:program``, unique in a SoundFont (``8:24``)."""
        return f"{self.bank}:{self.program}"

    def coverage(self) -> NDArray[np.bool_]:
        """Where any sample sounds: bool (128, 128), by MIDI pitch and MIDI velocity."""
        grid = np.zeros((128, 128), dtype=np.bool_)
        for region in self.regions:
            grid[region.place] = True
        return grid

    def samples_within(self, grid: NDArray[np.bool_]) -> frozenset[int]:
        """Indices of the samples that sound anywhere in ``grid``, bool (128, 128) as above."""
        return frozenset(region.sample for region in self.regions if grid[region.place].any())


@dataclass(frozen=True)
class Sample:
    """One recording of a SoundFont.

    Attributes:
        name: its maker's name for it.
        offset: first byte in the file.
        length: bytes; 0 for a recording that is not in the file (ROM of old sound cards).
        sample_rate: Hz.
        root: MIDI pitch of the recording.
        vorbis: whether it is an Ogg Vorbis stream and not 16-bit frames.
    """

    name: str
    offset: int
    length: int
    sample_rate: int
    root: int
    vorbis: bool

    @property
    def recording(self) -> str:
        """The name without channel, case and punctuation: ``Viola C7(L)`` is ``violac7``."""
        return _PUNCTUATION.sub("", _CHANNEL.sub("", self.name).lower())


class SoundFontFile:
    """The map of a SoundFont 2 or 3 file.

    Args:
        path: the .sf2 or .sf3 file.

    Attributes:
        info: the INFO list's texts by their four letters (``{"INAM": "Fluid R3 GM", …}``).
        presets: in the order of bank and program.
        samples: in the file's order.
        tables: the map's tables by their four letters, each with its closing record.

    Raises:
        CorpusError: there is no such file, it is no SoundFont, is cut off or contradicts itself.
    """

    info: dict[str, str]
    presets: tuple[Preset, ...]
    samples: tuple[Sample, ...]
    tables: dict[str, NDArray[np.void]]

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._fingerprints: dict[int, str] = {}
        self._data = _mapped(self.path)
        chunks = self._chunks()
        self.info = {
            name.removeprefix("INFO"): bytes(self._data[start:end])
            .split(b"\0")[0]
            .decode("latin-1")
            .strip()
            for name, (start, end) in chunks.items()
            if name.startswith("INFO") and name[4:] not in ("ifil", "iver")
        }
        self.tables = {name: self._table(chunks, name) for name in _TABLES}
        self._places = chunks
        self.samples = self._read_samples(self.tables["shdr"], chunks.get("sdtasmpl", (0, 0)))
        self.presets = self._read_presets(self.tables)

    def recording(self, sample: int) -> memoryview:
        """A sample's data as it stands in the file: 16-bit frames, or an Ogg Vorbis stream."""
        place = self.samples[sample]
        return memoryview(self._data)[place.offset : place.offset + place.length]

    def lower_bytes(self, sample: int) -> memoryview | None:
        """The lower eight bits of each frame of a sample; None in a file of 16 bits."""
        first, last = self._places.get("sdtasm24", (0, 0))
        place = self.samples[sample]
        start = first + (place.offset - self._places["sdtasmpl"][0]) // FRAME_BYTES
        end = start + place.length // FRAME_BYTES
        return memoryview(self._data)[start:end] if first and end <= last else None

    def modulators(self) -> NDArray[np.void]:
        """The instruments' modulators, ``imod``: source, destination, amount, source of it."""
        if "pdtaimod" not in self._places:
            return np.zeros(0, dtype=_MODULATOR)
        start, end = self._places["pdtaimod"]
        whole = (end - start) // _MODULATOR.itemsize * _MODULATOR.itemsize
        found: NDArray[np.void] = np.frombuffer(self._data[start : start + whole], _MODULATOR)
        return found

    def fingerprint(self, sample: int) -> str | None:
        """SHA-256 of a sample's data as it stands in the file (.sf3: the compressed bytes).

        None for a sample that is not in the file, or holds nothing but zeros: sharing silence is
        sharing nothing.
        """
        if sample not in self._fingerprints:
            place = self.samples[sample]
            data = memoryview(self._data)[place.offset : place.offset + place.length]
            silent = not place.vorbis and not np.frombuffer(data, dtype=np.uint8).any()
            self._fingerprints[sample] = "" if silent else hashlib.sha256(data).hexdigest()
        return self._fingerprints[sample] or None

    def sha256(self) -> str:
        """SHA-256 of the whole file."""
        return hashlib.sha256(self._data).hexdigest()

    def _error(self, problem: str, remedy: str | None = None) -> CorpusError:
        return CorpusError(problem, path=self.path, remedy=remedy)

    def _chunks(self) -> dict[str, tuple[int, int]]:
        """First byte and end of each chunk, by list and name (``pdtaphdr``)."""
        header = read_header(self._data)
        if header is None or header.form != "sfbk":
            raise self._error("is not a SoundFont", "give a .sf2 or .sf3 file")
        if header.end > len(self._data):
            raise self._error(
                f"is cut off: {len(self._data)} of {header.end} bytes are there",
                "copy or download it again",
            )
        chunks: dict[str, tuple[int, int]] = {}
        for outer in self._walk(HEADER_BYTES, header.end):
            if outer.name != "LIST":
                continue
            kind = self._data[outer.start : outer.start + 4].decode("latin-1")
            for inner in self._walk(outer.start + 4, outer.end):
                chunks[kind + inner.name] = (inner.start, inner.end)
        return chunks

    def _walk(self, start: int, end: int) -> Iterator[Chunk]:
        for chunk in walk_chunks(self._data, start, end):
            if chunk.missing:
                raise self._error(
                    f'chunk "{chunk.name}" reaches {chunk.missing} bytes beyond its list',
                    "copy or download it again",
                )
            yield chunk

    def _table(self, chunks: dict[str, tuple[int, int]], name: str) -> NDArray[np.void]:
        layout = _TABLES[name]
        if f"pdta{name}" not in chunks:
            raise self._error(f'has no "{name}" table', "give a .sf2 or .sf3 file")
        start, end = chunks[f"pdta{name}"]
        if end == start or (end - start) % layout.itemsize:
            raise self._error(
                f'table "{name}" has {end - start} bytes, not a multiple of {layout.itemsize}'
            )
        table: NDArray[np.void] = np.frombuffer(self._data[start:end], dtype=layout)
        return table

    def _read_samples(
        self, headers: NDArray[np.void], recordings: tuple[int, int]
    ) -> tuple[Sample, ...]:
        samples = []
        for header in headers[:-1]:
            vorbis = bool(header["type"] & VORBIS_SAMPLE)
            unit = 1 if vorbis else FRAME_BYTES
            offset = recordings[0] + unit * int(header["start"])
            length = unit * (int(header["end"]) - int(header["start"]))
            if header["type"] & ROM_SAMPLE or length <= 0:
                length = 0
            elif offset + length > recordings[1]:
                raise self._error(f'sample "{_text(header["name"])}" lies outside the recordings')
            samples.append(
                Sample(
                    name=_text(header["name"]),
                    offset=offset,
                    length=length,
                    sample_rate=int(header["sample_rate"]),
                    root=int(header["root"]),
                    vorbis=vorbis,
                )
            )
        return tuple(samples)

    def _read_presets(self, tables: dict[str, NDArray[np.void]]) -> tuple[Preset, ...]:
        instruments = [
            [
                Region(sample, keys, velocities)
                for sample, keys, velocities in zones
                if self._known(sample, len(self.samples), "sample")
                and self.samples[sample].length > 0
            ]
            for zones in self._zones(tables["inst"], tables["ibag"], tables["igen"], SAMPLE_ID)
        ]
        presets = []
        outer = self._zones(tables["phdr"], tables["pbag"], tables["pgen"], INSTRUMENT)
        for header, zones in zip(tables["phdr"], outer, strict=False):
            regions = []
            for instrument, keys, velocities in zones:
                self._known(instrument, len(instruments), "instrument")
                for inner in instruments[instrument]:
                    both = _overlap(keys, inner.keys), _overlap(velocities, inner.velocities)
                    if both[0] and both[1]:
                        regions.append(Region(inner.sample, both[0], both[1]))
            name = _text(header["name"])
            presets.append(
                Preset(int(header["bank"]), int(header["program"]), name, tuple(regions))
            )
        return tuple(sorted(presets, key=lambda preset: (preset.bank, preset.program)))

    def _known(self, index: int, count: int, kind: str) -> bool:
        if index >= count:
            raise self._error(f"a zone names {kind} {index}, but there are {count}")
        return True

    def _zones(
        self,
        owners: NDArray[np.void],
        bags: NDArray[np.void],
        generators: NDArray[np.void],
        target: int,
    ) -> Iterator[list[tuple[int, tuple[int, int], tuple[int, int]]]]:
        """For each owner its zones that name a target: target's index, key range, velocities."""
        limits = bags["generator"].tolist()
        pairs = list(zip(generators["number"].tolist(), generators["amount"].tolist(), strict=True))
        starts = owners["bag"].tolist()
        for first, last in itertools.pairwise(starts):
            if not first <= last < len(limits):
                raise self._error("its zones are out of order", "copy or download it again")
            zones = []
            for begin, end in zip(limits[first:last], limits[first + 1 : last + 1], strict=True):
                if not begin <= end < len(pairs) + 1:
                    raise self._error("its generators are out of order")
                zone = dict(pairs[begin:end])
                if target in zone:
                    keys = _range(zone.get(KEY_RANGE))
                    zones.append((zone[target], keys, _range(zone.get(VELOCITY_RANGE))))
            yield zones


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise CorpusError("no such file", path=path) from error
    except IsADirectoryError as error:
        raise CorpusError("is a folder, not a SoundFont", path=path) from error
    except ValueError as error:
        raise CorpusError("is empty, not a SoundFont", path=path) from error
    except OSError as error:
        raise CorpusError(f"cannot be read: {error.strerror}", path=path) from error


def _text(name: bytes) -> str:
    return bytes(name).split(b"\0")[0].decode("latin-1").strip()


def _range(amount: int | None) -> tuple[int, int]:
    return (0, 127) if amount is None else (amount & 0xFF, amount >> 8)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int] | None:
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low <= high else None
