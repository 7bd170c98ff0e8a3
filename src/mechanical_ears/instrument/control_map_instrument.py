"""An instrument made of control maps: each note is rendered from the map of the nearest key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mechanical_ears.deprecation import renamed_arguments
from mechanical_ears.imagining.stereo_width import family_width
from mechanical_ears.instrument.playable import VELOCITY, VELOCITY_STEP_DB, nearest_note
from mechanical_ears.instrument.zones import InstrumentError
from mechanical_ears.pitch import hz_to_midi
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.control_map_file import load_control_map
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.sound import Sound

MIN_SECONDS = 0.05  # s, of a rendered note


@dataclass(frozen=True, eq=False)
class ControlMapInstrument:
    """Control maps of one instrument's notes; see `Playable`.

    Attributes:
        name: name of the instrument.
        maps: control maps by key (MIDI number) and MIDI velocity.
        family: one of `FAMILIES`; None if unknown.
        licence: licence of the recordings that were analysed.

    Raises:
        InstrumentError: there is no map.
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
        """Length of the release in s: the median over the maps."""
        return float(np.median([each.seconds - each.key_up for each in self.maps.values()]))

    @classmethod
    def load(cls, path: str | Path) -> ControlMapInstrument:
        """Read one control map (.safetensors), or a folder of them.

        The key of a map is the one nearest to its frequency; its velocity is taken to be 100.

        Raises:
            EarsError: there is no map, one cannot be read, or two have the same key.
        """
        path = Path(path)
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if not files:
            raise InstrumentError(
                "holds no control map", path=path, remedy="give a folder of .safetensors maps"
            )
        maps: dict[tuple[int, int], ControlMap] = {}
        for file in files:
            control_map = load_control_map(file)
            key = min(max(round(hz_to_midi(control_map.frequency)), 0), 127)
            if (key, VELOCITY) in maps:
                raise InstrumentError(f"a second map of key {key}", path=file)
            maps[key, VELOCITY] = control_map
        return cls(path.stem, maps)

    @renamed_arguments(take="round_robin")
    def note(
        self,
        pitch: float,
        velocity: int = VELOCITY,
        seconds: float | None = None,
        sample_rate: int = 48_000,
        round_robin: int = 0,
        channels: int = 1,
    ) -> Sound:
        """Render the nearest map at a pitch; see `Playable.note`.

        The level changes by 0.25 dB for each step of velocity away from the map's own.
        """
        nearest = nearest_note(self.maps, pitch, velocity)
        control_map = self.maps[nearest]
        release = control_map.seconds - control_map.key_up
        held = control_map.key_up if seconds is None else seconds - self.release_seconds
        sound = render(
            control_map,
            pitch=pitch,
            velocity_gain=VELOCITY_STEP_DB * (velocity - nearest[1]),
            seconds=max(held + release, MIN_SECONDS),
            sample_rate=sample_rate,
            seed=round_robin,
            channels=channels,
            width=None if self.family is None else family_width(self.family),
        )
        count = len(sound.samples) if seconds is None else round(seconds * sample_rate)
        samples = sound.samples[:count]
        missing = [(0, count - len(samples)), (0, 0)][: samples.ndim]
        return Sound(np.pad(samples, missing), sample_rate)
