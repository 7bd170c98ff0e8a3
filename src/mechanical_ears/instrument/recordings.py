"""What the ears hear in each file of a folder, and which keys follow from all of them together.

One recording alone may leave a doubt, which the others settle:

    resonance   what every recording has (the body of a piano, a room) is no pitch of one of them. A
                key c stands out of a recording i by

                    e_c = 20 · log10(S_i(f_c) / median_j S_j(f_c))        S: spectrum at the onset

                with the eight recordings j whose keys lie next above c, where no partial of theirs
                can be; an unsure recording takes the key with the largest log p_c + w · e_c
    tuning      a piano's bass is a third of a tone flat. A recording that lies more than half a
                semitone from where its neighbours say its key lies belongs to the next key
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.filenames import NameLabels, labels_from_name
from mechanical_ears.errors import SoundError
from mechanical_ears.instrument.autosampler import falls, loudness
from mechanical_ears.instrument.playable import Progress
from mechanical_ears.instrument.zones import InstrumentError
from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.listening.f0 import refine
from mechanical_ears.listening.prediction import PITCHED_PROBABILITY, Prediction
from mechanical_ears.pitch import PITCH_COUNT, hz_to_midi, midi_to_hz
from mechanical_ears.sound import FORMATS, Sound, find_sound_files
from mechanical_ears.workers import worker_count

BATCH: Final = 8  # files that are heard together
MAX_SECONDS: Final = 60.0  # of a file that are heard
MAX_KEPT_BYTES: Final = 1 << 30  # of recordings that are kept in memory until they are sampled
SHORTEST: Final = 0.02  # s of a note that can be heard
SPECTRUM: Final = 0.5  # s from the onset, that tell what stands out
SURE: Final = 0.97  # probability of a key from which the others are not asked
LEAST: Final = 0.01  # probability of a key that comes into question
WEIGHT: Final = 0.3  # of a decibel, beside the logarithm of a probability
MOST: Final = 40.0  # dB that count, to each side
OTHERS: Final = 8  # recordings that are compared with
NEIGHBOURS: Final = 7  # semitones to each side, whose tuning is asked
FEWEST: Final = 3  # neighbours


@dataclass(frozen=True, eq=False)
class Recording:
    """A file and what is heard in it.

    Attributes:
        path: of the file.
        key: MIDI number of its key.
        confidence: probability of that key among all, 0..1.
        pitched: probability that there is a single pitch, 0..1.
        pitch: fractional MIDI number at which it sounds.
        level: dB, mean square of its loudest 400 ms.
        peak: dB, of full scale.
        fall: dB/s, of its level.
        brightness: semitones from its key to the centre of its onset's spectrum.
        velocity: MIDI velocity as it sounds.
        start: s, where the note begins.
        named: what its name tells, or None.
        digest: of its samples.
        likely: float64 (128,), probability of each key.
        pitches: fractional MIDI number of the pitch near each key that comes into question.
        spectrum: float32 (128,), dB, the highest of the onset's spectrum within each semitone.
    """

    path: Path
    key: int
    confidence: float
    pitched: float
    pitch: float
    level: float
    peak: float
    fall: float
    brightness: float
    velocity: float
    start: float
    named: NameLabels | None
    digest: str
    likely: NDArray[np.float64]
    pitches: Mapping[int, float]
    spectrum: NDArray[np.float32]

    @property
    def cents(self) -> float:
        """How far it lies above its key."""
        return 100 * (self.pitch - self.key)


@dataclass(frozen=True)
class SetAside:
    """A file that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, eq=False)
class FolderHearing:
    """What is heard in a folder.

    Attributes:
        recordings: files with a single pitch.
        aside: the other files.
        sounds: of recordings as they were read, with all channels. Those longer than a minute, and
            what is beyond ``MAX_KEPT_BYTES``, are missing.
    """

    recordings: list[Recording]
    aside: list[SetAside]
    sounds: dict[Path, Sound]


class _Memory:
    """Bytes that threads may still keep together."""

    def __init__(self, size: int) -> None:
        self._left, self._lock = size, Lock()

    def reserve(self, size: int) -> bool:
        """Take some of it; False where less is left."""
        with self._lock:
            enough = size <= self._left
            self._left -= size if enough else 0
            return enough


def hear_folder(folder: str | Path, progress: Progress | None = None) -> FolderHearing:
    """Hear every sound file of a folder and below, each read once.

    Raises:
        InstrumentError: there is no such folder, or no sound file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file, not a folder" if folder.exists() else "no such folder"
        raise InstrumentError(problem, path=folder, remedy="give a folder of recordings")
    files = find_sound_files(folder)
    if not files:
        raise InstrumentError(
            "holds no recordings", path=folder, remedy=f"give {', '.join(FORMATS)} files"
        )
    hearing = FolderHearing([], [], {})
    batches = [files[first : first + BATCH] for first in range(0, len(files), BATCH)]
    done = 0
    for batch in _on_all_cores(batches):
        for each, sound in batch:
            if isinstance(each, Recording):
                hearing.recordings.append(each)
            else:
                hearing.aside.append(each)
            if sound is not None:
                hearing.sounds[each.path] = sound
        done += len(batch)
        if progress is not None:
            progress(done, len(files))
    return hearing


def settled(recordings: Sequence[Recording]) -> list[Recording]:
    """The recordings with the keys that follow from all of them together."""
    return _by_tuning(_by_resonance(recordings))


_Heard = list[tuple[Recording | SetAside, Sound | None]]  # with the sound where it is kept


def _on_all_cores(batches: list[list[Path]]) -> Iterator[_Heard]:
    shipped_ears()  # loaded once, before threads ask for it
    workers, memory = worker_count(), _Memory(MAX_KEPT_BYTES)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for first in range(0, len(batches), 4 * workers):
                part = batches[first : first + 4 * workers]
                yield from pool.map(_hear_batch, part, [memory] * len(part))
        finally:
            pool.shutdown(cancel_futures=True)


def _hear_batch(paths: Sequence[Path], memory: _Memory) -> _Heard:
    results: dict[Path, tuple[Recording | SetAside, Sound | None]] = {}
    sounds: dict[Path, Sound] = {}
    for path in paths:
        try:
            sounds[path] = Sound.load(path, MAX_SECONDS, mono=False)
        except SoundError as error:
            results[path] = SetAside(path, error.problem), None
    prediction = shipped_ears().predict(list(sounds.values()))
    for row, (path, sound) in enumerate(sounds.items()):
        heard = _recording(path, sound.mono(), prediction, row)
        keep = (
            isinstance(heard, Recording)
            and sound.seconds < MAX_SECONDS
            and memory.reserve(sound.samples.nbytes)
        )
        results[path] = heard, sound if keep else None
    return [results[path] for path in paths]


def _recording(path: Path, sound: Sound, prediction: Prediction, row: int) -> Recording | SetAside:
    if prediction.is_silent(row):
        return SetAside(path, "is silent")
    note = sound.samples[round(prediction.onset[row] * sound.sample_rate) :]
    if len(note) < SHORTEST * sound.sample_rate:
        return SetAside(path, "is too short for a note")
    pitched = float(prediction.pitched[row])
    if pitched < PITCHED_PROBABILITY:
        return SetAside(path, f"has no single pitch ({pitched:.0%} sure that it has)")
    likely = prediction.key[row]
    key = int(likely.argmax())
    in_question = {key} if likely[key] > SURE else {key, *np.flatnonzero(likely > LEAST).tolist()}
    pitches = {each: exact_pitch(note, sound.sample_rate, each) for each in in_question}
    spectrum = _spectrum(note, sound.sample_rate)
    power = 10 ** (spectrum.astype(np.float64) / 10)
    return Recording(
        path=path,
        key=key,
        confidence=float(likely[key]),
        pitched=pitched,
        pitch=pitches[key],
        level=loudness(note[:, None], sound.sample_rate),
        peak=20 * float(np.log10(np.abs(note).max() + 1e-9)),
        fall=falls(note, sound.sample_rate),
        brightness=float(power @ np.arange(PITCH_COUNT) / power.sum()) - key,
        velocity=prediction.midi_velocity(row),
        start=float(prediction.onset[row]),
        named=labels_from_name(path.stem),
        digest=hashlib.sha256(note.tobytes()).hexdigest(),
        likely=likely,
        pitches=pitches,
        spectrum=spectrum,
    )


def exact_pitch(note: NDArray[np.float32], sample_rate: int, key: float) -> float:
    """Fractional MIDI number of a note near a key; the key's own where it cannot be measured."""
    return float(hz_to_midi(refine(note, sample_rate, key).frequency))


def _spectrum(note: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    count = round(SPECTRUM * sample_rate)
    part = np.pad(note[:count], (0, max(0, count - len(note)))) * np.hanning(count)
    magnitudes = np.abs(np.fft.rfft(part)) * (2 / count)
    edges = midi_to_hz(np.arange(PITCH_COUNT + 1) - 0.5) * (count / sample_rate)
    places = np.ceil(edges).astype(np.int64)
    highest = np.zeros(PITCH_COUNT)
    for key in range(PITCH_COUNT):
        low, high = int(places[key]), max(int(places[key + 1]), int(places[key]) + 1)
        highest[key] = magnitudes[low:high].max(initial=0.0)
    return np.asarray(20 * np.log10(highest + 1e-7), dtype=np.float32)


def _by_resonance(recordings: Sequence[Recording]) -> list[Recording]:
    sure = sorted((each for each in recordings if each.confidence > SURE), key=lambda e: e.key)
    if len(sure) < OTHERS:
        return list(recordings)
    keys = np.array([each.key for each in sure])
    spectra = np.stack([each.spectrum for each in sure])
    made = []
    for recording in recordings:
        if recording.confidence > SURE:
            made.append(recording)
            continue
        candidates = np.flatnonzero(recording.likely > LEAST).tolist()
        scores = {
            key: float(np.log(recording.likely[key]))
            + WEIGHT * _stands_out(recording, key, keys, spectra)
            for key in candidates
        }
        best = max(scores, key=lambda key: scores[key], default=recording.key)
        if best == recording.key:
            made.append(recording)
        else:
            brightness = recording.brightness + recording.key - best
            made.append(
                replace(
                    recording,
                    key=best,
                    confidence=float(recording.likely[best]),
                    brightness=brightness,
                    pitch=recording.pitches[best],
                )
            )
    return made


def _stands_out(
    recording: Recording, key: int, keys: NDArray[np.int64], spectra: NDArray[np.float32]
) -> float:
    """By how many decibels a key stands out of a recording, beside others without that key.

    Args:
        recording: one that is unsure.
        key: that comes into question.
        keys: of the sure recordings, ascending.
        spectra: float32 (recordings, 128), theirs.
    """
    first, last = np.searchsorted(keys, (key + 2, key - 1))
    others = np.concatenate([spectra[first : first + OTHERS], spectra[:last][::-1]])[:OTHERS]
    if len(others) == 0:
        return 0.0
    median = float(np.median(others[:, key]))
    return float(np.clip(recording.spectrum[key] - median, -MOST, MOST))


def _by_tuning(recordings: Sequence[Recording]) -> list[Recording]:
    keys = np.array([each.key for each in recordings])
    cents = np.array([each.cents for each in recordings])
    made = []
    for place, recording in enumerate(recordings):
        near = np.abs(keys - recording.key) <= NEIGHBOURS
        near[place] = False
        if near.sum() < FEWEST:
            made.append(recording)
            continue
        trend = float(np.median(cents[near]))
        key = min(max(round(recording.pitch - trend / 100), 0), 127)
        if abs(key - recording.key) == 1:
            brightness = recording.brightness + recording.key - key
            recording = replace(recording, key=key, brightness=brightness)
        made.append(recording)
    return made
