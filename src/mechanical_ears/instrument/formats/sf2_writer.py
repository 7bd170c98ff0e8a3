"""Writing SoundFont 2 (E-mu Systems, "SoundFont Technical Specification", version 2.04, 2006).

The structure of the file is described in corpus/sf2.py, which reads it. One preset (bank 0, program
0) of one instrument is written, whose global zone holds what all zones share. Choices:

    loops       ``endloop`` is one past the last frame, as our ``Loop.end``
    padding     46 zeros after each sample, as the specification asks
    loudness    the default modulator (velocity to attenuation, concave, 960 cB, which is the square
                of the velocity) gets another amount, 480 cB for a power of 1. Gains of zones are
                applied to the samples, since players read ``initialAttenuation`` in two ways
                (FluidSynth and E-mu's chips apply 0.4 of it)
    brightness  the modulator from velocity to the filter is disabled in both of its forms: the
                samples of softer layers are darker already
    tuning      whole cents, the format's own step: off by half a cent at most
    stereo      two samples, linked, and two zones panned hard
    24 bits     the lower eight in ``sm24``, which other players ignore
    round robin the format has none: the first position is written
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.sf2_generators import Generator
from mechanical_ears.instrument.formats.wav import SOFTWARE, quantise
from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import ENVELOPE_RANGE_DB, InstrumentError, Zone
from mechanical_ears.riff import encode_chunk, encode_list, encode_riff

PADDING_FRAMES: Final = 46  # zeros after each sample
LOOP_MARGIN: Final = 8  # frames that a sample must have before its loop's start and after its end
MAX_FILE_BYTES: Final = 2**32 - 2**20
MAX_RECORDS: Final = 2**16 - 2  # of a table that 16-bit numbers point into
NAME_BYTES: Final = 19
TEXT_BYTES: Final = 254  # of an INFO text
MONO, RIGHT, LEFT = 1, 2, 4  # sample types
SF2_RANGE_DB: Final = 100.0  # dB of fall in the decay and release times of the format
MIN_STAGE_SECONDS: Final = 0.001  # s, of a stage of an envelope

# Sources of modulators: velocity is controller 2; 0x100: inverted; 0x400: concave; 0xC00: switch.
VELOCITY_CONCAVE, VELOCITY_LINEAR = 0x0502, 0x0102
VELOCITY_SWITCHES: Final = (0x0D02, 0x0C02)
POWER_CENTIBELS: Final = 480.0  # cB of a velocity power of 1; the default modulator has 2
MAX_POWER: Final = 30.0


class _Modulator(NamedTuple):
    """A modulator: ``amount_source`` scales the amount, 0 for a constant one."""

    source: int
    destination: int
    amount: int
    amount_source: int = 0


@dataclass(frozen=True, eq=False)
class _Channel:
    """One channel of a sample as it is written; ``zone`` has its loop, root and tuning."""

    name: str
    audio: NDArray[np.float32]
    rate: int
    kind: int
    zone: Zone


Bag = tuple[list[tuple[int, int]], list[_Modulator]]  # generators and modulators of a zone


def encode_sf2(instrument: SampledInstrument, bits: int = 16) -> bytes:
    """Bytes of a SoundFont of one preset.

    Args:
        instrument: its samples are stored once for each gain, loop, root and tuning that zones use.
        bits: 16 or 24.

    Raises:
        InstrumentError: the instrument is larger than the format allows.
    """
    instrument = first_round_robins(instrument)
    channels, zone_channels = _split_channels(instrument)
    frames = sum(len(channel.audio) + PADDING_FRAMES for channel in channels)
    if frames * bits // 8 > MAX_FILE_BYTES:
        problem = f"needs {frames * bits / 8e9:.1f} GB, more than a SoundFont may have"
        remedy = "write an .sfz, or use fewer layers or keys"
        raise InstrumentError(problem, record=instrument.name, remedy=remedy)
    smpl, sm24, headers = _encode_samples(channels, bits)
    bags = _zone_bags(instrument, channels, zone_channels)
    family = f"family: {instrument.family}" if instrument.family else ""
    texts = {"isng": "EMU8000", "INAM": instrument.name, "ICOP": instrument.licence}
    texts |= {"ICMT": family, "ISFT": SOFTWARE}
    info = [encode_chunk("ifil", struct.pack("<HH", 2, 4 if bits == 24 else 1))]
    info += [_encode_text(key, text) for key, text in texts.items() if text]
    name = _encode_name(instrument.name)
    tables = {
        "phdr": struct.pack("<20sHHHIII", name, 0, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        "pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        "pmod": bytes(10),
        "pgen": struct.pack("<HHHH", Generator.INSTRUMENT, 0, 0, 0),
        "inst": struct.pack("<20sH", name, 0) + struct.pack("<20sH", b"EOI", len(bags)),
        **_encode_bags(bags),
        "shdr": headers,
    }
    audio = [encode_chunk("smpl", smpl)] + ([encode_chunk("sm24", sm24)] if bits == 24 else [])
    pdta = encode_list("pdta", *(encode_chunk(*table) for table in tables.items()))
    return encode_riff("sfbk", encode_list("INFO", *info), encode_list("sdta", *audio), pdta)


def first_round_robins(instrument: SampledInstrument) -> SampledInstrument:
    """The instrument with only the first zone of each round robin or random choice."""
    zones = tuple(
        zone for zone in instrument.zones if zone.round_robin[0] == 1 and zone.random_range[0] == 0
    )
    names = {zone.sample for zone in zones}
    samples = {name: sample for name, sample in instrument.samples.items() if name in names}
    return replace(instrument, zones=zones, samples=samples)


def _split_channels(instrument: SampledInstrument) -> tuple[list[_Channel], list[list[int]]]:
    """The channels to write, and for each zone the indices of its own."""
    channels: list[_Channel] = []
    known: dict[tuple[str, float, object, int, float], list[int]] = {}
    zone_channels = []
    scale = _headroom_gain(instrument)
    for zone in instrument.zones:
        # A sample's header holds its loop, root and tuning, so each combination needs a header.
        key = (zone.sample, zone.gain, zone.loop, zone.root, zone.cents)
        if key not in known:
            sample = instrument.samples[zone.sample]
            audio = sample.audio * np.float32(scale * 10 ** (zone.gain / 20))
            kinds = (MONO,) if audio.shape[1] == 1 else (LEFT, RIGHT)
            known[key] = list(range(len(channels), len(channels) + len(kinds)))
            for index, kind in enumerate(kinds):
                ending = {MONO: "", LEFT: "(L)", RIGHT: "(R)"}[kind]
                name = zone.sample[: NAME_BYTES - len(ending)] + ending
                channels.append(_Channel(name, audio[:, index], sample.sample_rate, kind, zone))
        zone_channels.append(known[key])
    return channels, zone_channels


def _headroom_gain(instrument: SampledInstrument) -> float:
    """Factor, at most 1, that keeps every zone with its gain within full scale."""
    peaks = [
        float(np.abs(instrument.samples[zone.sample].audio).max()) * 10 ** (zone.gain / 20)
        for zone in instrument.zones
    ]
    return 1 / max(1.0, *peaks) if peaks else 1.0


def _encode_samples(channels: Sequence[_Channel], bits: int) -> tuple[bytes, bytes, bytes]:
    """Data of the chunks ``smpl``, ``sm24`` (empty for 16 bits) and ``shdr``."""
    upper, lower, headers, start = [], [], b"", 0
    for index, channel in enumerate(channels):
        integers = quantise(channel.audio, bits)
        if bits == 24:
            lower.append((integers & 0xFF).astype(np.uint8).tobytes() + bytes(PADDING_FRAMES))
            integers >>= 8
        upper.append(integers.astype("<i2").tobytes() + bytes(2 * PADDING_FRAMES))
        end = start + len(channel.audio)
        zone = channel.zone
        if zone.loop is None:  # a header needs some loop even where none is played
            margin = min(LOOP_MARGIN, len(channel.audio) // 4)
            loop_start, loop_end = start + margin, end - margin
        else:
            loop_start, loop_end = start + zone.loop.start, start + zone.loop.end
        link = {MONO: 0, LEFT: index + 1, RIGHT: index - 1}[channel.kind]
        semitones = round(zone.cents / 100)
        correction = -round(zone.cents - 100 * semitones)
        root = min(max(zone.root + semitones, 0), 127)
        headers += struct.pack(
            "<20s5IBbHH",
            *(_encode_name(channel.name), start, end, loop_start, loop_end, channel.rate),
            *(root, correction, link, channel.kind),
        )
        start = end + PADDING_FRAMES
    headers += struct.pack("<20s5IBbHH", b"EOS", *(0,) * 9)
    data = b"".join(lower)
    return b"".join(upper), data + bytes(len(data) % 2), headers


def _zone_bags(
    instrument: SampledInstrument, channels: list[_Channel], zone_channels: list[list[int]]
) -> list[Bag]:
    """Generators and modulators of each zone, the global one first."""
    bags: list[Bag] = [([], _disable_brightness())]
    for zone, indices in zip(instrument.zones, zone_channels, strict=True):
        power = min(max(zone.velocity_response.fit_power(), 0.0), MAX_POWER)
        amount = round(POWER_CENTIBELS * power)
        loudness = [_Modulator(VELOCITY_CONCAVE, Generator.ATTENUATION, amount)]
        for index in indices:
            pan = {MONO: zone.pan, LEFT: -1.0, RIGHT: 1.0}[channels[index].kind]
            bags.append((_zone_generators(zone, index, pan), loudness))
    if max(sum(len(generators) for generators, _ in bags), 10 * len(bags)) > MAX_RECORDS:
        raise InstrumentError(
            f"{len(bags)} zones are more than a SoundFont may have", record=instrument.name
        )
    return bags


def _zone_generators(zone: Zone, sample: int, pan: float) -> list[tuple[int, int]]:
    envelope = zone.envelope
    to_sf2 = SF2_RANGE_DB / ENVELOPE_RANGE_DB  # of the times of decay and release
    generators: list[tuple[int, int]] = [
        (Generator.KEY_RANGE, zone.keys[0] | zone.keys[1] << 8),
        (Generator.VELOCITY_RANGE, zone.velocities[0] | zone.velocities[1] << 8),
    ]
    if pan:
        generators.append((Generator.PAN, round(500 * pan)))
    stages = (Generator.DELAY, Generator.ATTACK, Generator.HOLD)
    times = (envelope.delay, envelope.attack, envelope.hold)
    for generator, seconds in zip(stages, times, strict=True):
        if seconds > 0:
            generators.append((generator, timecents(seconds)))
    if envelope.sustain < 0:
        generators.append((Generator.DECAY, timecents(envelope.decay * to_sf2)))
        generators.append((Generator.SUSTAIN, round(-10 * envelope.sustain)))
    generators.append((Generator.RELEASE, timecents(envelope.release * to_sf2)))
    generators.append((Generator.SAMPLE_MODES, 0 if zone.loop is None else 1))
    if zone.key_tracking != 100:
        generators.append((Generator.SCALE_TUNING, round(zone.key_tracking)))
    generators.append((Generator.SAMPLE_ID, sample))
    return [(number, Generator(number).clip(amount) & 0xFFFF) for number, amount in generators]


def _disable_brightness() -> list[_Modulator]:
    """The modulators from velocity to the filter, with an amount of 0."""
    return [
        _Modulator(VELOCITY_LINEAR, Generator.FILTER_CUTOFF, 0, switch)
        for switch in (0, *VELOCITY_SWITCHES)
    ]


def _encode_bags(bags: Sequence[Bag]) -> dict[str, bytes]:
    ibag, igen, imod = b"", b"", b""
    for generators, modulators in bags:
        ibag += struct.pack("<HH", len(igen) // 4, len(imod) // 10)
        igen += b"".join(struct.pack("<HH", *generator) for generator in generators)
        for each in modulators:
            imod += struct.pack("<HHhHH", *each, 0)
    ibag += struct.pack("<HH", len(igen) // 4, len(imod) // 10)
    return {"ibag": ibag, "imod": imod + bytes(10), "igen": igen + bytes(4)}


def timecents(seconds: float) -> int:
    """1200 · log2 of a time in s, of at least 1 ms."""
    return round(1200 * math.log2(max(seconds, MIN_STAGE_SECONDS)))


def _encode_name(text: str) -> bytes:
    return text.encode("ascii", "replace")[:NAME_BYTES]


def _encode_text(key: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")[:TEXT_BYTES]
    return encode_chunk(key, data + bytes(2 - len(data) % 2))
