"""The evaluation as a table, with targets and whether they are met, and as a folder.

REPORT/report.json       every figure of every set
REPORT/report.md         the table
REPORT/embeddings.png    real and generated notes in the plane in which real ones vary most
REPORT/families.png      families asked for and heard
REPORT/instruments.png   24 instruments drawn by lot, three keys of each
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
    RealNotes,
)
from mechanical_ears.evaluation.measurements import Notes
from mechanical_ears.evaluation.plots import (
    plot_embeddings,
    plot_families,
    plot_instruments,
)
from mechanical_ears.files import make_folder, write_json, write_text
from mechanical_ears.pictures import save_figure

FRECHET_FACTOR: Final = 1.3  # times that of training instruments to unseen ones
MIN_PRECISION, MIN_RECALL = 0.9, 0.7
PITCH_MARGIN: Final = 0.01  # below resynthesised real notes
ENTROPY_MARGIN: Final = 0.05  # nats above them
FAMILY_MARGIN: Final = 0.05  # below real notes
MAX_CENTS: Final = 1.0
CONSISTENCY_FACTOR: Final = 1.1
MIN_LOUDER: Final = 0.995
MIN_NEW: Final = 0.95

SHORT_NAMES: Final = ("generated", "train*", "train", "unseen*", "unseen")  # *: resynthesised

Show = Callable[[float], str]


@dataclass(frozen=True)
class Row:
    """A figure of all sets.

    Attributes:
        figure: what it is.
        values: by ``SETS``, in words; "–" where a set has none.
        target: in words, "" where it is only reported.
        met: whether the generated notes meet it; None where it is only reported.
    """

    figure: str
    values: tuple[str, ...]
    target: str
    met: bool | None


def report_rows(evaluation: Evaluation) -> list[Row]:
    """The table of an evaluation."""
    sets = evaluation.sets
    seen, unseen, strangers = (sets[n] for n in ("train", "unseen", "unseen resynthesised"))

    def row(
        figure: str,
        value: Callable[[Figures], float | None],
        show: Show,
        target: str = "",
        meets: Callable[[float], bool] | None = None,
    ) -> Row:
        values = [value(sets[name]) for name in SETS]
        words = tuple("–" if v is None or math.isnan(v) else show(v) for v in values)
        generated = values[0]
        met = None if meets is None or generated is None else meets(generated)
        return Row(figure, words, target, met)

    assert seen.to_unseen is not None
    most = FRECHET_FACTOR * seen.to_unseen.frechet
    least_pitch = strangers.heard.pitch - PITCH_MARGIN
    most_entropy = strangers.heard.pitch_entropy + ENTROPY_MARGIN
    least_family = unseen.heard.family - FAMILY_MARGIN
    most_ratio = CONSISTENCY_FACTOR * unseen.consistency.ratio
    plain, percent = _digits(3), _percent
    return [
        row(
            "Fréchet distance to unseen instruments",
            lambda f: None if f.to_unseen is None else f.to_unseen.frechet,
            plain,
            f"≤ {most:.3f} (1.3 × train)",
            lambda v: v <= most,
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
        row("inception score of pitch", lambda f: f.heard.pitch_inception, _digits(1)),
        row(
            "pitch heard as asked",
            lambda f: f.heard.pitch,
            percent,
            f"≥ {percent(least_pitch)} (unseen resynthesised − 1 point)",
            lambda v: v >= least_pitch,
        ),
        row("the same, octaves forgiven", lambda f: f.heard.pitch_but_octave, percent),
        row(
            "pitch entropy, nats",
            lambda f: f.heard.pitch_entropy,
            plain,
            f"≤ {most_entropy:.3f} (unseen resynthesised + 0.05)",
            lambda v: v <= most_entropy,
        ),
        row(
            "family heard as asked",
            lambda f: f.heard.family,
            percent,
            f"≥ {percent(least_family)} (unseen − 5 points)",
            lambda v: v >= least_family,
        ),
        row(
            "cents beside the key",
            lambda f: f.heard.cents,
            _digits(2),
            f"≤ {MAX_CENTS:g}",
            lambda v: v <= MAX_CENTS,
        ),
        row("cents beside the key, 90 % of notes", lambda f: f.heard.cents_90, _digits(2)),
        row(
            "distance between keys / instruments",
            lambda f: f.consistency.ratio,
            plain,
            f"≤ {most_ratio:.3f} (1.1 × unseen)",
            lambda v: v <= most_ratio,
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
        *(row(words, value, percent, "none", lambda v: v == 0) for words, value in _FAULTS.items()),
    ]


_FAULTS: dict[str, Callable[[Figures], float | None]] = {
    "notes with clicks": lambda f: f.faults.clicks,
    "notes beside zero": lambda f: f.faults.offset,
    "notes that clip": lambda f: f.faults.clipped,
    "silent notes": lambda f: f.faults.silent,
}


def _digits(count: int) -> Show:
    return lambda value: f"{value:.{count}f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def to_markdown(table: Sequence[Row]) -> str:
    """The table in Markdown."""
    header = ["figure", *SETS, "target", "met"]
    verdict = {None: "", True: "yes", False: "no"}
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += [
        "| " + " | ".join([row.figure, *row.values, row.target, verdict[row.met]]) + " |"
        for row in table
    ]
    return "\n".join(lines)


def explain(evaluation: Evaluation) -> str:
    """What the table's columns and figures stand on, in Markdown."""
    made, halves = evaluation.sets[GENERATED], evaluation.by_instrument
    new = made.novelty
    assert new is not None
    return (
        f"{made.heard.notes:,} random notes of {evaluation.plan.instruments} instruments drawn by "
        f"lot, compared with {made.to_train.real:,} training notes and as many of instruments that "
        "no training saw, in 256 features of the evaluation network. *Resynthesised* notes went "
        "through the outlines of which every generated note is made. What new instruments of the "
        "same kind would reach is told by two halves of the training notes that have no instrument "
        f"in common: Fréchet distance {halves.frechet:.3f}, precision "
        f"{halves.precision:.1%}, recall {halves.recall:.1%}, coverage {halves.coverage:.1%}, "
        f"NDB / 50 {halves.bins_apart:.2f}. An instrument is new at a distance of "
        f"{new.threshold:.3f} from all training instruments, the 5th percentile of {new.strangers} "
        "unseen ones; of resynthesised training instruments, which are copies, the column shows "
        "how many would pass."
    )


def write_report(
    folder: Path,
    evaluation: Evaluation,
    real_notes: RealNotes,
    instruments: Sequence[Notes],
    about: dict[str, Any],
    title: str,
) -> list[Row]:
    """Write the folder.

    Args:
        folder: made if absent; files in it are replaced.
        evaluation: what came out.
        real_notes: what it was compared to.
        instruments: a few keys of each instrument for the sheet.
        about: what was evaluated, for the JSON.
        title: of the pictures.

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
