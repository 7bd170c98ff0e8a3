"""Sounding offsets: instruments known to sound at, below or above their key, and the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.corpus.sounding import sounding_offset, sounding_table
from mechanical_ears.errors import CorpusError
from mechanical_ears.pitch import PITCH_COUNT

FOLDER = Path("/usr/share/sounds/sf2")
FONTS = [FOLDER / "FluidR3_GM.sf2", FOLDER / "MuseScore_General_Full.sf2"]


def _instruments() -> tuple[str, ...]:
    if not all(font.exists() for font in FONTS):
        pytest.skip("apt install fluid-soundfont-gm musescore-general-soundfont-lossless")
    try:
        return SoundFont(FONTS).instruments
    except CorpusError as error:
        pytest.skip(str(error))


def test_every_melodic_preset_is_in_the_table() -> None:
    assert set(_instruments()) <= set(sounding_table())


def test_ranges_of_an_instrument_follow_each_other_over_all_keys() -> None:
    for ranges in sounding_table().values():
        keys = [key for part in ranges for key in range(part.lowest_key, part.highest_key + 1)]
        assert keys == list(range(PITCH_COUNT))
        assert all(0 <= part.agreeing <= part.notes for part in ranges)


def test_an_unknown_instrument_is_unclear() -> None:
    assert sounding_offset("keyboard_acoustic_no_such_font-000-000", 60) is None
