"""Measurements of real notes, with which generated ones are compared; their cache on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.store import Store
from mechanical_ears.errors import CorpusError, EarsError
from mechanical_ears.evaluation import note_sets
from mechanical_ears.evaluation.measurements import NoteMeasurements, measure_notes
from mechanical_ears.files import make_folder
from mechanical_ears.set_metrics import BIN_COUNT

if TYPE_CHECKING:
    from mechanical_ears.evaluation.judge import EvaluationNetwork

VERSION: Final = 1  # of the measurements; those of another version are repeated
REAL_SETS: Final = ("train resynthesised", "train", "unseen resynthesised", "unseen")

Progress = Callable[[int, int], None]  # notes done, notes in all


@dataclass(frozen=True)
class EvaluationPlan:
    """Size of an evaluation.

    Attributes:
        instruments: number of random instruments.
        notes: number of notes in each random set.
        seed: of all random choices.

    Raises:
        EarsError: there are too few to compare.
    """

    instruments: int = 500
    notes: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, minimum in (
            ("instruments", self.instruments, 2),
            ("notes", self.notes, BIN_COUNT),
            ("seed", self.seed, 0),
        ):
            if value < minimum:
                raise EarsError(f'"{name}" is {value}, below {minimum}')


@dataclass(frozen=True, eq=False)
class RealNotes:
    """Measurements of real notes.

    Attributes:
        notes: random notes, by the names of ``REAL_SETS``.
        grids: grids, by the same names.
        others: other training notes, against which sets are compared.
    """

    notes: Mapping[str, NoteMeasurements]
    grids: Mapping[str, NoteMeasurements]
    others: NoteMeasurements


def measure_real_notes(
    store: Store,
    network: EvaluationNetwork,
    plan: EvaluationPlan,
    *,
    cache: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> RealNotes:
    """Measure the real notes of a store, as they are and resynthesised.

    Args:
        store: see `open_store`.
        network: the evaluation network.
        plan: size of the evaluation.
        cache: folder for the measurements, which later evaluations with the same store and network
            read; None for no cache.
        progress: called with the numbers of notes done and in all.

    Raises:
        CorpusError: there are too few notes.
    """
    count = notes_per_set(store, plan)
    fingerprint = measurements_digest(store, network)
    rows_by_set = {
        "other train": note_sets.random_rows(store, note_sets.TRAIN, count, plan.seed, part=1)
    }
    for name in REAL_SETS:
        side = note_sets.TRAIN if name.startswith("train") else note_sets.UNSEEN
        rows_by_set[name] = note_sets.random_rows(store, side, count, plan.seed)
        rows_by_set[f"{name} grid"] = note_sets.grid_rows(store, side)
    total, done = sum(map(len, rows_by_set.values())), 0
    measured: dict[str, NoteMeasurements] = {}

    def measure(name: str, rows: NDArray[np.int64], before: int) -> NoteMeasurements:
        notes = note_sets.read_notes(store, rows)
        return measure_notes(
            note_sets.resynthesise_notes(notes) if "resynthesised" in name else notes,
            network,
            look_for_faults=name in REAL_SETS,
            progress=lambda count: progress(before + count, total),
        )

    for name, rows in rows_by_set.items():
        sampling = "" if name.endswith("grid") else f"-{count}-{plan.seed}"
        code = f"-{note_sets.resynthesis_digest()}" if "resynthesised" in name else ""
        file = f"{name}{sampling}{code}-{fingerprint}"
        measured[name] = load_or_measure(cache, file, partial(measure, name, rows, done))
        done += len(rows)
        progress(done, total)
    return RealNotes(
        {name: measured[name] for name in REAL_SETS},
        {name: measured[f"{name} grid"] for name in REAL_SETS},
        measured["other train"],
    )


def load_or_measure(
    cache: Path | None, name: str, measure: Callable[[], NoteMeasurements]
) -> NoteMeasurements:
    """Measurements from the cache; measured and written there if absent."""
    if cache is None:
        return measure()
    file = make_folder(cache) / f"{name.replace(' ', '-')}.npz"
    if not file.exists():
        measure().save(file)
    return NoteMeasurements.load(file)


def notes_per_set(store: Store, plan: EvaluationPlan) -> int:
    """Number of notes of each set: as planned, or what the store has.

    Raises:
        CorpusError: it has too few.
    """
    count = min(
        plan.notes, *(len(store.rows(side)) // 2 for side in (note_sets.TRAIN, note_sets.UNSEEN))
    )
    if count < BIN_COUNT:
        problem = f"has fewer than {2 * BIN_COUNT} notes on a side of its split"
        raise CorpusError(problem, path=store.path, remedy="build a larger store")
    return count


def measurements_digest(store: Store, network: EvaluationNetwork) -> str:
    """Digest of everything that the measurements of real notes depend on."""
    digest = hashlib.sha256(json.dumps([VERSION, store.about]).encode())
    for labels in (store.pitch, store.velocity, store.side):
        digest.update(np.ascontiguousarray(labels).tobytes())
    for values in network.network.state_dict().values():
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:12]
