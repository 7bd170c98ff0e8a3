"""Tasks of the workers: what the ears hear in instruments and in uploaded recordings."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from mechanical_ears.errors import EarsError, SoundError
from mechanical_ears.explore import worker_tasks
from mechanical_ears.explore.corpus_instruments import CorpusInstrument
from mechanical_ears.explore.open_instruments import InstrumentData
from mechanical_ears.imagining.patch import HEARING_KEYS, Patch
from mechanical_ears.note import FAMILIES, NOTE_SECONDS
from mechanical_ears.sound import Sound

MAX_RECORDING_SECONDS: Final = 60.0  # s of a recording that are searched for its note
MAX_CHANNELS: Final = 8
MAX_SAMPLE_RATE: Final = 384_000  # Hz


@dataclass(frozen=True, eq=False)
class InstrumentAnalysis:
    """What the ears hear in an instrument.

    Attributes:
        hearing: as JSON.
        novelty: 1 − likeness of the nearest known instrument.
        likeness: float32 (known,), to each known instrument.
    """

    hearing: dict[str, Any]
    novelty: float
    likeness: np.ndarray


@dataclass(frozen=True, eq=False)
class RecordingAnalysis:
    """What the ears hear in a recording.

    Attributes:
        hearing: as JSON.
        likeness: float32 (known,), to each known instrument; None for silence.
        patch: an instrument that is fitted to it; None if there can be none.
        problem: why there is none.
    """

    hearing: dict[str, Any]
    likeness: np.ndarray | None
    patch: Patch | None
    problem: str | None


def hear_instrument(data: InstrumentData) -> InstrumentAnalysis:
    """Let the ears hear a few notes of an instrument."""
    from mechanical_ears.imagining.instrument_hearing import predict_notes, summarize_hearings

    keys, sounds = _render_notes(data)
    prediction = predict_notes(sounds)
    summary = summarize_hearings(keys, prediction)
    hearing = {
        "family": summary.family,
        "family_confidence": summary.family_confidence,
        "nearest": [list(pair) for pair in summary.nearest],
        "notes": [
            {"played": key, **asdict(note)}
            for key, note in zip(summary.pitches, summary.hearings, strict=True)
        ],
    }
    return InstrumentAnalysis(hearing, summary.novelty, prediction.likeness.mean(axis=0))


def mean_likeness(data: InstrumentData) -> np.ndarray:
    """Likeness of an instrument to each known one, float32 (known,), the mean over its keys."""
    from mechanical_ears.listening.ears import shipped_ears

    prediction = shipped_ears().predict(_render_notes(data)[1], find_onsets=False)
    return np.asarray(prediction.likeness.mean(axis=0))


def _render_notes(data: InstrumentData) -> tuple[list[int], list[Sound]]:
    """The keys by which the ears judge an instrument, and their notes at 16 kHz."""
    from mechanical_ears.imagining.instrument import HEARING_RATE, VELOCITY

    instrument = worker_tasks.open_playable(data)
    keys = list(HEARING_KEYS)
    if isinstance(data, CorpusInstrument):
        keys = [pitch for pitch, _ in data.representative_notes(worker_tasks.LIKE_RECORDINGS)]
    return keys, [instrument.note(key, VELOCITY, NOTE_SECONDS, HEARING_RATE) for key in keys]


def known_instruments() -> list[str]:
    """Names of the instruments that the ears know."""
    from mechanical_ears.listening.ears import shipped_ears

    return shipped_ears().instruments


def map_row(seed: int, family: str) -> dict[str, Any]:
    """A row of the map: the patch of a seed, and its likeness to the known instruments."""
    patch = worker_tasks.generate(seed, family, None)
    return {
        "seed": seed,
        "family": FAMILIES.index(family),
        "draw": patch.origin["draw"],
        "timbre": patch.timbre,
        "gain": patch.gain,
        "balance": np.array(patch.balance, dtype=np.float32),
        "likenesses": mean_likeness(patch).astype(np.float16),
    }


def hear_recording(data: bytes, name: str) -> RecordingAnalysis:
    """Hear an uploaded recording, and imagine an instrument like it.

    Args:
        data: contents of a sound file.
        name: to show to people.

    Raises:
        SoundError: it is not a sound file that can be read.
    """
    from mechanical_ears.imagining.imagine import imagine
    from mechanical_ears.listening.ears import shipped_ears

    sound = _decode(data)
    prediction = shipped_ears().predict([sound])
    hearing, likeness = prediction.hearing(0), prediction.likeness[0]
    if hearing.onset is None:
        return RecordingAnalysis(asdict(hearing), None, None, "it is silent")
    if hearing.pitch is None:
        return RecordingAnalysis(asdict(hearing), likeness, None, "it has no single pitch")
    try:
        like = imagine(like=sound, model=worker_tasks.get_model())
    except EarsError as error:
        return RecordingAnalysis(asdict(hearing), likeness, None, error.problem)
    patch = replace(like.patch, name=f"like {name}"[: worker_tasks.MAX_NAME_LENGTH])
    return RecordingAnalysis(asdict(hearing), likeness, patch, None)


def _decode(data: bytes) -> Sound:
    """Decode a sound file, under a name of our own in a temporary folder."""
    import soundfile

    remedy = "use a WAV, FLAC, Ogg or MP3 file"
    with tempfile.TemporaryDirectory(prefix="ears-upload-") as folder:
        path = Path(folder) / "recording"
        path.write_bytes(data)
        try:
            info = soundfile.info(path)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise SoundError("is not a sound file that can be read", remedy=remedy) from error
        if info.channels > MAX_CHANNELS or info.samplerate > MAX_SAMPLE_RATE:
            remedy = f"use at most {MAX_CHANNELS} channels and {MAX_SAMPLE_RATE} Hz"
            raise SoundError(f"has {info.channels} channels at {info.samplerate} Hz", remedy=remedy)
        try:
            return Sound.load(path, MAX_RECORDING_SECONDS)
        except SoundError as error:
            raise SoundError(error.problem, remedy=error.remedy) from error
