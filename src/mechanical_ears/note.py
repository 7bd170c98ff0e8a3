"""A note: a sound with labels in NSynth's vocabulary.

The vocabulary (families, sources, qualities and their order) is that of NSynth: Engel et al.,
"Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders" (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

from mechanical_ears.errors import CorpusError
from mechanical_ears.pitch import PITCH_COUNT
from mechanical_ears.sound import Sound

FAMILIES = (
    *("bass", "brass", "flute", "guitar", "keyboard", "mallet"),
    *("organ", "reed", "string", "synth_lead", "vocal"),
)
SOURCES = ("acoustic", "electronic", "synthetic")
QUALITIES = (
    *("bright", "dark", "distortion", "fast_decay", "long_release"),
    *("multiphonic", "nonlinear_env", "percussive", "reverb", "tempo-synced"),
)

NOTE_SAMPLE_RATE = 16_000  # Hz, NSynth's
NOTE_SECONDS = 4.0  # s, length of NSynth's notes
HOLD_SECONDS = 3.0  # s, time until NSynth's keys are released
VELOCITIES = (25, 50, 75, 100, 127)  # NSynth's five MIDI velocities


@dataclass(frozen=True, eq=False)
class Note:
    """A sound with labels.

    >>> from mechanical_ears import Note, Sound
    >>> note = Note(Sound.sine(440), pitch=69, velocity=100, instrument="sine", family="synth_lead")
    >>> note.name
    'sine-069-100'

    Attributes:
        sound: its sound; several channels are mixed to mono.
        pitch: MIDI number 0..127 of the key a player would press.
        velocity: MIDI velocity 0..127 of the key press.
        instrument: name of the instrument, NSynth's ``instrument_str`` (``bass_electronic_018``).
        family: one of ``FAMILIES``, or None if unknown.
        source: one of ``SOURCES``, or None if unknown.
        qualities: those of ``QUALITIES`` that apply.
        instrument_id: NSynth's number of the instrument, or None.
        note_id: NSynth's number of the note, or None.

    Raises:
        CorpusError: a label is outside its vocabulary or range.
    """

    sound: Sound
    pitch: int
    velocity: int
    instrument: str
    family: str | None = None
    source: str | None = None
    qualities: tuple[str, ...] = ()
    instrument_id: int | None = None
    note_id: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sound", self.sound.mono())
        if not 0 <= self.pitch < PITCH_COUNT:
            raise CorpusError(f'"pitch" is {self.pitch}, outside 0..127', record=self.instrument)
        if not 0 <= self.velocity <= 127:
            raise CorpusError(f'"velocity" is {self.velocity}, outside 0..127', record=self.name)
        for word, kind, words in (
            (self.family, "an instrument family", FAMILIES),
            (self.source, "a source", SOURCES),
        ):
            if word is not None and word not in words:
                problem = f'"{word}" is not {kind} of NSynth'
                remedy = f"use one of {', '.join(words)}"
                raise CorpusError(problem, record=self.name, remedy=remedy)
        for quality in self.qualities:
            if quality not in QUALITIES:
                raise CorpusError(f'"{quality}" is not a quality of NSynth', record=self.name)

    @property
    def name(self) -> str:
        """NSynth's note string: instrument, pitch and velocity (``bass_018-022-100``)."""
        return f"{self.instrument}-{self.pitch:03d}-{self.velocity:03d}"
