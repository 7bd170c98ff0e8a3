"""Writing SFZ: a text file of regions beside a folder of samples (Cakewalk, "SFZ format", 2004).

What is chosen where the format leaves a choice:

    loop_end        the last frame that is played, one less than our ``Loop.end``
    amp_veltrack    100, the velocity's square; with amp_velcurve_N where our response has another
                    power, at velocities between which players go straight. A player that does not
                    know amp_velcurve_N takes the square, which rises, too.
    tune            −cents, since the sample is played lower by as much as it lies above its root;
                    whole cents, as the format has it (Polyphone takes 0 for what is not whole)
    ampeg_release   always there: 80 dB in so many seconds
    loop_mode       loop_continuous or no_loop, always there, so that no loop of the WAV is taken
                    where none is meant
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import Envelope, VelocityResponse, Zone

POINTS: Final = (1, 2, 3, 4, 6, *range(8, 127, 8), 127)  # velocities at which a curve is told


def sfz_text(instrument: SampledInstrument, files: Mapping[str, str]) -> str:
    """The text of an SFZ file.

    Args:
        instrument: what is written.
        files: path of each sample's file, from where the SFZ file will stand.
    """
    lines = [
        f"// name: {_one_line(instrument.name)}",
        f"// family: {instrument.family or ''}",
        f"// licence: {_one_line(instrument.licence)}",
        "// written by Mechanical Ears",
        "",
        "<global>",
    ]
    common = _common(instrument.zones)
    lines += [f"{name}={value}" for name, value in common.items()]
    for zone in instrument.zones:
        own = {
            name: value
            for name, value in (
                _response(zone.velocity_response) | _envelope(zone.envelope)
            ).items()
            if common.get(name) != value
        }
        words = {"sample": files[zone.sample], **_place(zone), **own}
        lines += ["", "<region>", *(f"{name}={value}" for name, value in words.items())]
    return "\n".join(lines) + "\n"


def _common(zones: tuple[Zone, ...]) -> dict[str, str]:
    """Opcodes that all zones share, as far as they stand for the same set of names."""
    if not zones:
        return {}
    told = [_response(zone.velocity_response) | _envelope(zone.envelope) for zone in zones]
    names = [name for name in told[0] if all(name in each for each in told)]
    return {name: told[0][name] for name in names if len({each[name] for each in told}) == 1}


def _place(zone: Zone) -> dict[str, str]:
    words = {
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
        words |= {"loop_start": str(zone.loop.start), "loop_end": str(zone.loop.end - 1)}
    if zone.pan:
        words["pan"] = _number(100 * zone.pan)
    if zone.key_tracking != 100:
        words["pitch_keytrack"] = _number(zone.key_tracking)
    if zone.round_robin[1] > 1:
        words |= {"seq_position": str(zone.round_robin[0]), "seq_length": str(zone.round_robin[1])}
    if zone.random_range != (0.0, 1.0):
        words |= {"lorand": _number(zone.random_range[0]), "hirand": _number(zone.random_range[1])}
    return words


def _response(response: VelocityResponse) -> dict[str, str]:
    curve = response.curve
    if not curve and response.power != VelocityResponse.power:
        curve = tuple((place, (place / 127) ** response.power) for place in POINTS)
    words = {"amp_veltrack": _number(100 * response.tracking)}
    return words | {f"amp_velcurve_{place}": f"{gain:.6g}" for place, gain in curve}


def _envelope(envelope: Envelope) -> dict[str, str]:
    words = {"ampeg_release": _number(envelope.release)}
    for name in ("delay", "attack", "hold"):
        if getattr(envelope, name):
            words[f"ampeg_{name}"] = _number(getattr(envelope, name))
    if envelope.sustain < 0:
        words["ampeg_decay"] = _number(envelope.decay)
        words["ampeg_sustain"] = _number(100 * 10 ** (envelope.sustain / 20))
    return words


def _number(value: float) -> str:
    return f"{round(value, 4) + 0.0:g}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
