"""Reading a preset of a SoundFont 2 or 3 into zones.

A sample plays with the generators of its instrument's zone; where that sets none, with those of the
instrument's global zone or the defaults of the format; those of the preset's zones are added.
Generators without a counterpart here (filters, LFOs, the modulation envelope) are named in a
warning. Left and right samples of a stereo pair become one zone of two channels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.sf2 import SoundFontFile
from mechanical_ears.corpus.sf2_generators import FULL_RANGE, Generator, generator_name
from mechanical_ears.instrument.formats import sf2_writer
from mechanical_ears.instrument.formats.sf2_writer import LEFT, RIGHT
from mechanical_ears.instrument.sampled import Sample, SampledInstrument
from mechanical_ears.instrument.zones import (
    ENVELOPE_RANGE_DB,
    Envelope,
    InstrumentError,
    Loop,
    VelocityResponse,
    Zone,
)
from mechanical_ears.note import FAMILIES

ATTENUATION_SHARE: Final = 0.4  # of ``initialAttenuation`` that FluidSynth and E-mu's chips apply
NO_DELAY: Final = Generator.DELAY.default  # timecents; at most as much is a time of 0
MAX_TIMECENTS: Final = 8_000
MIN_RELEASE_SECONDS: Final = 0.001  # s
COARSE_FRAMES: Final = 32_768  # frames in a step of a coarse offset
MAX_LISTED: Final = 12  # presets in an error's remedy
# Generators that shift where a sample starts, ends and loops: in frames, in coarse steps.
_START = (Generator.START_OFFSET, Generator.START_COARSE_OFFSET)
_END = (Generator.END_OFFSET, Generator.END_COARSE_OFFSET)
_LOOP_START = (Generator.LOOP_START_OFFSET, Generator.LOOP_START_COARSE_OFFSET)
_LOOP_END = (Generator.LOOP_END_OFFSET, Generator.LOOP_END_COARSE_OFFSET)
_RANGES: Final = (Generator.KEY_RANGE, Generator.VELOCITY_RANGE)
_IGNORED: Final = ("MODULATION", "VIBRATO", "FILTER", "KEY_TO", "FIXED")  # starts of their names
_SUPPORTED: Final = {each for each in Generator if not each.name.startswith(_IGNORED)}
_DEFAULTS: Final[dict[int, int]] = {generator: generator.default for generator in Generator}
Amounts = dict[int, int]  # unsigned amounts by generator number


def read_sf2(path: str | Path, preset: str | None = None) -> SampledInstrument:
    """Read a preset of a SoundFont.

    Args:
        path: .sf2 or .sf3 file.
        preset: ``bank:program``; None for the first.

    Raises:
        EarsError: the file is not a SoundFont, or has no such preset.
    """
    file = SoundFontFile(path)
    headers = file.tables["phdr"][:-1]
    keys = [f"{int(header['bank'])}:{int(header['program'])}" for header in headers]
    order = sorted(range(len(keys)), key=lambda i: (headers[i]["bank"], headers[i]["program"]))
    if not order:
        raise InstrumentError("has no preset", path=path)
    if preset is not None and preset not in keys:
        known = ", ".join(keys[index] for index in order[:MAX_LISTED])
        raise InstrumentError(f"has no preset {preset}", path=path, remedy=f"choose among {known}")
    index = order[0] if preset is None else keys.index(preset)
    ignored: set[int] = set()
    samples: dict[str, Sample] = {}
    zones: list[Zone] = []
    kinds: list[int] = []
    for amounts, response in _preset_samples(file, index, ignored):
        zone, sample = _read_zone(file, amounts, response)
        if zone is None or sample is None:
            continue
        samples.setdefault(zone.sample, sample)
        zones.append(zone)
        kinds.append(int(file.tables["shdr"][amounts[Generator.SAMPLE_ID]]["type"]) & 0x0F)
    if not zones:
        raise InstrumentError(f"preset {keys[index]} has no zone with a sample", path=path)
    zones, samples = _merge_stereo_pairs(zones, kinds, samples)
    names = ", ".join(generator_name(number) for number in sorted(ignored))
    family = file.info.get("ICMT", "").removeprefix("family: ")
    name = bytes(headers[index]["name"]).split(b"\0")[0].decode("latin-1").strip()
    return SampledInstrument(
        name=file.info.get("INAM", name) if len(keys) == 1 else name,
        zones=tuple(zones),
        samples=samples,
        family=family if family in FAMILIES else None,
        licence=_licence(file),
        warnings=(f"generators that are ignored: {names}",) if names else (),
    )


def _licence(file: SoundFontFile) -> str:
    text = file.info.get("ICOP", "")
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _preset_samples(
    file: SoundFontFile, preset: int, ignored: set[int]
) -> Iterator[tuple[Amounts, VelocityResponse]]:
    """Amounts and velocity response of each sample in a preset; adds to ``ignored`` generators."""
    preset_global: Amounts = {}
    for position, (amounts, _) in enumerate(file.preset_zones[preset]):
        if Generator.INSTRUMENT not in amounts:
            preset_global = amounts if position == 0 else preset_global
            continue
        outer = preset_global | amounts
        instrument_global: Amounts = {}
        global_response = VelocityResponse()
        zones = file.instrument_zones[outer[Generator.INSTRUMENT]]
        for number, (inner, bag) in enumerate(zones):
            response = _read_response(file, bag)
            if Generator.SAMPLE_ID not in inner:
                if number == 0:
                    instrument_global, global_response = inner, response or global_response
                continue
            total = _add_amounts(instrument_global | inner, outer)
            if total is not None:
                ignored |= {key for key in total if key not in _SUPPORTED and total[key]}
                yield total, response or global_response


def _add_amounts(inner: Amounts, outer: Amounts) -> Amounts | None:
    """Amounts of an instrument's zone plus those of the preset's; None if no key has both."""
    total = dict(inner)
    for number, amount in outer.items():
        if number == Generator.INSTRUMENT:
            continue
        if number in _RANGES:
            inner_range = inner.get(number, FULL_RANGE)
            low = max(amount & 0xFF, inner_range & 0xFF)
            high = min(amount >> 8, inner_range >> 8)
            if low > high:
                return None
            total[number] = low | high << 8
        else:
            total[number] = (_amount(inner, number) + _signed(amount)) & 0xFFFF
    return total


def _read_response(file: SoundFontFile, bag: int) -> VelocityResponse | None:
    """Velocity response by a zone's modulators; None where they do not set one."""
    bags = file.tables["ibag"]
    first, last = int(bags[bag]["modulator"]), int(bags[bag + 1]["modulator"])
    concave: int | None = None
    linear = 0
    for row in file.modulators()[first:last]:
        if int(row["destination"]) != Generator.ATTENUATION or int(row["amount_source"]):
            continue
        if int(row["source"]) == sf2_writer.VELOCITY_CONCAVE:
            concave = int(row["amount"])
        elif int(row["source"]) == sf2_writer.VELOCITY_LINEAR:
            linear = int(row["amount"])
    if concave is None and not linear:
        return None
    power = VelocityResponse.power
    if concave is not None:
        power = max(concave / sf2_writer.POWER_CENTIBELS, 0.0)
    if not linear:
        return VelocityResponse(power=round(power, 4))
    velocities = [*range(1, 128, 2)]
    falls = [10 ** (-linear * (127 - v) / 128 / 200) for v in velocities]
    gains = [fall * (v / 127) ** power for v, fall in zip(velocities, falls, strict=True)]
    return VelocityResponse(curve=tuple(zip(velocities, gains, strict=True)))


def _read_zone(
    file: SoundFontFile, amounts: Amounts, response: VelocityResponse
) -> tuple[Zone | None, Sample | None]:
    """A zone and its sample; None for a sample that the file does not hold."""
    index = amounts[Generator.SAMPLE_ID]
    header, stored = file.tables["shdr"][index], file.samples[index]
    if stored.length == 0:
        return None, None
    audio = _decode_audio(file, index)
    first, last = _offset(amounts, _START), len(audio) + _offset(amounts, _END)
    sample = Sample(audio[max(first, 0) : max(last, 0)][:, None], stored.sample_rate)
    loop = None
    if amounts.get(Generator.SAMPLE_MODES, 0) & 1:
        origin = first if stored.vorbis else first + int(header["start"])
        start = max(int(header["loop_start"]) + _offset(amounts, _LOOP_START) - origin, 0)
        end = int(header["loop_end"]) + _offset(amounts, _LOOP_END) - origin
        end = min(end, len(sample.audio))
        loop = Loop(start, end) if start < end else None
    root = amounts.get(Generator.ROOT_KEY, 0xFFFF)
    tuning = 100 * _amount(amounts, Generator.COARSE_TUNE) + _amount(amounts, Generator.FINE_TUNE)
    keys, velocities = (amounts.get(number, FULL_RANGE) for number in _RANGES)
    name = stored.name + (f"+{first}" if first else "")
    zone = Zone(
        sample=name or f"sample {index}",
        root=root if root <= 127 else min(int(header["root"]), 127),
        keys=(keys & 0xFF, min(keys >> 8, 127)),
        velocities=(velocities & 0xFF, min(velocities >> 8, 127)),
        cents=-float(tuning + int(header["correction"])) + 0.0,
        gain=-ATTENUATION_SHARE * _amount(amounts, Generator.ATTENUATION) / 10 + 0.0,
        pan=min(max(_amount(amounts, Generator.PAN) / 500, -1.0), 1.0),
        loop=loop,
        envelope=_read_envelope(amounts),
        velocity_response=response,
        key_tracking=float(_amount(amounts, Generator.SCALE_TUNING)),
    )
    return zone, sample


def _read_envelope(amounts: Amounts) -> Envelope:
    def seconds(number: int, scale: float = 1.0) -> float:
        timecents = _amount(amounts, number)
        if timecents <= NO_DELAY:
            return 0.0
        return float(f"{scale * 2 ** (min(timecents, MAX_TIMECENTS) / 1200):.3g}")

    from_sf2 = ENVELOPE_RANGE_DB / sf2_writer.SF2_RANGE_DB  # of the times of decay and release
    sustain = -Generator.SUSTAIN.clip(_amount(amounts, Generator.SUSTAIN)) / 10
    return Envelope(
        delay=seconds(Generator.DELAY),
        attack=seconds(Generator.ATTACK),
        hold=seconds(Generator.HOLD),
        decay=seconds(Generator.DECAY, from_sf2) if sustain < 0 else 0.0,
        sustain=sustain + 0.0,
        release=max(seconds(Generator.RELEASE, from_sf2), MIN_RELEASE_SECONDS),
    )


def _decode_audio(file: SoundFontFile, index: int) -> NDArray[np.float32]:
    """Samples of a recording, float32 (frames,)."""
    data = file.sample_data(index)
    if file.samples[index].vorbis:
        import soundfile

        audio, _ = soundfile.read(io.BytesIO(bytes(data)), dtype="float32", always_2d=True)
        return np.asarray(audio[:, 0], dtype=np.float32)
    upper = np.frombuffer(data, dtype="<i2")
    lower = file.sample_lower_bytes(index)
    if lower is None:
        return np.asarray(upper, dtype=np.float32) / np.float32(2**15)
    integers = (upper.astype(np.int32) << 8) | np.frombuffer(lower, dtype=np.uint8)
    return np.asarray(integers / 2**23, dtype=np.float32)


def _merge_stereo_pairs(
    zones: list[Zone], kinds: list[int], samples: dict[str, Sample]
) -> tuple[list[Zone], dict[str, Sample]]:
    """Zones with each left and right neighbour as one zone of two channels."""
    merged: list[Zone] = []
    index = 0
    while index < len(zones):
        zone = zones[index]
        other = zones[index + 1] if index + 1 < len(zones) else None
        if other is not None and {kinds[index], kinds[index + 1]} == {LEFT, RIGHT}:
            same = replace(other, sample=zone.sample, pan=zone.pan) == zone
            left, right = (zone, other) if kinds[index] == LEFT else (other, zone)
            both = [samples[each.sample].audio for each in (left, right)]
            if same and len(both[0]) == len(both[1]) and (left.pan, right.pan) == (-1.0, 1.0):
                name = left.sample.removesuffix("(L)") or left.sample
                if name not in samples or samples[name].audio.shape[1] == 2:
                    rate = samples[left.sample].sample_rate
                    samples.setdefault(name, Sample(np.concatenate(both, axis=1), rate))
                    merged.append(replace(zone, sample=name, pan=0.0))
                    index += 2
                    continue
        merged.append(zone)
        index += 1
    used = {zone.sample for zone in merged}
    return merged, {name: sample for name, sample in samples.items() if name in used}


def _offset(amounts: Amounts, pair: tuple[Generator, Generator]) -> int:
    """Frames of a pair of fine and coarse offsets."""
    return _amount(amounts, pair[0]) + COARSE_FRAMES * _amount(amounts, pair[1])


def _amount(amounts: Amounts, number: int) -> int:
    """Signed amount of a generator, or its default."""
    return _signed(amounts[number]) if number in amounts else _DEFAULTS.get(number, 0)


def _signed(amount: int) -> int:
    """An unsigned 16-bit amount as a signed number."""
    return amount - 0x10000 if amount >= 0x8000 else amount
