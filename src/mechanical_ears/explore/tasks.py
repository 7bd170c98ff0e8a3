"""What workers do: open, blend, turn and render instruments. All of it runs in their processes."""

from __future__ import annotations

import io
import wave
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mechanical_ears.explore.patch import Patch
from mechanical_ears.note import FAMILIES, NOTE_SECONDS

if TYPE_CHECKING:
    from mechanical_ears.imagining.imagination import Imagination
    from mechanical_ears.imagining.imagined import Instrument

SAMPLE_RATE: Final = 48_000  # Hz
KEPT: Final = 32  # instruments that a worker keeps open

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


def prepare(model: str | None) -> Weights:
    """Open the networks, once in each worker.

    Args:
        model: folder of weights; None for the shipped ones.

    Raises:
        EarsError: they are missing or damaged.
    """
    from mechanical_ears.imagining.imagination import opened
    from mechanical_ears.imagining.imagine import QUALITIES

    imagination = opened(model)
    _state.update(imagination=imagination, instruments=OrderedDict())
    known = tuple(name for name in QUALITIES if name in imagination.directions)
    return Weights(imagination.sha256, imagination.about.get("licence", ""), known)


def imagination() -> Imagination:
    """This worker's."""
    opened: Imagination = _state["imagination"]
    return opened


def instrument(patch: Patch) -> Instrument:
    """The instrument of a patch, kept open: what it carries takes time to read."""
    kept: OrderedDict[str, Instrument] = _state["instruments"]
    key = patch.id(imagination().sha256)
    found = kept.pop(key, None) or patch.instrument(imagination())
    kept[key] = found
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return found


def note(patch: Patch, pitch: float, velocity: int, seconds: float) -> bytes:
    """A note as a WAV file, 16 bit, mono."""
    sound = instrument(patch).note(pitch, velocity, seconds, SAMPLE_RATE)
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

    return Patch.of(imagine(seed, family=family, draw=draw, model=imagination()))


def blended(parts: Sequence[tuple[float, Patch]], turn: Mapping[str, float]) -> Patch:
    """Between instruments, and turned in its qualities; as loud as all are.

    Args:
        parts: instruments with their shares, which add to one.
        turn: standard deviations by quality.
    """
    from mechanical_ears.imagining.imagine import imagine

    mean = _mean([(share, instrument(patch)) for share, patch in parts])
    return Patch.of(imagine(like=mean, model=imagination(), **turn))


def _mean(parts: Sequence[tuple[float, Instrument]]) -> Instrument:
    from mechanical_ears.imagining.carried import mixed

    if len(parts) == 1:
        return parts[0][1]
    families = {each.family for _, each in parts}
    licences = dict.fromkeys(each.licence for _, each in parts)
    timbre = np.sum([share * each.timbre for share, each in parts], axis=0, dtype=np.float32)
    return replace(
        parts[0][1],
        timbre=timbre,
        name=" + ".join(f"{each.name} {share:.0%}" for share, each in parts),
        family=families.pop() if len(families) == 1 else None,
        licence="; ".join(licences),
        gain=float(sum(share * each.gain for share, each in parts)),
        balance=(),
        seed=None,
        origin={"between": [[share, each.name, dict(each.origin)] for share, each in parts]},
        carried=mixed([(share, each.carried) for share, each in parts]),
    )


def hearing(patch: Patch) -> dict[str, Any]:
    """What the ears hear in an instrument, as JSON has it, with its likenesses for the map."""
    heard = instrument(patch).impression
    return {
        "family": heard.family,
        "family_confidence": heard.family_confidence,
        "nearest": [list(pair) for pair in heard.nearest],
        "novelty": heard.novelty,
        "notes": [
            {"played": key, **asdict(hearing)}
            for key, hearing in zip(heard.pitches, heard.hearings, strict=True)
        ],
    }


def known_instruments() -> list[str]:
    """Names of the instruments that the ears know."""
    from mechanical_ears.listening.ears import shipped_ears

    return shipped_ears().instruments


def charted(seed: int, family: str) -> dict[str, Any]:
    """An instrument for the map: what opens it again, and how like it is to those the ears know."""
    patch = drawn(seed, family, None)
    return {
        "seed": seed,
        "family": FAMILIES.index(family),
        "draw": patch.origin["draw"],
        "timbre": patch.timbre,
        "gain": patch.gain,
        "balance": np.array(patch.balance, dtype=np.float32),
        "likenesses": likenesses(instrument(patch)).astype(np.float16),
    }


def likenesses(heard: Instrument) -> np.ndarray:
    """How like an instrument is to each one the ears know, float32 (known,): mean over its keys."""
    from mechanical_ears.imagining.imagined import HEARD_KEYS, HEARD_RATE, VELOCITY
    from mechanical_ears.listening.ears import shipped_ears

    pairs = [(float(key), VELOCITY) for key in HEARD_KEYS]
    sounds = heard.notes(pairs, NOTE_SECONDS, HEARD_RATE)
    audio = np.stack([sound.samples for sound in sounds])
    nearness = shipped_ears().probabilities(audio)["nearness"]
    return np.asarray(nearness.mean(axis=0), dtype=np.float32)
