"""What the name of a sound file tells of the note in it.

Three habits of naming are understood, tried in this order:

    bass_electronic_018-022-100     NSynth's: instrument, MIDI pitch, MIDI velocity, three digits
    Piano C4 mf, A#3, Bb4_f, C4vH   a note name, words before it, a loudness behind it
    piano_060_100                   name, MIDI pitch, MIDI velocity

In note names s is a sharp as well (Fs3), as # is awkward in file names; C-1 is MIDI 0. A name that
tells two different notes (``A3 to C4``) tells none. A number counts as velocity only where it is
plain: three digits behind a note name (``C4_064``), or after ``vel``. Elsewhere numbers are tracks,
takes or layers, of unknown count.

Loudness in words becomes the velocity at which notation programs play it (pp 33 … ff 112), and the
layers L, M, H the middles of even layers. Where nothing is told, the user of this module decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mechanical_ears.note import FAMILIES, SOURCES
from mechanical_ears.pitch import PITCH_COUNT, name_to_midi

DYNAMICS = {
    "ppp": 16,
    "pp": 33,
    "p": 49,
    "mp": 64,
    "mf": 80,
    "f": 96,
    "ff": 112,
    "fff": 126,
}  # MIDI velocity
LAYERS = {"vl": 40, "vm": 72, "vh": 104}  # MIDI velocity

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
    "reed": {
        *("clarinet", "oboe", "bassoon", "sax", "saxophone", "harmonica", "bagpipe"),
        "duduk",
    },
    "string": {"violin", "viola", "cello", "contrabass", "harp", "string", "fiddle", "erhu"},
    "synth_lead": {"lead"},
    "vocal": {"voice", "vocal", "choir", "singer"},
}


@dataclass(frozen=True)
class NameLabels:
    """What a file name tells.

    Attributes:
        pitch: MIDI number 0..127.
        velocity: MIDI velocity 0..127, or None where it tells none.
        instrument: the words of the name that are neither; empty where there are none.
    """

    pitch: int
    velocity: int | None
    instrument: str


def labels_from_name(stem: str) -> NameLabels | None:
    """Labels told by a file name without its suffix; None where it tells no single pitch."""
    match = _NSYNTH.fullmatch(stem)
    if match is not None:
        return _from_numbers(match)
    notes = list(_NOTE.finditer(stem))
    if notes:
        return _from_note_name(stem, notes)
    match = _NUMBERS.fullmatch(stem)
    return None if match is None else _from_numbers(match)


def family_and_source_from_name(instrument: str) -> tuple[str | None, str | None]:
    """Family and source told by an instrument's name; None where it is not plain.

    NSynth's own names tell both (``bass_electronic_018``); other names the family at most, by a
    word of it.
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
    # Bass and string also name a register or a part: bass clarinet, 12-string guitar.
    for meant in (words - {"bass", "string"}, words):
        found = [family for family, names in _FAMILY_WORDS.items() if names & meant]
        if found:
            return found[0] if len(found) == 1 else None, None
    return None, None


def _from_numbers(match: re.Match[str]) -> NameLabels | None:
    pitch, velocity = int(match["pitch"]), int(match["velocity"])
    if pitch >= PITCH_COUNT or velocity > 127:
        return None
    return NameLabels(pitch, velocity, _tidy(match["instrument"]))


def _from_note_name(stem: str, notes: list[re.Match[str]]) -> NameLabels | None:
    try:
        pitches = {_midi(note) for note in notes}
    except ValueError:
        return None
    if len(pitches) > 1:
        return None
    before, behind = _tidy(stem[: notes[0].start()]), _tokens(stem[notes[-1].end() :])
    spoken = [velocity for token in behind if (velocity := _velocity(token)) is not None]
    before = re.sub(r"^\d+_(?=.)", "", before)
    first, _, last = before.rpartition("_")
    if not spoken and len(last) > 1 and last.lower() in DYNAMICS:
        before, spoken = first, [DYNAMICS[last.lower()]]
    words = [token for token in behind if _velocity(token) is None and not _is_take(token)]
    return NameLabels(
        pitch=pitches.pop(),
        velocity=spoken[0] if spoken else None,
        instrument=before or _tidy("_".join(words)),
    )


def _midi(note: re.Match[str]) -> int:
    accidental = (note["accidental"] or "").replace("s", "#")
    return name_to_midi(f"{note['letter']}{accidental}{note['octave']}")


def _velocity(token: str) -> int | None:
    word = token.lower()
    known = DYNAMICS.get(word, LAYERS.get(word))
    number = re.fullmatch(r"v?(\d{3})|vel(\d{1,3})", word)
    if known is None and number is not None:
        value = int(number[1] or number[2])
        return value if value <= 127 else None
    return known


def _is_take(token: str) -> bool:
    return re.fullmatch(r"(rr|v|take)?\d+", token.lower()) is not None


def _tokens(text: str) -> list[str]:
    return [token for token in re.split(f"[{re.escape(_SEPARATORS)}]+", text) if token]


def _tidy(text: str) -> str:
    return re.sub(r"[\s_]+", "_", text.strip(_SEPARATORS))
