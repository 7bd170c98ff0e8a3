"""An imagined instrument: one timbre, all keys and velocities, any length and sample rate.

    timbre (with a little jitter for each round robin) → generator → control grid
        → plus what recordings add (residual.py) → clean-up (postprocess.py)
        → control map → render

The same arguments give the same samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.deprecation import renamed_arguments, renamed_attributes, warn_deprecated
from mechanical_ears.errors import EarsError
from mechanical_ears.facade import public
from mechanical_ears.files import SAMPLED_INSTRUMENT_SUFFIXES, write_atomically, write_json
from mechanical_ears.imagining.instrument_hearing import (
    InstrumentHearing,
    predict_notes,
    summarize_hearings,
)
from mechanical_ears.imagining.model import BATCH, Model, open_model
from mechanical_ears.imagining.patch import HEARING_KEYS, TIMBRE_SIZE, Patch, read_patch
from mechanical_ears.imagining.postprocess import clean_grid
from mechanical_ears.imagining.recording_detail import add_detail
from mechanical_ears.imagining.residual import Residual, from_bytes
from mechanical_ears.imagining.stereo_width import note_width
from mechanical_ears.note import NOTE_SECONDS
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH, PITCH_COUNT
from mechanical_ears.resynthesis.control_grid import ControlGrid, to_control_maps
from mechanical_ears.resynthesis.control_map import ControlMap
from mechanical_ears.resynthesis.grid_features import apply_gain
from mechanical_ears.resynthesis.motion import Motion, animate, measure_motion
from mechanical_ears.resynthesis.motion_table import shipped_motion_table
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.rng import normal
from mechanical_ears.sound import Sound
from mechanical_ears.workers import map_in_order, worker_count

FILE = "instrument.json"
SAMPLE_RATE: Final = 48_000  # Hz
VELOCITY: Final = 100
MAX_MOTION: Final = 2.0  # times the movement of recorded notes
ROUND_ROBIN_SPREAD: Final = 0.04  # of the timbres' standard deviation among instruments
MAX_PEAK: Final = 0.99  # of full scale, the highest peak of a note
HEARING_RATE: Final = 16_000  # Hz, of the notes that the ears judge an instrument by

NoteRequest = tuple[float, int, float]  # pitch, velocity, length in s


@renamed_attributes(
    imagination="model", carried="residual", impression="hearing", outlines="control_grid"
)
@dataclass(frozen=True, eq=False)
class ImaginedInstrument:
    """An instrument that does not exist outside this program: a patch and the model that plays it.

    >>> from mechanical_ears import imagine
    >>> instrument = imagine(7, family="mallet")
    >>> instrument.name
    'mallet-7'
    >>> instrument.note(60, velocity=100, seconds=2.0).seconds
    2.0

    Attributes:
        patch: what makes the instrument; its fields are attributes of the instrument, too.
        model: the networks that generate its notes.
    """

    patch: Patch
    model: Model

    @property
    def timbre(self) -> NDArray[np.float32]:
        """The timbre, float32 (64,)."""
        return self.patch.timbre

    @property
    def name(self) -> str:
        """Such as ``mallet-7``."""
        return self.patch.name

    @property
    def family(self) -> str | None:
        """One of `FAMILIES`; None for a mixture."""
        return self.patch.family

    @property
    def licence(self) -> str:
        """Licence of its sounds, as far as the weights decide it."""
        return self.patch.licence

    @property
    def gain(self) -> float:
        """Gain of all keys, dB."""
        return self.patch.gain

    @property
    def balance(self) -> tuple[float, ...]:
        """Additional gain at `HEARING_KEYS`, dB; empty for none."""
        return self.patch.balance

    @property
    def seed(self) -> int | None:
        """The seed that it was generated from; None if it was not."""
        return self.patch.seed

    @property
    def origin(self) -> Mapping[str, Any]:
        """How it came about, as JSON stores it."""
        return self.patch.origin

    @cached_property
    def residual(self) -> Residual | None:
        """What recordings have beyond the timbre; None without recordings."""
        return None if self.patch.residual is None else from_bytes(self.patch.residual)

    def replace(self, **changes: Any) -> ImaginedInstrument:
        """The instrument with some fields of its patch changed.

        Args:
            changes: new values by the names of `Patch`'s fields.
        """
        return ImaginedInstrument(dataclasses.replace(self.patch, **changes), self.model)

    @renamed_arguments(take="round_robin")
    def note(
        self,
        pitch: float,
        velocity: int = VELOCITY,
        seconds: float | None = None,
        sample_rate: int = SAMPLE_RATE,
        round_robin: int = 0,
        channels: int = 1,
        motion: float = 0.0,
    ) -> Sound:
        """Play a note.

        Args:
            pitch: MIDI number 0..127, which need not be whole.
            velocity: MIDI velocity 1..127.
            seconds: length, release included; None for 4 s.
            sample_rate: Hz.
            round_robin: number of the repetition; repetitions differ a little.
            motion: how much it moves while the key is held, 0..2: 1 as recorded notes of its
                family do, each repetition in another way; 0 not at all.
            channels: 1, or 2 for stereo as wide as its family's, whose mean is the mono note.

        Raises:
            EarsError: a number is out of range.
        """
        pairs = [(pitch, velocity)]
        return next(self.notes(pairs, seconds, sample_rate, round_robin, None, motion, channels))

    @renamed_arguments(take="round_robin")
    def notes(
        self,
        pairs: Sequence[tuple[float, int]],
        seconds: float | Sequence[float] | None = None,
        sample_rate: int = SAMPLE_RATE,
        round_robin: int = 0,
        progress: Callable[[int, int], None] | None = None,
        motion: float = 0.0,
        channels: int = 1,
    ) -> Iterator[Sound]:
        """Play many notes, on all cores; the samples are the same as one by one.

        Args:
            pairs: pitch and velocity of each note.
            seconds: length, release included, of all or of each; None for 4 s.
            sample_rate: Hz.
            round_robin: number of the repetition.
            progress: called with the number of notes that are done, and of all notes.
            motion: how much they move, 0..2; see `note`.
            channels: 1 or 2.

        Raises:
            EarsError: a number is out of range, or there are not as many lengths as notes.
        """
        for pitch, velocity in pairs:
            _check_range(pitch, velocity)
        if not 0 <= motion <= MAX_MOTION:
            raise EarsError(f'"motion" is {motion:g}, outside 0..{MAX_MOTION:g}')
        lengths = np.asarray(NOTE_SECONDS if seconds is None else seconds, dtype=np.float64)
        if lengths.shape not in ((), (len(pairs),)):
            raise EarsError(f"{len(pairs)} notes, but {lengths.size} lengths")
        each_length = np.broadcast_to(lengths, len(pairs)).tolist()
        requests = [(*pair, length) for pair, length in zip(pairs, each_length, strict=True)]
        render_batch = partial(self._render, sample_rate, round_robin, motion, channels)
        for done, sound in enumerate(_render_all(requests, render_batch), start=1):
            yield sound
            if progress is not None:
                progress(done, len(pairs))

    def _render(
        self,
        sample_rate: int,
        round_robin: int,
        motion: float,
        channels: int,
        requests: Sequence[NoteRequest],
    ) -> Iterator[Sound]:
        pitches = np.array([pitch for pitch, _, _ in requests], dtype=np.float64)
        grid = self.control_grid(pitches, [velocity for _, velocity, _ in requests], round_robin)
        maps = to_control_maps(grid, pitches)
        for row, (pitch, velocity, seconds) in enumerate(requests):
            seed = _noise_seed(pitch, round_robin, self.seed or 0)
            nearest = None if self.residual is None else self.residual.nearest_map(pitch, velocity)
            control_map = maps[row]
            if nearest is not None:
                control_map = add_detail(grid[[row]], *nearest, seed)
            movement = None
            if motion:
                movement = self._motion(pitch, seed + velocity, nearest and nearest[0])
                movement = movement.scaled(motion)
                control_map = animate(control_map, movement, seed + velocity, seconds)
            sound = render(
                control_map,
                pitch=pitch,
                seconds=seconds,
                sample_rate=sample_rate,
                seed=seed,
                phases=nearest is not None or motion > 0,
                channels=channels,
                width=note_width(self.family, self.seed or 0, pitch, movement),
            )
            peak = float(np.abs(sound.samples).max(initial=0.0))
            if peak > MAX_PEAK:
                sound = Sound(sound.samples * np.float32(MAX_PEAK / peak), sample_rate)
            yield sound

    def _motion(self, pitch: float, seed: int, recorded: ControlMap | None) -> Motion:
        """How a note moves: as the recording does, or as notes of its family do."""
        measured = None if recorded is None else measure_motion(recorded)
        if measured is not None:
            return measured.typical()
        shares = self.origin.get("family")
        if not isinstance(shares, Mapping):
            shares = {self.family or self.hearing.family: 1.0}
        return shipped_motion_table().note_motion(shares, pitch, self.seed or 0, seed)

    @renamed_arguments(take="round_robin")
    def control_grid(
        self,
        pitches: Sequence[float] | NDArray[np.float64],
        velocities: Sequence[int],
        round_robin: int = 0,
    ) -> ControlGrid:
        """The control grid of notes.

        Args:
            pitches: MIDI numbers (n,); outside 21..108 the nearest piano key's grid is returned.
            velocities: MIDI velocities (n,).
            round_robin: number of the repetition.
        """
        keys = np.clip(np.asarray(pitches, dtype=np.float64), PIANO_MIN_PITCH, PIANO_MAX_PITCH)
        timbres = np.tile(self.timbre, (len(keys), 1))
        if round_robin:
            for row, key in enumerate(keys):
                offset = normal(_noise_seed(key, round_robin, self.seed or 0), TIMBRE_SIZE)
                timbres[row] += np.float32(ROUND_ROBIN_SPREAD) * self.model.spread * offset
        forces = np.asarray(velocities, dtype=np.float64)
        grid = self.model.generate(timbres, keys, forces)
        if self.residual is not None:
            nearest = self.residual.nearest_pitches(keys)
            at_nearest = self.model.generate(timbres, nearest, forces)
            grid = self.residual.add_to(grid, keys, forces, at_nearest)
        gains = np.full(len(keys), self.gain)
        if self.balance:
            gains += np.interp(keys, HEARING_KEYS, self.balance)
        return clean_grid(apply_gain(grid, gains), recorded=self.residual is not None)

    def hear(
        self, pitches: Sequence[int] = HEARING_KEYS, velocity: int = VELOCITY
    ) -> InstrumentHearing:
        """Let the ears judge a few notes.

        Args:
            pitches: MIDI numbers 0..127.
            velocity: MIDI velocity 1..127.
        """
        pairs = [(pitch, velocity) for pitch in pitches]
        sounds = list(self.notes(pairs, NOTE_SECONDS, HEARING_RATE))
        return summarize_hearings(pitches, predict_notes(sounds))

    @cached_property
    def hearing_notes(self) -> tuple[Sound, ...]:
        """Notes at `HEARING_KEYS`, 4 s at 16 kHz, rendered once."""
        pairs = [(key, VELOCITY) for key in HEARING_KEYS]
        return tuple(self.notes(pairs, NOTE_SECONDS, HEARING_RATE))

    @cached_property
    def hearing(self) -> InstrumentHearing:
        """What the ears hear in `hearing_notes`, computed once."""
        return summarize_hearings(HEARING_KEYS, predict_notes(self.hearing_notes))

    def to_json(self, residual_file: str | None = None) -> dict[str, Any]:
        """The instrument as `load` reads it, with what the ears hear in it.

        Args:
            residual_file: name of the file beside it with the patch's residual.
        """
        values = self.patch.to_json(self.model.sha256)
        timbre = values.pop("timbre")
        hearing = self.hearing
        values["weights"] = {"version": self.model.metadata["version"], "sha256": self.model.sha256}
        return values | {
            "heard": {
                "family": hearing.family,
                "family_confidence": round(hearing.family_confidence, 4),
                "nearest": [[name, round(likeness, 4)] for name, likeness in hearing.nearest],
                "notes": [
                    {"played": key, **asdict(each)}
                    for key, each in zip(hearing.pitches, hearing.hearings, strict=True)
                ],
            },
            "novelty": round(hearing.novelty, 4),
            "carried": None if self.patch.residual is None else residual_file,
            "timbre": timbre,
        }

    def save(self, path: str | Path) -> Path:
        """Write the instrument as JSON, and the patch's residual beside it.

        Args:
            path: a .json file; the residual's file has its name and .safetensors.

        Raises:
            EarsError: a file cannot be written.
        """
        path = Path(path)
        residual_file = path.with_suffix(".safetensors")
        values = self.to_json(residual_file.name)
        if self.patch.residual is not None:
            with write_atomically(residual_file) as temporary:
                temporary.write_bytes(self.patch.residual)
        write_json(path, values)
        return path

    def export(self, path: str | Path, **options: Any) -> Any:
        """Write it for a sampler: the old name of `mechanical_ears.export`."""
        warn_deprecated("ImaginedInstrument.export is now mechanical_ears.export")
        return public("export")(self, path, **options)

    @classmethod
    def load(cls, path: str | Path, model: str | Path | Model | None = None) -> ImaginedInstrument:
        """Read an instrument that `save` wrote.

        Args:
            path: the JSON file, or the folder that holds it as ``instrument.json``. (A sampler's
                file still opens, too, with a DeprecationWarning; `mechanical_ears.open_instrument`
                opens every kind of instrument.)
            model: the weights it was imagined with; None for the shipped ones.

        Raises:
            EarsError: the file is missing, damaged, of a newer version, or of other weights.
        """
        path = Path(path)
        if path.suffix.lower() in SAMPLED_INSTRUMENT_SUFFIXES:
            warn_deprecated("a sampler's file is opened by mechanical_ears.open_instrument")
            return cast("ImaginedInstrument", public("open_instrument")(path))
        opened = open_model(model)
        return cls(read_patch(path / FILE if path.is_dir() else path, opened.sha256), opened)


def _render_all(
    requests: Sequence[NoteRequest],
    render_batch: Callable[[Sequence[NoteRequest]], Iterator[Sound]],
) -> Iterator[Sound]:
    """Render notes in threads, a batch in each, a few batches ahead of the reader."""
    batches = [requests[first : first + BATCH] for first in range(0, len(requests), BATCH)]
    if min(worker_count(), len(batches)) <= 1:
        yield from render_batch(requests)
        return
    for sounds in map_in_order(lambda batch: list(render_batch(batch)), batches):
        yield from sounds


def _check_range(pitch: float, velocity: int) -> None:
    if not 0 <= pitch <= PITCH_COUNT - 1:
        raise EarsError(f"pitch {pitch:g} is outside 0..127", remedy="give a MIDI number, 60 is C4")
    if not 1 <= velocity <= 127:
        raise EarsError(f"velocity {velocity} is outside 1..127", remedy="give a MIDI velocity")


def _noise_seed(pitch: float, round_robin: int, seed: int) -> int:
    """A seed for each key and round robin; all velocities share it, so that they can be mixed."""
    return (round(100 * pitch) + 100_003 * round_robin + 1_000_003 * seed) % (1 << 62)
