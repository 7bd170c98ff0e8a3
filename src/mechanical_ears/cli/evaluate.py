"""Commands that evaluate trained networks: `ears evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from mechanical_ears.cli.app import JsonLines, MaybeOutput, Output, evaluate_app

if TYPE_CHECKING:
    from mechanical_ears.evaluation.pitch_accuracy import Accuracy

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
    """Compare imagined instruments with real ones, by an independent evaluation network.

    Args:
        corpus: store of 4-s notes at 16 kHz, split by instrument: the notes the imagination was
            trained on and unseen ones.
        output: folder for report.json, report.md and pictures.
        model: folder of the imagination's weights; default: the shipped ones.
        instruments: number of random instruments.
        notes: number of random notes in each set; fewer if the store holds fewer.
        seed: seed of all random choices.
        judge: file of the evaluation network (ears train judge); default: the shipped one.
        real: folder that caches the measurements of real notes for the next evaluation; default:
            OUTPUT/real.
        json_lines: print JSON instead of the table.
    """
    from mechanical_ears.evaluation.imagination import evaluate_generator, sample_instruments
    from mechanical_ears.evaluation.judge import EvaluationNetwork
    from mechanical_ears.evaluation.note_sets import (
        imagined_note_generator,
        model_digest,
        open_store,
    )
    from mechanical_ears.evaluation.real_notes import (
        EvaluationPlan,
        measure_real_notes,
        notes_per_set,
    )
    from mechanical_ears.evaluation.report import SHORT_NAMES, write_report
    from mechanical_ears.files import make_folder
    from mechanical_ears.imagining.model import Model
    from mechanical_ears.terminal import print_table, progress_bar

    plan = EvaluationPlan(instruments, notes, seed)
    store, imagination = open_store(corpus), Model(model)
    network = EvaluationNetwork.load(judge)
    notes_per_set(store, plan)  # raises before the long work starts
    make_folder(output)
    player = imagined_note_generator(imagination, seed)
    with progress_bar("measuring real notes") as move:
        known = measure_real_notes(
            store, network, plan, cache=real or output / "real", progress=move
        )
    cache, digest = output / "imagined", model_digest(imagination)
    with progress_bar("measuring imagined notes") as move:
        evaluation = evaluate_generator(
            player, store, known, network, plan, cache=cache, digest=digest, progress=move
        )
    sheet = sample_instruments(player, store, plan)
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
    rows = [(*row.cells[:-1], row.target.partition(" (")[0], row.verdict) for row in table]
    title = f"{imagination.path} on {corpus} (*: resynthesised)"
    print_table(title, ("", *SHORT_NAMES, "target", "met"), rows)
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
    """Measure the pitch accuracy of the article's network on a corpus.

    Args:
        model: a run folder, or an ONNX file of the article's network.
        corpus: a store, NSynth in either form, or a folder of recordings.
        side: side of the store's split; held-out: all but its train side.
        output: folder for report.json and the confusion picture.
        json_lines: print JSON instead of tables.
        skip_bad: skip records that cannot be read.
    """
    from mechanical_ears.corpus.open_corpus import open_corpus
    from mechanical_ears.evaluation.pitch_accuracy import evaluate_pitch
    from mechanical_ears.evaluation.plots import plot_confusion
    from mechanical_ears.files import make_folder, write_json
    from mechanical_ears.listening.article_ears import ArticleEars
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.terminal import print_table, progress_bar

    ears = ArticleEars(model / "model.onnx" if model.is_dir() else model)
    opened = open_corpus(corpus)
    with progress_bar("listening") as move:
        report = evaluate_pitch(
            ears.probabilities, opened, side=side, skip_bad=skip_bad, progress=move
        )
    values = {"model": str(model), "corpus": str(corpus), "side": side, **report.to_json()}
    if output is not None:
        make_folder(output)
        write_json(output / "report.json", values)
        picture = plot_confusion(report, f"{model.name} on {corpus.name}")
        save_figure(picture, output / "confusion.png")
    if json_lines:
        print(json.dumps(values, ensure_ascii=False))
        return

    def row(name: str, part: Accuracy) -> tuple[object, ...]:
        shares = (part.exact, part.top5, part.chroma, part.within_one)
        return (name, part.notes, *(f"{share:.1%}" for share in shares))

    parts = {"all": report.overall, **report.by_register, **report.by_family}
    header = ("", "notes", "exact", "top 5", "chroma", "within 1")
    print_table(f"{model} on {corpus}", header, [row(*part) for part in parts.items()])
