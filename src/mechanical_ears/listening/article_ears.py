"""The article's network without PyTorch: trained weights, run by ONNX Runtime.

It hears 4 s at 16 kHz. Sounds of another rate are resampled; shorter ones are
followed by silence, longer ones cut, as a note of NSynth begins with its onset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.listening.onnx_session import open_session
from mechanical_ears.note import NOTE_SAMPLE_RATE, NOTE_SECONDS
from mechanical_ears.pitch import PITCH_COUNT, midi_to_name
from mechanical_ears.sound import Sound

SHIPPED_ARTICLE = Path(__file__).parent / "weights" / "article.onnx"
NOTE_SAMPLES = round(NOTE_SECONDS * NOTE_SAMPLE_RATE)


@dataclass(frozen=True)
class HeardPitch:
    """What the article's network makes of one sound.

    Attributes:
        pitch: MIDI number of the likeliest key.
        probability: the network's softmax of that key, 0..1; not calibrated.
        probabilities: float32 (128,), of every key.
    """

    pitch: int
    probability: float
    probabilities: NDArray[np.float32]

    @property
    def name(self) -> str:
        """Note name of the pitch ("A#3")."""
        return midi_to_name(self.pitch)


class ArticleEars:
    """The article's network with trained weights.

    Args:
        model: an ONNX file as `ears train article` writes it; None takes the shipped weights.

    Attributes:
        about: what the weights were trained on, their licence and citation.

    Raises:
        EarsError: there is no such file, or it is no such network.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        self.path = SHIPPED_ARTICLE if model is None else Path(model)
        self._session = open_session(self.path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shapes = inputs[0].shape[1:], outputs[0].shape[1:]
        if shapes != ([NOTE_SAMPLES], [PITCH_COUNT]):
            raise EarsError(
                f"hears {shapes[0]} and tells {shapes[1]}, where the article's network hears "
                f"[{NOTE_SAMPLES}] and tells [{PITCH_COUNT}]",
                path=self.path,
                remedy="give a model that `ears train article` wrote",
            )
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def probabilities(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Softmax of each key.

        Args:
            audio: float32 (batch, 64000) in [-1, 1] at 16 kHz.

        Returns:
            float32 (batch, 128).
        """
        (heard,) = self._session.run(None, {self._session.get_inputs()[0].name: audio})
        return np.asarray(heard, dtype=np.float32)

    def hear(self, sounds: Sequence[Sound]) -> list[HeardPitch]:
        """Hear sounds of any rate and length."""
        audio = np.stack([as_note_audio(sound) for sound in sounds])
        return [
            HeardPitch(int(row.argmax()), float(row.max()), row)
            for row in self.probabilities(audio)
        ]


def as_note_audio(sound: Sound) -> NDArray[np.float32]:
    """The sound in the form of an NSynth note, float32 (64000,) at 16 kHz."""
    samples = sound.resample(NOTE_SAMPLE_RATE).samples[:NOTE_SAMPLES]
    return np.pad(samples, (0, NOTE_SAMPLES - len(samples)))


@cache
def shipped_article_ears() -> ArticleEars:
    """The article's network with the weights that ship with the package, loaded once."""
    return ArticleEars()
