"""Writing SoundFont 2 (E-mu Systems, "SoundFont Technical Specification", version 2.04, 2006).

How the file is built up stands in corpus/sf2.py, which reads it. One preset (bank 0, program 0) of
one instrument is written, whose global zone holds what all share. What is chosen deliberately:

    loops       ``endloop`` is one past the last frame, as our ``Loop.end``
    silence     46 frames behind each sample, as the specification asks
    loudness    the format's own modulator (velocity to attenuation, concave, 960 cB, which is the
                velocity's square) is given another amount, 480 cB a power. Gains of zones are in
                the samples, since players read ``initialAttenuation`` in two ways (FluidSynth and
                E-mu's chips take 0.4 of it)
    brightness  the modulator from velocity to the filter is switched off in both of its forms:
                softer layers are darker by themselves
    tuning      whole cents, the format's own step: off by half a cent at most
    stereo      two samples, linked, and two zones panned hard
    24 bits     the lower eight in ``sm24``, which players without it pass over
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.instrument.formats.wav import SOFTWARE, integers
from mechanical_ears.instrument.sampled import ENVELOPE_RANGE_DB, SampledInstrument
from mechanical_ears.instrument.zones import InstrumentError, Zone

SILENCE: Final = 46  # frames behind each sample
SPARE: Final = 8  # frames before a loop's start and behind its end
LARGEST: Final = 2**32 - 2**20  # bytes of a RIFF file
MOST_RECORDS: Final = 2**16 - 2  # of a table that 16-bit numbers point into
NAME: Final = 19  # bytes of a name
MONO, RIGHT, LEFT = 1, 2, 4  # types of a sample
FALL: Final = 100.0  # dB of an envelope's whole range

# Numbers of generators.
PAN, DELAY, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 17, 33, 34, 35, 36, 37, 38
INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, ATTENUATION, COARSE, FINE = 41, 43, 44, 48, 51, 52
SAMPLE_ID, SAMPLE_MODES, SCALE_TUNING, EXCLUSIVE, ROOT = 53, 54, 56, 57, 58
FILTER: Final = 8

# Sources of modulators: velocity is controller 2; 0x100 falls with it; 0x400 is concave, 0xC00 a
# switch.
VELOCITY_CONCAVE, VELOCITY_LINEAR = 0x0502, 0x0102
VELOCITY_SWITCHES: Final = (0x0D02, 0x0C02)
POWER: Final = 480.0  # cB for a power of the velocity; the format's own modulator has two
LOUDEST_POWER: Final = 30.0


@dataclass(frozen=True)
class _Modulator:
    """Source, destination, amount and amount's source of a modulator."""

    source: int
    destination: int
    amount: int
    through: int = 0


@dataclass(frozen=True, eq=False)
class _Part:
    """One channel of a sample as it stands in the file."""

    name: str
    audio: NDArray[np.float32]
    rate: int
    kind: int
    zone: Zone


def sf2_bytes(instrument: SampledInstrument, bits: int = 16) -> bytes:
    """A SoundFont of one preset.

    Args:
        instrument: what is written; each zone's sample stands in the file once for each gain.
        bits: 16 or 24.

    Raises:
        InstrumentError: the instrument is larger than the format allows.
    """
    parts, owners = _parts(instrument)
    frames = sum(len(part.audio) + SILENCE for part in parts)
    if frames * bits // 8 > LARGEST:
        raise InstrumentError(
            f"needs {frames * bits / 8e9:.1f} GB, more than a SoundFont may have",
            record=instrument.name,
            remedy="write an .sfz, or take fewer layers or keys",
        )
    smpl, sm24, headers = _recordings(parts, bits)
    zones = _zones(instrument, parts, owners)
    info = _chunk("ifil", struct.pack("<HH", 2, 4 if bits == 24 else 1))
    texts = {
        "isng": "EMU8000",
        "INAM": instrument.name,
        "ICOP": instrument.licence,
        "ICMT": f"family: {instrument.family}" if instrument.family else "",
        "ISFT": SOFTWARE,
    }
    for key, text in texts.items():
        if text:
            info += _text(key, text)
    name = _name(instrument.name)
    tables = {
        "phdr": struct.pack("<20sHHHIII", name, 0, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        "pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        "pmod": bytes(10),
        "pgen": struct.pack("<HHHH", INSTRUMENT, 0, 0, 0),
        "inst": struct.pack("<20sH", name, 0) + struct.pack("<20sH", b"EOI", len(zones)),
        **_bags(zones),
        "shdr": headers,
    }
    body = _chunk("LIST", b"INFO" + info)
    recordings = _chunk("smpl", smpl) + (_chunk("sm24", sm24) if bits == 24 else b"")
    body += _chunk("LIST", b"sdta" + recordings)
    body += _chunk("LIST", b"pdta" + b"".join(_chunk(*table) for table in tables.items()))
    return _chunk("RIFF", b"sfbk" + body)


def _parts(instrument: SampledInstrument) -> tuple[list[_Part], list[list[int]]]:
    """The channels to write, and for each zone which of them are its own."""
    parts: list[_Part] = []
    known: dict[tuple[str, float, object, int, float], list[int]] = {}
    owners = []
    scale = _scale(instrument)
    for zone in instrument.zones:
        # Loop, root and tuning stand in a sample's header: one header for each of them.
        key = (zone.sample, zone.gain, zone.loop, zone.root, zone.cents)
        if key not in known:
            sample = instrument.samples[zone.sample]
            audio = sample.audio * np.float32(scale * 10 ** (zone.gain / 20))
            kinds = (MONO,) if audio.shape[1] == 1 else (LEFT, RIGHT)
            known[key] = list(range(len(parts), len(parts) + len(kinds)))
            for channel, kind in enumerate(kinds):
                ending = {MONO: "", LEFT: "(L)", RIGHT: "(R)"}[kind]
                name = zone.sample[: NAME - len(ending)] + ending
                parts.append(_Part(name, audio[:, channel], sample.sample_rate, kind, zone))
        owners.append(known[key])
    return parts, owners


def _scale(instrument: SampledInstrument) -> float:
    """By how much all is made softer, so that no zone with its gain is clipped."""
    peaks = [
        float(np.abs(instrument.samples[zone.sample].audio).max()) * 10 ** (zone.gain / 20)
        for zone in instrument.zones
    ]
    return 1 / max(1.0, *peaks) if peaks else 1.0


def _recordings(parts: Sequence[_Part], bits: int) -> tuple[bytes, bytes, bytes]:
    upper, lower, headers, place = [], [], b"", 0
    for number, part in enumerate(parts):
        whole = integers(part.audio, 24 if bits == 24 else 16)
        if bits == 24:
            lower.append((whole & 0xFF).astype(np.uint8).tobytes() + bytes(SILENCE))
            whole >>= 8
        upper.append(whole.astype("<i2").tobytes() + bytes(2 * SILENCE))
        end = place + len(part.audio)
        loop = part.zone.loop
        spare = min(SPARE, len(part.audio) // 4)  # of the loop that what has none may not lack
        first = place + (spare if loop is None else loop.start)
        last = end - spare if loop is None else place + loop.end
        link = {MONO: 0, LEFT: number + 1, RIGHT: number - 1}[part.kind]
        semitones = round(part.zone.cents / 100)
        correction = -round(part.zone.cents - 100 * semitones)
        root = min(max(part.zone.root + semitones, 0), 127)
        headers += struct.pack(
            "<20s5IBbHH",
            *(_name(part.name), place, end, first, last, part.rate),
            *(root, correction, link, part.kind),
        )
        place = end + SILENCE
    headers += struct.pack("<20s5IBbHH", b"EOS", *(0,) * 9)
    data = b"".join(lower)
    return b"".join(upper), data + bytes(len(data) % 2), headers


Bag = tuple[list[tuple[int, int]], list[_Modulator]]


def _zones(
    instrument: SampledInstrument, parts: Sequence[_Part], owners: Sequence[Sequence[int]]
) -> list[Bag]:
    """Generators and modulators of each zone, the global one first."""
    bags: list[Bag] = [([], _brightness())]
    for zone, own in zip(instrument.zones, owners, strict=True):
        if zone.round_robin[0] > 1 or zone.random_range[0] > 0:
            continue  # the format knows no round robin: the first turn is written
        for number in own:
            kind = parts[number].kind
            pan = {MONO: zone.pan, LEFT: -1.0, RIGHT: 1.0}[kind]
            bags.append((_generators(zone, number, pan), _loudness(zone)))
    if max(sum(len(part) for part, _ in bags), 10 * len(bags)) > MOST_RECORDS:
        raise InstrumentError(
            f"{len(bags)} zones are more than a SoundFont may have", record=instrument.name
        )
    return bags


def _generators(zone: Zone, sample: int, pan: float) -> list[tuple[int, int]]:
    envelope = zone.envelope
    generators = [
        (KEY_RANGE, zone.keys[0] | zone.keys[1] << 8),
        (VELOCITY_RANGE, zone.velocities[0] | zone.velocities[1] << 8),
    ]
    if pan:
        generators.append((PAN, _signed(round(500 * pan))))
    for number, seconds in ((DELAY, envelope.delay), (ATTACK, envelope.attack)):
        if seconds > 0:
            generators.append((number, _timecents(seconds)))
    if envelope.hold > 0:
        generators.append((HOLD, _timecents(envelope.hold)))
    if envelope.sustain < 0:
        generators.append((DECAY, _timecents(envelope.decay * FALL / ENVELOPE_RANGE_DB)))
        generators.append((SUSTAIN, min(round(-10 * envelope.sustain), 1440)))
    generators.append((RELEASE, _timecents(envelope.release * FALL / ENVELOPE_RANGE_DB)))
    generators.append((SAMPLE_MODES, 0 if zone.loop is None else 1))
    if zone.key_tracking != 100:
        generators.append((SCALE_TUNING, min(max(round(zone.key_tracking), 0), 1200)))
    generators.append((SAMPLE_ID, sample))
    return generators


def _loudness(zone: Zone) -> list[_Modulator]:
    power = min(max(zone.velocity_response.fit_power(), 0.0), LOUDEST_POWER)
    return [_Modulator(VELOCITY_CONCAVE, ATTENUATION, round(POWER * power))]


def _brightness() -> list[_Modulator]:
    return [_Modulator(VELOCITY_LINEAR, FILTER, 0, through) for through in (0, *VELOCITY_SWITCHES)]


def _bags(bags: Sequence[Bag]) -> dict[str, bytes]:
    places, generators, modulators = b"", b"", b""
    for generated, modulated in bags:
        places += struct.pack("<HH", len(generators) // 4, len(modulators) // 10)
        generators += b"".join(struct.pack("<HH", *each) for each in generated)
        for each in modulated:
            modulators += struct.pack(
                "<HHhHH", each.source, each.destination, each.amount, each.through, 0
            )
    places += struct.pack("<HH", len(generators) // 4, len(modulators) // 10)
    return {"ibag": places, "imod": modulators + bytes(10), "igen": generators + bytes(4)}


def _timecents(seconds: float) -> int:
    cents = round(1200 * math.log2(max(seconds, 0.001)))
    return _signed(min(max(cents, -12_000), 8_000))


def _signed(value: int) -> int:
    return value & 0xFFFF


def _name(text: str) -> bytes:
    return text.encode("ascii", "replace")[:NAME]


def _text(key: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")[:254]
    return _chunk(key, data + bytes(2 - len(data) % 2))


def _chunk(name: str, data: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
