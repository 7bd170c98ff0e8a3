"""Evaluation of generated notes: the sets that are measured, and all figures of each.

Every figure is given for five sets of notes:

    generated                the notes to be evaluated
    train, resynthesised     training notes from their control grids: the best a generator can do
    train                    training notes as they are
    unseen, resynthesised    notes of instruments outside the training set, from their grids
    unseen                   the same as they are

Distances and coverage are measured against *other* training notes and against unseen notes, always
with sets of the same size; the figure of real notes in the same place is the floor.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.store import Store
from mechanical_ears.errors import CorpusError, EarsError
from mechanical_ears.evaluation.measurements import (
    NoteMeasurements,
    Notes,
    concatenate,
    measure_notes,
)
from mechanical_ears.evaluation.note_sets import (
    TRAIN,
    UNSEEN,
    NoteGenerator,
    NoteRequests,
    grid_requests,
    grid_rows,
    random_requests,
    random_rows,
    read_notes,
    resynthesis_digest,
    resynthesise_notes,
)
from mechanical_ears.evaluation.novelty import Novelty, instrument_embeddings, measure_novelty
from mechanical_ears.evaluation.playability import (
    FaultShares,
    PredictionMetrics,
    TimbreConsistency,
    VelocitySteps,
    fault_shares,
    prediction_metrics,
    timbre_consistency,
    velocity_steps,
)
from mechanical_ears.files import make_folder
from mechanical_ears.set_metrics import BIN_COUNT, SetMetrics, compare_sets, frechet_distance

if TYPE_CHECKING:
    from mechanical_ears.evaluation.judge import EvaluationNetwork

VERSION: Final = 1  # of the measurements; those of another version are repeated
GENERATED: Final = "generated"
SETS: Final = (GENERATED, "train resynthesised", "train", "unseen resynthesised", "unseen")

SAMPLE_INSTRUMENTS: Final = 24
SAMPLE_KEYS: Final = (45, 60, 76)  # MIDI numbers
SAMPLE_VELOCITY: Final = 100

# attributes whose keys in report.json are older than their names
JSON_KEYS: Final = {"predictions": "heard", "unseen": "strangers"}

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
        notes: random notes, by the names of ``SETS``.
        grids: grids, by the same names.
        others: other training notes, against which sets are compared.
    """

    notes: Mapping[str, NoteMeasurements]
    grids: Mapping[str, NoteMeasurements]
    others: NoteMeasurements


@dataclass(frozen=True, eq=False)
class Figures:
    """All figures of one set.

    Attributes:
        to_train: random notes against other training notes.
        to_unseen: random notes against unseen notes; None for the unseen notes themselves.
        embeddings_to_unseen: Fréchet distance of the embeddings to those of unseen notes.
        predictions: of the evaluation network for random notes.
        consistency: of timbre over the grid.
        velocity: of the grid.
        novelty: of the instruments of the grid; None for training instruments.
        faults: of random notes.
    """

    to_train: SetMetrics
    to_unseen: SetMetrics | None
    embeddings_to_unseen: float | None
    predictions: PredictionMetrics
    consistency: TimbreConsistency
    velocity: VelocitySteps
    novelty: Novelty | None
    faults: FaultShares


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        plan: its size.
        sets: figures by the names of ``SETS``.
        by_instrument: comparison of two halves of the training notes without a common instrument.
        generated: measurements of the random generated notes.
        generated_grid: measurements of the generated grid.
    """

    plan: EvaluationPlan
    sets: Mapping[str, Figures]
    by_instrument: SetMetrics
    generated: NoteMeasurements
    generated_grid: NoteMeasurements

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "plan": asdict(self.plan),
            "sets": {name: _to_json(asdict(figures)) for name, figures in self.sets.items()},
            "train halves without a common instrument": asdict(self.by_instrument),
        }


def _to_json(value: Any) -> Any:
    """JSON values of nested figures; NaN, a figure that does not exist, becomes null."""
    if isinstance(value, dict):
        return {JSON_KEYS.get(key, key): _to_json(part) for key, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


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
    count = set_size(store, plan)
    fingerprint = _fingerprint(store, network)
    rows_by_set = {"other train": random_rows(store, TRAIN, count, plan.seed, part=1)}
    for name in SETS[1:]:
        side = TRAIN if name.startswith("train") else UNSEEN
        rows_by_set[name] = random_rows(store, side, count, plan.seed)
        rows_by_set[f"{name} grid"] = grid_rows(store, side)
    total, done = sum(map(len, rows_by_set.values())), 0
    measured: dict[str, NoteMeasurements] = {}

    def measure(name: str, rows: NDArray[np.int64], before: int) -> NoteMeasurements:
        notes = read_notes(store, rows)
        return measure_notes(
            resynthesise_notes(notes) if "resynthesised" in name else notes,
            network,
            look_for_faults=name in SETS,
            progress=lambda count: progress(before + count, total),
        )

    for name, rows in rows_by_set.items():
        sampling = "" if name.endswith("grid") else f"-{count}-{plan.seed}"
        code = f"-{resynthesis_digest()}" if "resynthesised" in name else ""
        file = f"{name}{sampling}{code}-{fingerprint}"
        measured[name] = _cached(cache, file, partial(measure, name, rows, done))
        done += len(rows)
        progress(done, total)
    return RealNotes(
        {name: measured[name] for name in SETS[1:]},
        {name: measured[f"{name} grid"] for name in SETS[1:]},
        measured["other train"],
    )


def _cached(
    cache: Path | None, name: str, measure: Callable[[], NoteMeasurements]
) -> NoteMeasurements:
    """Measurements from the cache; measured and written there if absent."""
    if cache is None:
        return measure()
    file = make_folder(cache) / f"{name.replace(' ', '-')}.npz"
    if not file.exists():
        measure().save(file)
    return NoteMeasurements.load(file)


def set_size(store: Store, plan: EvaluationPlan) -> int:
    """Number of notes of each set: as planned, or what the store has.

    Raises:
        CorpusError: it has too few.
    """
    count = min(plan.notes, *(len(store.rows(side)) // 2 for side in (TRAIN, UNSEEN)))
    if count < BIN_COUNT:
        raise CorpusError(
            f"has fewer than {2 * BIN_COUNT} notes on a side of its split",
            path=store.path,
            remedy="build a larger store",
        )
    return count


def _fingerprint(store: Store, network: EvaluationNetwork) -> str:
    """Digest of everything that the measurements of real notes depend on."""
    digest = hashlib.sha256(json.dumps([VERSION, store.about]).encode())
    for labels in (store.pitch, store.velocity, store.side):
        digest.update(np.ascontiguousarray(labels).tobytes())
    for values in network.network.state_dict().values():
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:12]


def evaluate_generator(
    generator: NoteGenerator,
    store: Store,
    real_notes: RealNotes,
    network: EvaluationNetwork,
    plan: EvaluationPlan,
    *,
    cache: Path | None = None,
    digest: str = "",
    progress: Progress = lambda done, total: None,
) -> Evaluation:
    """Evaluate a generator of notes.

    Args:
        generator: of imagined notes (`imagined_note_generator`), or any other.
        store: whose distribution of families, keys and velocities is requested.
        real_notes: measurements of this store.
        network: the evaluation network.
        plan: with which the real notes were measured.
        cache: folder for the measurements, so that an interrupted evaluation can go on; None for no
            cache.
        digest: identifies the generator in that folder (`model_digest`).
        progress: called with the numbers of notes done and in all.
    """
    requests = random_requests(store, plan.instruments, len(real_notes.others), plan.seed)
    on_grid = grid_requests(requests)
    count, total = len(requests), len(requests) + len(on_grid)
    name = f"{digest}-{plan.instruments}-{count}-{plan.seed}-{_fingerprint(store, network)}"
    generated = _cached(
        cache,
        f"generated-{name}",
        lambda: measure_notes(
            generator(requests), network, progress=lambda done: progress(done, total)
        ),
    )
    grid = _cached(
        cache,
        f"generated-grid-{name}",
        lambda: measure_notes(
            generator(on_grid),
            network,
            look_for_faults=False,
            progress=lambda done: progress(count + done, total),
        ),
    )
    notes = {GENERATED: generated, **real_notes.notes}
    grids = {GENERATED: grid, **real_notes.grids}
    return Evaluation(
        plan=plan,
        sets={
            name: _figures(name, notes[name], grids[name], real_notes, plan.seed) for name in SETS
        },
        by_instrument=_compare_halves(
            concatenate([real_notes.notes["train"], real_notes.others]), plan.seed
        ),
        generated=generated,
        generated_grid=grid,
    )


def sample_instruments(generator: NoteGenerator, store: Store, plan: EvaluationPlan) -> list[Notes]:
    """Generate three keys of the first random instruments of a plan, to be looked at."""
    requests = random_requests(store, plan.instruments, set_size(store, plan), plan.seed)
    numbers, firsts = (
        part[:SAMPLE_INSTRUMENTS] for part in np.unique(requests.instrument, return_index=True)
    )
    keys = len(SAMPLE_KEYS)
    samples = NoteRequests(
        np.repeat(numbers, keys),
        np.repeat(requests.family[firsts], keys),
        np.tile(SAMPLE_KEYS, len(numbers)),
        np.full(len(numbers) * keys, SAMPLE_VELOCITY),
    )
    notes = _concatenate_notes(list(generator(samples)))
    return [notes[first : first + keys] for first in range(0, len(notes), keys)]


def _concatenate_notes(parts: Sequence[Notes]) -> Notes:
    return Notes(
        **{
            part.name: np.concatenate([getattr(each, part.name) for each in parts])
            for part in fields(Notes)
        }
    )


def _figures(
    name: str, notes: NoteMeasurements, grid: NoteMeasurements, real_notes: RealNotes, seed: int
) -> Figures:
    unseen = real_notes.notes["unseen"]
    return Figures(
        to_train=compare_sets(real_notes.others.features, notes.features, seed=seed),
        to_unseen=(
            None
            if name.startswith("unseen")
            else compare_sets(unseen.features, notes.features, seed=seed)
        ),
        embeddings_to_unseen=(
            None
            if name.startswith("unseen")
            else frechet_distance(unseen.embedding, notes.embedding)
        ),
        predictions=prediction_metrics(notes),
        consistency=timbre_consistency(grid),
        velocity=velocity_steps(grid),
        novelty=_novelty(name, grid, real_notes),
        faults=fault_shares(notes),
    )


def _novelty(name: str, grid: NoteMeasurements, real_notes: RealNotes) -> Novelty | None:
    """Novelty of a set; resynthesised training instruments are measured like imagined ones."""
    means = {key: instrument_embeddings(each)[1] for key, each in real_notes.grids.items()}
    if name == "train":
        return None
    training = [means["train"]]
    if name != "train resynthesised":
        training.append(means["train resynthesised"])
    return measure_novelty(
        instrument_embeddings(grid)[1], means["unseen resynthesised"], np.concatenate(training)
    )


def _compare_halves(train: NoteMeasurements, seed: int) -> SetMetrics:
    """Compare two halves of the training notes without a common instrument.

    Instruments alternate between the halves, family by family.
    """
    names, firsts = np.unique(train.instrument, return_index=True)
    rng = np.random.default_rng([seed, len(names)])
    order = rng.permutation(len(names))
    order = order[np.argsort(train.family[firsts[order]], kind="stable")]
    half = np.isin(train.instrument, names[order[::2]])
    size = min(int(half.sum()), int((~half).sum()))
    one, other = (rng.permutation(train.features[rows])[:size] for rows in (half, ~half))
    return compare_sets(one, other, seed=seed)
