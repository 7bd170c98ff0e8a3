"""The ears: what a musician would call a recording of a note. Runs without PyTorch.

    recording → onset → 4 s from there at 16 kHz → front end → network (ONNX)
              → octaves weighed by the signal's period → fundamental refined → Prediction

What has no single pitch (silence, noise, a chord) gets none, rather than a guess; the likeliest
keys are listed all the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import SoundError
from mechanical_ears.listening.f0 import refine
from mechanical_ears.listening.frontend import SAMPLE_RATE, SAMPLES, extract_features
from mechanical_ears.listening.onnx_session import open_session
from mechanical_ears.listening.onset import find_onset
from mechanical_ears.listening.periodicity import weigh_octaves
from mechanical_ears.listening.prediction import PITCHED_PROBABILITY, Hearing, Prediction
from mechanical_ears.pitch import cents_between, hz_to_midi, midi_to_hz
from mechanical_ears.sound import Sound, read_duration
from mechanical_ears.workers import map_in_order

SHIPPED_LISTENER: Final = Path(__file__).parent / "weights" / "listener.onnx"
BATCH_SIZE: Final = 8  # notes in one run of the network: more do not fit into a processor's cache
MAX_SECONDS: Final = 60.0  # of a file that are searched for its note
MIN_SECONDS: Final = 0.01  # to which shorter sounds are padded with silence


class Ears:
    """The listener with trained weights.

    Args:
        model: ONNX file of `ears train listener`; None for the shipped weights.
        threads: for one run of the network; None for all cores. `listen_to_files` runs on all
            cores with one thread each.

    Attributes:
        about: what the weights were trained on, their licence and citation.
        instruments: names of the known instruments.

    Raises:
        EarsError: there is no such file, or it cannot be run.
    """

    def __init__(self, model: str | Path | None = None, threads: int | None = 1) -> None:
        self.path = SHIPPED_LISTENER if model is None else Path(model)
        self._session = open_session(self.path, threads)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.instruments: list[str] = json.loads(self.about.get("instruments", "[]"))

    def predict(self, sounds: Sequence[Sound], *, find_onsets: bool = True) -> Prediction:
        """Hear recordings of single notes, of any rate and length: the full result.

        Args:
            sounds: recordings, mixed to mono; the note may begin anywhere.
            find_onsets: False where every note begins with the first sample.

        Example:
            >>> from mechanical_ears import Sound
            >>> prediction = Ears().predict([Sound.sine(440), Sound.sine(220)])
            >>> prediction.key.shape
            (2, 128)
            >>> prediction.frequency.round(1).tolist()
            [440.0, 220.0]
        """
        silence = Sound(np.zeros(1, np.float32), SAMPLE_RATE)  # the network takes no empty batch
        padded = [sound.mono() for sound in sounds] or [silence]
        parts = (padded[first : first + BATCH_SIZE] for first in range(0, len(padded), BATCH_SIZE))
        batches = [self._predict_batch(part, find_onsets) for part in parts]
        columns = {
            name: np.concatenate([batch[name] for batch in batches])[: len(sounds)]
            for name in batches[0]
        }
        return Prediction(tuple(self.instruments), **columns)

    def listen(self, sounds: Sequence[Sound]) -> list[Hearing]:
        """Hear recordings of single notes, of any rate and length: the short answers."""
        return self.predict(sounds).hearings()

    def listen_to_files(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Hearing | SoundError]]:
        """Hear sound files on all cores, in their order.

        A file that cannot be read comes with its error. The note must begin in the first minute;
        the rest is not read.
        """
        batches = (paths[first : first + BATCH_SIZE] for first in range(0, len(paths), BATCH_SIZE))
        for results in map_in_order(self._listen_to_batch, batches):
            yield from results

    def _listen_to_batch(self, paths: Sequence[Path]) -> list[tuple[Path, Hearing | SoundError]]:
        loaded = [(path, _load(path)) for path in paths]
        hearings = iter(self.listen([sound for _, sound in loaded if isinstance(sound, Sound)]))
        results: list[tuple[Path, Hearing | SoundError]] = []
        for path, sound in loaded:
            if isinstance(sound, SoundError):
                results.append((path, sound))
                continue
            hearing = next(hearings)
            if sound.seconds >= MAX_SECONDS:
                hearing = replace(hearing, duration=read_duration(path))
            results.append((path, hearing))
        return results

    def _predict_batch(self, sounds: Sequence[Sound], find_onsets: bool) -> dict[str, NDArray[Any]]:
        """The arrays of a `Prediction` by name, for as many sounds as fit into a batch."""
        onsets = [
            find_onset(each.samples, each.sample_rate) if find_onsets else 0 for each in sounds
        ]
        audio = np.stack([_note_audio(*pair) for pair in zip(sounds, onsets, strict=True)])
        features = extract_features(audio)
        inputs = {name: getattr(features, name) for name in ("pitch_map", "envelope", "level")}
        values = self._session.run(self._outputs, inputs)
        output: dict[str, NDArray[Any]] = dict(zip(self._outputs, values, strict=True))
        output["likeness"] = output.pop("nearness")
        rows = zip(output["key"], output["sounding"], features.power, strict=True)
        weighed = [weigh_octaves(*row) for row in rows]
        output["key"] = np.stack([each.key for each in weighed])
        output["sounding"] = np.stack([each.sounding for each in weighed])
        output["onset"], output["frequency"], output["cents"] = np.full((3, len(sounds)), np.nan)
        output["duration"] = np.array([sound.seconds for sound in sounds])
        for row, (sound, onset) in enumerate(zip(sounds, onsets, strict=True)):
            if onset is None:
                continue
            output["onset"][row] = onset / sound.sample_rate
            if output["pitched"][row] >= PITCHED_PROBABILITY:
                sounding = int(output["sounding"][row].argmax())
                frequency = refine(audio[row], SAMPLE_RATE, sounding).frequency
                nearest = midi_to_hz(round(hz_to_midi(frequency)))
                output["frequency"][row] = frequency
                output["cents"][row] = cents_between(frequency, nearest)
        return output


def _load(path: Path) -> Sound | SoundError:
    try:
        return Sound.load(path, MAX_SECONDS)
    except SoundError as error:
        return error


def _note_audio(sound: Sound, onset: int | None) -> NDArray[np.float32]:
    """Four seconds from the onset at 16 kHz, float32 (64000,)."""
    first = onset or 0
    last = first + round(SAMPLES / SAMPLE_RATE * sound.sample_rate) + 1
    note = sound.samples[first:last]
    shortest = math.ceil(MIN_SECONDS * sound.sample_rate)  # fewer could leave none at 16 kHz
    note = np.pad(note, (0, max(0, shortest - len(note))))
    samples = Sound(note, sound.sample_rate).resample(SAMPLE_RATE).samples[:SAMPLES]
    return np.pad(samples, (0, SAMPLES - len(samples)))


@cache
def shipped_ears() -> Ears:
    """The listener with the weights that ship with the package, loaded once."""
    return Ears()


SoundLike = str | Path | Sound | NDArray[np.float32]
SoundLikes = (
    list[str] | list[Path] | list[Sound] | list[NDArray[np.float32]] | tuple[SoundLike, ...]
)


@overload
def listen(what: SoundLike, sample_rate: int | None = None) -> Hearing: ...
@overload
def listen(what: SoundLikes, sample_rate: int | None = None) -> list[Hearing]: ...
def listen(what: SoundLike | SoundLikes, sample_rate: int | None = None) -> Hearing | list[Hearing]:
    """Hear one recording of a note, or several, with the shipped ears.

    Args:
        what: a sound file, a `Sound`, or float32 (samples,) in [-1, 1]; or a list of such, or
            float32 (notes, samples).
        sample_rate: Hz, of arrays.

    Returns:
        The hearing; a list for several recordings.

    Raises:
        SoundError: a file cannot be read, or an array comes without its rate.

    Example:
        >>> from mechanical_ears import Sound, listen
        >>> hearing = listen(Sound.sine(440))
        >>> hearing.pitch, round(hearing.frequency, 1)
        (69, 440.0)
    """
    if isinstance(what, str | Path | Sound) or (isinstance(what, np.ndarray) and what.ndim != 2):
        return shipped_ears().listen([_as_sound(what, sample_rate)])[0]
    return shipped_ears().listen([_as_sound(each, sample_rate) for each in what])


def _as_sound(what: SoundLike, sample_rate: int | None) -> Sound:
    if isinstance(what, Sound):
        return what
    if isinstance(what, str | Path):
        return Sound.load(what)
    if sample_rate is None:
        raise SoundError("an array needs its sample_rate")
    return Sound(what, sample_rate)
