"""Analysis of a folder of recordings: what the ears predict of each file, and all keys together.

The ears may be unsure of one recording; the others resolve it:

    resonance   what all recordings have in common (the body of a piano, a room) is not the pitch of
                any of them. The prominence of a key c in a recording i is

                    e_c = 20 · log10(S_i(f_c) / median_j S_j(f_c))        S: spectrum at the onset

                with the eight recordings j whose keys lie next above c, where they have no
                partials; an unsure recording gets the key with the largest log p_c + w · e_c
    tuning      a piano's bass is a third of a tone flat. A recording that lies more than half a
                semitone from where its neighbours suggest its key to be belongs to the next key
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
from mechanical_ears.instrument.levels import decay_rate, momentary_level
from mechanical_ears.instrument.playable import Progress
from mechanical_ears.instrument.zones import InstrumentError
from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.listening.f0 import refine
from mechanical_ears.listening.prediction import PITCHED_PROBABILITY, Prediction
from mechanical_ears.pitch import PITCH_COUNT, hz_to_midi, midi_to_hz
from mechanical_ears.sound import FORMATS, Sound, find_sound_files
from mechanical_ears.workers import worker_count

BATCH: Final = 8  # files that the ears get at once
QUEUED_BATCHES: Final = 4  # per worker
MAX_SECONDS: Final = 60.0  # s of a file that are analysed
MAX_CACHE_BYTES: Final = 1 << 30  # of recordings that stay in memory until they are sampled
MIN_NOTE_SECONDS: Final = 0.02  # s from the onset
SPECTRUM_SECONDS: Final = 0.5  # s from the onset
SURE_PROBABILITY: Final = 0.97  # of a key, from which it has no alternatives
MIN_KEY_PROBABILITY: Final = 0.01  # of an alternative
PROMINENCE_WEIGHT: Final = 0.3  # of a decibel, relative to the logarithm of a probability
MAX_PROMINENCE_DB: Final = 40.0  # dB, to each side
COMPARED_RECORDINGS: Final = 8
NEIGHBOUR_SEMITONES: Final = 7  # to each side, for the trend of the tuning
MIN_NEIGHBOURS: Final = 3


@dataclass(frozen=True, eq=False)
class RecordingAnalysis:
    """A sound file with a single pitch, and its properties.

    Attributes:
        path: the file.
        key: MIDI number of its key.
        confidence: probability of that key among all keys, 0..1.
        pitched: probability that there is a single pitch, 0..1.
        pitch: measured pitch, fractional MIDI number.
        level: mean square of the loudest 400 ms, dB of full scale.
        peak: dB of full scale.
        decay: dB/s.
        brightness: semitones from the key to the centre of the spectrum at the onset.
        velocity: predicted MIDI velocity.
        onset: s, where the note starts.
        name_labels: pitch and velocity in the file's name, or None.
        digest: SHA-256 of the samples.
        key_probabilities: float64 (128,), probability of each key.
        candidate_pitches: measured pitch near each key that is not ruled out.
        spectrum: float32 (128,), dB, the highest magnitude at the onset within each semitone.
    """

    path: Path
    key: int
    confidence: float
    pitched: float
    pitch: float
    level: float
    peak: float
    decay: float
    brightness: float
    velocity: float
    onset: float
    name_labels: NameLabels | None
    digest: str
    key_probabilities: NDArray[np.float64]
    candidate_pitches: Mapping[int, float]
    spectrum: NDArray[np.float32]

    @property
    def cents(self) -> float:
        """Cents by which the recording is sharp of its key."""
        return 100 * (self.pitch - self.key)

    @property
    def name_contradicts(self) -> bool:
        """Whether the file's name says another key."""
        return self.name_labels is not None and self.name_labels.pitch != self.key


@dataclass(frozen=True)
class SkippedFile:
    """A file that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, eq=False)
class FolderAnalysis:
    """Analysis of the files in a folder.

    Attributes:
        recordings: files with a single pitch.
        skipped: the other files.
        sounds: recordings as they were read, with all channels. Those of a minute and more, and
            those beyond ``MAX_CACHE_BYTES``, are missing.
    """

    recordings: list[RecordingAnalysis]
    skipped: list[SkippedFile]
    sounds: dict[Path, Sound]


class _MemoryBudget:
    """Bytes that threads may share."""

    def __init__(self, size: int) -> None:
        self._left, self._lock = size, Lock()

    def reserve(self, size: int) -> bool:
        """Reserve some bytes; False if fewer are left."""
        with self._lock:
            enough = size <= self._left
            self._left -= size if enough else 0
            return enough


def analyse_folder(folder: str | Path, progress: Progress | None = None) -> FolderAnalysis:
    """Analyse every sound file in a folder and its subfolders, reading each once.

    Args:
        folder: the folder.
        progress: called with the number of files done and their total.

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
    analysis = FolderAnalysis([], [], {})
    batches = [files[first : first + BATCH] for first in range(0, len(files), BATCH)]
    done = 0
    for batch in _analyse_batches(batches):
        for each, sound in batch:
            if isinstance(each, RecordingAnalysis):
                analysis.recordings.append(each)
            else:
                analysis.skipped.append(each)
            if sound is not None:
                analysis.sounds[each.path] = sound
        done += len(batch)
        if progress is not None:
            progress(done, len(files))
    return analysis


def resolve_keys(recordings: Sequence[RecordingAnalysis]) -> list[RecordingAnalysis]:
    """The recordings with the keys that follow from all of them together."""
    return _resolve_by_tuning(_resolve_by_resonance(recordings))


# Results of a batch, each with its sound where that is cached.
_Results = list[tuple[RecordingAnalysis | SkippedFile, Sound | None]]


def _analyse_batches(batches: list[list[Path]]) -> Iterator[_Results]:
    shipped_ears()  # loaded once, before threads use it
    workers, memory = worker_count(), _MemoryBudget(MAX_CACHE_BYTES)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for first in range(0, len(batches), QUEUED_BATCHES * workers):
                part = batches[first : first + QUEUED_BATCHES * workers]
                yield from pool.map(_analyse_batch, part, [memory] * len(part))
        finally:
            pool.shutdown(cancel_futures=True)


def _analyse_batch(paths: Sequence[Path], memory: _MemoryBudget) -> _Results:
    results: dict[Path, tuple[RecordingAnalysis | SkippedFile, Sound | None]] = {}
    sounds: dict[Path, Sound] = {}
    for path in paths:
        try:
            sounds[path] = Sound.load(path, MAX_SECONDS, mono=False)
        except SoundError as error:
            results[path] = SkippedFile(path, error.problem), None
    prediction = shipped_ears().predict(list(sounds.values()))
    for row, (path, sound) in enumerate(sounds.items()):
        result = _analyse_file(path, sound.mono(), prediction, row)
        cached = (
            isinstance(result, RecordingAnalysis)
            and sound.seconds < MAX_SECONDS
            and memory.reserve(sound.samples.nbytes)
        )
        results[path] = result, sound if cached else None
    return [results[path] for path in paths]


def _analyse_file(
    path: Path, sound: Sound, prediction: Prediction, row: int
) -> RecordingAnalysis | SkippedFile:
    if prediction.is_silent(row):
        return SkippedFile(path, "is silent")
    note = sound.samples[round(prediction.onset[row] * sound.sample_rate) :]
    if len(note) < MIN_NOTE_SECONDS * sound.sample_rate:
        return SkippedFile(path, "is too short for a note")
    pitched = float(prediction.pitched[row])
    if pitched < PITCHED_PROBABILITY:
        return SkippedFile(path, f"has no single pitch (probability of one: {pitched:.0%})")
    probabilities = prediction.key[row]
    key = int(probabilities.argmax())
    candidates = {key}
    if probabilities[key] <= SURE_PROBABILITY:
        candidates.update(np.flatnonzero(probabilities > MIN_KEY_PROBABILITY).tolist())
    pitches = {each: refine_pitch(note, sound.sample_rate, each) for each in candidates}
    spectrum = _semitone_spectrum(note, sound.sample_rate)
    power = 10 ** (spectrum.astype(np.float64) / 10)
    return RecordingAnalysis(
        path=path,
        key=key,
        confidence=float(probabilities[key]),
        pitched=pitched,
        pitch=pitches[key],
        level=momentary_level(note[:, None], sound.sample_rate),
        peak=20 * float(np.log10(np.abs(note).max() + 1e-9)),
        decay=decay_rate(note, sound.sample_rate),
        brightness=float(power @ np.arange(PITCH_COUNT) / power.sum()) - key,
        velocity=prediction.midi_velocity(row),
        onset=float(prediction.onset[row]),
        name_labels=labels_from_name(path.stem),
        digest=hashlib.sha256(note.tobytes()).hexdigest(),
        key_probabilities=probabilities,
        candidate_pitches=pitches,
        spectrum=spectrum,
    )


def refine_pitch(note: NDArray[np.float32], sample_rate: int, key: float) -> float:
    """Measured pitch of a note near a key, fractional MIDI number; the key if there is none.

    Args:
        note: float32 (samples,), from the onset.
        sample_rate: Hz.
        key: MIDI number.
    """
    return float(hz_to_midi(refine(note, sample_rate, key).frequency))


def _semitone_spectrum(note: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Highest magnitude within each semitone of the first 0.5 s, dB, float32 (128,)."""
    count = round(SPECTRUM_SECONDS * sample_rate)
    windowed = np.pad(note[:count], (0, max(0, count - len(note)))) * np.hanning(count)
    magnitudes = np.abs(np.fft.rfft(windowed)) * (2 / count)
    edges = midi_to_hz(np.arange(PITCH_COUNT + 1) - 0.5) * (count / sample_rate)
    bins = np.ceil(edges).astype(np.int64)
    highest = np.zeros(PITCH_COUNT)
    for key in range(PITCH_COUNT):
        low, high = int(bins[key]), max(int(bins[key + 1]), int(bins[key]) + 1)
        highest[key] = magnitudes[low:high].max(initial=0.0)
    return np.asarray(20 * np.log10(highest + 1e-7), dtype=np.float32)


def _resolve_by_resonance(recordings: Sequence[RecordingAnalysis]) -> list[RecordingAnalysis]:
    sure = [each for each in recordings if each.confidence > SURE_PROBABILITY]
    if len(sure) < COMPARED_RECORDINGS:
        return list(recordings)
    sure.sort(key=lambda each: each.key)
    keys = np.array([each.key for each in sure])
    spectra = np.stack([each.spectrum for each in sure])
    resolved = []
    for recording in recordings:
        if recording.confidence <= SURE_PROBABILITY:
            probabilities = recording.key_probabilities
            scores = {
                key: float(np.log(probabilities[key]))
                + PROMINENCE_WEIGHT * _prominence(recording, key, keys, spectra)
                for key in np.flatnonzero(probabilities > MIN_KEY_PROBABILITY).tolist()
            }
            best = max(scores, key=lambda key: scores[key], default=recording.key)
            if best != recording.key:
                recording = replace(
                    recording,
                    key=best,
                    confidence=float(probabilities[best]),
                    brightness=recording.brightness + recording.key - best,
                    pitch=recording.candidate_pitches[best],
                )
        resolved.append(recording)
    return resolved


def _prominence(
    recording: RecordingAnalysis, key: int, keys: NDArray[np.int64], spectra: NDArray[np.float32]
) -> float:
    """Level at a key's pitch in a recording, in dB above that in recordings of other keys.

    Args:
        recording: an unsure recording.
        key: MIDI number of a candidate.
        keys: keys of the sure recordings, ascending.
        spectra: float32 (recordings, 128), spectra of the sure recordings.
    """
    first, last = np.searchsorted(keys, (key + 2, key - 1))
    above, below = spectra[first : first + COMPARED_RECORDINGS], spectra[:last][::-1]
    others = np.concatenate([above, below])[:COMPARED_RECORDINGS]
    if len(others) == 0:
        return 0.0
    difference = recording.spectrum[key] - float(np.median(others[:, key]))
    return float(np.clip(difference, -MAX_PROMINENCE_DB, MAX_PROMINENCE_DB))


def _resolve_by_tuning(recordings: Sequence[RecordingAnalysis]) -> list[RecordingAnalysis]:
    keys = np.array([each.key for each in recordings])
    cents = np.array([each.cents for each in recordings])
    resolved = []
    for index, recording in enumerate(recordings):
        near = np.abs(keys - recording.key) <= NEIGHBOUR_SEMITONES
        near[index] = False
        if near.sum() >= MIN_NEIGHBOURS:
            trend = float(np.median(cents[near]))
            key = min(max(round(recording.pitch - trend / 100), 0), 127)
            if abs(key - recording.key) == 1:
                brightness = recording.brightness + recording.key - key
                recording = replace(recording, key=key, brightness=brightness)
        resolved.append(recording)
    return resolved
