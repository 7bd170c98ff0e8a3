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

None marks programs that are not melodic: the orchestra hit (a chord), unpitched percussion, and
sound effects. Bank 128 has drum kits.
"""

from __future__ import annotations

import re

PROGRAM_COUNT = 128
DRUM_BANK = 128

FamilyAndSource = tuple[str, str]  # family and source, in NSynth's words

PROGRAMS: tuple[FamilyAndSource | None, ...] = (
    # 0: pianos
    ("keyboard", "acoustic"),  # acoustic grand piano
    ("keyboard", "acoustic"),  # bright acoustic piano
    ("keyboard", "electronic"),  # electric grand piano
    ("keyboard", "acoustic"),  # honky-tonk piano
    ("keyboard", "electronic"),  # electric piano 1
    ("keyboard", "electronic"),  # electric piano 2
    ("keyboard", "acoustic"),  # harpsichord
    ("keyboard", "electronic"),  # clavinet
    # 8: chromatic percussion
    ("mallet", "acoustic"),  # celesta
    ("mallet", "acoustic"),  # glockenspiel
    ("mallet", "acoustic"),  # music box
    ("mallet", "acoustic"),  # vibraphone
    ("mallet", "acoustic"),  # marimba
    ("mallet", "acoustic"),  # xylophone
    ("mallet", "acoustic"),  # tubular bells
    ("mallet", "acoustic"),  # dulcimer
    # 16: organs
    ("organ", "electronic"),  # drawbar organ
    ("organ", "electronic"),  # percussive organ
    ("organ", "electronic"),  # rock organ
    ("organ", "acoustic"),  # church organ
    ("organ", "acoustic"),  # reed organ
    ("organ", "acoustic"),  # accordion
    ("reed", "acoustic"),  # harmonica
    ("organ", "acoustic"),  # bandoneon
    # 24: guitars
    ("guitar", "acoustic"),  # nylon guitar
    ("guitar", "acoustic"),  # steel guitar
    ("guitar", "electronic"),  # jazz guitar
    ("guitar", "electronic"),  # clean guitar
    ("guitar", "electronic"),  # muted guitar
    ("guitar", "electronic"),  # overdriven guitar
    ("guitar", "electronic"),  # distortion guitar
    ("guitar", "electronic"),  # guitar harmonics
    # 32: basses
    ("bass", "acoustic"),  # acoustic bass
    ("bass", "electronic"),  # fingered bass
    ("bass", "electronic"),  # picked bass
    ("bass", "electronic"),  # fretless bass
    ("bass", "electronic"),  # slap bass 1
    ("bass", "electronic"),  # slap bass 2
    ("bass", "synthetic"),  # synth bass 1
    ("bass", "synthetic"),  # synth bass 2
    # 40: solo strings
    ("string", "acoustic"),  # violin
    ("string", "acoustic"),  # viola
    ("string", "acoustic"),  # cello
    ("string", "acoustic"),  # contrabass
    ("string", "acoustic"),  # tremolo strings
    ("string", "acoustic"),  # pizzicato strings
    ("string", "acoustic"),  # harp
    ("mallet", "acoustic"),  # timpani
    # 48: ensembles
    ("string", "acoustic"),  # string ensemble 1
    ("string", "acoustic"),  # string ensemble 2
    ("string", "synthetic"),  # synth strings 1
    ("string", "synthetic"),  # synth strings 2
    ("vocal", "acoustic"),  # choir aahs
    ("vocal", "acoustic"),  # voice oohs
    ("vocal", "synthetic"),  # synth voice
    None,  # orchestra hit
    # 56: brass
    ("brass", "acoustic"),  # trumpet
    ("brass", "acoustic"),  # trombone
    ("brass", "acoustic"),  # tuba
    ("brass", "acoustic"),  # muted trumpet
    ("brass", "acoustic"),  # French horn
    ("brass", "acoustic"),  # brass section
    ("brass", "synthetic"),  # synth brass 1
    ("brass", "synthetic"),  # synth brass 2
    # 64: reeds
    ("reed", "acoustic"),  # soprano saxophone
    ("reed", "acoustic"),  # alto saxophone
    ("reed", "acoustic"),  # tenor saxophone
    ("reed", "acoustic"),  # baritone saxophone
    ("reed", "acoustic"),  # oboe
    ("reed", "acoustic"),  # English horn
    ("reed", "acoustic"),  # bassoon
    ("reed", "acoustic"),  # clarinet
    # 72: pipes
    ("flute", "acoustic"),  # piccolo
    ("flute", "acoustic"),  # flute
    ("flute", "acoustic"),  # recorder
    ("flute", "acoustic"),  # pan flute
    ("flute", "acoustic"),  # blown bottle
    ("flute", "acoustic"),  # shakuhachi
    ("flute", "acoustic"),  # whistle
    ("flute", "acoustic"),  # ocarina
    # 80: synth leads
    ("synth_lead", "synthetic"),  # square
    ("synth_lead", "synthetic"),  # sawtooth
    ("synth_lead", "synthetic"),  # calliope
    ("synth_lead", "synthetic"),  # chiff
    ("synth_lead", "synthetic"),  # charang
    ("synth_lead", "synthetic"),  # voice
    ("synth_lead", "synthetic"),  # fifths
    ("synth_lead", "synthetic"),  # bass and lead
    # 88: synth pads
    ("synth_lead", "synthetic"),  # new age
    ("synth_lead", "synthetic"),  # warm
    ("synth_lead", "synthetic"),  # polysynth
    ("vocal", "synthetic"),  # choir
    ("string", "synthetic"),  # bowed
    ("synth_lead", "synthetic"),  # metallic
    ("vocal", "synthetic"),  # halo
    ("synth_lead", "synthetic"),  # sweep
    # 96: synth effects
    ("synth_lead", "synthetic"),  # rain
    ("synth_lead", "synthetic"),  # soundtrack
    ("mallet", "synthetic"),  # crystal
    ("synth_lead", "synthetic"),  # atmosphere
    ("synth_lead", "synthetic"),  # brightness
    ("synth_lead", "synthetic"),  # goblins
    ("synth_lead", "synthetic"),  # echoes
    ("synth_lead", "synthetic"),  # science fiction
    # 104: instruments of the world
    ("guitar", "acoustic"),  # sitar
    ("guitar", "acoustic"),  # banjo
    ("guitar", "acoustic"),  # shamisen
    ("guitar", "acoustic"),  # koto
    ("mallet", "acoustic"),  # kalimba
    ("reed", "acoustic"),  # bagpipe
    ("string", "acoustic"),  # fiddle
    ("reed", "acoustic"),  # shanai
    # 112: percussion
    ("mallet", "acoustic"),  # tinkle bell
    None,  # agogo
    ("mallet", "acoustic"),  # steel drums
    None,  # woodblock
    None,  # taiko drum
    None,  # melodic tom
    None,  # synth drum
    None,  # reverse cymbal
    # 120: sound effects
    *(None,) * 8,
)

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
