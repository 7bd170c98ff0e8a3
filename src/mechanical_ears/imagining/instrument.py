"""An imagined instrument: one timbre, all keys and velocities, any length and sample rate.

    timbre (and a little jitter for each take) → generator → what recordings add (carried.py)
        → settled (settling.py) → controls → render

The same arguments give the same samples.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError
from mechanical_ears.files import SAMPLERS, write_atomically, write_json
from mechanical_ears.imagining.instrument_hearing import (
    InstrumentHearing,
    predict_notes,
    summarize_hearings,
)
from mechanical_ears.imagining.model import BATCH, TIMBRE, Model, open_model
from mechanical_ears.imagining.postprocess import settled
from mechanical_ears.imagining.recording_detail import detailed
from mechanical_ears.imagining.residual import Residual, from_bytes, louder, to_bytes
from mechanical_ears.note import FAMILIES, NOTE_SECONDS
from mechanical_ears.pitch import PIANO_HIGHEST, PIANO_LOWEST, PITCH_COUNT
from mechanical_ears.resynthesis.control_grid import ControlGrid, to_control_maps
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.rng import normal
from mechanical_ears.sound import Sound
from mechanical_ears.workers import worker_count

if TYPE_CHECKING:
    from mechanical_ears.instrument.autosampler import SamplingPlan
    from mechanical_ears.instrument.export import ExportResult
    from mechanical_ears.instrument.sampled import SampledInstrument

FILE = "instrument.json"
FORMAT: Final = "mechanical-ears-instrument"
VERSION: Final = 1
SAMPLE_RATE: Final = 48_000  # Hz
VELOCITY: Final = 100
JITTER: Final = 0.04  # standard deviations among instruments, between the takes of one
LOUDEST: Final = 0.99  # of full scale, the highest peak of a note
HEARING_KEYS: Final = (36, 48, 60, 72, 84)  # MIDI numbers, on which the ears judge an instrument
HEARING_RATE: Final = 16_000  # Hz

Wanted = tuple[tuple[float, int], float]  # pitch and velocity, and length in s


@dataclass(frozen=True, eq=False)
class ImaginedInstrument:
    """An instrument that nobody has built.

    Attributes:
        imagination: whose networks tell its notes.
        timbre: float32 (64,).
        name: such as ``mallet-7``.
        family: one of `FAMILIES` that was asked for, or that recordings belong to; None for a
            mixture.
        licence: of the sounds it makes, as far as the weights have a say.
        gain: dB.
        balance: dB, by which the keys of `HEARING_KEYS` are louder than the networks say, those
            between in proportion; empty for none.
        seed: from which it was drawn; None where it was not.
        origin: how it came about, as JSON has it.
        carried: what recordings have beyond the timbre.
    """

    imagination: Model
    timbre: NDArray[np.float32]
    name: str
    family: str | None = None
    licence: str = ""
    gain: float = 0.0
    balance: tuple[float, ...] = ()
    seed: int | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    carried: Residual | None = None

    def note(
        self,
        pitch: float,
        velocity: int = VELOCITY,
        seconds: float | None = None,
        sample_rate: int = SAMPLE_RATE,
        round_robin: int = 0,
    ) -> Sound:
        """Play a note.

        Args:
            pitch: MIDI number 0..127, which need not be whole.
            velocity: MIDI velocity 1..127.
            seconds: length, release included; None for 4 s.
            sample_rate: Hz.
            round_robin: a round robin: others sound a little different.

        Raises:
            EarsError: a number is out of range.
        """
        return next(self.notes([(pitch, velocity)], seconds, sample_rate, round_robin))

    def notes(
        self,
        pairs: Sequence[tuple[float, int]],
        seconds: float | Sequence[float] | None = None,
        sample_rate: int = SAMPLE_RATE,
        round_robin: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Sound]:
        """Play many notes, on all cores; the same samples as one by one.

        Args:
            pairs: pitch and velocity of each.
            seconds: length, release included, of all or of each; None for 4 s.
            sample_rate: Hz.
            round_robin: a round robin.
            progress: told how many are done, and of how many.

        Raises:
            EarsError: a number is out of range, or there are not as many lengths as notes.
        """
        for pitch, velocity in pairs:
            _check(pitch, velocity)
        told = np.asarray(NOTE_SECONDS if seconds is None else seconds, dtype=np.float64)
        if told.shape not in ((), (len(pairs),)):
            raise EarsError(f"{len(pairs)} notes are asked for, and lengths of {told.size}")
        asked = list(zip(pairs, np.broadcast_to(told, len(pairs)).tolist(), strict=True))
        batches = [asked[first : first + BATCH] for first in range(0, len(asked), BATCH)]
        workers = min(worker_count(), len(batches))
        if workers <= 1:
            yield from self._told(self._played(asked, sample_rate, round_robin), pairs, progress)
            return
        with ThreadPoolExecutor(workers) as pool:

            def submitted(batch: Sequence[Wanted]) -> Future[list[Sound]]:
                return pool.submit(lambda: list(self._played(batch, sample_rate, round_robin)))

            waiting = iter(batches)
            at_work = deque(map(submitted, islice(waiting, 2 * workers)))

            def played() -> Iterator[Sound]:
                while at_work:
                    yield from at_work.popleft().result()
                    at_work.extend(map(submitted, islice(waiting, 1)))

            try:
                yield from self._told(played(), pairs, progress)
            finally:
                pool.shutdown(cancel_futures=True)

    @staticmethod
    def _told(
        sounds: Iterator[Sound],
        pairs: Sequence[tuple[float, int]],
        progress: Callable[[int, int], None] | None,
    ) -> Iterator[Sound]:
        for done, sound in enumerate(sounds, start=1):
            yield sound
            if progress is not None:
                progress(done, len(pairs))

    def _played(
        self,
        asked: Sequence[Wanted],
        sample_rate: int,
        round_robin: int,
    ) -> Iterator[Sound]:
        pitches = np.array([pitch for (pitch, _), _ in asked], dtype=np.float64)
        velocities = [velocity for (_, velocity), _ in asked]
        told = self.outlines(pitches, velocities, round_robin)
        for place, (pitch, plain) in enumerate(
            zip(pitches, to_control_maps(told, pitches), strict=True)
        ):
            seed = _noise_seed(pitch, round_robin, self.seed or 0)
            near = None
            if self.carried is not None:
                near = self.carried.nearest(pitch, velocities[place])
            sound = render(
                plain if near is None else detailed(told[[place]], *near, seed),
                pitch=pitch,
                seconds=asked[place][1],
                sample_rate=sample_rate,
                seed=seed,
                phases=near is not None,
            )
            peak = float(np.abs(sound.samples).max(initial=0.0))
            if peak > LOUDEST:
                sound = Sound(sound.samples * np.float32(LOUDEST / peak), sample_rate)
            yield sound

    def outlines(
        self,
        pitches: Sequence[float] | NDArray[np.float64],
        velocities: Sequence[int],
        round_robin: int = 0,
    ) -> ControlGrid:
        """The outlines of notes.

        Args:
            pitches: MIDI numbers (n,); beyond 21..108 the nearest key's is told.
            velocities: MIDI velocities (n,).
            round_robin: a round robin.
        """
        keys = np.clip(np.asarray(pitches, dtype=np.float64), PIANO_LOWEST, PIANO_HIGHEST)
        timbres = np.tile(self.timbre, (len(keys), 1))
        if round_robin:
            for row, key in enumerate(keys):
                moved = normal(_noise_seed(key, round_robin, self.seed or 0), TIMBRE)
                timbres[row] += np.float32(JITTER) * self.imagination.spread * moved
        forces = np.asarray(velocities, dtype=np.float64)
        told = self.imagination.generate(timbres, keys, forces)
        if self.carried is not None:
            near = self.carried.nearest_pitches(keys)
            beside = self.imagination.generate(timbres, near, forces)
            told = self.carried.added_to(told, keys, forces, beside)
        gains = np.full(len(keys), self.gain)
        if self.balance:
            gains += np.interp(keys, HEARING_KEYS, self.balance)
        return settled(louder(told, gains), recorded=self.carried is not None)

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
    def impression(self) -> InstrumentHearing:
        """What the ears hear in it, found out once."""
        return self.hear()

    def save(self, path: str | Path) -> Path:
        """Write the instrument as JSON, and what it carries of recordings beside it.

        Args:
            path: a .json file; the other one has its name and .safetensors.

        Raises:
            EarsError: a file cannot be written.
        """
        path = Path(path)
        heard = self.impression
        beside = path.with_suffix(".safetensors")
        about = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "family": self.family,
            "licence": self.licence,
            "seed": self.seed,
            "gain": self.gain,
            "balance": list(self.balance),
            "weights": {
                "version": self.imagination.about["version"],
                "sha256": self.imagination.sha256,
            },
            "origin": dict(self.origin),
            "heard": {
                "family": heard.family,
                "family_confidence": round(heard.family_confidence, 4),
                "nearest": [[name, round(likeness, 4)] for name, likeness in heard.nearest],
                "notes": [
                    {"played": key, **asdict(hearing)}
                    for key, hearing in zip(heard.pitches, heard.hearings, strict=True)
                ],
            },
            "novelty": round(heard.novelty, 4),
            "carried": beside.name if self.carried is not None else None,
            "timbre": [float(value) for value in self.timbre],
        }
        if self.carried is not None:
            with write_atomically(beside) as temporary:
                temporary.write_bytes(to_bytes(self.carried))
        write_json(path, about)
        return path

    def export(
        self,
        path: str | Path,
        *,
        plan: SamplingPlan | None = None,
        bits: int = 16,
        flac: bool = False,
        force: bool = False,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> ExportResult:
        """Write it for a sampler, as .sfz, .sf2 or .dspreset; see `mechanical_ears.export`."""
        # An instrument is what a musician holds, so its doors to what comes after it are here; they
        # are opened only when they are used.
        from mechanical_ears.instrument.export import export

        return export(self, path, plan=plan, bits=bits, flac=flac, force=force, progress=progress)

    @classmethod
    def load(
        cls, path: str | Path, model: str | Path | Model | None = None
    ) -> ImaginedInstrument | SampledInstrument:
        """Read an instrument that `save` wrote, or a sampler's.

        Args:
            path: the JSON file, or the folder that holds it as ``instrument.json``; or an .sfz,
                .sf2 or .sf3, which gives a `SampledInstrument`.
            model: the weights it was imagined with; None for the shipped ones.

        Raises:
            EarsError: the file is missing, damaged, of a newer version, or of other weights.
        """
        path = Path(path)
        if path.suffix.lower() in SAMPLERS:
            from mechanical_ears.instrument.sampled import SampledInstrument

            return SampledInstrument.load(path)
        path = path / FILE if path.is_dir() else path
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise EarsError("no such file", path=path) from error
        except (OSError, ValueError) as error:
            raise EarsError(
                f"is no instrument that can be read ({error})", path=path, remedy=_ANEW
            ) from error
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise EarsError("is JSON, but no instrument", path=path, remedy=_ANEW)
        if about.get("version") != VERSION:
            raise EarsError(
                f"is of version {about.get('version')}, this program reads {VERSION}",
                path=path,
                remedy="update mechanical-ears",
            )
        imagination = open_model(model)
        try:
            instrument = _assembled(about, imagination)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise EarsError(f"is damaged ({error!r})", path=path, remedy=_ANEW) from error
        if about["weights"]["sha256"] != imagination.sha256:
            raise EarsError(
                "was imagined with other weights",
                path=path,
                remedy=f"give theirs (sha256 {about['weights']['sha256'][:12]}…) as the model",
            )
        if about.get("carried") is None:
            return instrument
        beside = path.parent / Path(about["carried"]).name
        try:
            data = beside.read_bytes()
        except OSError as error:
            raise EarsError(
                "is missing: it holds what the instrument has of its recordings", path=beside
            ) from error
        return replace(instrument, carried=from_bytes(data, beside))


_ANEW = "write it again with: ears imagine"


def _assembled(about: Mapping[str, Any], imagination: Model) -> ImaginedInstrument:
    timbre = np.array(about["timbre"], dtype=np.float32)
    gain, family, seed = float(about["gain"]), about["family"], about["seed"]
    if timbre.shape != (TIMBRE,) or not np.isfinite(timbre).all():
        raise ValueError(f'"timbre" is not {TIMBRE} finite numbers')
    balance = tuple(float(value) for value in about.get("balance", ()))
    if balance and len(balance) != len(HEARING_KEYS):
        raise ValueError(f'"balance" is of {len(balance)} keys, not {len(HEARING_KEYS)}')
    for name, value in (("gain", gain), *(("balance", each) for each in balance)):
        if not -200 <= value <= 200:
            raise ValueError(f'"{name}" is {value} dB')
    if family is not None and family not in FAMILIES:
        raise ValueError(f'"{family}" is no family')
    if not isinstance(about["weights"]["sha256"], str):
        raise TypeError('"sha256" is no text')
    return ImaginedInstrument(
        imagination=imagination,
        timbre=timbre,
        name=str(about["name"]),
        family=family,
        licence=str(about["licence"]),
        gain=gain,
        balance=balance,
        seed=None if seed is None else int(seed),
        origin=dict(about["origin"]),
    )


def _check(pitch: float, velocity: int) -> None:
    if not 0 <= pitch <= PITCH_COUNT - 1:
        raise EarsError(f"pitch {pitch:g} is outside 0..127", remedy="give a MIDI number, 60 is C4")
    if not 1 <= velocity <= 127:
        raise EarsError(f"velocity {velocity} is outside 1..127", remedy="give a MIDI velocity")


def _noise_seed(pitch: float, round_robin: int, seed: int) -> int:
    """One for each key and take of an instrument; its velocities share it and can be mixed."""
    return (round(100 * pitch) + 100_003 * round_robin + 1_000_003 * seed) % (1 << 62)
