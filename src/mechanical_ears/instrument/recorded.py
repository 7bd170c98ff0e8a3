"""An instrument made of single recordings, such as a corpus holds: the nearest one is resampled.

A note is the recording of the nearest key (and among those the nearest velocity), resampled to its
pitch, 0.25 dB louder or softer for each step of velocity away from the recording's own. Unlike a
`SampledInstrument` it has no loops and no layers, and reads a recording only when it is played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from mechanical_ears.instrument.playable import VELOCITY, VELOCITY_STEP_DB, nearest_note
from mechanical_ears.note import NOTE_SECONDS
from mechanical_ears.sound import Sound

FADE_SECONDS: Final = 0.02  # s, where a recording is cut


@dataclass(frozen=True, eq=False)
class RecordedInstrument:
    """Recordings of one instrument's notes; see `Playable`.

    For the notes of a corpus: ``recordings`` maps (pitch, velocity) to the note's position in the
    corpus (the first, if several have the same), and ``read`` returns the sound at a position.

    Attributes:
        name: name of the instrument.
        recordings: what ``read`` takes, by key (MIDI number) and MIDI velocity.
        read: returns the sound of a recording.
        family: one of `FAMILIES`; None if unknown.
        licence: licence of the recordings.
    """

    name: str
    recordings: Mapping[tuple[int, int], int]
    read: Callable[[int], Sound]
    family: str | None = None
    licence: str = ""

    def note(
        self,
        pitch: float,
        velocity: int = VELOCITY,
        seconds: float | None = None,
        sample_rate: int = 48_000,
        round_robin: int = 0,
        channels: int = 1,
    ) -> Sound:
        """Play the nearest recording at a pitch; see `Playable.note`.

        Args:
            pitch: MIDI number; may be fractional.
            velocity: MIDI velocity 1..127.
            seconds: length in s; None for 4 s. Zeros follow a recording that is shorter.
            sample_rate: Hz.
            round_robin: ignored: there is one recording for each key and velocity.
            channels: 1, or 2, which are equal where the recording is mono.
        """
        import soxr

        nearest = nearest_note(self.recordings, pitch, velocity)
        sound = self.read(self.recordings[nearest])
        if channels != sound.channels:
            mono = sound.mono().samples
            samples = mono if channels == 1 else np.stack([mono, mono], axis=1)
            sound = Sound(samples, sound.sample_rate)
        speed = 2 ** ((pitch - nearest[0]) / 12)
        resampled = soxr.resample(sound.samples, sound.sample_rate * speed, sample_rate)
        count = round((NOTE_SECONDS if seconds is None else seconds) * sample_rate)
        gain = np.float32(10 ** (VELOCITY_STEP_DB * (velocity - nearest[1]) / 20))
        samples = np.zeros((count, *sound.samples.shape[1:]), dtype=np.float32)
        samples[: len(resampled)] = resampled[:count] * gain
        if len(resampled) > count:
            fade = min(round(FADE_SECONDS * sample_rate), count)
            samples[count - fade :].T[...] *= np.linspace(1, 0, fade, dtype=np.float32)
        peak = float(np.abs(samples).max(initial=0.0))
        return Sound(samples / np.float32(peak) if peak > 1 else samples, sample_rate)
