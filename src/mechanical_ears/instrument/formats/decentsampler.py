"""Writing DecentSampler presets (.dspreset): XML of groups and samples, beside a folder of samples.

Attributes are those of the DecentSampler Developers Guide, "the groups element", and no others.
``loopEnd`` is the last frame that is played. ``ampVelTrack`` T is linear in amplitude,

    gain(v) = 1 − T + T · v / 127

whereas our response is a power of the velocity. So velocities are split into bands of at most 2 dB
of velocity (`BAND_DB`), each with a volume of its own and T = 1: the level is right in the middle
of a band, and off by at most a decibel for a power of 1 at its borders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from xml.sax.saxutils import quoteattr

from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import Zone

BAND_DB: Final = 2.0  # dB, 20 · log10 of a band's highest to its lowest velocity
MIN_GAIN: Final = 1e-6


def format_dspreset(instrument: SampledInstrument, files: Mapping[str, str]) -> str:
    """Text of a .dspreset file.

    Args:
        instrument: what to write.
        files: path of each sample's file, relative to the preset.
    """
    family = instrument.family or ""
    metadata = {"name": instrument.name, "family": family, "licence": instrument.licence}
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<DecentSampler minVersion="1.0.0">']
    lines += [f"  <!-- {key}: {_comment(text)} -->" for key, text in metadata.items() if text]
    lines += ["  <!-- written by Mechanical Ears -->", "  <groups>"]
    groups: dict[float, list[Zone]] = {}
    for zone in instrument.zones:
        for velocities in _bands(zone.velocities):
            band = replace(zone, velocities=velocities)
            groups.setdefault(_band_volume(band), []).append(band)
    for volume, zones in groups.items():
        lines.append(f'    <group ampVelTrack="1" volume="{volume:g}dB">')
        for zone in zones:
            attributes = _attributes(zone, files).items()
            text = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes)
            lines.append(f"      <sample {text}/>")
        lines.append("    </group>")
    return "\n".join([*lines, "  </groups>", "</DecentSampler>"]) + "\n"


def _attributes(zone: Zone, files: Mapping[str, str]) -> dict[str, str]:
    envelope = zone.envelope
    attributes = {
        "path": files[zone.sample],
        "rootNote": str(zone.root),
        "loNote": str(zone.keys[0]),
        "hiNote": str(zone.keys[1]),
        "loVel": str(zone.velocities[0]),
        "hiVel": str(zone.velocities[1]),
        "tuning": f"{round(-zone.cents / 100, 6) + 0.0:g}",
        "loopEnabled": "false" if zone.loop is None else "true",
    }
    if zone.loop is not None:
        attributes |= {"loopStart": str(zone.loop.start), "loopEnd": str(zone.loop.end - 1)}
    if zone.gain:
        attributes["volume"] = f"{zone.gain:.4g}dB"
    if zone.pan:
        attributes["pan"] = f"{100 * zone.pan:g}"
    if zone.key_tracking != 100:
        attributes["pitchKeyTrack"] = f"{min(max(zone.key_tracking / 100, 0.0), 1.0):g}"
    attributes |= {
        "attack": f"{envelope.attack:g}",
        "decay": f"{envelope.decay:g}",
        "sustain": f"{10 ** (envelope.sustain / 20):.4g}",
        "release": f"{envelope.release:.4g}",
    }
    position, length = zone.round_robin
    if length > 1:
        attributes |= {"seqMode": "round_robin", "seqLength": str(length)}
        attributes["seqPosition"] = str(position)
    return attributes


def _bands(velocities: tuple[int, int]) -> list[tuple[int, int]]:
    """Bands that tile a range of velocities, each at most `BAND_DB` wide."""
    low, highest = velocities
    bands = []
    while low <= highest:
        high = min(highest, max(low, math.floor(max(low, 1) * 10 ** (BAND_DB / 20))))
        bands.append((low, high))
        low = high + 1
    return bands


def _band_volume(zone: Zone) -> float:
    """Volume of a band's group in dB, to a tenth, in addition to the effect of ``ampVelTrack``."""
    middle = math.sqrt(max(zone.velocities[0], 1) * zone.velocities[1])
    gain = max(zone.velocity_response.gain(middle), MIN_GAIN)
    return round(20 * math.log10(gain * 127 / middle), 1)


def _comment(text: str) -> str:
    return " ".join(text.replace("--", "- -").split())
