"""Stereo width of the families, as measured on the stereo samples of SoundFonts.

The table `weights/stereo_width.json` is written by `benchmarks/stereo_width.py`, which measures it:
for each family, the medians over its instruments by band of noise, and those of each instrument.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.motion import Motion
from mechanical_ears.resynthesis.synthesis.stereo import StereoWidth

TABLE: Final = Path(__file__).parent / "weights" / "stereo_width.json"


@cache
def _table() -> dict[str, Any]:
    """The table as read from its file."""
    values: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return values


def note_width(
    family: str | None, seed: int, pitch: float, motion: Motion | None = None
) -> StereoWidth:
    """The width of a note of an instrument, the same for all velocities and round robins.

    Args:
        family: see `family_width`.
        seed: of the instrument.
        pitch: MIDI number; each key differs in another way from partial to partial.
        motion: how the note moves; the voices that beat are apart.
    """
    width = replace(family_width(family, seed), seed=round(100 * pitch) + 100_003 * seed)
    if motion is None or motion.beat_mix <= 0:
        return width
    return replace(width, voices=motion.beat_rate, voice_growth=motion.beat_growth)


def family_width(family: str | None, seed: int = 0) -> StereoWidth:
    """The width of an instrument: that of one of the family's measured instruments.

    Args:
        family: one of `FAMILIES`, or several joined by "+", whose mean it is; None for any.
        seed: selects the measured instrument, and the differences from partial to partial.
    """
    families = _table()["families"]
    names = [name for name in (family or "").split("+") if name in families]
    if not names:
        names = [FAMILIES[seed % len(FAMILIES)]]
    instruments = [families[name]["instruments"] for name in names]
    rows = [each[seed % len(each)] for each in instruments]
    side, difference, spread = (
        np.mean([row[key] for row in rows], axis=0)
        for key in ("side_db", "level_difference_db", "spread_db")
    )
    return StereoWidth(side, difference, spread=float(spread), seed=seed)
