"""NSynth's labels: reading and checking entries of examples.json and tf.train.Example messages.

The schema is that of Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet
Autoencoders" (2017): numbers for family and source are indices in ``FAMILIES`` and ``SOURCES``,
qualities are ten of 0 and 1 in the order of ``QUALITIES``, audio is 4 s at 16 kHz.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from mechanical_ears.corpus.corpus import Provenance
from mechanical_ears.corpus.tfrecord import Example, encode_example
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE, NOTE_SECONDS, QUALITIES, SOURCES, Note
from mechanical_ears.sound import Sound

CITATION = (
    "Jesse Engel, Cinjon Resnick, Adam Roberts, Sander Dieleman, Douglas Eck, Karen Simonyan, "
    "Mohammad Norouzi: Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, 2017, "
    "arXiv:1704.01279"
)
LICENCE = "CC-BY-4.0"
NOTE_SAMPLES = round(NOTE_SAMPLE_RATE * NOTE_SECONDS)  # samples, 64,000
LABELS_FILE = "examples.json"

Value = TypeVar("Value")

_INDICES = {"instrument_family": FAMILIES, "instrument_source": SOURCES}
_NUMBERS = ("note", "instrument", "pitch", "velocity", "sample_rate", *_INDICES)


def nsynth_provenance(files: dict[str, str]) -> Provenance:
    """Provenance of NSynth, with the SHA-256 of its files by name."""
    return Provenance("NSynth", LICENCE, CITATION, files)


def parse_labels(text: bytes, path: Path) -> dict[str, object]:
    """Parse examples.json: labels, not yet checked, by the name of the note.

    Raises:
        CorpusError: it is not JSON, or not an object.
    """
    try:
        labels = json.loads(text)
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"is not JSON ({error.msg})",
            path=path,
            record=f"line {error.lineno}",
            remedy="unpack or download it again",
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise CorpusError("is not JSON", path=path, remedy="unpack or download it again") from error
    if not isinstance(labels, dict):
        problem = f"is {_abbreviate(labels)}, not an object of notes"
        raise CorpusError(problem, path=path, remedy="give NSynth's examples.json")
    return labels


def note_from_labels(labels: object, sound: Sound) -> Note:
    """Make a note from an entry of examples.json.

    Raises:
        CorpusError: a key is missing, of the wrong type or out of range, or the sound is not 4 s
            at 16 kHz.
    """
    if not isinstance(labels, dict):
        raise CorpusError(f"is {_abbreviate(labels)}, not an object with labels")
    numbers = {key: _integer(labels, key) for key in _NUMBERS}
    for key, names in _INDICES.items():
        if not 0 <= numbers[key] < len(names):
            raise CorpusError(f'"{key}" is {numbers[key]}, outside 0..{len(names) - 1}')
    instrument = _label(labels, "instrument_str")
    if not isinstance(instrument, str) or not instrument:
        raise CorpusError(f'"instrument_str" is {_abbreviate(instrument)}, not a name')
    for rate in (numbers["sample_rate"], sound.sample_rate):
        if rate != NOTE_SAMPLE_RATE:
            raise CorpusError(f"sample rate is {rate} Hz, not {NOTE_SAMPLE_RATE} Hz")
    if len(sound.samples) != NOTE_SAMPLES:
        raise CorpusError(f"audio has {len(sound.samples)} samples, not {NOTE_SAMPLES}")
    return Note(
        sound=sound,
        pitch=numbers["pitch"],
        velocity=numbers["velocity"],
        instrument=instrument,
        family=FAMILIES[numbers["instrument_family"]],
        source=SOURCES[numbers["instrument_source"]],
        qualities=_qualities(labels),
        instrument_id=numbers["instrument"],
        note_id=numbers["note"],
    )


def _label(labels: Mapping[str, object], key: str) -> object:
    if key not in labels:
        raise CorpusError(f'"{key}" is missing')
    return labels[key]


def _integer(labels: Mapping[str, object], key: str) -> int:
    value = _label(labels, key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CorpusError(f'"{key}" is {_abbreviate(value)}, not an integer')
    return value


def _qualities(labels: Mapping[str, object]) -> tuple[str, ...]:
    flags = _label(labels, "qualities")
    if (
        not isinstance(flags, list)
        or len(flags) != len(QUALITIES)
        or any(type(flag) is not int or flag not in (0, 1) for flag in flags)
    ):
        raise CorpusError(f'"qualities" is {_abbreviate(flags)}, not ten of 0 and 1')
    return tuple(name for name, flag in zip(QUALITIES, flags, strict=True) if flag)


def _abbreviate(value: object) -> str:
    """A JSON value for an error message, as one short line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def example_name(example: Example) -> str:
    """NSynth's note string for an error message; empty if there is none."""
    try:
        return f', note "{example.byte_strings("note_str")[0].decode("utf-8", "replace")}"'
    except (CorpusError, IndexError):
        return ""


def example_labels(example: Example) -> dict[str, object]:
    """Labels of an example, in the format of an entry of examples.json."""
    labels: dict[str, object] = {key: _single(example.ints(key), key) for key in _NUMBERS}
    instrument = _single(example.byte_strings("instrument_str"), "instrument_str")
    labels["instrument_str"] = instrument.decode("utf-8", "replace")
    labels["qualities"] = example.ints("qualities")
    return labels


def _single(values: Sequence[Value], key: str) -> Value:
    if len(values) != 1:
        raise CorpusError(f'"{key}" has {len(values)} values, not one')
    return values[0]


def example_sound(example: Example) -> Sound:
    """Sound of an example, copied from the file.

    Raises:
        CorpusError: there is no ``audio``.
        SoundError: a sample is not finite.
    """
    return Sound(np.array(example.floats("audio"), np.float32), NOTE_SAMPLE_RATE)


def encode_note(note: Note) -> bytes:
    """Encode a note as a tf.train.Example with NSynth's features, for `tfrecord.write_tfrecord`.

    Raises:
        CorpusError: the note has no family or source, which NSynth's format requires.
    """
    if note.family is None or note.source is None:
        raise CorpusError("has no family or no source", record=f'note "{note.name}"')
    qualities = [int(name in note.qualities) for name in QUALITIES]
    return encode_example(
        {
            "note": [note.note_id or 0],
            "note_str": [note.name.encode()],
            "instrument": [note.instrument_id or 0],
            "instrument_str": [note.instrument.encode()],
            "pitch": [note.pitch],
            "velocity": [note.velocity],
            "sample_rate": [note.sound.sample_rate],
            "audio": note.sound.samples,
            "qualities": qualities,
            "qualities_str": [name.encode() for name in note.qualities],
            "instrument_family": [FAMILIES.index(note.family)],
            "instrument_family_str": [note.family.encode()],
            "instrument_source": [SOURCES.index(note.source)],
            "instrument_source_str": [note.source.encode()],
        }
    )
