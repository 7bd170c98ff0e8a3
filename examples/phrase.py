"""A short piece for an instrument that nobody has built: chords, a bass and a melody, five octaves.

    python examples/phrase.py INSTRUMENT.json phrase.wav

Eight bars of 3/4 in D minor, written for this demonstration. Each note is played by the imagined
instrument itself, at its own key, velocity and length: nothing is shifted or stretched.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mechanical_ears import ImaginedInstrument, Sound

BEAT = 0.52  # s
RING = 0.9  # s, that a note goes on after its key is let go
SAMPLE_RATE = 44_100  # Hz

# beat, beats, velocity, MIDI pitches
BASS = [
    (0, 3, 84, (38,)),
    (3, 3, 80, (34,)),
    (6, 3, 82, (41,)),
    (9, 3, 78, (36,)),
    (12, 3, 84, (31,)),
    (15, 3, 80, (38,)),
    (18, 2, 86, (33,)),
    (20, 1, 80, (45,)),
    (21, 5, 88, (26, 38)),
]
CHORDS = [
    (1, 2, 58, (57, 62, 65)),
    (4, 2, 54, (58, 62, 65)),
    (7, 2, 56, (57, 60, 65)),
    (10, 2, 52, (55, 60, 64)),
    (13, 2, 58, (58, 62, 67)),
    (16, 2, 54, (57, 62, 65)),
    (19, 2, 60, (57, 61, 64)),
    (22, 4, 50, (57, 62, 65)),
]
MELODY = [
    (0.0, 1.5, 92, (74,)),
    (1.5, 0.5, 78, (76,)),
    (2.0, 1.0, 84, (77,)),
    (3.0, 2.0, 96, (82,)),
    (5.0, 1.0, 80, (81,)),
    (6.0, 1.5, 90, (84,)),
    (7.5, 0.5, 74, (81,)),
    (8.0, 1.0, 82, (77,)),
    (9.0, 2.0, 94, (79,)),
    (11.0, 1.0, 76, (76,)),
    (12.0, 1.0, 88, (86,)),
    (13.0, 1.0, 84, (84,)),
    (14.0, 1.0, 80, (82,)),
    (15.0, 1.5, 90, (81,)),
    (16.5, 0.5, 72, (79,)),
    (17.0, 1.0, 78, (77,)),
    (18.0, 1.0, 86, (76,)),
    (19.0, 1.0, 80, (73,)),
    (20.0, 1.0, 84, (76,)),
    (21.0, 1.0, 70, (74,)),
    (22.0, 1.0, 62, (81,)),
    (23.0, 1.0, 56, (86,)),
    (24.0, 2.0, 50, (98,)),
]


def play(instrument: ImaginedInstrument) -> Sound:
    """The piece, as loud as it can be."""
    last = max(beat + beats for beat, beats, _, _ in BASS + CHORDS + MELODY)
    mixed = np.zeros(round((last * BEAT + RING + 1) * SAMPLE_RATE), dtype=np.float32)
    takes: dict[tuple[int, int], int] = {}
    for beat, beats, velocity, pitches in BASS + CHORDS + MELODY:
        for place, pitch in enumerate(pitches):
            take = takes[pitch, velocity] = takes.get((pitch, velocity), -1) + 1
            seconds = beats * BEAT + RING
            note = instrument.note(pitch, velocity, seconds, SAMPLE_RATE, take)
            first = round((beat * BEAT + 0.012 * place) * SAMPLE_RATE)
            mixed[first : first + len(note.samples)] += note.samples
    return Sound(mixed * np.float32(0.9 / max(np.abs(mixed).max(), 1e-9)), SAMPLE_RATE)


def main() -> None:
    """Read an instrument, play the piece, write the sound."""
    instrument = ImaginedInstrument.load(sys.argv[1], sys.argv[3] if len(sys.argv) > 3 else None)
    sound = play(instrument)
    path = sound.save(Path(sys.argv[2]))
    print(f"{path}: {instrument.name}, {sound.seconds:.1f} s")


if __name__ == "__main__":
    main()
