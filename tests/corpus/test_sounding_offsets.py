"""Sounding offsets: instruments known to sound at, below or above their key, and the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.corpus.sounding_offsets import load_sounding_offsets, sounding_offset
from mechanical_ears.errors import CorpusError
from mechanical_ears.pitch import PITCH_COUNT

FOLDER = Path("/usr/share/sounds/sf2")
FONTS = [FOLDER / "FluidR3_GM.sf2", FOLDER / "MuseScore_General_Full.sf2"]


# Instruments whose sounding pitch is well known or obvious.
KNOWN = {
    # a piano sounds at its key
    ("keyboard_acoustic_fluidr3_gm-000-000", 60): 0,
    ("keyboard_acoustic_musescore_general_full-000-000", 21): 0,
    ("string_acoustic_fluidr3_gm-000-040", 76): 0,
    # harmonics: the string sounds at its fourth partial
    ("guitar_electronic_fluidr3_gm-000-031", 52): 24,
    # stops of 16 feet; with a drawbar of 5 1/3 feet one octave more
    ("organ_electronic_fluidr3_gm-000-018", 60): -12,
    ("organ_acoustic_fluidr3_gm-008-019", 60): -12,
    ("organ_electronic_fluidr3_gm-000-016", 60): -24,
    ("organ_acoustic_fluidr3_gm-000-019", 60): 0,
    # an octave below key 24 there is no audible pitch
    ("organ_electronic_fluidr3_gm-000-018", 24): None,
    # two saws a fifth apart, and bells: no single pitch
    ("synth_lead_synthetic_fluidr3_gm-000-086", 60): None,
    ("mallet_acoustic_fluidr3_gm-000-014", 60): None,
}


def _instruments() -> tuple[str, ...]:
    if not all(font.exists() for font in FONTS):
        pytest.skip("apt install fluid-soundfont-gm musescore-general-soundfont-lossless")
    try:
        return SoundFont(FONTS).instruments
    except CorpusError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("instrument", "key"), KNOWN)
def test_known_sounds(instrument: str, key: int) -> None:
    assert instrument in load_sounding_offsets()
    assert sounding_offset(instrument, key) == KNOWN[instrument, key]


def test_most_instruments_sound_at_their_key() -> None:
    offsets = [sounding_offset(instrument, 60) for instrument in load_sounding_offsets()]
    assert offsets.count(0) / len(offsets) == pytest.approx(0.9, abs=0.02)


def test_every_melodic_preset_is_in_the_table() -> None:
    assert set(_instruments()) <= set(load_sounding_offsets())


def test_ranges_of_an_instrument_cover_all_keys_without_gaps() -> None:
    for ranges in load_sounding_offsets().values():
        keys = [key for keys in ranges for key in range(keys.lowest_key, keys.highest_key + 1)]
        assert keys == list(range(PITCH_COUNT))
        assert all(0 <= keys.agreeing <= keys.notes for keys in ranges)


def test_an_unknown_instrument_is_unclear() -> None:
    assert sounding_offset("keyboard_acoustic_no_such_font-000-000", 60) is None
