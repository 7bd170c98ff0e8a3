"""Reading SFZ: the opcodes that most instruments use; all others are named in a warning.

The text consists of headers in angle brackets, each followed by opcodes ``name=value``; a value
ends at the next opcode or the end of its line, so that file names may contain spaces. Opcodes of
<global>, <master> and <group> hold for the regions that follow. ``#define $NAME value`` and
``#include "file"`` are resolved; comments start with ``//`` or stand between ``/*`` and ``*/``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.formats.sfz_writer import CURVE_VELOCITIES
from mechanical_ears.instrument.formats.wav import SamplerMetadata, read_sample
from mechanical_ears.instrument.sampled import Sample, SampledInstrument
from mechanical_ears.instrument.zones import Envelope, InstrumentError, Loop, VelocityResponse, Zone
from mechanical_ears.note import FAMILIES
from mechanical_ears.pitch import name_to_midi

MAX_FILE_BYTES: Final = 20_000_000
MAX_INCLUDE_DEPTH: Final = 8  # files that include each other
MAX_REGIONS: Final = 100_000
MAX_LISTED: Final = 12  # opcodes in a warning
DEFAULT_ROOT: Final = 60  # MIDI number, where no root is set
MIN_SUSTAIN_PERCENT: Final = 1e-3
CURVE_TOLERANCE: Final = 1e-3  # relative, within which a curve's gains are those of a power
_HEADERS: Final = ("global", "master", "group", "region")
_ALIASES: Final = {
    "loopmode": "loop_mode",
    "loopstart": "loop_start",
    "loopend": "loop_end",
    "gain": "volume",
    "pitch": "tune",
}
_SUPPORTED: Final = {
    *("sample", "key", "lokey", "hikey", "pitch_keycenter", "lovel", "hivel", "tune", "transpose"),
    *("volume", "amplitude", "pan", "offset", "end", "loop_mode", "loop_start", "loop_end"),
    *("amp_veltrack", "pitch_keytrack", "seq_position", "seq_length", "lorand", "hirand"),
    *("ampeg_delay", "ampeg_attack", "ampeg_hold", "ampeg_decay", "ampeg_sustain"),
    *("ampeg_release", "trigger", "default_path", "note_offset", "octave_offset"),
    *("master_label", "group_label", "region_label", "global_label"),
}
_KEY_OFFSETS: Final = ("note_offset", "octave_offset")
_TOKEN = re.compile(r"<(\w+)>|(?<![^\s>])([A-Za-z][\w$]*)=")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_METADATA = re.compile(r"^//\s*(name|family|licence|license):[ \t]*(.*)$", re.MULTILINE)
_INCLUDE = re.compile(r'\s*#include\s+"([^"]+)"')
_CURVE = re.compile(r"amp_velcurve_(\d+)")
Opcodes = dict[str, str]


@dataclass
class _Reader:
    """State while a file is read."""

    path: Path
    samples: dict[str, Sample] = field(default_factory=dict)  # by sample name
    metadata: dict[str, SamplerMetadata | None] = field(default_factory=dict)  # by sample name
    names: dict[str, str] = field(default_factory=dict)  # sample names by file, start and end
    ignored: Counter[str] = field(default_factory=Counter)  # opcodes
    skipped: Counter[str] = field(default_factory=Counter)  # regions, by reason

    def warnings(self) -> tuple[str, ...]:
        """What of the file is ignored."""
        warnings = []
        if self.ignored:
            names = [name for name, _ in self.ignored.most_common()]
            listed = ", ".join(names[:MAX_LISTED]) + (" …" if len(names) > MAX_LISTED else "")
            warnings.append(f"opcodes that are ignored: {listed}")
        warnings += [f"{count} regions skipped: {why}" for why, count in self.skipped.items()]
        return tuple(warnings)


def read_sfz(path: str | Path) -> SampledInstrument:
    """Read an SFZ file and its samples.

    Name, family and licence are read from comments such as ``// name: Piano``.

    Raises:
        EarsError: the file, or one of its samples, cannot be read.
    """
    path = Path(path)
    text = _read_text(path)
    metadata = {key: value.strip() for key, value in _METADATA.findall(text)}
    reader = _Reader(path)
    zones: list[Zone] = []
    for opcodes in _regions(_preprocess(text, path, {}, 0), path):
        zone = _read_region(opcodes, reader)
        if zone is not None:
            zones.append(zone)
        if len(zones) > MAX_REGIONS:
            raise InstrumentError(f"has more than {MAX_REGIONS} regions", path=path)
    if not zones:
        raise InstrumentError(
            "has no region with a sample", path=path, remedy="give an SFZ file with samples"
        )
    family = metadata.get("family")
    return SampledInstrument(
        name=metadata.get("name") or path.stem,
        zones=tuple(zones),
        samples=reader.samples,
        family=family if family in FAMILIES else None,
        licence=metadata.get("licence") or metadata.get("license", ""),
        warnings=reader.warnings(),
    )


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InstrumentError("no such file", path=path) from error
    except OSError as error:
        raise InstrumentError(f"cannot be read ({error.strerror})", path=path) from error
    if len(data) > MAX_FILE_BYTES:
        raise InstrumentError(f"is larger than {MAX_FILE_BYTES / 1e6:.0f} MB", path=path)
    if b"\0" in data[:4096]:
        raise InstrumentError("is not a text file", path=path, remedy="give an SFZ file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _preprocess(text: str, path: Path, definitions: dict[str, str], depth: int) -> str:
    """Text without comments, its definitions and includes resolved."""
    if depth > MAX_INCLUDE_DEPTH:
        raise InstrumentError("includes itself, or too deeply", path=path)
    lines = []
    for line in _COMMENT.sub(" ", text).splitlines():
        for name in sorted(definitions, key=len, reverse=True):
            line = line.replace(name, definitions[name])
        if line.lstrip().startswith("#define"):
            parts = line.split(None, 2)
            if len(parts) == 3:
                definitions[parts[1]] = parts[2].strip()
            continue
        match = _INCLUDE.match(line)
        if match is not None:
            file = path.parent / match[1].replace("\\", "/")
            line = _preprocess(_read_text(file), file, definitions, depth + 1)
        lines.append(line)
    return "\n".join(lines)


def _regions(text: str, path: Path) -> Iterator[Opcodes]:
    """Opcodes of each region, those of its global, master and group included."""
    levels: dict[str, Opcodes] = {name: {} for name in _HEADERS}
    control: Opcodes = {}
    current: Opcodes | None = None
    in_region = False
    tokens = list(_TOKEN.finditer(text))
    if not any(token[1] for token in tokens):
        raise InstrumentError("has no header such as <region>", path=path, remedy="give an SFZ")
    for index, token in enumerate(tokens):
        if token[1]:
            if in_region:
                yield _merge_levels(levels, control)
            header = token[1].lower()
            in_region = header == "region"
            if header in _HEADERS:
                for below in _HEADERS[_HEADERS.index(header) :]:
                    levels[below] = {}
                current = levels[header]
            else:
                current = control if header == "control" else {}
        elif token[2] and current is not None:
            end = tokens[index + 1].start() if index + 1 < len(tokens) else len(text)
            value = text[token.end() : end].split("\n", 1)[0].strip()
            name = token[2].lower()
            current[_ALIASES.get(name, name)] = value
    if in_region:
        yield _merge_levels(levels, control)


def _merge_levels(levels: Mapping[str, Opcodes], control: Opcodes) -> Opcodes:
    opcodes: Opcodes = {}
    for name in _HEADERS:
        opcodes |= levels[name]
    if opcodes.get("sample") and not opcodes["sample"].startswith("*"):
        opcodes["sample"] = control.get("default_path", "") + opcodes["sample"]
    return opcodes | {name: value for name, value in control.items() if name in _KEY_OFFSETS}


def _read_region(opcodes: Opcodes, reader: _Reader) -> Zone | None:
    """One region; None for one that is not supported, which is counted."""
    reader.ignored.update(
        name for name in opcodes if name not in _SUPPORTED and _CURVE.fullmatch(name) is None
    )
    sample, trigger = opcodes.get("sample", ""), opcodes.get("trigger", "attack")
    reasons = {
        "without a sample": not sample,
        f"generated sample ({sample})": sample.startswith("*"),
        f"trigger={trigger}": trigger not in ("attack", "first"),
        "disabled": "-1" in (opcodes.get("end"), opcodes.get("hikey")),
    }
    for reason, applies in reasons.items():
        if applies:
            reader.skipped[reason] += 1
            return None
    record = f"region of {sample}"
    try:
        return _read_zone(opcodes, reader)
    except (ValueError, OverflowError, EarsError) as error:
        if getattr(error, "path", None) is not None:
            raise
        problem = getattr(error, "problem", str(error))
        raise InstrumentError(problem, path=reader.path, record=record) from error


def _read_zone(opcodes: Opcodes, reader: _Reader) -> Zone | None:
    shift = int(_number(opcodes, "note_offset", 0)) + 12 * int(_number(opcodes, "octave_offset", 0))
    key = _key(opcodes, "key", None)
    low, high = _key(opcodes, "lokey", key), _key(opcodes, "hikey", key)
    keys = (max(0, (low or 0) + shift), min(127, (127 if high is None else high) + shift))
    velocities = (_integer(opcodes, "lovel", 0), _integer(opcodes, "hivel", 127))
    if keys[0] > keys[1] or velocities[0] > velocities[1]:
        reader.skipped["an empty range"] += 1
        return None
    name, metadata = _read_sample(opcodes, reader)
    if opcodes.get("pitch_keycenter") == "sample":
        root = None if metadata is None else metadata.root
    else:
        root = _key(opcodes, "pitch_keycenter", key)
    root = (DEFAULT_ROOT if root is None else root) + shift
    amplitude = _number(opcodes, "amplitude", 100.0)
    gain = _number(opcodes, "volume", 0.0) + 20 * np.log10(max(amplitude, 1e-4) / 100)
    return Zone(
        sample=name,
        root=min(max(root, 0), 127),
        keys=keys,
        velocities=(max(velocities[0], 0), min(velocities[1], 127)),
        cents=-_number(opcodes, "tune", 0.0) - 100 * _number(opcodes, "transpose", 0.0),
        gain=float(gain),
        pan=_number(opcodes, "pan", 0.0) / 100,
        loop=_read_loop(opcodes, metadata, len(reader.samples[name].audio)),
        envelope=_read_envelope(opcodes),
        velocity_response=_read_response(opcodes),
        key_tracking=_number(opcodes, "pitch_keytrack", 100.0),
        round_robin=(_integer(opcodes, "seq_position", 1), _integer(opcodes, "seq_length", 1)),
        random_range=(_number(opcodes, "lorand", 0.0), _number(opcodes, "hirand", 1.0)),
    )


def _read_sample(opcodes: Opcodes, reader: _Reader) -> tuple[str, SamplerMetadata | None]:
    """Name and file metadata of a region's sample; its file is read where it was not yet."""
    file = opcodes["sample"].replace("\\", "/")
    first = _integer(opcodes, "offset", 0)
    end = _integer(opcodes, "end", 0) + 1 if "end" in opcodes else None
    known = f"{file}|{first}|{end}"
    if known in reader.names:
        return reader.names[known], reader.metadata[reader.names[known]]
    name = Path(file).stem if not first and end is None else f"{Path(file).stem}+{first}"
    name = name if end is None else f"{name}-{end}"
    while name in reader.samples:
        name += "_"
    sample, metadata = read_sample(_find_file(reader.path.parent, file))
    audio = sample.audio[first:end]
    if len(audio) == 0:
        raise ValueError(f'"offset" {first} leaves nothing of the sample')
    reader.samples[name] = Sample(audio, sample.sample_rate)
    reader.metadata[name] = metadata
    reader.names[known] = name
    return name, metadata


def _find_file(folder: Path, name: str) -> Path:
    """Path of a sample's file, whatever the case of its letters on the system that wrote it."""
    exact = path = folder / name
    if exact.is_file():
        return exact
    path = folder
    for part in Path(name).parts:
        if part in (".", ".."):
            path /= part
            continue
        try:
            found = {each.name.lower(): each for each in path.iterdir()}.get(part.lower())
        except OSError:
            return exact
        if found is None:
            return exact
        path = found
    return path


def _read_loop(opcodes: Opcodes, metadata: SamplerMetadata | None, frames: int) -> Loop | None:
    own = metadata.loop if metadata is not None else None
    mode = opcodes.get("loop_mode", "no_loop" if own is None else "loop_continuous")
    if mode not in ("loop_continuous", "loop_sustain"):
        return None
    offset = _integer(opcodes, "offset", 0)
    default = Loop(offset, offset + frames) if own is None else own
    start = _integer(opcodes, "loop_start", default.start) - offset
    last = _integer(opcodes, "loop_end", default.end - 1) - offset
    start, end = max(start, 0), min(last + 1, frames)
    return Loop(start, end) if start < end else None


def _read_envelope(opcodes: Opcodes) -> Envelope:
    sustain = min(max(_number(opcodes, "ampeg_sustain", 100.0), MIN_SUSTAIN_PERCENT), 100.0)
    return Envelope(
        delay=max(_number(opcodes, "ampeg_delay", 0.0), 0.0),
        attack=max(_number(opcodes, "ampeg_attack", 0.0), 0.0),
        hold=max(_number(opcodes, "ampeg_hold", 0.0), 0.0),
        decay=max(_number(opcodes, "ampeg_decay", 0.0), 0.0) if sustain < 100 else 0.0,
        sustain=round(float(20 * np.log10(sustain / 100)), 6) + 0.0,
        release=max(_number(opcodes, "ampeg_release", 0.001), 0.0),
    )


def _read_response(opcodes: Opcodes) -> VelocityResponse:
    """Velocity response; a curve that our writer made of a power is read as that power."""
    tracking = _number(opcodes, "amp_veltrack", 100.0) / 100
    points = filter(None, map(_CURVE.fullmatch, opcodes))
    curve = tuple(sorted((int(match[1]), _number(opcodes, match[0], 0.0)) for match in points))
    if tuple(velocity for velocity, _ in curve) == CURVE_VELOCITIES and curve[0][1] > 0:
        power = round(float(np.log(curve[0][1]) / np.log(curve[0][0] / 127)), 4)
        if all(
            abs((v / 127) ** power / gain - 1) < CURVE_TOLERANCE for v, gain in curve if gain > 0
        ):
            return VelocityResponse(power=power, tracking=tracking)
    return VelocityResponse(curve=curve, tracking=tracking)


def _number(opcodes: Opcodes, name: str, default: float) -> float:
    if name not in opcodes:
        return default
    try:
        value = float(opcodes[name])
    except ValueError as error:
        raise ValueError(f'"{name}" is "{opcodes[name]}", not a number') from error
    if not np.isfinite(value):
        raise ValueError(f'"{name}" is {opcodes[name]}, not a finite number')
    return value


def _integer(opcodes: Opcodes, name: str, default: int) -> int:
    return int(_number(opcodes, name, default))


def _key(opcodes: Opcodes, name: str, default: int | None) -> int | None:
    """A key by its MIDI number or its name (C4 = 60)."""
    value = opcodes.get(name)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return name_to_midi(value)
    except ValueError as error:
        raise ValueError(f'"{name}" is "{value}", neither a MIDI number nor a note') from error
