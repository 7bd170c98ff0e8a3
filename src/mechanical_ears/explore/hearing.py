"""Worker tasks of listening: what the ears hear in instruments and in uploaded recordings."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from mechanical_ears.errors import EarsError, SoundError
from mechanical_ears.explore.corpus_instruments import Recorded
from mechanical_ears.explore.open_instruments import Playing
from mechanical_ears.explore.worker_tasks import LONGEST_NAME, drawn, imagination, playable, spread
from mechanical_ears.imagining.patch import HEARING_KEYS, Patch
from mechanical_ears.note import FAMILIES, NOTE_SECONDS
from mechanical_ears.sound import Sound

RECORDING_SECONDS: Final = 60.0  # of a recording that are searched for its note
MOST_CHANNELS: Final = 8
FASTEST: Final = 384_000  # Hz


@dataclass(frozen=True, eq=False)
class Heard:
    """What the ears hear in an instrument.

    Attributes:
        told: as JSON has it.
        novelty: 1 − likeness of the nearest known instrument.
        likenesses: float32 (known,), to each one the ears know.
    """

    told: dict[str, Any]
    novelty: float
    likenesses: np.ndarray


@dataclass(frozen=True, eq=False)
class HeardRecording:
    """What the ears hear in a recording.

    Attributes:
        told: as JSON has it.
        likenesses: float32 (known,); None for silence.
        patch: an instrument like it; None where there can be none.
        problem: why.
    """

    told: dict[str, Any]
    likenesses: np.ndarray | None
    patch: Patch | None
    problem: str | None


def hearing(playing: Playing) -> Heard:
    """What the ears hear in an instrument."""
    from mechanical_ears.imagining.instrument_hearing import predict_notes, summarize_hearings

    keys, sounds = _heard_notes(playing)
    prediction = predict_notes(sounds)
    heard = summarize_hearings(keys, prediction)
    told = {
        "family": heard.family,
        "family_confidence": heard.family_confidence,
        "nearest": [list(pair) for pair in heard.nearest],
        "notes": [
            {"played": key, **asdict(each)}
            for key, each in zip(heard.pitches, heard.hearings, strict=True)
        ],
    }
    return Heard(told, heard.novelty, prediction.likeness.mean(axis=0))


def likenesses(playing: Playing) -> np.ndarray:
    """How like an instrument is to each one the ears know, float32 (known,): mean over its keys."""
    from mechanical_ears.listening.ears import shipped_ears

    prediction = shipped_ears().predict(_heard_notes(playing)[1], find_onsets=False)
    return np.asarray(prediction.likeness.mean(axis=0))


def _heard_notes(playing: Playing) -> tuple[list[int], list[Sound]]:
    """The notes by which the ears judge an instrument, at 16 kHz; of a real one recordings."""
    from mechanical_ears.imagining.instrument import HEARING_RATE, VELOCITY

    found = playable(playing)
    keys = list(HEARING_KEYS)
    if isinstance(playing, Recorded):
        keys = sorted(pitch for _, pitch, _ in spread(playing))
    return keys, [found.note(key, VELOCITY, NOTE_SECONDS, HEARING_RATE) for key in keys]


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
        "likenesses": likenesses(patch).astype(np.float16),
    }


def heard_recording(data: bytes, name: str) -> HeardRecording:
    """Hear an uploaded recording, and imagine an instrument like it.

    Args:
        data: a sound file.
        name: of it, for people.

    Raises:
        SoundError: it is no sound file.
    """
    from mechanical_ears.imagining.imagine import imagine
    from mechanical_ears.listening.ears import shipped_ears

    sound = _decoded(data)
    prediction = shipped_ears().predict([sound])
    hearing, likeness = prediction.hearing(0), prediction.likeness[0]
    if hearing.onset is None:
        return HeardRecording(asdict(hearing), None, None, "it is silent")
    if hearing.pitch is None:
        return HeardRecording(asdict(hearing), likeness, None, "no single pitch is heard in it")
    try:
        like = imagine(like=sound, model=imagination())
    except EarsError as error:
        return HeardRecording(asdict(hearing), likeness, None, error.problem)
    patch = replace(like.patch, name=f"like {name}"[:LONGEST_NAME])
    return HeardRecording(asdict(hearing), likeness, patch, None)


def _decoded(data: bytes) -> Sound:
    """The sound of a file; its name and its place are ours."""
    import soundfile

    remedy = "give a WAV, FLAC, Ogg or MP3 file"
    with tempfile.TemporaryDirectory(prefix="ears-heard-") as folder:
        path = Path(folder) / "recording"
        path.write_bytes(data)
        try:
            about = soundfile.info(path)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise SoundError("is not a sound that can be read", remedy=remedy) from error
        if about.channels > MOST_CHANNELS or about.samplerate > FASTEST:
            raise SoundError(
                f"has {about.channels} channels at {about.samplerate} Hz",
                remedy=f"give at most {MOST_CHANNELS} channels and {FASTEST} Hz",
            )
        try:
            return Sound.load(path, RECORDING_SECONDS)
        except SoundError as error:
            raise SoundError(error.problem, remedy=error.remedy) from error
