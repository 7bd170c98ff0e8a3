"""Writing DecentSampler presets (.dspreset): XML of groups and samples, beside a folder of samples.

Attributes are those of the DecentSampler Developers Guide, "the groups element", and no others.
``loopEnd`` is the last frame that is played. ``ampVelTrack`` T is linear in amplitude,

    gain(v) = 1 − T + T · v / 127

where our response is a power of the velocity. Velocities are therefore cut into bands of at most
2 dB of velocity (`BAND`), each with a volume of its own, so that the level is right in its middle
and off by no more than a decibel a power at its borders; T is 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from xml.sax.saxutils import quoteattr

from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import Zone

BAND: Final = 2.0  # dB of velocity, 20 · log10(v / u), in a band
ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "DecentSampler": frozenset({"minVersion"}),
    "groups": frozenset({"volume"}),
    "group": frozenset({"ampVelTrack", "volume"}),
    "sample": frozenset(
        {
            *("path", "rootNote", "loNote", "hiNote", "loVel", "hiVel", "tuning", "volume", "pan"),
            *("pitchKeyTrack", "loopEnabled", "loopStart", "loopEnd"),
            *("attack", "decay", "sustain", "release", "seqMode", "seqLength", "seqPosition"),
        }
    ),
}  # what is written, all of it documented


def dspreset_text(instrument: SampledInstrument, files: Mapping[str, str]) -> str:
    """The text of a .dspreset file.

    Args:
        instrument: what is written.
        files: path of each sample's file, from where the preset will stand.
    """
    about = [
        ("name", instrument.name),
        ("family", instrument.family or ""),
        ("licence", instrument.licence),
    ]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<DecentSampler minVersion="1.0.0">']
    lines += [f"  <!-- {key}: {_comment(value)} -->" for key, value in about if value]
    lines += ["  <!-- written by Mechanical Ears -->", "  <groups>"]
    groups: dict[float, list[Zone]] = {}
    for zone in instrument.zones:
        for velocities in _narrow(zone.velocities):
            narrow = replace(zone, velocities=velocities)
            groups.setdefault(_volume(narrow), []).append(narrow)
    for volume, zones in groups.items():
        lines.append(f'    <group ampVelTrack="1" volume="{volume:g}dB">')
        for zone in zones:
            words = " ".join(f"{key}={quoteattr(value)}" for key, value in _words(zone, files))
            lines.append(f"      <sample {words}/>")
        lines.append("    </group>")
    return "\n".join([*lines, "  </groups>", "</DecentSampler>"]) + "\n"


def _words(zone: Zone, files: Mapping[str, str]) -> list[tuple[str, str]]:
    envelope = zone.envelope
    words = [
        ("path", files[zone.sample]),
        ("rootNote", str(zone.root)),
        ("loNote", str(zone.keys[0])),
        ("hiNote", str(zone.keys[1])),
        ("loVel", str(zone.velocities[0])),
        ("hiVel", str(zone.velocities[1])),
        ("tuning", f"{round(-zone.cents / 100, 6) + 0.0:g}"),
        ("loopEnabled", "false" if zone.loop is None else "true"),
    ]
    if zone.loop is not None:
        words += [("loopStart", str(zone.loop.start)), ("loopEnd", str(zone.loop.end - 1))]
    if zone.gain:
        words.append(("volume", f"{zone.gain:.4g}dB"))
    if zone.pan:
        words.append(("pan", f"{100 * zone.pan:g}"))
    if zone.key_tracking != 100:
        words.append(("pitchKeyTrack", f"{min(max(zone.key_tracking / 100, 0.0), 1.0):g}"))
    words += [
        ("attack", f"{envelope.attack:g}"),
        ("decay", f"{envelope.decay:g}"),
        ("sustain", f"{10 ** (envelope.sustain / 20):.4g}"),
        ("release", f"{envelope.release:.4g}"),
    ]
    if zone.round_robin[1] > 1:
        words += [
            ("seqMode", "round_robin"),
            ("seqLength", str(zone.round_robin[1])),
            ("seqPosition", str(zone.round_robin[0])),
        ]
    return words


def _narrow(velocities: tuple[int, int]) -> list[tuple[int, int]]:
    """Bands within velocities, each at most `BAND` wide."""
    low, highest = velocities
    made = []
    while low <= highest:
        high = min(highest, max(low, math.floor(max(low, 1) * 10 ** (BAND / 20))))
        made.append((low, high))
        low = high + 1
    return made


def _volume(zone: Zone) -> float:
    """Volume of a band's group, dB, to a tenth: beside what ``ampVelTrack`` does of it."""
    middle = math.sqrt(max(zone.velocities[0], 1) * zone.velocities[1])
    gain = max(zone.velocity_response.gain(middle), 1e-6)
    return round(20 * math.log10(gain * 127 / middle), 1)


def _comment(text: str) -> str:
    return " ".join(text.replace("--", "- -").split())
