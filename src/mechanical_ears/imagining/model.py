"""The imagination with trained weights: draws instruments, and tells their notes. No PyTorch.

    z, family → mapper → timbre              one timbre is one instrument
    timbre, pitch, velocity → generator → outlines, which `controls_of` and `render` make heard
    outlines, pitch, velocity → encoder → timbre

A folder of weights holds the three as ONNX files; what they are, their licence and the directions
of the space of timbres stand in the generator's own metadata.
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

from mechanical_ears.errors import EarsError
from mechanical_ears.imagining.patch import TIMBRE_SIZE
from mechanical_ears.listening.onnx_session import open_session
from mechanical_ears.note import FAMILIES
from mechanical_ears.pitch import PIANO_MAX_PITCH, PIANO_MIN_PITCH
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, ControlGrid

SHIPPED = Path(__file__).parent / "weights"
MAPPER, GENERATOR, ENCODER = "mapper.onnx", "generator.onnx", "encoder.onnx"
VERSION: Final = "1"  # of the weights' interface
BATCH: Final = 8  # notes in one run, always: other sizes round otherwise
_REMEDY: Final = "install mechanical-ears again, or train it anew"


@dataclass(frozen=True, eq=False)
class EncodedNotes:
    """What the encoder makes of notes.

    Attributes:
        timbres: float32 (n, 64), an estimate from each.
        families: float32 (n, 11), probabilities in the order of `FAMILIES`.
    """

    timbres: NDArray[np.float32]
    families: NDArray[np.float32]


class Model:
    """The mapper, the generator and the encoder of one training.

    Args:
        model: the folder of their three files; None takes the shipped weights.
        threads: for one run of a network.

    Attributes:
        path: the folder.
        about: what the weights were trained on, their licence and citation.
        directions: float32 (64,) by name, a step in the space of timbres: to more of a quality by
            one standard deviation of it among instruments, or towards a family.
        spread: float32 (64,), standard deviation of timbres among instruments.
        instruments: names of the instruments it was trained on.
        timbres: float32 (instruments, 64), theirs.

    Raises:
        EarsError: a file is missing, damaged, of a newer version or no network of ours.
    """

    def __init__(self, model: str | Path | None = None, threads: int = 1) -> None:
        self.path = SHIPPED if model is None else Path(model)
        self._threads = threads
        if not self.path.is_dir():
            raise EarsError(
                "no such folder of weights",
                path=self.path,
                remedy=f"give one with {MAPPER}, {GENERATOR} and {ENCODER}",
            )
        self._generator = self._open(GENERATOR, {*GRID_SHAPES})
        self.about: dict[str, str] = dict(self._generator.get_modelmeta().custom_metadata_map)
        version = self.about.get("version")
        if version != VERSION:
            raise EarsError(
                f'weights of version "{version}", this program plays "{VERSION}"',
                path=self.path / GENERATOR,
                remedy="update mechanical-ears" if (version or "").isdigit() else _REMEDY,
            )
        try:
            self.directions: dict[str, NDArray[np.float32]] = {
                name: _row(values) for name, values in json.loads(self.about["directions"]).items()
            }
            self.spread = _row(json.loads(self.about["spread"]))
            self.instruments: list[str] = list(json.loads(self.about.get("instruments", "[]")))
            self.timbres = _timbres(self.about.get("timbres", ""), len(self.instruments))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise EarsError(
                f"its metadata is damaged ({error})", path=self.path / GENERATOR, remedy=_REMEDY
            ) from error

    @cached_property
    def sha256(self) -> str:
        """Of the generator's file: the same timbre sounds the same only on it."""
        return hashlib.sha256((self.path / GENERATOR).read_bytes()).hexdigest()

    @cached_property
    def _mapper(self) -> Any:
        return self._open(MAPPER, {"timbre"})

    @cached_property
    def _encoder(self) -> Any:
        return self._open(ENCODER, {"timbre", "family"})

    def _open(self, name: str, outputs: set[str]) -> Any:
        path = self.path / name
        try:
            session = open_session(path, self._threads)
        except EarsError as error:
            raise EarsError(error.problem, path=path, remedy=_REMEDY) from error
        missing = outputs - {output.name for output in session.get_outputs()}
        if missing:
            raise EarsError(
                f'tells no "{min(missing)}": it is another network', path=path, remedy=_REMEDY
            )
        return session

    def draw(self, z: NDArray[np.float32], family: Mapping[str, float]) -> NDArray[np.float32]:
        """The timbre of an instrument that is drawn by lot, float32 (64,).

        Args:
            z: float32 (64,), standard normal.
            family: shares of families, which add to one.
        """
        shares = np.array([family.get(name, 0.0) for name in FAMILIES], dtype=np.float32)
        given = {"z": _row(z)[None], "family": shares[None]}
        timbre = self._run(self._mapper, MAPPER, ["timbre"], given)["timbre"][0]
        return np.asarray(timbre, dtype=np.float32)

    def generate(
        self, timbres: NDArray[np.float32], pitches: ArrayLike, velocities: ArrayLike
    ) -> ControlGrid:
        """The outlines of notes.

        Args:
            timbres: float32 (n, 64), or (64,) for all.
            pitches: MIDI numbers (n,), 21..108; beyond, the nearest is taken.
            velocities: MIDI velocities (n,), 1..127.
        """
        keys = np.atleast_1d(np.asarray(pitches, dtype=np.float32))
        keys = np.clip(keys, PIANO_MIN_PITCH, PIANO_MAX_PITCH)
        forces = np.clip(np.asarray(velocities, dtype=np.float32), 1, 127)
        given = {
            "timbre": np.broadcast_to(np.asarray(timbres, np.float32), (len(keys), TIMBRE_SIZE)),
            "pitch": keys,
            "velocity": np.broadcast_to(forces, keys.shape),
        }
        told = self._batched(self._generator, GENERATOR, list(GRID_SHAPES), given)
        return ControlGrid(**{name: values.astype(np.float32) for name, values in told.items()})

    def encode(
        self, outlines: ControlGrid, pitches: ArrayLike, velocities: ArrayLike
    ) -> EncodedNotes:
        """Timbres of notes: one estimate from each, to be averaged over notes of one instrument.

        Args:
            outlines: of n notes; see `outline.filled` for what a low sample rate hides.
            pitches: MIDI numbers (n,).
            velocities: MIDI velocities (n,), 1..127.
        """
        given = {name: getattr(outlines, name) for name in GRID_SHAPES}
        keys = np.clip(np.asarray(pitches, dtype=np.float32), PIANO_MIN_PITCH, PIANO_MAX_PITCH)
        given |= {"pitch": keys, "velocity": np.asarray(velocities, dtype=np.float32)}
        told = self._batched(self._encoder, ENCODER, ["timbre", "family"], given)
        shares = np.exp(told["family"] - told["family"].max(axis=1, keepdims=True))
        return EncodedNotes(
            told["timbre"].astype(np.float32), shares / shares.sum(axis=1, keepdims=True)
        )

    def _batched(
        self, session: Any, name: str, outputs: list[str], given: dict[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        """Run a network on batches of one size, the last filled up with its first note."""
        count = len(given["pitch"])
        fixed = session.get_inputs()[0].shape[0]
        size = fixed if isinstance(fixed, int) else BATCH
        parts: list[dict[str, NDArray[np.float32]]] = []
        for first in range(0, count, size):
            rows = np.arange(first, first + size)
            rows[rows >= count] = first
            batch = {key: np.ascontiguousarray(values[rows]) for key, values in given.items()}
            parts.append(self._run(session, name, outputs, batch))
        return {key: np.concatenate([part[key] for part in parts])[:count] for key in outputs}

    def _run(
        self, session: Any, name: str, outputs: list[str], given: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        try:
            told = dict(zip(outputs, session.run(outputs, dict(given)), strict=True))
        except Exception as error:  # ONNX Runtime raises classes of its own without a common base
            raise EarsError(
                f"cannot be run ({str(error).splitlines()[0]})",
                path=self.path / name,
                remedy=_REMEDY,
            ) from error
        for key, values in told.items():
            if not np.isfinite(values).all():
                raise EarsError(
                    f'tells a "{key}" that is not finite: it is damaged',
                    path=self.path / name,
                    remedy=_REMEDY,
                )
        return told


@cache
def shipped_model() -> Model:
    """The imagination with the weights that ship with the package, opened once."""
    return Model()


def open_model(model: str | Path | Model | None) -> Model:
    """An imagination: itself, that of a folder, or the shipped one."""
    if isinstance(model, Model):
        return model
    return shipped_model() if model is None else Model(model)


def _row(values: ArrayLike) -> NDArray[np.float32]:
    row = np.asarray(values, dtype=np.float32)
    if row.shape != (TIMBRE_SIZE,) or not np.isfinite(row).all():
        raise ValueError(f"a row of shape {row.shape} is not {TIMBRE_SIZE} finite numbers")
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
