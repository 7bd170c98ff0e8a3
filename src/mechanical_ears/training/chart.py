"""The article's chart: accuracy on training and validation notes after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mechanical_ears.pitch import PITCH_COUNT


def accuracy_chart(log: Sequence[dict[str, Any]], path: Path, title: str) -> Path:
    """Draw ``accuracy`` and ``validation_accuracy`` of the log's lines, and the line of chance.

    Raises:
        EarsError: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    from mechanical_ears.pictures import save_figure

    epochs = [line["epoch"] for line in log]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(
        epochs,
        [line["validation_accuracy"] for line in log],
        label="unseen instruments",
        marker=".",
    )
    axes.plot(epochs, [line["accuracy"] for line in log], label="training notes", marker=".")
    axes.axhline(1 / PITCH_COUNT, color="grey", linestyle="--", label=f"chance, 1/{PITCH_COUNT}")
    axes.set(title=title, xlabel="epoch", ylabel="categorical accuracy", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    return save_figure(figure, path)
