"""Labels from the names of sound files: pitch, velocity, instrument, family and source.

Three conventions are tried in this order:

    bass_electronic_018-022-100     NSynth's: instrument, MIDI pitch, MIDI velocity, three digits
    Piano C4 mf, A#3, Bb4_f, C4vH   words, a note name, a dynamic or layer
    piano_060_100                   name, MIDI pitch, MIDI velocity

In note names s is a sharp as well (Fs3), because # is awkward in file names; C-1 is MIDI 0. A name
with two different notes (``A3 to C4``) has no pitch. A number is a velocity only if it has three
digits after a note name (``C4_064``) or follows ``vel``. Other numbers are tracks, takes or layers
of unknown count.

A dynamic becomes the velocity at which notation programs play it (pp 33 … ff 112), and the layers
L, M, H become the centres of three even layers. Without a velocity in the name, the caller decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mechanical_ears.note import FAMILIES, SOURCES
from mechanical_ears.pitch import PITCH_COUNT, name_to_midi

# MIDI velocities
DYNAMICS = {"ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 126}
LAYERS = {"vl": 40, "vm": 72, "vh": 104}

_NSYNTH = re.compile(r"(?P<instrument>.+)-(?P<pitch>\d{3})-(?P<velocity>\d{3})")
_NUMBERS = re.compile(
    r"(?P<instrument>.*?)[ _-]*(?<!\d)(?P<pitch>\d{1,3})[_ -](?P<velocity>\d{1,3})"
)
_NOTE = re.compile(
    r"(?<![A-Za-z0-9#♯♭])(?P<letter>[A-Ga-g])(?P<accidental>[#♯♭b]|(?<![EeBb])s)?(?P<octave>-1|\d)"
    r"(?=$|[^A-Za-z0-9#♯♭]|v[LMHlmh\d])"
)
_SEPARATORS = " _-.,()[]"
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

_FAMILY_WORDS = {
    "bass": {"bass"},
    "brass": {"brass", "trumpet", "trombone", "tuba", "horn", "cornet", "flugelhorn", "euphonium"},
    "flute": {"flute", "piccolo", "recorder", "ocarina", "whistle", "shakuhachi", "panflute"},
    "guitar": {"guitar", "ukulele", "banjo", "mandolin", "lute", "sitar", "koto"},
    "keyboard": {"piano", "rhodes", "wurlitzer", "harpsichord", "clavinet", "clavichord"},
    "mallet": {
        *("vibraphone", "marimba", "xylophone", "glockenspiel", "celesta", "kalimba"),
        *("bell", "chime", "timpani", "dulcimer"),
    },
    "organ": {"organ", "hammond", "accordion", "harmonium"},
    "reed": {*("clarinet", "oboe", "bassoon", "sax", "saxophone", "harmonica", "bagpipe"), "duduk"},
    "string": {"violin", "viola", "cello", "contrabass", "harp", "string", "fiddle", "erhu"},
    "synth_lead": {"lead"},
    "vocal": {"voice", "vocal", "choir", "singer"},
}


@dataclass(frozen=True)
class NameLabels:
    """Labels in a file name.

    Attributes:
        pitch: MIDI number 0..127.
        velocity: MIDI velocity 0..127, or None if the name has none.
        instrument: the other words of the name; may be empty.
    """

    pitch: int
    velocity: int | None
    instrument: str


def labels_from_name(stem: str) -> NameLabels | None:
    """Labels in a file name without its suffix; None if it has no single pitch."""
    match = _NSYNTH.fullmatch(stem)
    if match is not None:
        return _from_numbers(match)
    notes = list(_NOTE.finditer(stem))
    if notes:
        return _from_note_name(stem, notes)
    match = _NUMBERS.fullmatch(stem)
    return None if match is None else _from_numbers(match)


def family_and_source_from_name(instrument: str) -> tuple[str | None, str | None]:
    """NSynth's family and source of an instrument by its name, each None if it is not clear.

    NSynth's own names have both (``bass_electronic_018``); other names have the family at most, in
    one of their words.
    """
    for family in FAMILIES:
        for source in SOURCES:
            if instrument.startswith(f"{family}_{source}"):
                return family, source
    words = {word.lower() for word in _WORD.findall(instrument)}
    words |= {word.removesuffix("s") for word in words}
    if {"english", "horn"} <= words:
        return "reed", None
    if {"bass", "guitar"} <= words:
        return "bass", None
    # Bass and string may be a register or a part: bass clarinet, 12-string guitar.
    for candidates in (words - {"bass", "string"}, words):
        families = [family for family, names in _FAMILY_WORDS.items() if names & candidates]
        if families:
            return families[0] if len(families) == 1 else None, None
    return None, None


def _from_numbers(match: re.Match[str]) -> NameLabels | None:
    pitch, velocity = int(match["pitch"]), int(match["velocity"])
    if pitch >= PITCH_COUNT or velocity > 127:
        return None
    return NameLabels(pitch, velocity, _normalise(match["instrument"]))


def _from_note_name(stem: str, notes: list[re.Match[str]]) -> NameLabels | None:
    try:
        pitches = {_to_midi(note) for note in notes}
    except ValueError:
        return None
    if len(pitches) > 1:
        return None
    before, after = _normalise(stem[: notes[0].start()]), _tokens(stem[notes[-1].end() :])
    velocities = [velocity for token in after if (velocity := _to_velocity(token)) is not None]
    before = re.sub(r"^\d+_(?=.)", "", before)  # a track number
    first, _, last = before.rpartition("_")
    if not velocities and len(last) > 1 and last.lower() in DYNAMICS:
        before, velocities = first, [DYNAMICS[last.lower()]]
    words = [token for token in after if _to_velocity(token) is None and not _is_take(token)]
    velocity = velocities[0] if velocities else None
    return NameLabels(pitches.pop(), velocity, before or _normalise("_".join(words)))


def _to_midi(note: re.Match[str]) -> int:
    accidental = (note["accidental"] or "").replace("s", "#")
    return name_to_midi(f"{note['letter']}{accidental}{note['octave']}")


def _to_velocity(token: str) -> int | None:
    word = token.lower()
    velocity = DYNAMICS.get(word, LAYERS.get(word))
    number = re.fullmatch(r"v?(\d{3})|vel(\d{1,3})", word)
    if velocity is None and number is not None:
        value = int(number[1] or number[2])
        return value if value <= 127 else None
    return velocity


def _is_take(token: str) -> bool:
    return re.fullmatch(r"(rr|v|take)?\d+", token.lower()) is not None


def _tokens(text: str) -> list[str]:
    return [token for token in re.split(f"[{re.escape(_SEPARATORS)}]+", text) if token]


def _normalise(text: str) -> str:
    return re.sub(r"[\s_]+", "_", text.strip(_SEPARATORS))
