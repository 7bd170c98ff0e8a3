"""Opening an instrument of any kind: a seed, a file or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mechanical_ears.files import SAMPLED_INSTRUMENT_SUFFIXES
from mechanical_ears.instrument.control_map_instrument import ControlMapInstrument
from mechanical_ears.instrument.formats.sf2_reader import read_sf2
from mechanical_ears.instrument.formats.sfz_reader import read_sfz
from mechanical_ears.instrument.mapping import map_folder
from mechanical_ears.instrument.playable import Playable
from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import InstrumentError

if TYPE_CHECKING:
    from mechanical_ears.imagining.model import Model

CONTROL_MAP_SUFFIX: Final = ".safetensors"
INSTRUMENT_FILE: Final = "instrument.json"
REMEDY: Final = (
    "give a seed, an instrument.json, an .sfz or .sf2, a folder of recordings or a control map"
)


def open_instrument(
    path_or_seed: str | Path | int,
    *,
    model: str | Path | Model | None = None,
    preset: str | None = None,
) -> Playable:
    """Open an instrument of any kind.

    Args:
        path_or_seed: the seed of an imagined instrument; its ``instrument.json`` or the folder that
            holds it; an .sfz, .sf2 or .sf3 file; a control map (.safetensors) or a folder of them;
            a folder of recordings, which is mapped. Digits that name no file are a seed.
        model: folder of the weights that imagine; None for the shipped ones.
        preset: ``bank:program`` of a SoundFont; None for its first.

    Raises:
        EarsError: there is no such instrument, or it cannot be read.

    >>> open_instrument(7).name
    'keyboard-7'
    """
    path = Path(str(path_or_seed))
    if isinstance(path_or_seed, int) or (not path.exists() and path.name.isdecimal()):
        from mechanical_ears.imagining.imagine import imagine

        return imagine(int(str(path_or_seed)), model=model)
    if not path.exists():
        raise InstrumentError("no such instrument", path=path, remedy=REMEDY)
    if path.is_dir() and (path / INSTRUMENT_FILE).is_file():
        path /= INSTRUMENT_FILE
    suffix = path.suffix.lower()
    if path.is_dir():
        if any(path.glob(f"*{CONTROL_MAP_SUFFIX}")):
            return ControlMapInstrument.load(path)
        return map_folder(path).instrument
    if suffix == ".json":
        from mechanical_ears.imagining.instrument import ImaginedInstrument

        return ImaginedInstrument.load(path, model)
    if suffix == CONTROL_MAP_SUFFIX:
        return ControlMapInstrument.load(path)
    if suffix in SAMPLED_INSTRUMENT_SUFFIXES:
        return read_sampled_instrument(path, preset)
    raise InstrumentError("is not an instrument file", path=path, remedy=REMEDY)


def read_sampled_instrument(path: Path, preset: str | None = None) -> SampledInstrument:
    """Read an .sfz, .sf2 or .sf3 file; see `open_instrument`."""
    return read_sfz(path) if path.suffix.lower() == ".sfz" else read_sf2(path, preset)


def parse_channel_map(text: str) -> dict[int, str]:
    """Instruments by MIDI channel from text of the form ``1=a.json,2=b.sfz``.

    Raises:
        InstrumentError: the text is not of that form, or names a channel twice or outside 1..16.
    """
    instruments: dict[int, str] = {}
    for part in text.split(","):
        number, equals, instrument = part.partition("=")
        channel = int(number) if number.strip().isdecimal() else 0
        if not equals or not instrument.strip() or not 1 <= channel <= 16:
            problem = f'"{part}" is not a channel and its instrument'
            remedy = "write 1=a.json,2=b.sfz with channels 1..16"
            raise InstrumentError(problem, record="--channel-map", remedy=remedy)
        if channel in instruments:
            raise InstrumentError(f"channel {channel} is named twice", record="--channel-map")
        instruments[channel] = instrument.strip()
    return instruments


def open_channels(
    instrument: str | None, channels: Mapping[int, str], model: str | Path | None = None
) -> dict[int, Playable]:
    """Open the instrument of each MIDI channel, each file once.

    Args:
        instrument: instrument of all channels that ``channels`` does not name; None for none.
        channels: instruments by channel 1..16.
        model: folder of the weights that imagine; None for the shipped ones.

    Returns:
        Instruments by channel; 0 stands for all other channels.

    Raises:
        EarsError: no instrument is given, or one cannot be opened.
    """
    names = dict(channels) if instrument is None else {0: instrument, **channels}
    if not names:
        raise InstrumentError(
            "no instrument is given", remedy="give --instrument X or --channel-map 1=X"
        )
    opened = {name: open_instrument(name, model=model) for name in dict.fromkeys(names.values())}
    return {number: opened[name] for number, name in names.items()}
