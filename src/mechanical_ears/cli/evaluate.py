"""Commands that evaluate what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from mechanical_ears.cli.app import JsonLines, MaybeOutput, Output, evaluate_app

if TYPE_CHECKING:
    from mechanical_ears.evaluation.hearing import Accuracy

Side = Literal["held-out", "train", "validation", "test", "all"]


@evaluate_app.command
def imagination(
    *,
    corpus: Path,
    output: Output,
    model: Path | None = None,
    instruments: int = 500,
    notes: int = 2000,
    seed: int = 0,
    judge: Path | None = None,
    real: Path | None = None,
    json_lines: JsonLines = False,
) -> None:
    """Measure imagined instruments beside real ones, by a network that had no part in them.

    Args:
        corpus: store of 4-s notes at 16 kHz, split by instrument: the imagination's training notes
            and the unseen ones.
        output: folder for report.json, report.md and pictures.
        model: folder of the imagination's weights; the shipped ones if not given.
        instruments: that are drawn by lot.
        notes: random notes of a set; fewer where the store has not so many.
        seed: of all lots.
        judge: file of the evaluation network (ears train judge); the shipped one if not given.
        real: folder in which measured real notes are kept for the next evaluation; REPORT/real if
            not given.
        json_lines: print JSON instead of the table.
    """
    from mechanical_ears.evaluation.imagination import (
        EvaluationPlan,
        evaluate,
        measure_real,
        set_size,
        sheet_instruments,
    )
    from mechanical_ears.evaluation.judge import EvaluationNetwork
    from mechanical_ears.evaluation.report import SHORT_NAMES, write_report
    from mechanical_ears.evaluation.sources import imagination_player, open_store, player_mark
    from mechanical_ears.files import make_folder
    from mechanical_ears.imagining.model import Model
    from mechanical_ears.terminal import progress_bar, show_table

    plan = EvaluationPlan(instruments, notes, seed)
    store, imagination = open_store(corpus), Model(model)
    network = EvaluationNetwork.load(judge)
    set_size(store, plan)  # or it says why not, before the long work
    make_folder(output)
    player = imagination_player(imagination, seed)
    with progress_bar("measuring real notes") as move:
        known = measure_real(store, network, plan, cache=real or output / "real", progress=move)
    with progress_bar("measuring imagined notes") as move:
        evaluation = evaluate(
            player,
            store,
            known,
            network,
            plan,
            cache=output / "imagined",
            mark=player_mark(imagination),
            progress=move,
        )
    sheet = sheet_instruments(player, store, plan)
    about = {
        "model": str(imagination.path),
        "sha256": imagination.sha256,
        "corpus": str(corpus),
        "judge": network.about,
    }
    title = f"Imagination of {imagination.path.name}"
    table = write_report(output, evaluation, known, sheet, about, title)
    if json_lines:
        print(json.dumps(json.loads((output / "report.json").read_text()), ensure_ascii=False))
        return
    verdict = {None: "", True: "yes", False: "no"}
    rows = [
        (row.figure, *row.values, row.target.partition(" (")[0], verdict[row.met]) for row in table
    ]
    title = f"{imagination.path} on {corpus} (*: resynthesised)"
    show_table(title, ("", *SHORT_NAMES, "target", "met"), rows)
    print(f"{output}: {sum(row.met is False for row in table)} of the targets are missed")


@evaluate_app.command
def article(
    model: Positional[Path],
    *,
    corpus: Path,
    side: Side = "held-out",
    output: MaybeOutput = None,
    json_lines: JsonLines = False,
    skip_bad: bool = False,
) -> None:
    """Measure how well the article's network hears the pitch of a corpus.

    Args:
        model: a run folder, or an ONNX file of the article's network.
        corpus: a store, NSynth in either form, or a folder of recordings.
        side: notes of a store to hear; held-out leaves out those of its train side.
        output: folder for report.json and the confusion picture.
        json_lines: print JSON instead of tables.
        skip_bad: leave out records that cannot be read.
    """
    from mechanical_ears.corpus.opening import open_corpus
    from mechanical_ears.evaluation.hearing import evaluate as hear_all
    from mechanical_ears.evaluation.picture import confusion_picture
    from mechanical_ears.files import make_folder, write_json
    from mechanical_ears.listening.article_ears import ArticleEars
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.terminal import progress_bar, show_table

    ears = ArticleEars(model / "model.onnx" if model.is_dir() else model)
    opened = open_corpus(corpus)
    with progress_bar("listening") as move:
        report = hear_all(ears.probabilities, opened, side=side, skip_bad=skip_bad, progress=move)
    values = {"model": str(model), "corpus": str(corpus), "side": side, **report.to_json()}
    if output is not None:
        make_folder(output)
        write_json(output / "report.json", values)
        picture = confusion_picture(report, f"{model.name} on {corpus.name}")
        save_figure(picture, output / "confusion.png")
    if json_lines:
        print(json.dumps(values, ensure_ascii=False))
        return

    def row(name: str, part: Accuracy) -> tuple[object, ...]:
        shares = (part.exact, part.top5, part.chroma, part.within_one)
        return (name, part.notes, *(f"{share:.1%}" for share in shares))

    parts = {"all": report.overall, **report.by_register, **report.by_family}
    header = ("", "notes", "exact", "top 5", "chroma", "within 1")
    show_table(f"{model} on {corpus}", header, [row(*part) for part in parts.items()])
