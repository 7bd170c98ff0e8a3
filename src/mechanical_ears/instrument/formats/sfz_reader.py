"""Reading SFZ: the opcodes that most instruments are made of; others are named in a warning.

The text is headers in angle brackets, each followed by opcodes ``name=value``; a value reaches to
the next opcode, so that names of files may have spaces. What stands under <global>, <master> and
<group> holds for the regions that follow. ``#define $NAME value`` and ``#include "file"`` are
followed; comments begin with ``//`` or stand between ``/*`` and ``*/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.formats.sfz_writer import POINTS
from mechanical_ears.instrument.formats.wav import SampleFacts, read_sample
from mechanical_ears.instrument.sampled import Sample, SampledInstrument
from mechanical_ears.instrument.zones import Envelope, InstrumentError, Loop, VelocityResponse, Zone
from mechanical_ears.note import FAMILIES
from mechanical_ears.pitch import name_to_midi

LARGEST: Final = 20_000_000  # characters of a file that are read
DEEPEST: Final = 8  # files that include each other
MOST_REGIONS: Final = 100_000
_HEADERS: Final = ("global", "master", "group", "region")
_ALIASES: Final = {
    "loopmode": "loop_mode",
    "loopstart": "loop_start",
    "loopend": "loop_end",
    "gain": "volume",
    "pitch": "tune",
}
_KNOWN: Final = {
    *("sample", "key", "lokey", "hikey", "pitch_keycenter", "lovel", "hivel", "tune", "transpose"),
    *("volume", "amplitude", "pan", "offset", "end", "loop_mode", "loop_start", "loop_end"),
    *("amp_veltrack", "pitch_keytrack", "seq_position", "seq_length", "lorand", "hirand"),
    *("ampeg_delay", "ampeg_attack", "ampeg_hold", "ampeg_decay", "ampeg_sustain"),
    *("ampeg_release", "trigger", "default_path", "note_offset", "octave_offset"),
    *("master_label", "group_label", "region_label", "global_label"),
}
_SHIFTS: Final = ("note_offset", "octave_offset")
_TOKEN = re.compile(r"<(\w+)>|(?<![^\s>])([A-Za-z][\w$]*)=")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_TOLD = re.compile(r"^//\s*(name|family|licence|license):[ \t]*(.*)$", re.MULTILINE)
_CURVE = re.compile(r"amp_velcurve_(\d+)")
_ROUNDING: Final = 1e-3  # relative, to which gains of a curve are those of a power


@dataclass
class _Reading:
    """What is gathered while a file is read."""

    path: Path
    samples: dict[str, Sample] = field(default_factory=dict)
    facts: dict[str, SampleFacts | None] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # name of a sample by file and stretch
    unknown: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def read_sfz(path: str | Path) -> SampledInstrument:
    """Read an SFZ file and its samples.

    Raises:
        EarsError: the file, or a sample of it, cannot be read.
    """
    path = Path(path)
    text = _text(path)
    told = {key: value.strip() for key, value in _TOLD.findall(text)}
    reading = _Reading(path)
    zones: list[Zone] = []
    for words in _regions(_resolved(text, path, {}, 0), path):
        zone = _zone(words, reading)
        if zone is not None:
            zones.append(zone)
        if len(zones) > MOST_REGIONS:
            raise InstrumentError(f"has more than {MOST_REGIONS} regions", path=path)
    if not zones:
        raise InstrumentError(
            "has no region that sounds", path=path, remedy="give an SFZ file with samples"
        )
    family = told.get("family")
    return SampledInstrument(
        name=told.get("name") or path.stem,
        zones=tuple(zones),
        samples=reading.samples,
        family=family if family in FAMILIES else None,
        licence=told.get("licence") or told.get("license", ""),
        warnings=_warnings(reading),
    )


def _warnings(reading: _Reading) -> tuple[str, ...]:
    warnings = []
    if reading.unknown:
        most = sorted(reading.unknown, key=lambda name: -reading.unknown[name])
        shown = ", ".join(most[:12]) + (" …" if len(most) > 12 else "")
        warnings.append(f"opcodes that are passed over: {shown}")
    warnings += [f"{count} regions left out: {why}" for why, count in reading.left_out.items()]
    return tuple(warnings)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InstrumentError("no such file", path=path) from error
    except OSError as error:
        raise InstrumentError(f"cannot be read ({error.strerror})", path=path) from error
    if len(data) > LARGEST:
        raise InstrumentError(f"is larger than {LARGEST / 1e6:.0f} MB", path=path)
    if b"\0" in data[:4096]:
        raise InstrumentError("is no text", path=path, remedy="give an SFZ file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _resolved(text: str, path: Path, defined: dict[str, str], depth: int) -> str:
    """The text without comments, with its definitions and inclusions followed."""
    if depth > DEEPEST:
        raise InstrumentError("includes itself, or too deeply", path=path)
    lines = []
    for line in _COMMENT.sub(" ", text).splitlines():
        for name in sorted(defined, key=len, reverse=True):
            line = line.replace(name, defined[name])
        if line.lstrip().startswith("#define"):
            words = line.split(None, 2)
            if len(words) == 3:
                defined[words[1]] = words[2].strip()
            continue
        match = re.match(r'\s*#include\s+"([^"]+)"', line)
        if match is not None:
            file = path.parent / match[1].replace("\\", "/")
            line = _resolved(_text(file), file, defined, depth + 1)
        lines.append(line)
    return "\n".join(lines)


def _regions(text: str, path: Path) -> Iterator[dict[str, str]]:
    """The opcodes of each region, those of its global, master and group included."""
    levels: dict[str, dict[str, str]] = {name: {} for name in _HEADERS}
    control: dict[str, str] = {}
    current: dict[str, str] | None = None
    pending = False
    tokens = list(_TOKEN.finditer(text))
    if not any(token[1] for token in tokens):
        raise InstrumentError("has no header such as <region>", path=path, remedy="give an SFZ")
    for place, token in enumerate(tokens):
        if token[1]:
            if pending:
                yield _merged(levels, control)
            header = token[1].lower()
            pending = header == "region"
            if header in _HEADERS:
                for below in _HEADERS[_HEADERS.index(header) :]:
                    levels[below] = {}
                current = levels[header]
            else:
                current = control if header == "control" else {}
        elif token[2] and current is not None:
            end = tokens[place + 1].start() if place + 1 < len(tokens) else len(text)
            value = text[token.end() : end].split("\n", 1)[0].strip()
            name = token[2].lower()
            current[_ALIASES.get(name, name)] = value
    if pending:
        yield _merged(levels, control)


def _merged(levels: Mapping[str, dict[str, str]], control: Mapping[str, str]) -> dict[str, str]:
    words: dict[str, str] = {}
    for name in _HEADERS:
        words |= levels[name]
    if words.get("sample") and not words["sample"].startswith("*"):
        words["sample"] = control.get("default_path", "") + words["sample"]
    return words | {name: value for name, value in control.items() if name in _SHIFTS}


def _zone(words: dict[str, str], reading: _Reading) -> Zone | None:
    """One region; None for what this reader leaves out, which is counted."""
    for name in words:
        if name not in _KNOWN and _CURVE.fullmatch(name) is None:
            reading.unknown[name] = reading.unknown.get(name, 0) + 1
    why = None
    if not words.get("sample"):
        why = "without a sample"
    elif words["sample"].startswith("*"):
        why = f"made by a generator ({words['sample']})"
    elif words.get("trigger", "attack") not in ("attack", "first"):
        why = f"trigger={words['trigger']}"
    elif words.get("end") == "-1" or words.get("hikey") == "-1":
        why = "switched off"
    if why is not None:
        reading.left_out[why] = reading.left_out.get(why, 0) + 1
        return None
    try:
        return _placed(words, reading)
    except (ValueError, OverflowError) as error:
        raise InstrumentError(
            str(error), path=reading.path, record=f"region of {words['sample']}"
        ) from error
    except EarsError as error:
        if error.path is not None:
            raise
        raise InstrumentError(
            error.problem, path=reading.path, record=f"region of {words['sample']}"
        ) from error


def _placed(words: dict[str, str], reading: _Reading) -> Zone | None:
    shift = int(_read(words, "note_offset", 0)) + 12 * int(_read(words, "octave_offset", 0))
    key = _key(words, "key", None)
    low, high = _key(words, "lokey", key), _key(words, "hikey", key)
    keys = (max(0, (low or 0) + shift), min(127, (127 if high is None else high) + shift))
    velocities = (int(_read(words, "lovel", 0)), int(_read(words, "hivel", 127)))
    if keys[0] > keys[1] or velocities[0] > velocities[1]:
        reading.left_out["an empty range"] = reading.left_out.get("an empty range", 0) + 1
        return None
    root = _key(words, "pitch_keycenter", key)
    if words.get("pitch_keycenter") == "sample":
        root = None
    name, facts = _sample(words, reading)
    if root is None:
        root = 60 if facts is None or words.get("pitch_keycenter") != "sample" else facts.root
    root = min(max(root + shift, 0), 127)
    amplitude = _read(words, "amplitude", 100.0)
    gain = _read(words, "volume", 0.0) + 20 * np.log10(max(amplitude, 1e-4) / 100)
    return Zone(
        sample=name,
        root=root,
        keys=keys,
        velocities=(max(velocities[0], 0), min(velocities[1], 127)),
        cents=-_read(words, "tune", 0.0) - 100 * _read(words, "transpose", 0.0),
        gain=float(gain),
        pan=_read(words, "pan", 0.0) / 100,
        loop=_loop(words, facts, reading.samples[name], int(_read(words, "offset", 0))),
        envelope=_envelope(words),
        velocity_response=_response(words),
        key_tracking=_read(words, "pitch_keytrack", 100.0),
        round_robin=(int(_read(words, "seq_position", 1)), int(_read(words, "seq_length", 1))),
        random_range=(_read(words, "lorand", 0.0), _read(words, "hirand", 1.0)),
    )


def _sample(words: dict[str, str], reading: _Reading) -> tuple[str, SampleFacts | None]:
    """The name of a region's sample, which is read where it was not yet; what its file tells."""
    told = words["sample"].replace("\\", "/")
    first, end = int(_read(words, "offset", 0)), words.get("end")
    last = None if end is None else int(_read(words, "end", 0)) + 1
    name = Path(told).stem if not first and last is None else f"{Path(told).stem}+{first}"
    name = name if last is None else f"{name}-{last}"
    known = f"{told}|{first}|{last}"
    if known in reading.files:
        return reading.files[known], reading.facts[reading.files[known]]
    while name in reading.samples:
        name += "_"
    sample, facts = read_sample(_found(reading.path.parent, told))
    audio = sample.audio[first:last]
    if len(audio) == 0:
        raise ValueError(f'"offset" {first} leaves nothing of the sample')
    reading.samples[name] = Sample(audio, sample.sample_rate)
    reading.facts[name] = facts
    reading.files[known] = name
    return name, facts


def _found(folder: Path, told: str) -> Path:
    """A sample's file, whatever the case of its name on the system where it was written."""
    path = folder / told
    if path.is_file():
        return path
    place = folder
    for part in Path(told).parts:
        if part in (".", ".."):
            place = place / part
            continue
        try:
            names = {each.name.lower(): each for each in place.iterdir()}
        except OSError:
            return path
        if part.lower() not in names:
            return path
        place = names[part.lower()]
    return place


def _loop(
    words: dict[str, str], facts: SampleFacts | None, sample: Sample, offset: int
) -> Loop | None:
    own = facts.loop if facts is not None else None
    mode = words.get("loop_mode", "no_loop" if own is None else "loop_continuous")
    if mode not in ("loop_continuous", "loop_sustain"):
        return None
    start = int(_read(words, "loop_start", 0 if own is None else own.start)) - offset
    last = int(_read(words, "loop_end", 0 if own is None else own.end - 1)) - offset
    if "loop_end" not in words and own is None:
        last = len(sample.audio) - 1
    end = min(last + 1, len(sample.audio))
    return Loop(max(start, 0), end) if 0 <= max(start, 0) < end else None


def _envelope(words: dict[str, str]) -> Envelope:
    sustain = min(max(_read(words, "ampeg_sustain", 100.0), 1e-3), 100.0)
    return Envelope(
        delay=max(_read(words, "ampeg_delay", 0.0), 0.0),
        attack=max(_read(words, "ampeg_attack", 0.0), 0.0),
        hold=max(_read(words, "ampeg_hold", 0.0), 0.0),
        decay=max(_read(words, "ampeg_decay", 0.0), 0.0) if sustain < 100 else 0.0,
        sustain=round(float(20 * np.log10(sustain / 100)), 6) + 0.0,
        release=max(_read(words, "ampeg_release", 0.001), 0.0),
    )


def _response(words: dict[str, str]) -> VelocityResponse:
    track = _read(words, "amp_veltrack", 100.0) / 100
    curve = tuple(
        sorted(
            (int(match[1]), _read(words, name, 0.0))
            for name in words
            if (match := _CURVE.fullmatch(name)) is not None
        )
    )
    if tuple(velocity for velocity, _ in curve) == POINTS and curve[0][1] > 0:
        power = round(float(np.log(curve[0][1]) / np.log(POINTS[0] / 127)), 4)
        told = VelocityResponse(power=power, tracking=track)
        if all(abs((v / 127) ** power / gain - 1) < _ROUNDING for v, gain in curve if gain > 0):
            return told
    return VelocityResponse(curve=curve, tracking=track)


def _read(words: dict[str, str], name: str, default: float) -> float:
    if name not in words:
        return default
    try:
        value = float(words[name])
    except ValueError as error:
        raise ValueError(f'"{name}" is "{words[name]}", no number') from error
    if not np.isfinite(value):
        raise ValueError(f'"{name}" is {words[name]}')
    return value


def _key(words: dict[str, str], name: str, default: int | None) -> int | None:
    told = words.get(name)
    if told is None or told == "sample":
        return default
    try:
        return int(told)
    except ValueError:
        pass
    try:
        return name_to_midi(told)
    except ValueError as error:
        raise ValueError(f'"{name}" is "{told}", no key') from error
