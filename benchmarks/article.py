"""Accuracy of the article's network: its training curve, and instruments outside its training.

python benchmarks/article.py RUN STORE
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from harness import ROOT, markdown_table, write_section
from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.corpus.open_corpus import open_corpus
from mechanical_ears.corpus.store import ALL_SIDES
from mechanical_ears.evaluation.pitch_accuracy import Accuracy, evaluate_pitch
from mechanical_ears.evaluation.plots import plot_confusion
from mechanical_ears.listening.article_ears import ArticleEars
from mechanical_ears.pictures import save_figure

DATA = ROOT.parent / "shared" / "data"
PICTURES = ROOT / "docs" / "pictures"


def main() -> None:
    """Evaluate the run on all sets and write the section."""
    parser = argparse.ArgumentParser(description="accuracy of a trained article's network")
    parser.add_argument("run", type=Path)
    parser.add_argument("store", type=Path)
    options = parser.parse_args()
    ears = ArticleEars(options.run / "model.onnx")
    store = open_corpus(options.store)
    sets: dict[str, tuple[Corpus, str]] = {
        "FluidR3, validation presets": (store, "validation"),
        "FluidR3, test presets": (store, "test"),
        "NSynth test split, 28 instruments (nsynth-dev)": (
            open_corpus(DATA / "nsynth-dev"),
            ALL_SIDES,
        ),
        "Spanish guitar, recorded": (open_corpus(DATA / "spanish-guitar"), ALL_SIDES),
        "upright piano, recorded": (open_corpus(DATA / "upright-piano-kw"), ALL_SIDES),
    }
    rows = []
    by_group = ""
    for name, (corpus, side) in sets.items():
        report = evaluate_pitch(ears.probabilities, corpus, side=side)
        rows.append(_row(name, report.overall))
        if "nsynth-dev" in name:
            save_figure(plot_confusion(report, name), PICTURES / "article-confusion.png")
            groups = {**report.by_register, **report.by_family}
            by_group = markdown_table(_HEADER, [_row(*group) for group in groups.items()])
    log = [json.loads(line) for line in (options.run / "log.jsonl").read_text().splitlines()]
    epochs = [line for line in log if line["epoch"] in (1, 2, 5, 10, 15, 18, 20, 25, 30)]
    curve = markdown_table(
        ("epoch", "loss", "training notes", "unseen presets"),
        [
            (
                line["epoch"],
                f"{line['loss']:.3f}",
                *map(_percent, (line["accuracy"], line["validation_accuracy"])),
            )
            for line in epochs
        ],
    )
    shutil.copy(options.run / "accuracy.png", PICTURES / "article-accuracy.png")
    write_section(
        "article",
        "The article's network: pitch from raw audio",
        "python benchmarks/article.py RUN STORE",
        "![accuracy after each epoch](pictures/article-accuracy.png)\n\n"
        f"{curve}\n\nAfter epoch {log[-1]['epoch']}, on notes of instruments outside its training "
        "(*chroma*: octaves ignored):\n\n"
        f"{markdown_table(_HEADER, rows)}\n\n"
        f"On nsynth-dev by register (MIDI numbers) and by family:\n\n{by_group}\n\n"
        "![confusions on nsynth-dev](pictures/article-confusion.png)",
    )


_HEADER = ("", "notes", "exact", "top 5", "chroma", "within 1 semitone")


def _row(name: str, accuracy: Accuracy) -> tuple[object, ...]:
    shares = (accuracy.exact, accuracy.top5, accuracy.chroma, accuracy.within_one)
    return (name, accuracy.notes, *map(_percent, shares))


def _percent(share: float) -> str:
    return f"{share:.1%}"


if __name__ == "__main__":
    main()
