"""Tasks of the workers: open, generate, blend and render instruments.

These functions run in worker processes, and so do those of `hearing` and `instrument_files`. Each
worker holds one model and keeps a few instruments open. Slow imports are in the functions, since
the server imports this module as well and needs none of them.
"""

from __future__ import annotations

import io
import os
import wave
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mechanical_ears.explore import corpus_instruments
from mechanical_ears.explore.corpus_instruments import CorpusInstrument
from mechanical_ears.explore.open_instruments import InstrumentData
from mechanical_ears.imagining.patch import Patch, mean_patch
from mechanical_ears.note import Note

if TYPE_CHECKING:
    from mechanical_ears.corpus.corpus import Corpus
    from mechanical_ears.imagining.model import Model
    from mechanical_ears.instrument.playable import Playable

SAMPLE_RATE: Final = 48_000  # Hz
MAX_OPEN: Final = 32  # instruments that a worker keeps open
LIKE_RECORDINGS: Final = 5  # recordings that an imagined instrument is fitted to
MAX_NAME_LENGTH: Final = 120  # characters
MAX_PART_LENGTH: Final = 40  # characters of each instrument in the name of a blend

_state: dict[str, Any] = {}


@dataclass(frozen=True)
class WeightsInfo:
    """What the server needs to know about the weights.

    Attributes:
        sha256: of the generator.
        licence: of the weights.
        qualities: that can be changed.
    """

    sha256: str
    licence: str
    qualities: tuple[str, ...]


def prepare(model: Path | None, corpus: Path | None = None, niceness: int = 0) -> WeightsInfo:
    """Open the networks, once in each worker.

    Args:
        model: folder of weights; None for the shipped ones.
        corpus: path of the user's corpus; None for none.
        niceness: 0..19, by which the process lowers its priority.

    Raises:
        EarsError: the weights are missing or damaged.
    """
    from mechanical_ears.imagining.imagine import QUALITIES
    from mechanical_ears.imagining.model import open_model

    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    opened = open_model(model)
    _state.update(model=opened, corpus=corpus, instruments=OrderedDict(), likenesses={})
    qualities = tuple(name for name in QUALITIES if name in opened.directions)
    return WeightsInfo(opened.sha256, opened.metadata.get("licence", ""), qualities)


def get_model() -> Model:
    """The networks of this worker."""
    model: Model = _state["model"]
    return model


def get_corpus() -> Corpus:
    """The user's corpus, opened on first use."""
    from mechanical_ears.corpus.open_corpus import open_corpus

    if isinstance(_state["corpus"], Path):
        _state["corpus"] = open_corpus(_state["corpus"])
    corpus: Corpus = _state["corpus"]
    return corpus


def open_playable(data: InstrumentData) -> Playable:
    """The playable instrument, kept open since a residual takes time to read."""
    instruments: OrderedDict[str, Playable] = _state["instruments"]
    key = data.id(get_model().sha256)
    instrument = instruments.pop(key, None)
    if instrument is None:
        if isinstance(data, CorpusInstrument):
            instrument = data.open(get_corpus())
        else:
            from mechanical_ears.imagining.instrument import ImaginedInstrument

            instrument = ImaginedInstrument(data, get_model())
    instruments[key] = instrument
    if len(instruments) > MAX_OPEN:
        instruments.popitem(last=False)
    return instrument


def to_patch(data: InstrumentData) -> Patch:
    """The patch of an imagined instrument, or of one that is fitted to a recorded instrument."""
    if not isinstance(data, CorpusInstrument):
        return data
    from mechanical_ears.imagining.imagine import imagine

    likenesses: dict[str, Patch] = _state["likenesses"]
    key = data.id("")
    if key not in likenesses:
        notes, recordings = [], data.recordings()
        for pitch, velocity in data.representative_notes(LIKE_RECORDINGS):
            sound = corpus_instruments.read_recording(get_corpus(), recordings[pitch, velocity])
            notes.append(Note(sound, pitch, velocity, data.name, data.family))
        like = imagine(like=notes, model=get_model())
        likenesses[key] = replace(like.patch, name=f"like {data.name}")
    return likenesses[key]


def render_note(data: InstrumentData, pitch: float, velocity: int, seconds: float) -> bytes:
    """A note as a WAV file, 16 bit, mono."""
    sound = open_playable(data).note(pitch, velocity, seconds, SAMPLE_RATE)
    return encode_wav(sound.samples, sound.sample_rate)


def encode_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """A WAV file, 16 bit, mono; four times as fast as libsndfile, which takes 1.2 ms for a note.

    Args:
        samples: float32 (samples,) in [-1, 1].
        sample_rate: Hz.
    """
    integers = np.rint(np.clip(samples, -1, 1) * np.float32(32767)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(integers.tobytes())
    return file.getvalue()


def generate(seed: int, family: str | None, candidate: int | None) -> Patch:
    """The patch of a seed.

    Args:
        seed: of the instrument.
        family: one of `FAMILIES`; None for the one that the seed gives.
        candidate: of the seed's candidates; None for the best by rejection sampling.
    """
    from mechanical_ears.imagining.imagine import imagine

    return imagine(seed, family=family, candidate=candidate, model=get_model()).patch


def blend(parts: Sequence[tuple[float, InstrumentData]], changes: Mapping[str, float]) -> Patch:
    """The weighted mean of instruments with changed qualities, at the common loudness.

    Args:
        parts: weights, which sum to one, and instruments.
        changes: standard deviations by quality.
    """
    from mechanical_ears.imagining.imagine import QUALITIES, imagine
    from mechanical_ears.imagining.instrument import ImaginedInstrument

    model, mean = get_model(), _mean([(weight, to_patch(data)) for weight, data in parts])
    names = ("brightness", "attack", "noisiness", "sustain")  # arguments for the QUALITIES
    amounts = (changes.get(quality, 0.0) for quality in QUALITIES)
    arguments: dict[str, Any] = dict(zip(names, amounts, strict=True))
    instrument = imagine(like=ImaginedInstrument(mean, model), model=model, **arguments)
    return replace(instrument.patch, name=instrument.name[:MAX_NAME_LENGTH])


def _mean(parts: Sequence[tuple[float, Patch]]) -> Patch:
    """The mean of patches, named after their weights, with an origin that does not nest theirs."""
    if len(parts) == 1:
        return parts[0][1]
    return replace(
        mean_patch(parts),
        name=" + ".join(f"{_shorten(patch.name)} {weight:.0%}" for weight, patch in parts),
        balance=(),
        origin={"between": [[weight, patch.name, patch.seed] for weight, patch in parts]},
    )


def _shorten(name: str) -> str:
    return name if len(name) <= MAX_PART_LENGTH else f"{name[: MAX_PART_LENGTH - 1]}…"


def list_corpus_instruments() -> list[CorpusInstrument]:
    """The instruments of the user's corpus."""
    return corpus_instruments.list_instruments(get_corpus())
