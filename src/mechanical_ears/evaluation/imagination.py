"""The whole evaluation of an imagination: which sets are measured, and which figures they give.

Every figure stands for five sets of notes side by side:

    generated                what is evaluated
    train, resynthesised     training notes out of their outlines: the best a generator can do
    train                    training notes as they are
    unseen, resynthesised    notes of instruments that no training saw, out of their outlines
    unseen                   the same as they are

Distances and coverage are taken to *other* training notes and to unseen notes, always with sets of
the same size; a floor is the figure of real notes in the same place.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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

VERSION: Final = 1  # of what is measured; measured notes of another one are measured anew
GENERATED: Final = "generated"
SETS: Final = (GENERATED, "train resynthesised", "train", "unseen resynthesised", "unseen")

SAMPLE_INSTRUMENTS: Final = 24
SAMPLE_KEYS: Final = (45, 60, 76)  # MIDI numbers
SAMPLE_VELOCITY: Final = 100

Progress = Callable[[int, int], None]  # notes done, notes in all


@dataclass(frozen=True)
class EvaluationPlan:
    """How much is measured.

    Attributes:
        instruments: that are drawn.
        notes: of each set of random notes.
        seed: of all lots.

    Raises:
        EarsError: they are too few to compare.
    """

    instruments: int = 500
    notes: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("instruments", self.instruments, 2),
            ("notes", self.notes, BIN_COUNT),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise EarsError(f'"{name}" is {value}, below {least}')


@dataclass(frozen=True, eq=False)
class RealNotes:
    """Real notes, measured.

    Attributes:
        notes: random notes by the names of ``SETS``.
        grids: the grids by these names.
        others: other training notes, to which sets are compared.
    """

    notes: Mapping[str, NoteMeasurements]
    grids: Mapping[str, NoteMeasurements]
    others: NoteMeasurements


@dataclass(frozen=True, eq=False)
class Figures:
    """All figures of one set.

    Attributes:
        to_train: compared to other training notes.
        to_unseen: compared to unseen notes; None for these themselves.
        embeddings_to_unseen: Fréchet distance of the embeddings to those of unseen notes.
        heard: what the evaluation network hears in random notes.
        consistency: of the grid.
        velocity: of the grid.
        novelty: of the grid's instruments; None for training instruments.
        faults: of random notes.
    """

    to_train: SetMetrics
    to_unseen: SetMetrics | None
    embeddings_to_unseen: float | None
    heard: PredictionMetrics
    consistency: TimbreConsistency
    velocity: VelocitySteps
    novelty: Novelty | None
    faults: FaultShares


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out of it.

    Attributes:
        plan: how much was measured.
        sets: figures by the names of ``SETS``.
        by_instrument: two halves of the training notes that share no instrument, compared.
        generated: the random notes, measured.
        generated_grid: the grid, measured.
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
    """Without what JSON does not know: NaN, which stands for a figure that does not exist."""
    if isinstance(value, dict):
        return {key: _to_json(part) for key, part in value.items()}
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
        plan: how much.
        cache: folder in which measured notes are kept, and found again by the next evaluation with
            the same store and network; None keeps none.
        progress: called now and then.

    Raises:
        CorpusError: there are too few notes.
    """
    count = set_size(store, plan)
    mark = _fingerprint(store, network)
    others = random_rows(store, TRAIN, count, plan.seed, part=1)
    chosen = {"other train": others}
    for name in SETS[1:]:
        side = TRAIN if name.startswith("train") else UNSEEN
        chosen[name] = random_rows(store, side, count, plan.seed)
        chosen[f"{name} grid"] = grid_rows(store, side)
    total, done = sum(map(len, chosen.values())), 0
    found: dict[str, NoteMeasurements] = {}

    def made(name: str, rows: NDArray[np.int64], before: int) -> NoteMeasurements:
        return measure_notes(
            _notes(store, rows, "resynthesised" in name),
            network,
            look_for_faults=name in SETS,
            progress=lambda here: progress(before + here, total),
        )

    for name, rows in chosen.items():
        drawn = "" if name.endswith("grid") else f"-{count}-{plan.seed}"
        made_by = f"-{resynthesis_digest()}" if "resynthesised" in name else ""
        file = f"{name}{drawn}{made_by}-{mark}"
        found[name] = _cached(cache, file, partial(made, name, rows, done))
        done += len(rows)
        progress(done, total)
    return RealNotes(
        {name: found[name] for name in SETS[1:]},
        {name: found[f"{name} grid"] for name in SETS[1:]},
        found["other train"],
    )


def _notes(store: Store, rows: NDArray[np.int64], again: bool) -> Iterator[Notes]:
    return resynthesise_notes(read_notes(store, rows)) if again else read_notes(store, rows)


def _cached(
    cache: Path | None, name: str, make: Callable[[], NoteMeasurements]
) -> NoteMeasurements:
    """Measured notes from the cache, or made and kept there."""
    if cache is None:
        return make()
    file = make_folder(cache) / f"{name.replace(' ', '-')}.npz"
    if not file.exists():
        make().save(file)
    return NoteMeasurements.load(file)


def set_size(store: Store, plan: EvaluationPlan) -> int:
    """How many notes each set can have.

    Raises:
        CorpusError: too few.
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
    """What measured real notes depend on."""
    digest = hashlib.sha256(json.dumps([VERSION, store.about]).encode())
    for labels in (store.pitch, store.velocity, store.side):
        digest.update(np.ascontiguousarray(labels).tobytes())
    for values in network.network.state_dict().values():
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:12]


def evaluate_generator(
    player: NoteGenerator,
    store: Store,
    real_notes: RealNotes,
    network: EvaluationNetwork,
    plan: EvaluationPlan,
    *,
    cache: Path | None = None,
    mark: str = "",
    progress: Progress = lambda done, total: None,
) -> Evaluation:
    """Evaluate what plays notes when asked.

    Args:
        player: an imagination (`imagination_player`), or anything else that makes notes.
        store: whose families, keys and velocities are asked for.
        real_notes: of this store.
        network: the evaluation network.
        plan: the one with which the real notes were measured.
        cache: folder in which measured notes are kept, so that an interrupted evaluation goes on;
            None keeps none.
        mark: what tells this player from others in that folder (`player_mark`).
        progress: called now and then.
    """
    asked = random_requests(store, plan.instruments, len(real_notes.others), plan.seed)
    on_grid = grid_requests(asked)
    total = len(asked) + len(on_grid)
    told = f"{mark}-{plan.instruments}-{len(asked)}-{plan.seed}-{_fingerprint(store, network)}"
    generated = _cached(
        cache,
        f"generated-{told}",
        lambda: measure_notes(player(asked), network, progress=lambda done: progress(done, total)),
    )
    grid = _cached(
        cache,
        f"generated-grid-{told}",
        lambda: measure_notes(
            player(on_grid),
            network,
            look_for_faults=False,
            progress=lambda done: progress(len(asked) + done, total),
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


def sample_instruments(player: NoteGenerator, store: Store, plan: EvaluationPlan) -> list[Notes]:
    """Three keys of the first of the instruments that a plan draws by lot, to be looked at."""
    asked = random_requests(store, plan.instruments, set_size(store, plan), plan.seed)
    numbers, firsts = (
        part[:SAMPLE_INSTRUMENTS] for part in np.unique(asked.instrument, return_index=True)
    )
    sheet = NoteRequests(
        np.repeat(numbers, len(SAMPLE_KEYS)),
        np.repeat(asked.family[firsts], len(SAMPLE_KEYS)),
        np.tile(SAMPLE_KEYS, len(numbers)),
        np.full(len(numbers) * len(SAMPLE_KEYS), SAMPLE_VELOCITY),
    )
    played = [part[row : row + 1] for part in player(sheet) for row in range(len(part))]
    keys = len(SAMPLE_KEYS)
    return [
        _concatenate_notes(played[first : first + keys]) for first in range(0, len(played), keys)
    ]


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
        heard=prediction_metrics(notes),
        consistency=timbre_consistency(grid),
        velocity=velocity_steps(grid),
        novelty=_novelty(name, grid, real_notes),
        faults=fault_shares(notes),
    )


def _novelty(name: str, grid: NoteMeasurements, real_notes: RealNotes) -> Novelty | None:
    """Novelty of a set; of resynthesised training instruments as if they were imagined."""
    means = {key: instrument_embeddings(each)[1] for key, each in real_notes.grids.items()}
    if name == "train":
        return None
    copies = name == "train resynthesised"
    known = [means["train"]] if copies else [means["train"], means["train resynthesised"]]
    return measure_novelty(
        instrument_embeddings(grid)[1], means["unseen resynthesised"], np.concatenate(known)
    )


def _compare_halves(train: NoteMeasurements, seed: int) -> SetMetrics:
    """Training notes in two halves by instrument, families in turn, compared."""
    names, firsts = np.unique(train.instrument, return_index=True)
    chance = np.random.default_rng([seed, len(names)])
    order = chance.permutation(len(names))
    order = order[np.argsort(train.family[firsts[order]], kind="stable")]
    ours = np.isin(train.instrument, names[order[::2]])
    size = min(int(ours.sum()), int((~ours).sum()))
    one, other = (chance.permutation(train.features[part])[:size] for part in (ours, ~ours))
    return compare_sets(one, other, seed=seed)
