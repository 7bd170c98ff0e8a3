"""What workers do: open, blend, turn, hear, render and export; it runs in their processes."""

from __future__ import annotations

import io
import os
import wave
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from mechanical_ears.explore.corpus_instruments import (
    Recorded,
    RecordedInstrument,
    listed,
    recording,
)
from mechanical_ears.explore.open_instruments import Playing
from mechanical_ears.imagining.patch import Patch, mean_patch
from mechanical_ears.note import Note

if TYPE_CHECKING:
    from mechanical_ears.corpus.corpus import Corpus
    from mechanical_ears.imagining.instrument import ImaginedInstrument
    from mechanical_ears.imagining.model import Model
    from mechanical_ears.instrument.playable import Playable

SAMPLE_RATE: Final = 48_000  # Hz
KEPT: Final = 32  # instruments that a worker keeps open
LIKE_NOTES: Final = 5  # recordings that an imagined likeness of a real instrument is made of
LONGEST_NAME: Final = 120  # characters
BLENDED_NAME: Final = 40  # characters of each in the name of a blend

_state: dict[str, Any] = {}


@dataclass(frozen=True)
class Weights:
    """What is known about the weights.

    Attributes:
        sha256: of the generator.
        licence: of them.
        qualities: that can be turned.
    """

    sha256: str
    licence: str
    qualities: tuple[str, ...]


def prepare(model: str | None, corpus: str | None = None, gives_way: int = 0) -> Weights:
    """Open the networks, once in each worker.

    Args:
        model: folder of weights; None for the shipped ones.
        corpus: the user's; None for none.
        gives_way: of 19, how much to other processes.

    Raises:
        EarsError: they are missing or damaged.
    """
    from mechanical_ears.imagining.imagine import QUALITIES
    from mechanical_ears.imagining.model import open_model

    if gives_way and hasattr(os, "nice"):
        os.nice(gives_way)
    imagination = open_model(model)
    _state.update(imagination=imagination, instruments=OrderedDict(), corpus=corpus)
    known = tuple(name for name in QUALITIES if name in imagination.directions)
    return Weights(imagination.sha256, imagination.metadata.get("licence", ""), known)


def imagination() -> Model:
    """This worker's."""
    opened: Model = _state["imagination"]
    return opened


def corpus() -> Corpus:
    """The user's."""
    from mechanical_ears.corpus.open_corpus import open_corpus

    if isinstance(_state["corpus"], str):
        _state["corpus"] = open_corpus(_state["corpus"])
    opened: Corpus = _state["corpus"]
    return opened


def playable(playing: Playing) -> Playable:
    """The instrument, kept open: what it carries of recordings takes time to read."""
    kept: OrderedDict[str, Playable] = _state["instruments"]
    key = playing.id(imagination().sha256)
    found = kept.pop(key, None)
    if found is None:
        if isinstance(playing, Recorded):
            found = RecordedInstrument(playing, corpus())
        else:
            from mechanical_ears.imagining.instrument import ImaginedInstrument

            found = ImaginedInstrument(playing, imagination())
    kept[key] = found
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return found


def imagined(playing: Playing) -> ImaginedInstrument:
    """An imagined instrument; of a real one, one like it."""
    patch = _like_recorded(playing) if isinstance(playing, Recorded) else playing
    return cast("ImaginedInstrument", playable(patch))


def _like_recorded(recorded: Recorded) -> Patch:
    from mechanical_ears.imagining.imagine import imagine

    kept: dict[str, Patch] = _state.setdefault("likenesses", {})
    key = recorded.id("")
    if key not in kept:
        notes = []
        for place, pitch, velocity in spread(recorded):
            sound = recording(corpus(), place)
            notes.append(Note(sound, pitch, velocity, recorded.name, recorded.family))
        like = imagine(like=notes, model=imagination())
        kept[key] = replace(like.patch, name=f"like {recorded.name}")
    return kept[key]


def spread(recorded: Recorded) -> list[tuple[int, int, int]]:
    """A few recordings, evenly over the keys that there are."""
    from mechanical_ears.imagining.instrument import VELOCITY

    keys = sorted({pitch for _, pitch, _ in recorded.notes})
    chosen = np.linspace(0, len(keys) - 1, min(LIKE_NOTES, len(keys))).round().astype(int)
    return [recorded.nearest(keys[place], VELOCITY) for place in chosen]


def note(playing: Playing, pitch: float, velocity: int, seconds: float) -> bytes:
    """A note as a WAV file, 16 bit, mono."""
    sound = playable(playing).note(pitch, velocity, seconds, SAMPLE_RATE)
    return wav(sound.samples, sound.sample_rate)


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """A WAV file, 16 bit, mono.

    Args:
        samples: float32 (samples,) in [-1, 1].
        sample_rate: Hz.
    """
    whole = np.rint(np.clip(samples, -1, 1) * np.float32(32767)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(whole.tobytes())
    return file.getvalue()


def drawn(seed: int, family: str | None, draw: int | None) -> Patch:
    """An instrument by lot; the ears choose among its draws, if none is given."""
    from mechanical_ears.imagining.imagine import imagine

    return imagine(seed, family=family, candidate=draw, model=imagination()).patch


def blended(parts: Sequence[tuple[float, Playing]], turn: Mapping[str, float]) -> Patch:
    """Between instruments, and turned in its qualities; as loud as all are.

    Args:
        parts: instruments with their shares, which add to one.
        turn: standard deviations by quality.
    """
    from mechanical_ears.imagining.imagine import QUALITIES, imagine
    from mechanical_ears.imagining.instrument import ImaginedInstrument

    mean = _mean([(share, imagined(playing).patch) for share, playing in parts])
    bright, attack, noisy, sustain = (turn.get(name, 0.0) for name in QUALITIES)
    made = imagine(
        like=ImaginedInstrument(mean, imagination()),
        brightness=bright,
        attack=attack,
        noisiness=noisy,
        sustain=sustain,
        model=imagination(),
    )
    return replace(made.patch, name=made.name[:LONGEST_NAME])


def _mean(parts: Sequence[tuple[float, Patch]]) -> Patch:
    if len(parts) == 1:
        return parts[0][1]
    return replace(
        mean_patch(parts),
        name=" + ".join(f"{_short(each.name)} {share:.0%}" for share, each in parts),
        balance=(),
        origin={"between": [[share, each.name, each.seed] for share, each in parts]},
    )


def _short(name: str) -> str:
    return name if len(name) <= BLENDED_NAME else f"{name[: BLENDED_NAME - 1]}…"


def corpus_instruments() -> list[Recorded]:
    """The instruments of the user's corpus."""
    return list(listed(corpus()))
