"""What export and play need of an instrument: a name, a licence, and notes at any key and velocity.

Imagined instruments (imagining/imagined.py) are playable as they are; so are recordings that a
sampler's zones lead to (sampled.py), and control maps, here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from mechanical_ears.instrument.zones import InstrumentError
from mechanical_ears.listening.onset import find_onset
from mechanical_ears.note import HOLD_SECONDS, NOTE_SECONDS
from mechanical_ears.pitch import hz_to_midi
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.control_map_file import load_control_map
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.sound import Sound

RELEASE_SECONDS = NOTE_SECONDS - HOLD_SECONDS  # s of a note behind its key-up, if nothing is told
VELOCITY = 100  # MIDI velocity at which maps play as they are, where they tell none
DECIBELS_PER_STEP = 0.25  # dB, of a velocity step away from the map's own
AHEAD = 8  # notes for each core that are made before they are asked for

Progress = Callable[[int, int | None], None]


@runtime_checkable
class Playable(Protocol):
    """An instrument whose notes can be asked for."""

    @property
    def name(self) -> str:
        """What a musician calls it."""

    @property
    def family(self) -> str | None:
        """One of `mechanical_ears.note.FAMILIES`, where it is known."""

    @property
    def licence(self) -> str:
        """Under which its sounds may be used; empty where nobody said."""

    def note(
        self,
        pitch: float,
        velocity: int = VELOCITY,
        seconds: float | None = None,
        sample_rate: int = 48_000,
        take: int = 0,
    ) -> Sound:
        """A note that begins at once and sounds at its pitch.

        Args:
            pitch: MIDI number, which need not be whole.
            velocity: MIDI velocity 1..127.
            seconds: length, release included.
            sample_rate: Hz.
            take: a round robin.
        """


def release_seconds(playable: Playable) -> float:
    """Length of the release in what ``note`` gives, s: the key-up lies so long before the end."""
    return float(getattr(playable, "release_seconds", RELEASE_SECONDS))


def notes(
    playable: Playable,
    pairs: Sequence[tuple[float, int]],
    seconds: float | Sequence[float] | None = None,
    sample_rate: int = 48_000,
) -> Iterator[Sound]:
    """Notes (pitch, velocity) of one length or each of its own, on all cores.

    An instrument that knows how to makes several together, which is quicker.
    """
    together = getattr(playable, "notes", None)
    if together is not None:
        yield from together(pairs, seconds, sample_rate)
        return
    lengths = seconds if isinstance(seconds, Sequence) else [seconds] * len(pairs)
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(pairs), AHEAD * workers):
            some = slice(first, first + AHEAD * workers)
            yield from pool.map(
                lambda pair, length: playable.note(pair[0], pair[1], length, sample_rate),
                pairs[some],
                lengths[some],
            )


@dataclass(frozen=True, eq=False)
class ControlMaps:
    """Control maps of one instrument's notes, each played where it is the nearest.

    Attributes:
        name: of the instrument.
        maps: by MIDI number of the key and MIDI velocity.
        family: one of `FAMILIES`, where it is known.
        licence: of the recordings they were taken from.

    Raises:
        InstrumentError: there is none.
    """

    name: str
    maps: Mapping[tuple[int, int], ControlMap]
    family: str | None = None
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.maps:
            raise InstrumentError("has no control map", record=self.name)

    @property
    def release_seconds(self) -> float:
        """Length of the release, s: the median of the maps'."""
        return float(np.median([each.seconds - each.key_up for each in self.maps.values()]))

    @classmethod
    def load(cls, path: str | Path) -> ControlMaps:
        """Read one map (.safetensors), or a folder of them.

        Raises:
            EarsError: there is none, or one cannot be read.
        """
        path = Path(path)
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if not files:
            raise InstrumentError(
                "holds no control map", path=path, remedy="give a folder of .safetensors maps"
            )
        found = [load_control_map(file) for file in files]
        maps: dict[tuple[int, int], ControlMap] = {}
        for file, each in zip(files, found, strict=True):
            place = (min(max(round(hz_to_midi(each.frequency)), 0), 127), VELOCITY)
            if place in maps:
                raise InstrumentError(f"a second map of key {place[0]}", path=file)
            maps[place] = each
        return cls(path.stem, maps)

    def note(
        self,
        pitch: float,
        velocity: int = VELOCITY,
        seconds: float | None = None,
        sample_rate: int = 48_000,
        take: int = 0,
    ) -> Sound:
        """Render the nearest map at the pitch; louder or softer by its distance in velocity."""
        key, layer = min(
            self.maps, key=lambda place: (abs(place[0] - pitch), abs(place[1] - velocity))
        )
        controls = self.maps[key, layer]
        release = controls.seconds - controls.key_up
        wanted = (controls.key_up if seconds is None else seconds - self.release_seconds) + release
        sound = render(
            controls,
            pitch=pitch,
            velocity_gain=DECIBELS_PER_STEP * (velocity - layer),
            seconds=max(wanted, 0.05),
            sample_rate=sample_rate,
            seed=take,
        )
        count = len(sound.samples) if seconds is None else round(seconds * sample_rate)
        samples = sound.samples[:count]
        return Sound(np.pad(samples, (0, count - len(samples))), sample_rate)


def trimmed(sound: Sound, earliest: float = 0.005) -> Sound:
    """A sound without the silence before its onset, if that is longer than ``earliest`` s."""
    start = find_onset(sound.samples, sound.sample_rate) or 0
    first = max(0, start - round(0.002 * sound.sample_rate))
    if first <= earliest * sound.sample_rate:
        return sound
    return Sound(sound.samples[first:], sound.sample_rate)
