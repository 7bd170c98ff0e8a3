"""Opening an instrument by what a user types: a seed, a file, or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mechanical_ears.files import SAMPLERS
from mechanical_ears.instrument.playable import ControlMaps, Playable
from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import InstrumentError

MAPS: Final = ".safetensors"
IMAGINED: Final = "instrument.json"
REMEDY: Final = (
    "give a seed, an instrument.json, an .sfz or .sf2, a folder of recordings or a control map"
)


def open_instrument(
    what: str | Path, *, model: str | Path | None = None, preset: str | None = None
) -> Playable:
    """Open an instrument.

    Args:
        what: the seed of an imagined instrument, its ``instrument.json`` or the folder with it; an
            .sfz, .sf2 or .sf3 file; a control map or a folder of them; a folder of recordings.
        model: folder of the weights that imagine; None for those that ship.
        preset: ``bank:program`` of a SoundFont; None for its first.

    Raises:
        EarsError: there is nothing of the kind, or it cannot be read.
    """
    path = Path(what)
    if not path.exists() and str(what).isdecimal():
        from mechanical_ears.imagining.imagine import imagine

        return imagine(int(str(what)), model=model)
    if not path.exists():
        raise InstrumentError("no such instrument", path=path, remedy=REMEDY)
    if path.is_dir():
        return _from_folder(path, model)
    suffix = path.suffix.lower()
    if suffix == ".json":
        from mechanical_ears.imagining.instrument import ImaginedInstrument

        return ImaginedInstrument.load(path, model)
    if suffix == MAPS:
        return ControlMaps.load(path)
    if suffix in SAMPLERS:
        return SampledInstrument.load(path, preset)
    raise InstrumentError("is no instrument that can be read", path=path, remedy=REMEDY)


def _from_folder(folder: Path, model: str | Path | None) -> Playable:
    if (folder / IMAGINED).is_file():
        from mechanical_ears.imagining.instrument import ImaginedInstrument

        return ImaginedInstrument.load(folder / IMAGINED, model)
    if any(folder.glob(f"*{MAPS}")):
        return ControlMaps.load(folder)
    from mechanical_ears.instrument.mapping import map_folder

    return map_folder(folder).instrument


def channel_map(text: str) -> dict[int, str]:
    """Instruments by MIDI channel, from ``1=a.json,2=b.sfz``.

    Raises:
        InstrumentError: it is not of that form, or names a channel twice or outside 1..16.
    """
    found: dict[int, str] = {}
    for part in text.split(","):
        number, equals, what = part.partition("=")
        channel = int(number) if number.strip().isdecimal() else 0
        if not equals or not what.strip() or not 1 <= channel <= 16:
            raise InstrumentError(
                f'"{part}" is no channel and its instrument',
                record="--channel-map",
                remedy="write 1=a.json,2=b.sfz with channels 1..16",
            )
        if channel in found:
            raise InstrumentError(f"channel {channel} is named twice", record="--channel-map")
        found[channel] = what.strip()
    return found


def open_channels(
    instrument: str | None, channels: Mapping[int, str], model: str | Path | None = None
) -> dict[int, Playable]:
    """The instrument of each channel, each opened once; 0 is for all others.

    Raises:
        EarsError: none is given, or one cannot be opened.
    """
    told = dict(channels) if instrument is None else {0: instrument, **channels}
    if not told:
        raise InstrumentError(
            "no instrument is given", remedy="give --instrument X or --channel-map 1=X"
        )
    opened = {what: open_instrument(what, model=model) for what in dict.fromkeys(told.values())}
    return {number: opened[what] for number, what in told.items()}
