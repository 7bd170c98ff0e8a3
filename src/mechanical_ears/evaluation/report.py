"""The report of an evaluation: a table of figures and targets, plots, and JSON, in a folder.

REPORT/report.json       every figure of every set
REPORT/report.md         the table
REPORT/embeddings.png    real and generated notes in the plane of the largest variance of real ones
REPORT/families.png      labelled and predicted families
REPORT/instruments.png   24 random instruments, three keys of each
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mechanical_ears.evaluation.imagination import (
    GENERATED,
    SETS,
    Evaluation,
    Figures,
)
from mechanical_ears.evaluation.measurements import Notes
from mechanical_ears.evaluation.plots import (
    plot_embeddings,
    plot_families,
    plot_instruments,
)
from mechanical_ears.evaluation.real_notes import RealNotes
from mechanical_ears.files import make_folder, write_json, write_text
from mechanical_ears.pictures import save_figure

FRECHET_FACTOR: Final = 1.3  # times the distance of training instruments to unseen ones
MIN_PRECISION, MIN_RECALL = 0.9, 0.7
PITCH_MARGIN: Final = 0.01  # below resynthesised unseen notes
ENTROPY_MARGIN: Final = 0.05  # nats above them
FAMILY_MARGIN: Final = 0.05  # below unseen notes
MAX_CENTS: Final = 1.0
CONSISTENCY_FACTOR: Final = 1.1
MIN_LOUDER: Final = 0.995
MIN_NEW: Final = 0.95

SHORT_NAMES: Final = ("generated", "train*", "train", "unseen*", "unseen")  # *: resynthesised

Format = Callable[[float], str]


@dataclass(frozen=True)
class Row:
    """A row of the table: one figure of all sets.

    Attributes:
        figure: its name.
        values: formatted, in the order of ``SETS``; "–" where a set has none.
        target: in words, "" if there is none.
        met: whether the generated notes meet the target; None if there is none.
    """

    figure: str
    values: tuple[str, ...]
    target: str
    met: bool | None


def report_rows(evaluation: Evaluation) -> list[Row]:
    """Make the table of an evaluation."""
    sets = evaluation.sets
    train, unseen, resynthesised = (sets[n] for n in ("train", "unseen", "unseen resynthesised"))

    def row(
        figure: str,
        value: Callable[[Figures], float | None],
        form: Format,
        target: str = "",
        meets: Callable[[float], bool] | None = None,
    ) -> Row:
        values = [value(sets[name]) for name in SETS]
        texts = tuple("–" if v is None or math.isnan(v) else form(v) for v in values)
        generated = values[0]
        met = None if meets is None or generated is None else meets(generated)
        return Row(figure, texts, target, met)

    assert train.to_unseen is not None
    max_frechet = FRECHET_FACTOR * train.to_unseen.frechet
    min_pitch = resynthesised.predictions.pitch - PITCH_MARGIN
    max_entropy = resynthesised.predictions.pitch_entropy + ENTROPY_MARGIN
    min_family = unseen.predictions.family - FAMILY_MARGIN
    max_ratio = CONSISTENCY_FACTOR * unseen.consistency.ratio
    plain, percent = _digits(3), _percent
    return [
        row(
            "Fréchet distance to unseen instruments",
            lambda f: None if f.to_unseen is None else f.to_unseen.frechet,
            plain,
            f"≤ {max_frechet:.3f} (1.3 × train)",
            lambda v: v <= max_frechet,
        ),
        row(
            "the same of embeddings × 1000",
            lambda f: None if f.embeddings_to_unseen is None else 1000 * f.embeddings_to_unseen,
            _digits(1),
        ),
        row("Fréchet distance to training notes", lambda f: f.to_train.frechet, plain),
        row(
            "kernel distance to unseen instruments",
            lambda f: None if f.to_unseen is None else f.to_unseen.kernel,
            plain,
        ),
        row(
            "kernel distance to training notes",
            lambda f: f.to_train.kernel,
            plain,
        ),
        row(
            "precision",
            lambda f: f.to_train.precision,
            percent,
            f"≥ {percent(MIN_PRECISION)}",
            lambda v: v >= MIN_PRECISION,
        ),
        row(
            "recall",
            lambda f: f.to_train.recall,
            percent,
            f"≥ {percent(MIN_RECALL)}",
            lambda v: v >= MIN_RECALL,
        ),
        row("density", lambda f: f.to_train.density, _digits(2)),
        row("coverage", lambda f: f.to_train.coverage, percent),
        row("NDB / 50", lambda f: f.to_train.bins_apart, _digits(2)),
        row("inception score of pitch", lambda f: f.predictions.pitch_inception, _digits(1)),
        row(
            "pitch predicted as requested",
            lambda f: f.predictions.pitch,
            percent,
            f"≥ {percent(min_pitch)} (unseen resynthesised − 1 point)",
            lambda v: v >= min_pitch,
        ),
        row("the same, octaves forgiven", lambda f: f.predictions.pitch_but_octave, percent),
        row(
            "pitch entropy, nats",
            lambda f: f.predictions.pitch_entropy,
            plain,
            f"≤ {max_entropy:.3f} (unseen resynthesised + 0.05)",
            lambda v: v <= max_entropy,
        ),
        row(
            "family predicted as requested",
            lambda f: f.predictions.family,
            percent,
            f"≥ {percent(min_family)} (unseen − 5 points)",
            lambda v: v >= min_family,
        ),
        row(
            "cents off the key",
            lambda f: f.predictions.cents,
            _digits(2),
            f"≤ {MAX_CENTS:g}",
            lambda v: v <= MAX_CENTS,
        ),
        row("cents off the key, 90 % of notes", lambda f: f.predictions.cents_90, _digits(2)),
        row(
            "distance between keys / instruments",
            lambda f: f.consistency.ratio,
            plain,
            f"≤ {max_ratio:.3f} (1.1 × unseen)",
            lambda v: v <= max_ratio,
        ),
        row(
            "velocity steps that are louder",
            lambda f: f.velocity.louder,
            percent,
            f"≥ {percent(MIN_LOUDER)}",
            lambda v: v >= MIN_LOUDER,
        ),
        row("dB louder for 25 velocities", lambda f: f.velocity.decibels, _digits(1)),
        row(
            "instruments that are new",
            lambda f: None if f.novelty is None else f.novelty.share,
            percent,
            f"≥ {percent(MIN_NEW)}",
            lambda v: v >= MIN_NEW,
        ),
        row(
            "distance to nearest training instrument",
            lambda f: None if f.novelty is None else f.novelty.median,
            plain,
        ),
        *(row(name, value, percent, "none", lambda v: v == 0) for name, value in _FAULTS.items()),
    ]


_FAULTS: dict[str, Callable[[Figures], float | None]] = {
    "notes with clicks": lambda f: f.faults.clicks,
    "notes with a DC offset": lambda f: f.faults.offset,
    "notes that clip": lambda f: f.faults.clipped,
    "silent notes": lambda f: f.faults.silent,
}


def _digits(count: int) -> Format:
    return lambda value: f"{value:.{count}f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def to_markdown(table: Sequence[Row]) -> str:
    """Format the table in Markdown."""
    header = ["figure", *SETS, "target", "met"]
    verdict = {None: "", True: "yes", False: "no"}
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += [
        "| " + " | ".join([row.figure, *row.values, row.target, verdict[row.met]]) + " |"
        for row in table
    ]
    return "\n".join(lines)


def explain(evaluation: Evaluation) -> str:
    """Explain the columns and figures of the table, in Markdown."""
    figures, halves = evaluation.sets[GENERATED], evaluation.by_instrument
    novelty = figures.novelty
    assert novelty is not None
    return (
        f"{figures.predictions.notes:,} random notes of {evaluation.plan.instruments} random "
        f"instruments, compared with {figures.to_train.real:,} training notes and as many notes of "
        "instruments outside the training set, in 256 features of the evaluation network. "
        "*Resynthesised* notes went through the control grids from which every generated note is "
        "made. Two halves of the training notes without a common instrument show what new "
        f"instruments of the same kind would reach: Fréchet distance {halves.frechet:.3f}, "
        f"precision {halves.precision:.1%}, recall {halves.recall:.1%}, coverage "
        f"{halves.coverage:.1%}, NDB / 50 {halves.bins_apart:.2f}. An instrument is new at a "
        f"distance of {novelty.threshold:.3f} from all training instruments, the 5th percentile of "
        f"{novelty.unseen} unseen ones; for resynthesised training instruments, which are copies, "
        "the column shows how many would pass."
    )


def write_report(
    folder: Path,
    evaluation: Evaluation,
    real_notes: RealNotes,
    instruments: Sequence[Notes],
    about: dict[str, Any],
    title: str,
) -> list[Row]:
    """Write the folder of a report.

    Args:
        folder: created if absent; files in it are replaced.
        evaluation: its result.
        real_notes: measurements with which it was compared.
        instruments: a few keys of each of some instruments, for their plot.
        about: provenance of the evaluated notes, for the JSON.
        title: of the plots.

    Returns:
        The table.

    Raises:
        EarsError: the folder cannot be written.
    """
    table = report_rows(evaluation)
    make_folder(folder)
    write_json(
        folder / "report.json",
        {
            **about,
            **evaluation.to_json(),
            "table": [
                {
                    "figure": row.figure,
                    **dict(zip(SETS, row.values, strict=True)),
                    "target": row.target,
                    "met": row.met,
                }
                for row in table
            ],
        },
    )
    write_text(
        folder / "report.md", f"# {title}\n\n{explain(evaluation)}\n\n{to_markdown(table)}\n"
    )
    pictures = {
        "embeddings": plot_embeddings(evaluation.generated, real_notes.notes, title),
        "families": plot_families(evaluation.generated, real_notes.notes["unseen"], title),
        "instruments": plot_instruments(instruments, title),
    }
    for name, picture in pictures.items():
        save_figure(picture, folder / f"{name}.png")
    return table
