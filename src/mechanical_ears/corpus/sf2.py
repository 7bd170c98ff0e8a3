"""Reading SoundFont files: presets, the samples that they use at each key, and their fingerprints.

A SoundFont 2 file (E-mu Systems, "SoundFont Technical Specification", version 2.04, 2006) is a RIFF
file of the form ``sfbk`` with three lists:

    INFO   texts           INAM name, ICOP copyright, ICMT comment, ISFT …
    sdta   sample data     smpl: 16-bit frames of all samples
    pdta   tables          phdr → pbag → pgen → inst → ibag → igen → shdr

A preset (``phdr``) has zones (``pbag``), a zone has generators (``pgen``), and one of these refers
to an instrument (``inst``), whose zones (``ibag``, ``igen``) refer to samples (``shdr``). A sample
sounds at a key and velocity inside the ranges of both zones. Each table ends with a terminal record
that only marks the end of the last real one. A zone without a reference is global: it sets
defaults, which this reader does not need (FluidSynth does not inherit its key range either).

SoundFont 3 (MuseScore's) differs only in the sample data: Ogg Vorbis streams, marked with 0x10 in
the sample type, with positions in bytes instead of frames.

The file is memory-mapped and only its tables are read; sample data are read when they are hashed.
"""

from __future__ import annotations

import hashlib
import itertools
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.sf2_generators import FULL_RANGE, Generator
from mechanical_ears.errors import CorpusError
from mechanical_ears.riff import HEADER_BYTES, Chunk, read_header, walk_chunks

SUFFIXES = (".sf2", ".sf3")

ROM_SAMPLE, VORBIS_SAMPLE = 0x8000, 0x10  # bits of the sample type
FRAME_BYTES = 2  # bytes of one 16-bit frame

_RANGES = (Generator.KEY_RANGE, Generator.VELOCITY_RANGE)
_CHANNEL = re.compile(r"[\s_(\[.-]*\b[LR]\b[)\]]?\s*$")
_PUNCTUATION = re.compile(r"[^a-z0-9#]")


def _layout(fields: str) -> np.dtype[np.void]:
    """Layout of a record from its fields, ``name:type`` each."""
    return np.dtype([tuple(field.split(":")) for field in fields.split()])


_BAG = _layout("generator:<u2 modulator:<u2")
_GENERATOR = _layout("number:<u2 amount:<u2")
_MODULATOR = _layout("source:<u2 destination:<u2 amount:<i2 amount_source:<u2 transform:<u2")
_PRESET = _layout("name:S20 program:<u2 bank:<u2 bag:<u2 library:<u4 genre:<u4 morphology:<u4")
_SAMPLE = _layout(
    "name:S20 start:<u4 end:<u4 loop_start:<u4 loop_end:<u4 sample_rate:<u4 root:u1 correction:i1 "
    "link:<u2 type:<u2"
)
_TABLES = {
    "phdr": _PRESET,
    "pbag": _BAG,
    "pgen": _GENERATOR,
    "inst": _layout("name:S20 bag:<u2"),
    "ibag": _BAG,
    "igen": _GENERATOR,
    "shdr": _SAMPLE,
}


@dataclass(frozen=True)
class Region:
    """Keys and velocities at which a sample sounds.

    Attributes:
        sample: index in ``SoundFontFile.samples``.
        keys: lowest and highest MIDI pitch, inclusive.
        velocities: lowest and highest MIDI velocity, inclusive.
    """

    sample: int
    keys: tuple[int, int]
    velocities: tuple[int, int]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the region in an array (MIDI pitch, MIDI velocity)."""
        (low, high), (soft, loud) = self.keys, self.velocities
        return slice(low, high + 1), slice(soft, loud + 1)


@dataclass(frozen=True)
class Preset:
    """A preset of a SoundFont.

    Attributes:
        bank: MIDI bank 0..128; 128 for drum kits.
        program: MIDI program 0..127.
        name: name in the file.
        regions: samples with their keys and velocities.
    """

    bank: int
    program: int
    name: str
    regions: tuple[Region, ...]

    @property
    def key(self) -> str:
        """``bank:program`` (``8:24``), unique in a SoundFont."""
        return f"{self.bank}:{self.program}"

    def coverage(self) -> NDArray[np.bool_]:
        """Whether any sample sounds: bool (128, 128), by MIDI pitch and MIDI velocity."""
        covered = np.zeros((128, 128), dtype=np.bool_)
        for region in self.regions:
            covered[region.slices] = True
        return covered

    def samples_within(self, mask: NDArray[np.bool_]) -> frozenset[int]:
        """Indices of the samples that sound anywhere in a mask like that of ``coverage``."""
        return frozenset(region.sample for region in self.regions if mask[region.slices].any())


@dataclass(frozen=True)
class Sample:
    """A sample of a SoundFont.

    Attributes:
        name: name in the file.
        offset: position of its data in the file, in bytes.
        length: bytes; 0 for a sample that is not in the file (ROM of old sound cards).
        sample_rate: Hz.
        root: MIDI pitch of the recording.
        vorbis: whether the data are an Ogg Vorbis stream instead of 16-bit frames.
    """

    name: str
    offset: int
    length: int
    sample_rate: int
    root: int
    vorbis: bool

    @property
    def base_name(self) -> str:
        """Name without channel, case and punctuation: ``violac7`` of ``Viola C7(L)``."""
        return _PUNCTUATION.sub("", _CHANNEL.sub("", self.name).lower())


class Zone(NamedTuple):
    """A zone of a preset or of an instrument.

    Attributes:
        amounts: unsigned amounts by generator number.
        bag: index of its record in the table ``pbag`` or ``ibag``.
    """

    amounts: dict[int, int]
    bag: int


class SoundFontFile:
    """A SoundFont 2 or 3 file, opened for reading.

    Args:
        path: the .sf2 or .sf3 file.

    Attributes:
        info: texts of the INFO list by chunk name (``{"INAM": "Fluid R3 GM", …}``).
        presets: sorted by bank and program.
        samples: in the order of the file.
        preset_zones: zones of each preset, in the order of the file.
        instrument_zones: zones of each instrument, in the order of the file.
        tables: tables of the pdta list by chunk name, each with its terminal record.

    Raises:
        CorpusError: there is no such file, or it is not a SoundFont, truncated or inconsistent.
    """

    info: dict[str, str]
    presets: tuple[Preset, ...]
    samples: tuple[Sample, ...]
    preset_zones: list[list[Zone]]
    instrument_zones: list[list[Zone]]
    tables: dict[str, NDArray[np.void]]

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._fingerprints: dict[int, str] = {}
        self._data = _map_file(self.path)
        self._chunks = chunks = self._find_chunks()
        self.info = {
            name.removeprefix("INFO"): _text(self._data[start:end])
            for name, (start, end) in chunks.items()
            if name.startswith("INFO") and name[4:] not in ("ifil", "iver")
        }
        self.tables = {name: self._read_table(name) for name in _TABLES}
        self.samples = self._read_samples(self.tables["shdr"], chunks.get("sdtasmpl", (0, 0)))
        self.instrument_zones = self._read_zones("inst", "ibag", "igen")
        self.preset_zones = self._read_zones("phdr", "pbag", "pgen")
        self.presets = self._read_presets()

    def sample_data(self, sample: int) -> memoryview:
        """Data of a sample as in the file: 16-bit frames, or an Ogg Vorbis stream."""
        entry = self.samples[sample]
        return memoryview(self._data)[entry.offset : entry.offset + entry.length]

    def sample_lower_bytes(self, sample: int) -> memoryview | None:
        """Lower eight bits of each frame of a sample; None in a 16-bit file."""
        first, last = self._chunks.get("sdtasm24", (0, 0))
        entry = self.samples[sample]
        start = first + (entry.offset - self._chunks["sdtasmpl"][0]) // FRAME_BYTES
        end = start + entry.length // FRAME_BYTES
        return memoryview(self._data)[start:end] if first and end <= last else None

    def modulators(self) -> NDArray[np.void]:
        """Modulators of the instruments (``imod``)."""
        start, end = self._chunks.get("pdtaimod", (0, 0))
        length = (end - start) // _MODULATOR.itemsize * _MODULATOR.itemsize
        records: NDArray[np.void] = np.frombuffer(self._data[start : start + length], _MODULATOR)
        return records

    def fingerprint(self, sample: int) -> str | None:
        """SHA-256 of a sample's data as in the file (.sf3: the compressed bytes).

        None for a sample that is not in the file or is all zeros, because two instruments that
        share silence share no recording.
        """
        if sample not in self._fingerprints:
            data = self.sample_data(sample)
            has_sound = self.samples[sample].vorbis or np.frombuffer(data, dtype=np.uint8).any()
            self._fingerprints[sample] = hashlib.sha256(data).hexdigest() if has_sound else ""
        return self._fingerprints[sample] or None

    def sha256(self) -> str:
        """SHA-256 of the whole file."""
        return hashlib.sha256(self._data).hexdigest()

    def _error(self, problem: str, remedy: str | None = None) -> CorpusError:
        return CorpusError(problem, path=self.path, remedy=remedy)

    def _find_chunks(self) -> dict[str, tuple[int, int]]:
        """Start and end of each chunk's data in bytes, by list and chunk name (``pdtaphdr``)."""
        header = read_header(self._data)
        if header is None or header.form != "sfbk":
            raise self._error("is not a SoundFont", "give a .sf2 or .sf3 file")
        if header.end > len(self._data):
            problem = f"is truncated: it has {len(self._data)} of {header.end} bytes"
            raise self._error(problem, "copy or download it again")
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
                problem = f'chunk "{chunk.name}" ends {chunk.missing} bytes after its list'
                raise self._error(problem, "copy or download it again")
            yield chunk

    def _read_table(self, name: str) -> NDArray[np.void]:
        layout = _TABLES[name]
        if f"pdta{name}" not in self._chunks:
            raise self._error(f'has no "{name}" table', "give a .sf2 or .sf3 file")
        start, end = self._chunks[f"pdta{name}"]
        if end == start or (end - start) % layout.itemsize:
            raise self._error(
                f'table "{name}" has {end - start} bytes, not a multiple of {layout.itemsize}'
            )
        table: NDArray[np.void] = np.frombuffer(self._data[start:end], dtype=layout)
        return table

    def _read_samples(self, headers: NDArray[np.void], data: tuple[int, int]) -> tuple[Sample, ...]:
        samples = []
        for header in headers[:-1]:
            name, rate = _text(header["name"]), int(header["sample_rate"])
            vorbis = bool(header["type"] & VORBIS_SAMPLE)
            unit = 1 if vorbis else FRAME_BYTES
            offset = data[0] + unit * int(header["start"])
            length = unit * (int(header["end"]) - int(header["start"]))
            if header["type"] & ROM_SAMPLE or length <= 0:
                length = 0
            elif offset + length > data[1]:
                raise self._error(f'sample "{name}" is outside the sample data')
            samples.append(Sample(name, offset, length, rate, int(header["root"]), vorbis))
        return tuple(samples)

    def _read_presets(self) -> tuple[Preset, ...]:
        instruments = []
        for zones in self.instrument_zones:
            references = self._references(zones, Generator.SAMPLE_ID, self.samples)
            regions = [Region(*reference) for reference in references]
            instruments.append([each for each in regions if self.samples[each.sample].length > 0])
        presets = []
        for header, zones in zip(self.tables["phdr"], self.preset_zones, strict=False):
            regions = []
            references = self._references(zones, Generator.INSTRUMENT, instruments)
            for instrument, keys, velocities in references:
                for inner in instruments[instrument]:
                    common_keys = _overlap(keys, inner.keys)
                    common_velocities = _overlap(velocities, inner.velocities)
                    if common_keys and common_velocities:
                        regions.append(Region(inner.sample, common_keys, common_velocities))
            bank, program = int(header["bank"]), int(header["program"])
            presets.append(Preset(bank, program, _text(header["name"]), tuple(regions)))
        return tuple(sorted(presets, key=lambda preset: (preset.bank, preset.program)))

    def _references(
        self, zones: Sequence[Zone], reference: Generator, targets: Sequence[object]
    ) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
        """Zones that refer to a sample or instrument: its index, key range, velocity range."""
        for amounts, _ in zones:
            if reference not in amounts:
                continue
            if amounts[reference] >= len(targets):
                kind = "sample" if reference is Generator.SAMPLE_ID else "instrument"
                raise self._error(
                    f"a zone refers to {kind} {amounts[reference]}, but there are {len(targets)}"
                )
            keys, velocities = (_unpack_range(amounts.get(each, FULL_RANGE)) for each in _RANGES)
            yield amounts[reference], keys, velocities

    def _read_zones(self, owners: str, bags: str, generators: str) -> list[list[Zone]]:
        """Zones of each preset or instrument, from three tables."""
        numbers, values = (self.tables[generators][name].tolist() for name in ("number", "amount"))
        pairs = list(zip(numbers, values, strict=True))
        limits = self.tables[bags]["generator"].tolist()
        zones = []
        for first, last in itertools.pairwise(self.tables[owners]["bag"].tolist()):
            if not first <= last < len(limits):
                raise self._error("its zones are out of order", "copy or download it again")
            spans = list(itertools.pairwise(limits[first : last + 1]))
            if any(not start <= end <= len(pairs) for start, end in spans):
                raise self._error("its generators are out of order")
            bags_of_owner = enumerate(spans, first)
            zones.append([Zone(dict(pairs[start:end]), bag) for bag, (start, end) in bags_of_owner])
        return zones


def _map_file(path: Path) -> mmap.mmap:
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


def _unpack_range(amount: int) -> tuple[int, int]:
    return amount & 0xFF, amount >> 8


def _overlap(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int] | None:
    low, high = max(first[0], second[0]), min(first[1], second[1])
    return (low, high) if low <= high else None
