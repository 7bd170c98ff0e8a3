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

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mechanical_ears.corpus.store import Store
from mechanical_ears.evaluation import measurements, playability
from mechanical_ears.evaluation.measurements import NoteMeasurements, Notes
from mechanical_ears.evaluation.note_sets import (
    NoteGenerator,
    NoteRequests,
    grid_requests,
    random_requests,
)
from mechanical_ears.evaluation.novelty import Novelty, instrument_embeddings, measure_novelty
from mechanical_ears.evaluation.playability import (
    FaultShares,
    PredictionMetrics,
    TimbreConsistency,
    VelocitySteps,
)
from mechanical_ears.evaluation.real_notes import (
    REAL_SETS,
    EvaluationPlan,
    Progress,
    RealNotes,
    load_or_measure,
    measurements_digest,
    notes_per_set,
)
from mechanical_ears.set_metrics import SetMetrics, compare_sets, frechet_distance

if TYPE_CHECKING:
    from mechanical_ears.evaluation.judge import EvaluationNetwork

GENERATED: Final = "generated"
SETS: Final = (GENERATED, *REAL_SETS)

SAMPLE_INSTRUMENTS: Final = 24
SAMPLE_KEYS: Final = (45, 60, 76)  # MIDI numbers
SAMPLE_VELOCITY: Final = 100

# attributes whose keys in report.json are older than their names
JSON_KEYS: Final = {"predictions": "heard", "unseen": "strangers"}


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
    name = f"{digest}-{plan.instruments}-{count}-{plan.seed}-{measurements_digest(store, network)}"

    def measure(requests: NoteRequests, before: int, look_for_faults: bool) -> NoteMeasurements:
        return measurements.measure_notes(
            generator(requests),
            network,
            look_for_faults=look_for_faults,
            progress=lambda done: progress(before + done, total),
        )

    generated = load_or_measure(
        cache, f"generated-{name}", lambda: measure(requests, 0, look_for_faults=True)
    )
    grid = load_or_measure(
        cache, f"generated-grid-{name}", lambda: measure(on_grid, count, look_for_faults=False)
    )
    notes = {GENERATED: generated, **real_notes.notes}
    grids = {GENERATED: grid, **real_notes.grids}
    sets = {name: _figures(name, notes[name], grids[name], real_notes, plan.seed) for name in SETS}
    train = measurements.concatenate([real_notes.notes["train"], real_notes.others])
    return Evaluation(plan, sets, _compare_halves(train, plan.seed), generated, grid)


def sample_instruments(generator: NoteGenerator, store: Store, plan: EvaluationPlan) -> list[Notes]:
    """Generate three keys of the first random instruments of a plan, to be looked at."""
    requests = random_requests(store, plan.instruments, notes_per_set(store, plan), plan.seed)
    numbers, firsts = np.unique(requests.instrument, return_index=True)
    numbers, firsts = numbers[:SAMPLE_INSTRUMENTS], firsts[:SAMPLE_INSTRUMENTS]
    keys = len(SAMPLE_KEYS)
    samples = NoteRequests(
        np.repeat(numbers, keys),
        np.repeat(requests.family[firsts], keys),
        np.tile(SAMPLE_KEYS, len(numbers)),
        np.full(len(numbers) * keys, SAMPLE_VELOCITY),
    )
    notes = measurements.concatenate(list(generator(samples)))
    return [notes[first : first + keys] for first in range(0, len(notes), keys)]


def _figures(
    name: str, notes: NoteMeasurements, grid: NoteMeasurements, real_notes: RealNotes, seed: int
) -> Figures:
    unseen = None if name.startswith("unseen") else real_notes.notes["unseen"]
    return Figures(
        to_train=compare_sets(real_notes.others.features, notes.features, seed=seed),
        to_unseen=compare_sets(unseen.features, notes.features, seed=seed) if unseen else None,
        embeddings_to_unseen=frechet_distance(unseen.embedding, notes.embedding)
        if unseen
        else None,
        predictions=playability.prediction_metrics(notes),
        consistency=playability.timbre_consistency(grid),
        velocity=playability.velocity_steps(grid),
        novelty=_novelty(name, grid, real_notes),
        faults=playability.fault_shares(notes),
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
