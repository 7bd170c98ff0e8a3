"""Instruments of SoundFonts: opening fonts, naming and labelling their presets, selecting some."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mechanical_ears.corpus.fluidsynth_renderer import FluidSynthRenderer
from mechanical_ears.corpus.general_midi import family_and_source
from mechanical_ears.corpus.sf2 import Preset, SoundFontFile
from mechanical_ears.errors import CorpusError


@dataclass(frozen=True)
class SoundFontInstrument:
    """A melodic preset of a font.

    Attributes:
        name: unique among fonts (``string_acoustic_fluidr3_gm-000-040``).
        family: in NSynth's words.
        source: in NSynth's words.
        font: number of the font.
        preset: the preset.
    """

    name: str
    family: str
    source: str
    font: int
    preset: Preset


def open_fonts(paths: Sequence[Path]) -> list[SoundFontFile]:
    """Open SoundFonts, and check that FluidSynth can load them.

    Raises:
        CorpusError: there is none, one is given twice or is not a SoundFont, or FluidSynth is
            missing.
    """
    if not paths:
        raise CorpusError("no SoundFont is given", remedy="name a .sf2 or .sf3 file")
    fonts: dict[str, SoundFontFile] = {}
    for path in paths:
        if (stem := _normalised_stem(path)) in fonts:
            problem = f'a SoundFont named "{stem}" is given twice'
            raise CorpusError(problem, path=path, remedy="give each font once, or rename one")
        fonts[stem] = SoundFontFile(path)
        FluidSynthRenderer(path).close()
    return list(fonts.values())


def select_instruments(
    fonts: Sequence[SoundFontFile], presets: Sequence[str] | None = None
) -> list[SoundFontInstrument]:
    """Melodic instruments of fonts, in their order.

    Args:
        fonts: the fonts.
        presets: ``bank:program`` or a part of a name in any case for each preset; None for all.

    Raises:
        CorpusError: an entry of ``presets`` matches no melodic instrument.
    """
    melodic = [
        instrument
        for number, font in enumerate(fonts)
        for preset in font.presets
        if (instrument := _to_instrument(number, font, preset)) is not None
    ]
    if presets is None:
        return melodic
    names: set[str] = set()
    for text in presets:
        matches = {each.name for each in melodic if _matches(text, each.preset)}
        if not matches:
            exists = any(_matches(text, preset) for font in fonts for preset in font.presets)
            raise CorpusError(
                f'preset "{text}" {"is not a melodic instrument" if exists else "does not exist"}',
                path=", ".join(str(font.path) for font in fonts),
                remedy='give "bank:program" such as 0:40, or a part of a preset\'s name',
            )
        names |= matches
    return [each for each in melodic if each.name in names]


def _to_instrument(number: int, font: SoundFontFile, preset: Preset) -> SoundFontInstrument | None:
    labels = family_and_source(preset.bank, preset.program, preset.name)
    if labels is None:
        return None
    location = f"{_normalised_stem(font.path)}-{preset.bank:03d}-{preset.program:03d}"
    return SoundFontInstrument("_".join((*labels, location)), *labels, number, preset)


def _normalised_stem(path: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")


def _matches(text: str, preset: Preset) -> bool:
    if re.fullmatch(r"\d+:\d+", text):
        return text == preset.key
    return text.casefold() in preset.name.casefold()
