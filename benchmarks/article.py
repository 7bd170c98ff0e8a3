"""How well the article's network hears pitch: its chart, its accuracy on what it never heard.

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
    """Evaluate the run on every set that is here, and write the section."""
    parser = argparse.ArgumentParser(description="accuracy of a trained article's network")
    parser.add_argument("run", type=Path)
    parser.add_argument("store", type=Path)
    chosen = parser.parse_args()
    ears = ArticleEars(chosen.run / "model.onnx")
    store = open_corpus(chosen.store)
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
    details = ""
    for name, (corpus, side) in sets.items():
        report = evaluate_pitch(ears.probabilities, corpus, side=side)
        rows.append(_row(name, report.overall))
        if "nsynth-dev" in name:
            save_figure(plot_confusion(report, name), PICTURES / "article-confusion.png")
            parts = {**report.by_register, **report.by_family}
            details = markdown_table(_HEADER, [_row(*part) for part in parts.items()])
    log = [json.loads(line) for line in (chosen.run / "log.jsonl").read_text().splitlines()]
    picked = [line for line in log if line["epoch"] in (1, 2, 5, 10, 15, 18, 20, 25, 30)]
    course = markdown_table(
        ("epoch", "loss", "training notes", "unseen presets"),
        [
            (
                line["epoch"],
                f"{line['loss']:.3f}",
                *map(_percent, (line["accuracy"], line["validation_accuracy"])),
            )
            for line in picked
        ],
    )
    shutil.copy(chosen.run / "accuracy.png", PICTURES / "article-accuracy.png")
    write_section(
        "article",
        "The article's network: pitch from raw audio",
        "python benchmarks/article.py RUN STORE",
        "![accuracy after each epoch](pictures/article-accuracy.png)\n\n"
        f"{course}\n\nAfter epoch {log[-1]['epoch']}, on notes of instruments it never heard:\n\n"
        f"{markdown_table(_HEADER, rows)}\n\n"
        f"On nsynth-dev by register (MIDI numbers) and by family:\n\n{details}\n\n"
        "![confusions on nsynth-dev](pictures/article-confusion.png)",
    )


_HEADER = ("", "notes", "exact", "top 5", "octave-blind", "within 1 semitone")


def _row(name: str, part: Accuracy) -> tuple[object, ...]:
    shares = (part.exact, part.top5, part.chroma, part.within_one)
    return (name, part.notes, *map(_percent, shares))


def _percent(share: float) -> str:
    return f"{share:.1%}"


if __name__ == "__main__":
    main()
