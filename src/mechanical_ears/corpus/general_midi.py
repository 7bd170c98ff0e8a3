"""NSynth's family and source of each of General MIDI's 128 programs.

The programs are those of the General MIDI System Level 1 (MIDI Manufacturers Association, 1991),
counted from 0. NSynth has 11 families, which do not match General MIDI's groups; where they differ,
the production of the sound decides:

- Struck bars, bells, drums with a pitch, music boxes, kalimba and the hammered dulcimer: mallet.
- Plucked strings that are fretted or plucked like a guitar (sitar, banjo, shamisen, koto): guitar;
  the harp and the bowed: string.
- Free reeds with keys and bellows (accordion, bandoneon, harmonium): organ, as in General MIDI;
  blown ones (harmonica) and bagpipe, shanai: reed.
- Leads are synth_lead. NSynth has no family for pads and effects: those that imitate a choir, bowed
  strings or struck glass have these families as synthetic, the others are synth_lead as well.

``general_midi.csv`` has the programs with their names. Programs that are not melodic have neither
family nor source: the orchestra hit (a chord), unpitched percussion, and sound effects. Bank 128
has drum kits.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Final

TABLE_FILE = Path(__file__).with_name("general_midi.csv")
DRUM_BANK = 128

FamilyAndSource = tuple[str, str]  # family and source, in NSynth's words


def _read_programs() -> tuple[FamilyAndSource | None, ...]:
    with TABLE_FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple((row["family"], row["source"]) if row["family"] else None for row in rows)


PROGRAMS: Final = _read_programs()

# Labels by words of the name, for presets in banks of variations that differ from their program.
_NAME_LABELS: tuple[tuple[str, FamilyAndSource | None], ...] = (
    (r"\b(drum|kit|tom|cymbal|castanets|metronome|snare|blocks?|noise|hit)s?\b", None),
    (r"\b(sine|saw|square)\b.*", ("synth_lead", "synthetic")),
    (r"\b(ukulele|mandolin|banjo|koto|guitar)\b", ("guitar", "acoustic")),
    (r"\bpad\b", ("synth_lead", "synthetic")),
)

# Presets whose loudness follows a pedal or breath controller instead of velocity.
_EXPRESSION = re.compile(r"\bexpr\b\.?", re.IGNORECASE)


def family_and_source(bank: int, program: int, name: str) -> FamilyAndSource | None:
    """Family and source of a preset; None for drums, sound effects and expression presets.

    Args:
        bank: MIDI bank 0..128. Bank 0 is General MIDI's and follows the table; other banks have
            variations of their program, unless words of the name give another family.
        program: MIDI program 0..127, counted from 0.
        name: name of the preset, for variations.
    """
    if bank == DRUM_BANK or _EXPRESSION.search(name):
        return None
    standard = PROGRAMS[program]
    if bank == 0:
        return standard
    for pattern, labels in _NAME_LABELS:
        if re.search(pattern, name, re.IGNORECASE):
            same_family = labels is not None and standard is not None and labels[0] == standard[0]
            return standard if same_family else labels
    return standard
