"""The article's network for the pitch of a note: trained weights in ONNX. Runs without PyTorch.

Its input is 4 s at 16 kHz. Sounds of other rates are resampled, shorter ones padded with silence,
longer ones cut at the end: a note of NSynth begins with its onset.
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
class ArticleHearing:
    """Keys that the article's network hears in one sound.

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
        """Note name of the pitch, such as "A#3"."""
        return midi_to_name(self.pitch)


class ArticleEars:
    """The article's network with trained weights.

    Args:
        model: ONNX file of `ears train article`; None for the shipped weights.

    Attributes:
        about: what the weights were trained on, their licence and citation.

    Raises:
        EarsError: there is no such file, or it is another network.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        self.path = SHIPPED_ARTICLE if model is None else Path(model)
        self._session = open_session(self.path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shapes = inputs[0].shape[1:], outputs[0].shape[1:]
        if shapes != ([NOTE_SAMPLES], [PITCH_COUNT]):
            raise EarsError(
                f"input and output have the shapes {shapes[0]} and {shapes[1]}, those of the "
                f"article's network are [{NOTE_SAMPLES}] and [{PITCH_COUNT}]",
                path=self.path,
                remedy="give a model of `ears train article`",
            )
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def probabilities(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability (softmax) of each key.

        Args:
            audio: float32 (batch, 64000) in [-1, 1] at 16 kHz.

        Returns:
            float32 (batch, 128).
        """
        (probabilities,) = self._session.run(None, {self._session.get_inputs()[0].name: audio})
        return np.asarray(probabilities, dtype=np.float32)

    def hear(self, sounds: Sequence[Sound]) -> list[ArticleHearing]:
        """Hear sounds of any rate and length."""
        rows = self.probabilities(np.stack([to_note_audio(sound) for sound in sounds]))
        return [ArticleHearing(int(row.argmax()), float(row.max()), row) for row in rows]


def to_note_audio(sound: Sound) -> NDArray[np.float32]:
    """Audio of an NSynth note's rate and length, float32 (64000,) at 16 kHz."""
    samples = sound.mono().resample(NOTE_SAMPLE_RATE).samples[:NOTE_SAMPLES]
    return np.pad(samples, (0, NOTE_SAMPLES - len(samples)))


@cache
def shipped_article_ears() -> ArticleEars:
    """The article's network with the weights that ship with the package, loaded once."""
    return ArticleEars()
