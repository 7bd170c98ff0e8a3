"""Other projects' pitch trackers on notes of ours, and where several of them agree.

The trackers run in an environment of their own (``peers/track_pitch.py``), one process for each,
on one core. What they answer is kept in ``.peers/cache/NAME-DIGEST/TRACKER.jsonl``, where the
digest is that of the audio: a rerun asks only for what is missing, and an interrupted run goes on.
Remove that file after a change to a tracker's settings.

Trackers agree on a note where at least ``QUORUM`` of them lie within 50 cents of one of them; what
they agree on is the median of those. This is a vote, not the truth: trackers err alike on some
sounds, and a tracker that votes is favoured where it is measured against the vote.
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
REFEREES = ("yin", "praat-ac", "swift-f0", "basic-pitch")  # unlike each other; quickest first
QUORUM = 3  # referees
HALF_SEMITONE = 0.5  # semitones; 50 cents
SECONDS = 4.0  # s of each note that are heard, as long as a note of NSynth

Progress = Callable[[str, int, int], None]  # tracker, notes done, notes in all


@dataclass(frozen=True)
class Answer:
    """What a tracker made of a note.

    Attributes:
        pitch: fractional MIDI number; NaN where it heard none.
        confidence: its own mean confidence over voiced frames; 1 where it tells none.
        voiced: share of voiced frames, 0..1.
        cpu: CPU seconds on one core.
    """

    pitch: float
    confidence: float
    voiced: float
    cpu: float


class NoteFolder:
    """Notes on disk in the form that the trackers read, and their answers beside them.

    Args:
        name: what the notes are called; part of the folder's name.
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

    def answers(
        self,
        tracker: str,
        chosen: Sequence[int],
        progress: Progress = lambda tracker, done, total: None,
    ) -> list[Answer]:
        """What a tracker makes of the chosen notes, in their order."""
        file = self.path / f"{tracker}.jsonl"
        known = dict(_kept(file))
        missing = [number for number in chosen if number not in known]
        if missing:
            with tracking(self.path, tracker) as ask, file.open("a") as kept:
                for done, number in enumerate(missing, start=1):
                    line = ask(number)
                    kept.write(line)
                    kept.flush()
                    number, answer = _parsed(line)
                    known[number] = answer
                    progress(tracker, done, len(missing))
        return [known[number] for number in chosen]

    def agreed(self, progress: Progress = lambda tracker, done, total: None) -> NDArray[np.float64]:
        """The pitches on which the referees agree: (notes,); NaN where they do not.

        A referee is asked only about the notes that its vote can still decide.
        """
        pitches = np.full((len(REFEREES), self.count), np.nan)
        votes = np.zeros(self.count, dtype=np.int64)
        for turn, referee in enumerate(REFEREES):
            remaining = len(REFEREES) - turn
            is_open = (votes < QUORUM) & (votes + remaining >= QUORUM)
            chosen = np.flatnonzero(is_open).tolist()
            heard = self.answers(referee, chosen, progress)
            pitches[turn, chosen] = [answer.pitch for answer in heard]
            votes = _votes(pitches).max(axis=0)
        return agreement(pitches)


@contextmanager
def tracking(folder: Path, tracker: str) -> Iterator[Callable[[int], str]]:
    """A tracker's process: the number of a note in, its answer (a line of JSON) out."""
    command = [peer_python("pitch-trackers"), SCRIPT, folder, tracker]
    pipe = subprocess.PIPE
    environment = {**os.environ, **ONE_THREAD}
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(number: int) -> str:
        with suppress(BrokenPipeError):
            stdin.write(f"{number}\n")
            stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{tracker} ended at note {number} of {folder}")
        return line

    try:
        yield ask
    finally:
        with suppress(BrokenPipeError):
            stdin.close()
        process.wait()


def timer(folder: Path, tracker: str, chosen: Sequence[int]) -> Iterator[float]:
    """Again and again: CPU milliseconds a note that a tracker takes for the chosen notes."""
    with tracking(folder, tracker) as ask:
        while True:
            cpu = [_parsed(ask(number))[1].cpu for number in chosen]
            yield 1000 * float(np.mean(cpu))


def agreement(pitches: NDArray[np.float64], quorum: int = QUORUM) -> NDArray[np.float64]:
    """What the trackers agree on, for each note.

    Args:
        pitches: MIDI pitches, NaN where none is heard: (trackers, notes).
        quorum: how many must lie within 50 cents of one of them.

    Returns:
        The median of those that do: (notes,); NaN where too few agree.
    """
    votes = _votes(pitches)
    leader = votes.argmax(axis=0)
    notes = np.arange(pitches.shape[1])
    close = np.abs(pitches - pitches[leader, notes]) <= HALF_SEMITONE
    followers = np.where(close, pitches, np.nan)
    agreed = np.full(len(notes), np.nan)
    enough = votes.max(axis=0) >= quorum
    if enough.any():
        agreed[enough] = np.nanmedian(followers[:, enough], axis=0)
    return agreed


def _votes(pitches: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many trackers, itself counted, lie within 50 cents of each: (trackers, notes)."""
    close = np.abs(pitches[:, None] - pitches[None]) <= HALF_SEMITONE  # NaN is close to nothing
    return close.sum(axis=1)


def _kept(file: Path) -> list[tuple[int, Answer]]:
    """The answers in a file, from which a last line that was half written is removed."""
    if not file.exists():
        return []
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    return [_parsed(line) for line in whole.splitlines()]


def _parsed(line: str) -> tuple[int, Answer]:
    fields = json.loads(line)
    pitch = float("nan") if fields["pitch"] is None else float(fields["pitch"])
    return int(fields["note"]), Answer(
        pitch, float(fields["confidence"]), float(fields["voiced"]), float(fields["cpu"])
    )
