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

from mechanical_ears.evaluation.imagination import GENERATED, SETS, Evaluation, Figures
from mechanical_ears.evaluation.measurements import Notes
from mechanical_ears.evaluation.plots import plot_embeddings, plot_families, plot_instruments
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

HEADER: Final = ("figure", *SETS, "target", "met")

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

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of `HEADER` but the last."""
        return (self.figure, *self.values, self.target)

    @property
    def verdict(self) -> str:
        """Whether the target is met, in a word."""
        return {None: "", True: "yes", False: "no"}[self.met]


@dataclass(frozen=True)
class _Target:
    """A bound on a figure of the generated notes, and its text."""

    sign: str
    bound: float
    text: str

    def met(self, value: float) -> bool:
        return value >= self.bound if self.sign == "≥" else value <= self.bound


def report_rows(evaluation: Evaluation) -> list[Row]:
    """Make the table of an evaluation."""
    sets = evaluation.sets
    train, unseen, resynthesised = (sets[n] for n in ("train", "unseen", "unseen resynthesised"))
    assert train.to_unseen is not None

    def row(figure: str, path: str, form: Format, target: _Target | None = None) -> Row:
        values = [_figure(sets[name], path) for name in SETS]
        texts = tuple("–" if v is None or math.isnan(v) else form(v) for v in values)
        generated = values[0]
        met = None if target is None or generated is None else target.met(generated)
        return Row(figure, texts, "" if target is None else target.text, met)

    def at_most(bound: float, form: Format, reason: str = "") -> _Target:
        return _Target("≤", bound, f"≤ {form(bound)}{reason}")

    def at_least(bound: float, form: Format, reason: str = "") -> _Target:
        return _Target("≥", bound, f"≥ {form(bound)}{reason}")

    frechet = at_most(FRECHET_FACTOR * train.to_unseen.frechet, _plain, " (1.3 × train)")
    predicted = resynthesised.predictions
    source = "unseen resynthesised"
    pitch = at_least(predicted.pitch - PITCH_MARGIN, _percent, f" ({source} − 1 point)")
    entropy = at_most(predicted.pitch_entropy + ENTROPY_MARGIN, _plain, f" ({source} + 0.05)")
    family = at_least(unseen.predictions.family - FAMILY_MARGIN, _percent, " (unseen − 5 points)")
    ratio = at_most(CONSISTENCY_FACTOR * unseen.consistency.ratio, _plain, " (1.1 × unseen)")
    none, cents = _Target("≤", 0.0, "none"), at_most(MAX_CENTS, "{:g}".format)
    precision, recall = at_least(MIN_PRECISION, _percent), at_least(MIN_RECALL, _percent)
    louder, new = at_least(MIN_LOUDER, _percent), at_least(MIN_NEW, _percent)
    return [
        row("Fréchet distance to unseen instruments", "to_unseen.frechet", _plain, frechet),
        row("the same of embeddings × 1000", "embeddings_to_unseen", _thousandfold),
        row("Fréchet distance to training notes", "to_train.frechet", _plain),
        row("kernel distance to unseen instruments", "to_unseen.kernel", _plain),
        row("kernel distance to training notes", "to_train.kernel", _plain),
        row("precision", "to_train.precision", _percent, precision),
        row("recall", "to_train.recall", _percent, recall),
        row("density", "to_train.density", "{:.2f}".format),
        row("coverage", "to_train.coverage", _percent),
        row("NDB / 50", "to_train.bins_apart", "{:.2f}".format),
        row("inception score of pitch", "predictions.pitch_inception", "{:.1f}".format),
        row("pitch predicted as requested", "predictions.pitch", _percent, pitch),
        row("the same, octaves forgiven", "predictions.pitch_but_octave", _percent),
        row("pitch entropy, nats", "predictions.pitch_entropy", _plain, entropy),
        row("family predicted as requested", "predictions.family", _percent, family),
        row("cents off the key", "predictions.cents", "{:.2f}".format, cents),
        row("cents off the key, 90 % of notes", "predictions.cents_90", "{:.2f}".format),
        row("distance between keys / instruments", "consistency.ratio", _plain, ratio),
        row("velocity steps that are louder", "velocity.louder", _percent, louder),
        row("dB louder for 25 velocities", "velocity.decibels", "{:.1f}".format),
        row("instruments that are new", "novelty.share", _percent, new),
        row("distance to nearest training instrument", "novelty.median", _plain),
        row("notes with clicks", "faults.clicks", _percent, none),
        row("notes with a DC offset", "faults.offset", _percent, none),
        row("notes that clip", "faults.clipped", _percent, none),
        row("silent notes", "faults.silent", _percent, none),
    ]


def _figure(figures: Figures, path: str) -> float | None:
    """A figure by its attributes, joined by dots; None if a set does not have it."""
    value: Any = figures
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value if value is None else float(value)


def _plain(value: float) -> str:
    return f"{value:.3f}"


def _thousandfold(value: float) -> str:
    return f"{1000 * value:.1f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def to_markdown(table: Sequence[Row]) -> str:
    """Format the table in Markdown."""
    rule = "|" + "---|" * len(HEADER)
    rows = [HEADER, *((*row.cells, row.verdict) for row in table)]
    first, *lines = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([first, rule, *lines])


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
    rows = [dict(zip(HEADER, (*row.cells, row.met), strict=True)) for row in table]
    make_folder(folder)
    write_json(folder / "report.json", {**about, **evaluation.to_json(), "table": rows})
    text = f"# {title}\n\n{explain(evaluation)}\n\n{to_markdown(table)}\n"
    write_text(folder / "report.md", text)
    pictures = {
        "embeddings": plot_embeddings(evaluation.generated, real_notes.notes, title),
        "families": plot_families(evaluation.generated, real_notes.notes["unseen"], title),
        "instruments": plot_instruments(instruments, title),
    }
    for name, picture in pictures.items():
        save_figure(picture, folder / f"{name}.png")
    return table
