"""The ears: from any recording of a note to what a musician would call it. No PyTorch.

    recording → onset → 4 s from there at 16 kHz → front end → network (ONNX) → probabilities
              → the fundamental by the network and the signal's period, refined → Hearing

What has no single pitch (silence, noise, a chord) gets none, rather than a guess.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import SoundError
from mechanical_ears.listening.f0 import refine
from mechanical_ears.listening.frontend import (
    SAMPLE_RATE,
    SAMPLES,
    FrontEndFeatures,
    extract_features,
)
from mechanical_ears.listening.onnx_session import open_session
from mechanical_ears.listening.onset import find_onset
from mechanical_ears.listening.periodicity import weigh
from mechanical_ears.note import FAMILIES, QUALITIES, SOURCES, VELOCITIES
from mechanical_ears.pitch import cents_between, hz_to_midi, midi_to_hz
from mechanical_ears.sound import Sound, sound_seconds

SHIPPED = Path(__file__).parent / "weights" / "listener.onnx"
BATCH = 8  # notes in one run of the network: more do not fit into a processor's cache
LONGEST = 60.0  # s of a file that are searched for its note
SHORTEST = 0.01  # s to which shorter sounds are lengthened by silence
NEAREST = 3  # known instruments that are named
# Share of the training notes that sound at their key; whether a stranger does, nobody can hear.
AT_ITS_KEY = 0.95
PITCHED = 0.5  # probability from which there is a single pitch
APPLIES = 0.5  # probability from which a quality applies


@dataclass(frozen=True)
class Hearing:
    """What the ears hear in one recording.

    Attributes:
        pitch: MIDI number of the key that a player would press; None without a single pitch.
        pitch_confidence: probability that this key is right, 0..1; never above 0.95, since an
            instrument may sound an octave off its keys, and nobody can hear that of a stranger.
        frequency: Hz, of the fundamental that sounds; None without a single pitch.
        sounding_pitch: MIDI number nearest to it; an octave off the key for a 16-foot organ stop.
        cents: how far the frequency lies above that number's, −50..50.
        family: one of `FAMILIES`; None for silence.
        family_confidence: probability of the family, 0..1.
        source: one of `SOURCES`; None for silence.
        velocity: MIDI velocity 1..127 as it sounds; None for silence.
        qualities: those of `QUALITIES` that apply.
        onset: s, where the note begins; None for silence.
        duration: s, of the recording.
        nearest: names of the nearest known instruments with their likeness, −1..1.
    """

    pitch: int | None
    pitch_confidence: float
    frequency: float | None
    sounding_pitch: int | None
    cents: float | None
    family: str | None
    family_confidence: float
    source: str | None
    velocity: int | None
    qualities: tuple[str, ...]
    onset: float | None
    duration: float
    nearest: tuple[tuple[str, float], ...]


class Ears:
    """The listener with trained weights.

    Args:
        model: ONNX file of `ears train listener`; None takes the shipped weights.
        threads: for one run of the network; None for all cores. Many files are heard on all cores
            by one thread each.

    Attributes:
        about: what the weights were trained on, their licence and citation.
        instruments: names of the instruments that it knows.

    Raises:
        EarsError: there is no such file, or it cannot be run.
    """

    def __init__(self, model: str | Path | None = None, threads: int | None = 1) -> None:
        self.path = SHIPPED if model is None else Path(model)
        self._session = open_session(self.path, threads)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.instruments: list[str] = json.loads(self.about.get("instruments", "[]"))

    def listen(self, sounds: Sequence[Sound]) -> list[Hearing]:
        """Hear recordings of single notes, of any rate and length."""
        hearings: list[Hearing] = []
        for first in range(0, len(sounds), BATCH):
            hearings += self._listen(sounds[first : first + BATCH])
        return hearings

    def listen_to_files(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Hearing | SoundError]]:
        """Hear sound files on all cores, in their order; one that cannot be read is told instead.

        The note must begin in the first minute; what follows is not read.
        """
        workers = os.cpu_count() or 1
        batches = (paths[first : first + BATCH] for first in range(0, len(paths), BATCH))
        with ThreadPoolExecutor(workers) as pool:
            at_work: deque[Future[list[tuple[Path, Hearing | SoundError]]]] = deque(
                pool.submit(self._hear_files, batch) for batch in islice(batches, 2 * workers)
            )
            try:
                while at_work:
                    yield from at_work.popleft().result()
                    at_work.extend(
                        pool.submit(self._hear_files, batch) for batch in islice(batches, 1)
                    )
            finally:
                pool.shutdown(cancel_futures=True)

    def _hear_files(self, paths: Sequence[Path]) -> list[tuple[Path, Hearing | SoundError]]:
        read = [(path, _loaded(path)) for path in paths]
        hearings = iter(self.listen([sound for _, sound in read if isinstance(sound, Sound)]))
        answers: list[tuple[Path, Hearing | SoundError]] = []
        for path, sound in read:
            if isinstance(sound, SoundError):
                answers.append((path, sound))
                continue
            hearing = next(hearings)
            if sound.seconds >= LONGEST:
                hearing = replace(hearing, duration=sound_seconds(path))
            answers.append((path, hearing))
        return answers

    def _listen(self, sounds: Sequence[Sound]) -> list[Hearing]:
        starts = [find_onset(sound.samples, sound.sample_rate) for sound in sounds]
        audio = np.stack([_note_audio(*pair) for pair in zip(sounds, starts, strict=True)])
        heard = extract_features(audio)
        told = self._told(heard)
        return [
            self._hearing(
                sound,
                start,
                audio[place],
                heard.power[place],
                {name: values[place] for name, values in told.items()},
            )
            for place, (sound, start) in enumerate(zip(sounds, starts, strict=True))
        ]

    def probabilities(self, audio: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """What the network tells, by the names of its outputs.

        Args:
            audio: float32 (batch, 64000) in [-1, 1] at 16 kHz, onset at the start.

        Returns:
            key and sounding (batch, 128), pitched (batch,), family (batch, 11), source (batch, 3),
            velocity (batch, 5), qualities (batch, 10), nearness (batch, instruments).
        """
        return self._told(extract_features(audio))

    def _told(self, heard: FrontEndFeatures) -> dict[str, NDArray[np.float32]]:
        inputs = {"pitch_map": heard.pitch_map, "envelope": heard.envelope, "level": heard.level}
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))

    def _hearing(
        self,
        sound: Sound,
        start: int | None,
        note: NDArray[np.float32],
        power: NDArray[np.float32],
        told: dict[str, NDArray[np.float32]],
    ) -> Hearing:
        if start is None:
            return Hearing(
                None, 0.0, None, None, None, None, 0.0, None, None, (), None, sound.seconds, ()
            )
        pitched = float(told["pitched"])
        weighed = weigh(told["key"], told["sounding"], power)
        key = int(weighed.key.argmax())
        frequency: float | None = None
        sounding: int | None = None
        cents: float | None = None
        if pitched >= PITCHED:
            frequency = refine(note, SAMPLE_RATE, weighed.sounding).frequency
            sounding = round(hz_to_midi(frequency))
            cents = cents_between(frequency, midi_to_hz(sounding))
        family, source = int(told["family"].argmax()), int(told["source"].argmax())
        likeness = told["nearness"]
        near = np.argpartition(-likeness, min(NEAREST, len(likeness) - 1))[:NEAREST]
        near = near[(-likeness[near]).argsort()]
        return Hearing(
            pitch=None if frequency is None else key,
            pitch_confidence=AT_ITS_KEY * pitched * float(weighed.key[key]),
            frequency=frequency,
            sounding_pitch=sounding,
            cents=cents,
            family=FAMILIES[family],
            family_confidence=float(told["family"][family]),
            source=SOURCES[source],
            velocity=round(float(told["velocity"] @ np.array(VELOCITIES))),
            qualities=tuple(
                name
                for name, probability in zip(QUALITIES, told["qualities"], strict=True)
                if probability >= APPLIES
            ),
            onset=start / sound.sample_rate,
            duration=sound.seconds,
            nearest=tuple((self.instruments[place], float(likeness[place])) for place in near),
        )


def _loaded(path: Path) -> Sound | SoundError:
    try:
        return Sound.load(path, LONGEST)
    except SoundError as error:
        return error


def _note_audio(sound: Sound, start: int | None) -> NDArray[np.float32]:
    """Four seconds from the onset at 16 kHz, float32 (64000,)."""
    first = start or 0
    last = first + round(SAMPLES / SAMPLE_RATE * sound.sample_rate) + 1
    taken = sound.samples[first:last]
    least = math.ceil(SHORTEST * sound.sample_rate)  # a few samples would leave none at 16 kHz
    taken = np.pad(taken, (0, max(0, least - len(taken))))
    samples = Sound(taken, sound.sample_rate).resample(SAMPLE_RATE).samples
    samples = samples[:SAMPLES]
    return np.pad(samples, (0, SAMPLES - len(samples)))


@cache
def shipped_ears() -> Ears:
    """The listener with the weights that ship with the package, loaded once."""
    return Ears()


Recording = str | Path | Sound | NDArray[np.float32]
Several = list[str] | list[Path] | list[Sound] | list[NDArray[np.float32]] | tuple[Recording, ...]


@overload
def listen(what: Recording, sample_rate: int | None = None) -> Hearing: ...
@overload
def listen(what: Several, sample_rate: int | None = None) -> list[Hearing]: ...
def listen(what: Recording | Several, sample_rate: int | None = None) -> Hearing | list[Hearing]:
    """Hear one recording of a note, or several, with the shipped ears.

    Args:
        what: a sound file, a `Sound`, or float32 (samples,) in [-1, 1]; or a list of such, or
            float32 (notes, samples).
        sample_rate: Hz, of arrays.

    Returns:
        What is heard; a list for several.

    Raises:
        SoundError: a file cannot be read, or an array comes without its rate.
    """
    if isinstance(what, str | Path | Sound):
        return shipped_ears().listen([_opened(what, sample_rate)])[0]
    if isinstance(what, np.ndarray) and what.ndim != 2:
        return shipped_ears().listen([_opened(what, sample_rate)])[0]
    return shipped_ears().listen([_opened(each, sample_rate) for each in what])


def _opened(what: Recording, sample_rate: int | None) -> Sound:
    if isinstance(what, Sound):
        return what
    if isinstance(what, str | Path):
        return Sound.load(what)
    if sample_rate is None:
        raise SoundError("an array needs its sample_rate")
    return Sound(what, sample_rate)
