"""Pitch trackers of other projects on our notes, and the pitch on which several of them agree.

The trackers run in an environment of their own (``peers/track_pitch.py``), one process each, on one
core. Their estimates are cached in ``.peers/cache/NAME-DIGEST/TRACKER.jsonl``, where the digest is
that of the audio: a rerun computes only missing notes, and an interrupted run is continued. Remove
that file after changing a tracker's settings.

Trackers agree on a note if at least ``QUORUM`` of them are within 50 cents of one of them; the
agreed pitch is the median of those. This is a vote, not the truth: trackers make the same errors on
some sounds, and comparing a tracker with a vote that includes its own favours it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import ONE_THREAD, PEERS, ROOT, peer_python
from mechanical_ears.sound import Sound

CACHE = PEERS / "cache"
SCRIPT = ROOT / "benchmarks" / "peers" / "track_pitch.py"
REFEREES = ("yin", "praat-ac", "swift-f0", "basic-pitch")  # different methods; fastest first
QUORUM = 3  # referees
HALF_SEMITONE = 0.5  # semitones; 50 cents
SECONDS = 4.0  # s analysed of each note: the length of a note of NSynth

Progress = Callable[[str, int, int], None]  # tracker, notes done, all notes


@dataclass(frozen=True)
class PitchEstimate:
    """The pitch of a note by a tracker.

    Attributes:
        pitch: fractional MIDI number; NaN if it found none.
        confidence: its own mean confidence over voiced frames; 1 if it returns none.
        voiced: share of voiced frames, 0..1.
        cpu: CPU seconds on one core.
    """

    pitch: float
    confidence: float
    voiced: float
    cpu: float


class NoteFolder:
    """Notes on disk in the format that the trackers read, with the cache of their estimates.

    Args:
        name: of the notes; part of the folder's name.
        sounds: the notes; the first ``SECONDS`` of each are written.
    """

    def __init__(self, name: str, sounds: Sequence[Sound]) -> None:
        rows = [sound.samples[: round(SECONDS * sound.sample_rate)] for sound in sounds]
        rates = [sound.sample_rate for sound in sounds]
        digest = hashlib.sha256(json.dumps(rates).encode())
        for row in rows:
            digest.update(row.tobytes())
        self.count = len(rows)
        self.path = CACHE / f"{name}-{digest.hexdigest()[:12]}"
        self.path.mkdir(parents=True, exist_ok=True)
        labels = self.path / "notes.json"
        if not labels.exists():
            np.save(self.path / "audio.npy", np.concatenate(rows))
            lengths = [len(row) for row in rows]
            starts = np.cumsum([0, *lengths[:-1]]).tolist()
            labels.write_text(
                json.dumps({"start": starts, "samples": lengths, "sample_rate": rates})
            )

    def track(
        self,
        tracker: str,
        numbers: Sequence[int],
        progress: Progress = lambda tracker, done, total: None,
    ) -> list[PitchEstimate]:
        """Estimates of a tracker for the notes with these numbers, in their order."""
        file = self.path / f"{tracker}.jsonl"
        known = dict(_read_cache(file))
        missing = [number for number in numbers if number not in known]
        if missing:
            with open_tracker(self.path, tracker) as request, file.open("a") as cache:
                for done, number in enumerate(missing, start=1):
                    line = request(number)
                    cache.write(line)
                    cache.flush()
                    number, estimate = _parse_estimate(line)
                    known[number] = estimate
                    progress(tracker, done, len(missing))
        return [known[number] for number in numbers]

    def reference_pitches(
        self, progress: Progress = lambda tracker, done, total: None
    ) -> NDArray[np.float64]:
        """The pitches on which the referees agree: (notes,); NaN where they do not.

        A referee analyses only the notes that its vote can still decide.
        """
        pitches = np.full((len(REFEREES), self.count), np.nan)
        votes = np.zeros(self.count, dtype=np.int64)
        for turn, referee in enumerate(REFEREES):
            remaining = len(REFEREES) - turn
            is_open = (votes < QUORUM) & (votes + remaining >= QUORUM)
            numbers = np.flatnonzero(is_open).tolist()
            estimates = self.track(referee, numbers, progress)
            pitches[turn, numbers] = [estimate.pitch for estimate in estimates]
            votes = _count_votes(pitches).max(axis=0)
        return agreed_pitches(pitches)


@contextmanager
def open_tracker(folder: Path, tracker: str) -> Iterator[Callable[[int], str]]:
    """Start a tracker's process; yields a function from a note's number to a line of JSON."""
    command = [peer_python("pitch-trackers"), SCRIPT, folder, tracker]
    pipe = subprocess.PIPE
    environment = {**os.environ, **ONE_THREAD}
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def request(number: int) -> str:
        with suppress(BrokenPipeError):
            stdin.write(f"{number}\n")
            stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{tracker} ended at note {number} of {folder}")
        return line

    try:
        yield request
    finally:
        with suppress(BrokenPipeError):
            stdin.close()
        process.wait()


def time_tracker(folder: Path, tracker: str, numbers: Sequence[int]) -> Iterator[float]:
    """CPU milliseconds per note that a tracker takes for these notes, measured at each step."""
    with open_tracker(folder, tracker) as request:
        while True:
            cpu = [_parse_estimate(request(number))[1].cpu for number in numbers]
            yield 1000 * float(np.mean(cpu))


def agreed_pitches(pitches: NDArray[np.float64], quorum: int = QUORUM) -> NDArray[np.float64]:
    """The pitch on which the trackers agree, for each note.

    Args:
        pitches: MIDI pitches, NaN where a tracker found none: (trackers, notes).
        quorum: number of trackers that must be within 50 cents of one of them.

    Returns:
        The median of those that are: (notes,); NaN where too few agree.
    """
    votes = _count_votes(pitches)
    leader = votes.argmax(axis=0)
    notes = np.arange(pitches.shape[1])
    close = np.abs(pitches - pitches[leader, notes]) <= HALF_SEMITONE
    followers = np.where(close, pitches, np.nan)
    agreed = np.full(len(notes), np.nan)
    enough = votes.max(axis=0) >= quorum
    if enough.any():
        agreed[enough] = np.nanmedian(followers[:, enough], axis=0)
    return agreed


def _count_votes(pitches: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of trackers, itself included, within 50 cents of each: (trackers, notes)."""
    close = np.abs(pitches[:, None] - pitches[None]) <= HALF_SEMITONE  # NaN is close to nothing
    return close.sum(axis=1)


def _read_cache(file: Path) -> list[tuple[int, PitchEstimate]]:
    """Read the estimates in a file; an incomplete last line is removed from it."""
    if not file.exists():
        return []
    text = file.read_text()
    complete = text[: text.rfind("\n") + 1]
    if complete != text:
        file.write_text(complete)
    return [_parse_estimate(line) for line in complete.splitlines()]


def _parse_estimate(line: str) -> tuple[int, PitchEstimate]:
    fields = json.loads(line)
    pitch = float("nan") if fields["pitch"] is None else float(fields["pitch"])
    return int(fields["note"]), PitchEstimate(
        pitch, float(fields["confidence"]), float(fields["voiced"]), float(fields["cpu"])
    )
