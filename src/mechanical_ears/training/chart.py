"""Chart of a training: accuracy on training and validation notes after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator, PercentFormatter

from mechanical_ears.pictures import ACCENT, INK, WAVE, Picture, with_style
from mechanical_ears.pitch import PITCH_COUNT


@with_style
def accuracy_chart(log: Sequence[dict[str, Any]], title: str) -> Picture:
    """Plot ``accuracy`` and ``validation_accuracy`` of a log, and the accuracy of guessing."""
    epochs = [line["epoch"] for line in log]
    picture = Picture(figsize=(8, 4.5))
    axes = picture.add_subplot()
    lines = {"validation_accuracy": ("unseen instruments", ACCENT), "accuracy": ("training", WAVE)}
    for key, (label, colour) in lines.items():
        axes.plot(epochs, [line[key] for line in log], label=label, color=colour, marker=".")
    chance = 1 / PITCH_COUNT
    axes.axhline(chance, color=INK, linestyle="--", linewidth=0.8, label=f"chance, 1/{PITCH_COUNT}")
    axes.set(title=title, xlabel="epoch", ylabel="categorical accuracy", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False)
    return picture
