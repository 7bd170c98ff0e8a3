"""Reading a preset of a SoundFont 2 or 3 into zones.

A sample sounds with the generators of its instrument's zone, or where that tells none, with those
of the instrument's global zone or the format's own; those of the preset's zones are added. What has
no counterpart here (filters, LFOs, the modulation envelope) is named in a warning. Left and right
of a stereo pair become one zone of two channels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.sf2 import SoundFontFile
from mechanical_ears.instrument.formats import sf2_writer as sf2
from mechanical_ears.instrument.sampled import ENVELOPE_RANGE_DB, Sample, SampledInstrument
from mechanical_ears.instrument.zones import Envelope, InstrumentError, Loop, VelocityResponse, Zone
from mechanical_ears.note import FAMILIES

EMU: Final = 0.4  # of an attenuation that is told, which players take
# Generators that shift where a sample starts, ends and loops: frames and 32768 frames.
_START, _END, _LOOP_START, _LOOP_END = (0, 4), (1, 12), (2, 45), (3, 50)
_SHIFTS: Final = {number for pair in (_START, _END, _LOOP_START, _LOOP_END) for number in pair}
_RANGES: Final = (sf2.KEY_RANGE, sf2.VELOCITY_RANGE)
_TIMES: Final = (sf2.DELAY, sf2.ATTACK, sf2.HOLD, sf2.DECAY, sf2.RELEASE)
_KNOWN: Final = {
    *_SHIFTS,
    *_RANGES,
    *_TIMES,
    *(sf2.PAN, sf2.SUSTAIN, sf2.INSTRUMENT, sf2.ATTENUATION, sf2.COARSE, sf2.FINE),
    *(sf2.SAMPLE_ID, sf2.SAMPLE_MODES, sf2.SCALE_TUNING, sf2.EXCLUSIVE, sf2.ROOT),
    *(15, 16),  # chorus and reverb
}
_NAMES: Final = {
    5: "modulation LFO to pitch",
    6: "vibrato LFO",
    7: "modulation envelope to pitch",
    8: "filter",
    9: "filter's resonance",
    10: "modulation LFO to filter",
    11: "modulation envelope to filter",
    13: "modulation LFO to volume",
    39: "keys change hold",
    40: "keys change decay",
    46: "fixed key",
    47: "fixed velocity",
}
Generators = dict[int, int]


def read_sf2(path: str | Path, preset: str | None = None) -> SampledInstrument:
    """Read a preset of a SoundFont.

    Args:
        path: .sf2 or .sf3 file.
        preset: ``bank:program``; None for the first.

    Raises:
        EarsError: it is no SoundFont, or has no such preset.
    """
    file = SoundFontFile(path)
    tables = file.tables
    heads = tables["phdr"][:-1]
    keys = [f"{int(head['bank'])}:{int(head['program'])}" for head in heads]
    order = sorted(range(len(keys)), key=lambda at: (heads[at]["bank"], heads[at]["program"]))
    if not order:
        raise InstrumentError("has no preset", path=path)
    if preset is not None and preset not in keys:
        known = ", ".join(keys[at] for at in order[:12])
        raise InstrumentError(f"has no preset {preset}", path=path, remedy=f"choose among {known}")
    chosen = order[0] if preset is None else keys.index(preset)
    unknown: set[int] = set()
    samples: dict[str, Sample] = {}
    zones: list[Zone] = []
    kinds: list[int] = []
    for generators, response in _regions(file, chosen, unknown):
        zone, sample = _zone(file, generators, response)
        if zone is None or sample is None:
            continue
        samples.setdefault(zone.sample, sample)
        zones.append(zone)
        kinds.append(int(tables["shdr"][generators[sf2.SAMPLE_ID]]["type"]) & 0x0F)
    if not zones:
        raise InstrumentError(f"preset {keys[chosen]} has no zone that sounds", path=path)
    zones, samples = _stereo(zones, kinds, samples)
    words = [_NAMES.get(number, f"generator {number}") for number in sorted(unknown)]
    family = file.info.get("ICMT", "").removeprefix("family: ")
    name = bytes(heads[chosen]["name"]).split(b"\0")[0].decode("latin-1").strip()
    return SampledInstrument(
        name=file.info.get("INAM", name) if len(keys) == 1 else name,
        zones=tuple(zones),
        samples=samples,
        family=family if family in FAMILIES else None,
        licence=_licence(file),
        warnings=(f"passed over: {', '.join(words)}",) if words else (),
    )


def _licence(file: SoundFontFile) -> str:
    told = file.info.get("ICOP", "")
    try:
        return told.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return told


def _regions(
    file: SoundFontFile, preset: int, unknown: set[int]
) -> Iterator[tuple[Generators, VelocityResponse]]:
    """Generators and velocity response of each sample in a preset."""
    tables = file.tables
    outer = _bags(tables, "phdr", "pbag", "pgen", preset)
    common: Generators = {}
    for place, (wide, _) in enumerate(outer):
        if sf2.INSTRUMENT not in wide:
            common = wide if place == 0 else common
            continue
        wide = common | wide
        inner = _bags(tables, "inst", "ibag", "igen", wide[sf2.INSTRUMENT])
        own: Generators = {}
        base = VelocityResponse()
        for number, (narrow, bag) in enumerate(inner):
            response = _response(file, bag)
            if sf2.SAMPLE_ID not in narrow:
                if number == 0:
                    own, base = narrow, response or base
                continue
            both = _added(own | narrow, wide)
            if both is not None:
                unknown |= {key for key in both if key not in _KNOWN and both[key]}
                yield both, response or base


def _bags(
    tables: Mapping[str, NDArray[np.void]], owners: str, bags: str, generators: str, index: int
) -> list[tuple[Generators, int]]:
    """The zones of a preset or an instrument: generators, and the number of the bag."""
    head = tables[owners]
    if index >= len(head) - 1:
        raise InstrumentError(f"a zone names {owners} {index}, but there are {len(head) - 1}")
    first, last = int(head[index]["bag"]), int(head[index + 1]["bag"])
    zones = []
    for bag in range(first, last):
        start = int(tables[bags][bag]["generator"])
        end = int(tables[bags][bag + 1]["generator"])
        rows = tables[generators][start:end]
        zones.append(({int(row["number"]): int(row["amount"]) for row in rows}, bag))
    return zones


def _added(narrow: Generators, wide: Generators) -> Generators | None:
    """The generators of an instrument's zone with those of the preset's added."""
    both = dict(narrow)
    for number, amount in wide.items():
        if number == sf2.INSTRUMENT:
            continue
        if number in _RANGES:
            low = max(amount & 0xFF, narrow.get(number, 0x7F00) & 0xFF)
            high = min(amount >> 8, narrow.get(number, 0x7F00) >> 8)
            if low > high:
                return None
            both[number] = low | high << 8
        else:
            default = -12_000 if number in _TIMES else 100 if number == sf2.SCALE_TUNING else 0
            before = _whole(narrow[number]) if number in narrow else default
            both[number] = (before + _whole(amount)) & 0xFFFF
    return both


def _response(file: SoundFontFile, bag: int) -> VelocityResponse | None:
    """What a zone's modulators make of the velocity; None where they say nothing of it."""
    bags = file.tables["ibag"]
    first, last = int(bags[bag]["modulator"]), int(bags[bag + 1]["modulator"])
    concave: int | None = None
    linear = 0
    for row in file.modulators()[first:last]:
        if int(row["destination"]) != sf2.ATTENUATION or int(row["through"]):
            continue
        if int(row["source"]) == sf2.VELOCITY_CONCAVE:
            concave = int(row["amount"])
        elif int(row["source"]) == sf2.VELOCITY_LINEAR:
            linear = int(row["amount"])
    if concave is None and not linear:
        return None
    power = VelocityResponse.power if concave is None else max(concave / sf2.POWER, 0.0)
    if not linear:
        return VelocityResponse(power=round(power, 4))
    points = [*range(1, 128, 2)]
    falls = [10 ** (-linear * (127 - place) / 128 / 200) for place in points]
    gains = [fall * (place / 127) ** power for place, fall in zip(points, falls, strict=True)]
    return VelocityResponse(curve=tuple(zip(points, gains, strict=True)))


def _zone(
    file: SoundFontFile, told: Generators, response: VelocityResponse
) -> tuple[Zone | None, Sample | None]:
    index = told[sf2.SAMPLE_ID]
    if index >= len(file.samples):
        raise InstrumentError(f"a zone names sample {index}", path=file.path)
    header, about = file.tables["shdr"][index], file.samples[index]
    if about.length == 0:
        return None, None
    audio = _audio(file, index)
    first, last = _shift(told, _START), len(audio) + _shift(told, _END)
    sample = Sample(audio[max(first, 0) : max(last, 0)][:, None], about.sample_rate)
    origin = 0 if about.vorbis else int(header["start"])
    loop = None
    if told.get(sf2.SAMPLE_MODES, 0) & 1:
        start = int(header["loop_start"]) - origin + _shift(told, _LOOP_START) - first
        end = int(header["loop_end"]) - origin + _shift(told, _LOOP_END) - first
        end = min(end, len(sample.audio))
        loop = Loop(max(start, 0), end) if max(start, 0) < end else None
    root = told.get(sf2.ROOT, 0xFFFF)
    root = root if root <= 127 else min(int(header["root"]), 127)
    tuning = 100 * _whole(told.get(sf2.COARSE, 0)) + _whole(told.get(sf2.FINE, 0))
    keys, velocities = (told.get(number, 0x7F00) for number in _RANGES)
    name = about.name + (f"+{first}" if first else "")
    zone = Zone(
        sample=name if name else f"sample {index}",
        root=root,
        keys=(keys & 0xFF, min(keys >> 8, 127)),
        velocities=(velocities & 0xFF, min(velocities >> 8, 127)),
        cents=-float(tuning + int(header["correction"])) + 0.0,
        gain=-EMU * _whole(told.get(sf2.ATTENUATION, 0)) / 10 + 0.0,
        pan=min(max(_whole(told.get(sf2.PAN, 0)) / 500, -1.0), 1.0),
        loop=loop,
        envelope=_envelope(told),
        velocity_response=response,
        key_tracking=float(_whole(told.get(sf2.SCALE_TUNING, 100))),
    )
    return zone, sample


def _envelope(told: Generators) -> Envelope:
    def seconds(number: int, scale: float = 1.0) -> float:
        cents = _whole(told.get(number, -12_000))
        told_seconds = scale * 2 ** (min(cents, 8_000) / 1200)
        return 0.0 if cents <= -12_000 else float(f"{told_seconds:.3g}")

    fall = ENVELOPE_RANGE_DB / sf2.FALL
    sustain = -min(max(_whole(told.get(sf2.SUSTAIN, 0)), 0), 1440) / 10
    return Envelope(
        delay=seconds(sf2.DELAY),
        attack=seconds(sf2.ATTACK),
        hold=seconds(sf2.HOLD),
        decay=seconds(sf2.DECAY, fall) if sustain < 0 else 0.0,
        sustain=sustain + 0.0,
        release=max(seconds(sf2.RELEASE, fall), 0.001),
    )


def _audio(file: SoundFontFile, index: int) -> NDArray[np.float32]:
    data = file.recording(index)
    if file.samples[index].vorbis:
        import soundfile

        audio, _ = soundfile.read(io.BytesIO(bytes(data)), dtype="float32", always_2d=True)
        return np.asarray(audio[:, 0], dtype=np.float32)
    upper = np.frombuffer(data, dtype="<i2")
    lower = file.lower_bytes(index)
    if lower is None:
        return np.asarray(upper, dtype=np.float32) / np.float32(2**15)
    whole = (upper.astype(np.int32) << 8) | np.frombuffer(lower, dtype=np.uint8)
    return np.asarray(whole / 2**23, dtype=np.float32)


def _stereo(
    zones: list[Zone], kinds: list[int], samples: dict[str, Sample]
) -> tuple[list[Zone], dict[str, Sample]]:
    """Pairs of left and right as one zone of two channels."""
    made: list[Zone] = []
    place = 0
    while place < len(zones):
        zone = zones[place]
        other = zones[place + 1] if place + 1 < len(zones) else None
        if other is not None and {kinds[place], kinds[place + 1]} == {sf2.LEFT, sf2.RIGHT}:
            same = replace(other, sample=zone.sample, pan=zone.pan) == zone
            left, right = (zone, other) if kinds[place] == sf2.LEFT else (other, zone)
            one, two = samples[left.sample].audio, samples[right.sample].audio
            if same and len(one) == len(two) and (left.pan, right.pan) == (-1.0, 1.0):
                name = left.sample.removesuffix("(L)") or left.sample
                if name not in samples or samples[name].audio.shape[1] == 2:
                    rate = samples[left.sample].sample_rate
                    samples.setdefault(name, Sample(np.concatenate([one, two], axis=1), rate))
                    made.append(replace(zone, sample=name, pan=0.0))
                    place += 2
                    continue
        made.append(zone)
        place += 1
    used = {zone.sample for zone in made}
    return made, {name: sample for name, sample in samples.items() if name in used}


def _shift(told: Generators, pair: tuple[int, int]) -> int:
    return _whole(told.get(pair[0], 0)) + 32_768 * _whole(told.get(pair[1], 0))


def _whole(amount: int) -> int:
    """An amount as the signed number it stands for."""
    return amount - 0x10000 if amount >= 0x8000 else amount
