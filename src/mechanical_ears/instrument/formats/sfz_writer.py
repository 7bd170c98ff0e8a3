"""Writing SFZ: a text file of regions beside a folder of samples (Cakewalk, "SFZ format", 2004).

Choices, where the format leaves some:

    loop_end        the last frame that is played, one less than our ``Loop.end``
    amp_veltrack    100, the square of the velocity; for another power there are amp_velcurve_N at
                    some velocities, between which players interpolate. A player without
                    amp_velcurve_N plays the square, which rises, too.
    tune            −cents, since the sample is lowered by as much as it is sharp of its root; whole
                    cents, as the format has it (Polyphone reads fractions as 0)
    ampeg_release   always written: the time of a fall of 80 dB
    loop_mode       loop_continuous or no_loop, always written, so that no player loops a WAV file
                    by its own metadata where no loop is meant
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import Envelope, VelocityResponse, Zone

CURVE_VELOCITIES: Final = (1, 2, 3, 4, 6, *range(8, 127, 8), 127)  # points of a velocity curve


def format_sfz(instrument: SampledInstrument, files: Mapping[str, str]) -> str:
    """Text of an SFZ file.

    Args:
        instrument: what to write.
        files: path of each sample's file, relative to the SFZ file.
    """
    lines = [
        f"// name: {_one_line(instrument.name)}",
        f"// family: {instrument.family or ''}",
        f"// licence: {_one_line(instrument.licence)}",
        "// written by Mechanical Ears",
        "",
        "<global>",
    ]
    common = _common_opcodes(instrument.zones)
    lines += [f"{name}={value}" for name, value in common.items()]
    for zone in instrument.zones:
        opcodes = {"sample": files[zone.sample], **_mapping_opcodes(zone)}
        opcodes |= {k: v for k, v in _amplitude_opcodes(zone).items() if common.get(k) != v}
        lines += ["", "<region>", *(f"{name}={value}" for name, value in opcodes.items())]
    return "\n".join(lines) + "\n"


def _common_opcodes(zones: tuple[Zone, ...]) -> dict[str, str]:
    """Amplitude opcodes that are present and equal in all zones."""
    if not zones:
        return {}
    first, *others = (_amplitude_opcodes(zone) for zone in zones)
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def _mapping_opcodes(zone: Zone) -> dict[str, str]:
    opcodes = {
        "lokey": str(zone.keys[0]),
        "hikey": str(zone.keys[1]),
        "lovel": str(zone.velocities[0]),
        "hivel": str(zone.velocities[1]),
        "pitch_keycenter": str(zone.root),
        "tune": str(-round(zone.cents)),
        "volume": _number(zone.gain),
        "loop_mode": "no_loop" if zone.loop is None else "loop_continuous",
    }
    if zone.loop is not None:
        opcodes |= {"loop_start": str(zone.loop.start), "loop_end": str(zone.loop.end - 1)}
    if zone.pan:
        opcodes["pan"] = _number(100 * zone.pan)
    if zone.key_tracking != 100:
        opcodes["pitch_keytrack"] = _number(zone.key_tracking)
    position, length = zone.round_robin
    if length > 1:
        opcodes |= {"seq_position": str(position), "seq_length": str(length)}
    low, high = zone.random_range
    if (low, high) != (0.0, 1.0):
        opcodes |= {"lorand": _number(low), "hirand": _number(high)}
    return opcodes


def _amplitude_opcodes(zone: Zone) -> dict[str, str]:
    return _response_opcodes(zone.velocity_response) | _envelope_opcodes(zone.envelope)


def _response_opcodes(response: VelocityResponse) -> dict[str, str]:
    curve = response.curve
    if not curve and response.power != VelocityResponse.power:
        curve = tuple((v, (v / 127) ** response.power) for v in CURVE_VELOCITIES)
    opcodes = {"amp_veltrack": _number(100 * response.tracking)}
    return opcodes | {f"amp_velcurve_{velocity}": f"{gain:.6g}" for velocity, gain in curve}


def _envelope_opcodes(envelope: Envelope) -> dict[str, str]:
    opcodes = {"ampeg_release": _number(envelope.release)}
    for name in ("delay", "attack", "hold"):
        if getattr(envelope, name):
            opcodes[f"ampeg_{name}"] = _number(getattr(envelope, name))
    if envelope.sustain < 0:
        opcodes["ampeg_decay"] = _number(envelope.decay)
        opcodes["ampeg_sustain"] = _number(100 * 10 ** (envelope.sustain / 20))
    return opcodes


def _number(value: float) -> str:
    return f"{round(value, 4) + 0.0:g}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
