"""Plots of an evaluation: embeddings in a plane, confusion of families and keys, spectrograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.evaluation.measurements import NoteMeasurements, Notes
from mechanical_ears.evaluation.pitch_accuracy import PitchReport
from mechanical_ears.evaluation.playability import family_confusion
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE
from mechanical_ears.pictures import ACCENT, COLOURS, FAINT, WAVE, Picture, with_style
from mechanical_ears.pitch import PITCH_COUNT, midi_to_name
from mechanical_ears.spectra import stft

SAMPLE_COLUMNS: Final = 8  # instruments side by side
RANGE_DB: Final = 70.0  # below the maximum of a note
WINDOW, HOP = 1024, 400  # samples at 16 kHz
MAX_FREQUENCY: Final = 6000.0  # Hz
MAX_POINTS: Final = 1500  # of a set in the plane


def principal_plane(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], ...]:
    """Mean (features,) and the first two principal directions (2, features) of points.

    The largest number of each direction is positive, so that the plane does not flip at random.
    """
    values = np.asarray(points, dtype=np.float64)
    mean = values.mean(axis=0)
    directions = np.linalg.eigh(np.cov(values - mean, rowvar=False))[1][:, ::-1][:, :2].T
    signs = np.sign(directions[np.arange(2), np.abs(directions).argmax(axis=1)])
    return mean, directions * signs[:, None]


@with_style
def plot_embeddings(
    generated: NoteMeasurements, real: Mapping[str, NoteMeasurements], title: str
) -> Picture:
    """Plot real and generated notes in the plane of the largest variance of training notes."""
    mean, directions = principal_plane(real["train"].features)
    panels = {
        "training notes": (real["train"], "#8d8da8"),
        "unseen instruments": (real["unseen"], WAVE),
        "generated": (generated, ACCENT),
    }
    picture = Picture(figsize=(12, 4.4))
    all_axes = picture.subplots(1, 3, sharex=True, sharey=True)
    background = (real["train"].features[:MAX_POINTS] - mean) @ directions.T
    for axes, (name, (notes, colour)) in zip(all_axes, panels.items(), strict=True):
        points = (notes.features[:MAX_POINTS] - mean) @ directions.T
        axes.scatter(*background.T, s=3, color=FAINT, linewidths=0)
        axes.scatter(*points.T, s=3, color=colour, alpha=0.6, linewidths=0)
        axes.set(title=f"{name} ({len(notes):,} notes)", xlabel="first principal component")
        axes.grid(False)
    all_axes[0].set_ylabel("second principal component")
    picture.suptitle(f"{title}: features of the evaluation network; grey: training notes")
    return picture


@with_style
def plot_families(generated: NoteMeasurements, unseen: NoteMeasurements, title: str) -> Picture:
    """Plot predicted families of generated and of unseen real notes; rows (labels) sum to 1."""
    picture = Picture(figsize=(12, 5.6))
    sets = {"generated": generated, "unseen instruments": unseen}
    image = None
    for axes, (name, notes) in zip(picture.subplots(1, 2), sets.items(), strict=True):
        counts = family_confusion(notes)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        shares[counts.sum(axis=1) == 0] = np.nan
        image = axes.imshow(shares, cmap=COLOURS, vmin=0, vmax=1, interpolation="none")
        axes.set_xticks(range(len(FAMILIES)), FAMILIES, rotation=60)
        axes.set_yticks(range(len(FAMILIES)), FAMILIES)
        accuracy = np.trace(counts) / max(counts.sum(), 1)
        axes.set(
            title=f"{name}: {accuracy:.1%} predicted as labelled",
            xlabel="predicted",
            ylabel="labelled",
        )
        axes.grid(False)
        for y, x in np.argwhere(shares >= 0.005):
            shade = "white" if shares[y, x] < 0.6 else "black"
            text = f"{100 * shares[y, x]:.0f}"
            axes.text(x, y, text, ha="center", va="center", size=7, color=shade)
    assert image is not None
    picture.colorbar(image, ax=picture.axes, label="share of the family's notes", aspect=40)
    picture.suptitle(title)
    return picture


@with_style
def plot_instruments(instruments: Sequence[Notes], title: str) -> Picture:
    """Plot spectrograms: instruments in columns and bands, their keys above each other."""
    keys = len(instruments[0])
    bands = -(-len(instruments) // SAMPLE_COLUMNS)  # of instruments
    picture = Picture(figsize=(1.75 * SAMPLE_COLUMNS, 1.0 * keys * bands + 0.5))
    panels = picture.subplots(bands * keys, SAMPLE_COLUMNS, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat:
        axes.set_axis_off()
    for number, notes in enumerate(instruments):
        band, column = divmod(number, SAMPLE_COLUMNS)
        for key in range(keys):
            axes = panels[band * keys + key, column]
            level = 20 * np.log10(np.abs(stft(notes.audio[key], WINDOW, HOP)) + 1e-9)
            level = level[: round(MAX_FREQUENCY * WINDOW / NOTE_SAMPLE_RATE)]
            top = float(level.max())
            axes.imshow(
                level, aspect="auto", origin="lower", vmin=top - RANGE_DB, vmax=top, cmap=COLOURS
            )
            if key == 0:
                axes.set_title(f"{number} {FAMILIES[notes.family[0]]}", fontsize=7.5)
    names = ", ".join(midi_to_name(int(key)) for key in instruments[0].pitch)
    picture.suptitle(
        f"{title}: random instruments, not selected; {names} each, 0–4 s × 0–6 kHz, 70 dB",
        fontsize=10,
    )
    return picture


@with_style
def plot_confusion(report: PitchReport, title: str) -> Picture:
    """Plot the confusion matrix of a report; each row (a labelled key) sums to 1."""
    counts = report.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    used = np.flatnonzero(counts.sum(axis=1) + counts.sum(axis=0))
    low, high = int(used.min()), int(used.max())
    picture = Picture(figsize=(7.5, 6.5))
    axes = picture.add_subplot()
    image = axes.imshow(shares, origin="lower", cmap=COLOURS, vmin=0, vmax=1, interpolation="none")
    octaves = [key for key in range(0, PITCH_COUNT, 12) if low <= key <= high]
    names = [f"{midi_to_name(key)} ({key})" for key in octaves]
    axes.set_xticks(octaves, names, rotation=45)
    axes.set_yticks(octaves, names)
    axes.grid(False)
    axes.set(
        title=title,
        xlabel="predicted key (MIDI)",
        ylabel="labelled key (MIDI)",
        xlim=(low - 0.5, high + 0.5),
        ylim=(low - 0.5, high + 0.5),
    )
    picture.colorbar(image, label="share of the labelled key's notes")
    return picture
