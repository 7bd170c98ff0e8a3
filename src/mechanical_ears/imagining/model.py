"""The model: the trained networks that imagine instruments and generate their notes. No PyTorch.

    z, family → mapper → timbre              one timbre is one instrument
    timbre, pitch, velocity → generator → control grid, for `to_control_maps` and `render`
    control grid, pitch, velocity → encoder → timbre

A folder of weights holds the three as ONNX files; what they are, their licence and the directions
of the space of timbres are in the generator's metadata.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechanical_ears.deprecation import renamed_attributes
from mechanical_ears.errors import EarsError, check_version
from mechanical_ears.imagining.patch import TIMBRE_SIZE
from mechanical_ears.listening.onnx_session import open_session
from mechanical_ears.note import FAMILIES
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, ControlGrid

SHIPPED = Path(__file__).parent / "weights"
MAPPER, GENERATOR, ENCODER = "mapper.onnx", "generator.onnx", "encoder.onnx"
VERSION: Final = "1"  # of the weights' interface
BATCH: Final = 8  # notes in one run, always: other sizes round otherwise
_REMEDY: Final = "install mechanical-ears again, or train the weights again"


@dataclass(frozen=True, eq=False)
class EncodedNotes:
    """What the encoder returns for n notes.

    Attributes:
        timbres: float32 (n, 64), an estimate from each note.
        families: float32 (n, 11), probabilities in the order of `FAMILIES`.
    """

    timbres: NDArray[np.float32]
    families: NDArray[np.float32]


@renamed_attributes(about="metadata", draw="map_latent")
class Model:
    """The mapper, the generator and the encoder of one training.

    Args:
        model: the folder of their three files; None for the shipped weights.
        threads: for one run of a network.

    Attributes:
        path: the folder.
        metadata: data, licence, citation and version of the weights.
        directions: float32 (64,) by name, a step in the space of timbres: to more of a quality by
            one standard deviation of it among instruments, or towards a family.
        spread: float32 (64,), standard deviation of timbres among instruments.
        instruments: names of the instruments in the training data.
        timbres: float32 (instruments, 64), their timbres.

    Raises:
        EarsError: a file is missing, damaged, of a newer version or another network.
    """

    def __init__(self, model: str | Path | None = None, threads: int = 1) -> None:
        self.path = SHIPPED if model is None else Path(model)
        self._threads = threads
        if not self.path.is_dir():
            remedy = f"give one with {MAPPER}, {GENERATOR} and {ENCODER}"
            raise EarsError("no such folder of weights", path=self.path, remedy=remedy)
        self._generator = self._open(GENERATOR, {*GRID_SHAPES})
        self.metadata: dict[str, str] = dict(self._generator.get_modelmeta().custom_metadata_map)
        version = self.metadata.get("version", "unknown")
        remedy = "update mechanical-ears" if version.isdigit() else _REMEDY
        check_version(version, VERSION, self.path / GENERATOR, remedy=remedy)
        try:
            directions = json.loads(self.metadata["directions"])
            self.directions = {name: _timbre(values) for name, values in directions.items()}
            self.spread = _timbre(json.loads(self.metadata["spread"]))
            self.instruments: list[str] = list(json.loads(self.metadata.get("instruments", "[]")))
            self.timbres = _timbres(self.metadata.get("timbres", ""), len(self.instruments))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise self._failure(GENERATOR, f"its metadata is damaged ({error})") from error

    @cached_property
    def sha256(self) -> str:
        """Digest of the generator's file: the same timbre sounds the same only on it."""
        return hashlib.sha256((self.path / GENERATOR).read_bytes()).hexdigest()

    @cached_property
    def _mapper(self) -> Any:
        return self._open(MAPPER, {"timbre"})

    @cached_property
    def _encoder(self) -> Any:
        return self._open(ENCODER, {"timbre", "family"})

    def _failure(self, name: str, problem: str) -> EarsError:
        return EarsError(problem, path=self.path / name, remedy=_REMEDY)

    def _open(self, name: str, outputs: set[str]) -> Any:
        try:
            session = open_session(self.path / name, self._threads)
        except EarsError as error:
            raise self._failure(name, error.problem) from error
        missing = outputs - {output.name for output in session.get_outputs()}
        if missing:
            problem = f'output "{min(missing)}" is missing: it is another network'
            raise self._failure(name, problem)
        return session

    def map_latent(
        self, z: NDArray[np.float32], family: Mapping[str, float]
    ) -> NDArray[np.float32]:
        """The timbre of a latent z, float32 (64,).

        Args:
            z: float32 (64,), standard normal.
            family: shares of families, which sum to one.
        """
        shares = np.array([family.get(name, 0.0) for name in FAMILIES], dtype=np.float32)
        inputs = {"z": _timbre(z)[None], "family": shares[None]}
        outputs = self._run(self._mapper, MAPPER, ["timbre"], inputs)
        return np.asarray(outputs["timbre"][0], dtype=np.float32)

    def generate(
        self, timbres: NDArray[np.float32], pitches: ArrayLike, velocities: ArrayLike
    ) -> ControlGrid:
        """The control grid of n notes.

        Args:
            timbres: float32 (n, 64), or (64,) for all.
            pitches: MIDI numbers (n,), 21..108; others become the nearest of these.
            velocities: MIDI velocities (n,), 1..127.
        """
        keys = np.atleast_1d(np.asarray(pitches, dtype=np.float32))
        keys = np.clip(keys, PIANO_MIN_PITCH, PIANO_MAX_PITCH)
        forces = np.clip(np.asarray(velocities, dtype=np.float32), 1, 127)
        rows = np.broadcast_to(np.asarray(timbres, np.float32), (len(keys), TIMBRE_SIZE))
        inputs = {"timbre": rows, "pitch": keys, "velocity": np.broadcast_to(forces, keys.shape)}
        outputs = self._run_batches(self._generator, GENERATOR, list(GRID_SHAPES), inputs)
        return ControlGrid(**{name: each.astype(np.float32) for name, each in outputs.items()})

    def encode(self, grid: ControlGrid, pitches: ArrayLike, velocities: ArrayLike) -> EncodedNotes:
        """Timbres of n notes: an estimate from each, to be averaged over one instrument.

        Args:
            grid: of n notes; see `fill_unknown` for rows above a low sample rate.
            pitches: MIDI numbers (n,).
            velocities: MIDI velocities (n,), 1..127.
        """
        keys = np.clip(np.asarray(pitches, dtype=np.float32), PIANO_MIN_PITCH, PIANO_MAX_PITCH)
        inputs = {name: getattr(grid, name) for name in GRID_SHAPES}
        inputs |= {"pitch": keys, "velocity": np.asarray(velocities, dtype=np.float32)}
        outputs = self._run_batches(self._encoder, ENCODER, ["timbre", "family"], inputs)
        shares = np.exp(outputs["family"] - outputs["family"].max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return EncodedNotes(outputs["timbre"].astype(np.float32), shares)

    def _run_batches(
        self, session: Any, name: str, outputs: list[str], inputs: dict[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        """Run a network on batches of one size, the last padded with its first note."""
        count = len(inputs["pitch"])
        fixed = session.get_inputs()[0].shape[0]
        size = fixed if isinstance(fixed, int) else BATCH
        batches: list[dict[str, NDArray[np.float32]]] = []
        for first in range(0, count, size):
            rows = np.arange(first, first + size)
            rows[rows >= count] = first
            batch = {key: np.ascontiguousarray(values[rows]) for key, values in inputs.items()}
            batches.append(self._run(session, name, outputs, batch))
        return {key: np.concatenate([batch[key] for batch in batches])[:count] for key in outputs}

    def _run(
        self, session: Any, name: str, outputs: list[str], inputs: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        try:
            values = dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))
        except Exception as error:  # ONNX Runtime raises classes of its own without a common base
            problem = f"cannot be run ({str(error).splitlines()[0]})"
            raise self._failure(name, problem) from error
        for key, each in values.items():
            if not np.isfinite(each).all():
                raise self._failure(name, f'its output "{key}" is not finite: it is damaged')
        return values


@cache
def shipped_model() -> Model:
    """The model with the weights that ship with the package, opened once."""
    return Model()


def open_model(model: str | Path | Model | None) -> Model:
    """A model: itself, that of a folder, or the shipped one for None."""
    if isinstance(model, Model):
        return model
    return shipped_model() if model is None else Model(model)


def _timbre(values: ArrayLike) -> NDArray[np.float32]:
    row = np.asarray(values, dtype=np.float32)
    if row.shape != (TIMBRE_SIZE,) or not np.isfinite(row).all():
        raise ValueError(f"an array of shape {row.shape} is not {TIMBRE_SIZE} finite numbers")
    return row


def _timbres(text: str, count: int) -> NDArray[np.float32]:
    """Timbres (count, 64) from base64 of float16, or from JSON."""
    if text.lstrip().startswith("["):
        rows = np.array(json.loads(text), dtype=np.float32).reshape(-1, TIMBRE_SIZE)
    else:
        rows = np.frombuffer(base64.b64decode(text), dtype="<f2").reshape(-1, TIMBRE_SIZE)
    if len(rows) != count:
        raise ValueError(f"{len(rows)} timbres for {count} instruments")
    return rows.astype(np.float32)
