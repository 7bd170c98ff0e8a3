"""Writing DecentSampler presets (.dspreset): XML of groups and samples, beside a folder of samples.

Attributes are those of the DecentSampler Developers Guide, "the groups element", and no others.
``loopEnd`` is the last frame that is played. ``ampVelTrack`` T is linear in amplitude,

    gain(v) = 1 − T + T · v / 127

where our response is mostly a slope of s dB a step: for each layer T is chosen so that both slopes
are equal in the middle v of the layer's velocities, and the volume so that both levels are,

    T = s / (20 / (127 ln 10) + s · (1 − v / 127))          at most 1
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import quoteattr

from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import Zone

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
    groups: dict[tuple[float, float], list[Zone]] = {}
    for zone in instrument.zones:
        groups.setdefault(_track(zone), []).append(zone)
    for (track, volume), zones in groups.items():
        lines.append(f'    <group ampVelTrack="{track:g}" volume="{volume:g}dB">')
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
    if zone.tracking != 100:
        words.append(("pitchKeyTrack", f"{min(max(zone.tracking / 100, 0.0), 1.0):g}"))
    words += [
        ("attack", f"{envelope.attack:g}"),
        ("decay", f"{envelope.decay:g}"),
        ("sustain", f"{10 ** (envelope.sustain / 20):.4g}"),
        ("release", f"{envelope.release:.4g}"),
    ]
    if zone.turn[1] > 1:
        words += [
            ("seqMode", "round_robin"),
            ("seqLength", str(zone.turn[1])),
            ("seqPosition", str(zone.turn[0])),
        ]
    return words


def _track(zone: Zone) -> tuple[float, float]:
    """``ampVelTrack`` and volume in dB of a zone's group."""
    slope = max(zone.response.nearest_slope(), 0.0)
    middle = (max(zone.velocities[0], 1) + zone.velocities[1]) / 2
    linear = 20 / (127 * math.log(10))
    track = min(slope / (linear + slope * (1 - middle / 127)), 1.0)
    gain = 1 - track + track * middle / 127
    volume = -slope * (127 - middle) - 20 * math.log10(gain)
    return round(track, 4), round(volume, 2)


def _comment(text: str) -> str:
    return " ".join(text.replace("--", "- -").split())
