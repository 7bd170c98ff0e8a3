"""Pictures of sounds: waveform, spectrum, spectrogram, and all three on one sheet.

Levels are decibels below the strongest value, 20 · log10(value / strongest). Logarithmic frequency
axes give every octave the same room and name its C on the other side. Figures are made without
pyplot: no display is needed, and a figure goes when its last reference goes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    MultipleLocator,
    NullLocator,
)
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError, SoundError
from mechanical_ears.files import write_atomically
from mechanical_ears.pitch import midi_to_hz, midi_to_name
from mechanical_ears.spectra import FLOOR_DB, Spectrogram, Spectrum

Scale = Literal["linear", "log"]
FORMATS = (".png", ".svg", ".pdf")

INK = "#22223b"
FAINT = "#d9d9e3"
WAVE = "#51127c"  # of magma, at a quarter
ACCENT = "#f1605d"  # of magma, at two thirds
COLOURS = "magma"
STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.1,
    "lines.solid_joinstyle": "round",
    "svg.fonttype": "none",
}

_LOWEST = 25.0  # Hz, where logarithmic axes begin
_ROOM = 1.08  # height of a waveform's axis beside its peak
_COLUMNS = 1500  # of a waveform or spectrogram; more cannot be told apart in a picture
_ROWS = 500  # of a spectrogram, for the same reason
_DOTS = 150  # samples up to which each one is drawn as a dot
_CLOSE_UP = 0.03  # s

P = ParamSpec("P")


class SoundLike(Protocol):
    """What a picture needs of a sound; see ``sound.Sound``, which is drawn with this module."""

    @property
    def samples(self) -> NDArray[np.float32]:
        """Float32 (samples,) or (samples, channels)."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""

    def spectrum(self) -> Spectrum:
        """Intensity of each frequency."""

    def spectrogram(self) -> Spectrogram:
        """Magnitude of each frequency at each time."""


class Picture(Figure):
    """A matplotlib figure that notebooks show without pyplot."""

    def _repr_png_(self) -> bytes:
        return encode_png(self)


def with_style(draw: Callable[P, Picture]) -> Callable[P, Picture]:
    """Draw in our style whatever the user's matplotlib is set to."""

    @wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Picture:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


@with_style
def plot_waveform(sound: SoundLike, *, seconds: float | None = 0.1, start: float = 0.0) -> Picture:
    """Amplitude over time.

    Args:
        sound: what to draw.
        seconds: length of the stretch to draw in s; None for all there is.
        start: where the stretch begins, in s.

    Raises:
        SoundError: nothing of the sound lies in the stretch.
    """
    figure = Picture(figsize=(8, 2.6))
    draw_waveform(figure.subplots(), sound, seconds=seconds, start=start)
    return figure


@with_style
def plot_spectrum(sound: SoundLike, *, scale: Scale = "linear") -> Picture:
    """Intensity of each frequency in the whole sound, in dB.

    Args:
        sound: what to draw.
        scale: of the frequency axis.
    """
    _refuse_empty(sound)
    figure = Picture(figsize=(8, 3))
    axes = figure.subplots()
    found = sound.spectrum()
    axes.fill_between(found.frequencies, found.decibels(), FLOOR_DB, color=WAVE, alpha=0.15, lw=0)
    axes.plot(found.frequencies, found.decibels(), color=WAVE)
    axes.set(xlabel="frequency (Hz)", ylabel="intensity (dB)", ylim=(FLOOR_DB, 3))
    _frequency_axis(axes, "x", sound.sample_rate, scale)
    return figure


@with_style
def plot_spectrogram(sound: SoundLike, *, scale: Scale = "log", floor: float = FLOOR_DB) -> Picture:
    """Level of each frequency at each time.

    Args:
        sound: what to draw.
        scale: of the frequency axis.
        floor: dB below the strongest, which and below which is black.
    """
    figure = Picture(figsize=(8, 4))
    axes = figure.subplots()
    mesh = draw_spectrogram(axes, sound, scale=scale, floor=floor)
    _decibel_bar(figure, mesh, axes)
    return figure


@with_style
def plot_preview(sound: SoundLike) -> Picture:
    """Waveform over spectrogram, small: what a notebook shows above its player."""
    figure = Picture(figsize=(7.6, 2.8))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    draw_waveform(above, sound, seconds=None)
    draw_spectrogram(below, sound, notes=False)
    above.set(xlabel="", ylabel="")
    above.tick_params(labelbottom=False)
    below.set(xlabel=f"time (s), at {_spaced(sound.sample_rate)} Hz")
    return figure


@with_style
def plot_overview(sound: SoundLike, title: str = "") -> Picture:
    """Everything at one look: waveform, close-up, spectrogram and spectrum.

    Args:
        sound: what to draw.
        title: a headline, such as the name of the file.
    """
    _refuse_empty(sound)
    figure = Picture(figsize=(11, 6.6))
    figure.get_layout_engine().set(rect=(0, 0, 1, 0.94))  # type: ignore[union-attr, call-arg]
    figure.text(0.012, 0.965, title, va="center", fontsize=14, fontweight="bold")
    figure.text(0.988, 0.965, _facts(sound), va="center", ha="right", alpha=0.75)
    grid = figure.subplots(2, 2, height_ratios=[1, 2.4], width_ratios=[2.6, 1])
    whole, close, below, right = grid.flat

    draw_waveform(whole, sound, seconds=None)
    whole.set(title="Waveform", xlabel="")
    levels = np.abs(sound.samples).reshape(len(sound.samples), -1).max(axis=1)
    loudest = int(levels.argmax()) / sound.sample_rate
    start = max(0.0, min(loudest, sound.seconds - _CLOSE_UP))
    whole.axvspan(start, start + min(_CLOSE_UP, sound.seconds), color=ACCENT, alpha=0.5, lw=0)
    draw_waveform(close, sound, seconds=_CLOSE_UP, start=start)
    close.set(title=f"Close-up of {1000 * _CLOSE_UP:.0f} ms", ylabel="")
    close.tick_params(labelleft=False)
    close.xaxis.set_major_locator(MaxNLocator(4))
    close.set_ylim(whole.get_ylim())

    mesh = draw_spectrogram(below, sound, notes=False)
    below.set(title="Spectrogram", xlim=whole.get_xlim())
    _decibel_bar(figure, mesh, below)

    found = sound.spectrum()
    frequencies, levels = found.frequencies, found.decibels()
    right.fill_betweenx(frequencies, levels, FLOOR_DB, color=WAVE, alpha=0.15, lw=0)
    right.plot(levels, frequencies, color=WAVE)
    right.set(title="Spectrum", xlabel="intensity (dB)", xlim=(FLOOR_DB, 3))
    _frequency_axis(right, "y", sound.sample_rate, "log")
    right.set(ylabel="")
    right.tick_params(axis="y", labelleft=False)
    return figure


def draw_waveform(
    axes: Axes, sound: SoundLike, *, seconds: float | None = None, start: float = 0.0
) -> None:
    """Draw amplitude over time: dots, a line, or the outline, as many samples as there are.

    Raises:
        SoundError: nothing of the sound lies in the stretch.
    """
    first = max(0, round(start * sound.sample_rate))
    last = None if seconds is None else first + round(seconds * sound.sample_rate)
    samples = sound.samples[first:last]
    if len(samples) == 0:
        raise SoundError(
            f"nothing to draw from {start:g} s on, the sound is {sound.seconds:g} s long"
        )
    times = (first + np.arange(len(samples))) / sound.sample_rate
    if len(samples) > 4 * _COLUMNS:
        each = -(-len(samples) // _COLUMNS)
        starts = np.arange(0, len(samples), each)
        rows = samples.reshape(len(samples), -1)  # of all channels
        lows = np.minimum.reduceat(rows.min(axis=1), starts)
        highs = np.maximum.reduceat(rows.max(axis=1), starts)
        axes.fill_between(times[starts], lows, highs, color=WAVE, lw=0.5)
    else:
        marker = "." if len(samples) <= _DOTS else ""
        axes.plot(times, samples, color=WAVE, marker=marker, markersize=7, mec="none", mfc=ACCENT)
    highest = _ROOM * max(float(np.abs(samples).max()), 1e-4)
    axes.set(xlabel="time (s)", ylabel="amplitude", ylim=(-highest, highest))
    axes.set_xlim(times[0], times[-1] + 1 / sound.sample_rate)
    axes.axhline(0, color=INK, lw=0.6, alpha=0.5)


def draw_spectrogram(
    axes: Axes,
    sound: SoundLike,
    *,
    scale: Scale = "log",
    floor: float = FLOOR_DB,
    notes: bool = True,
) -> ScalarMappable:
    """Draw the level of each frequency at each time; give what a colour bar needs.

    Raises:
        SoundError: the sound is empty.
    """
    _refuse_empty(sound)
    heard = sound.spectrogram()
    levels, times = heard.decibels(floor), heard.times
    if len(times) > _COLUMNS:
        starts = np.arange(0, len(times), -(-len(times) // _COLUMNS))
        levels, times = np.maximum.reduceat(levels, starts, axis=1), times[starts]
    step = times[1] - times[0] if len(times) > 1 else sound.seconds
    columns = np.append(times, times[-1] + step) - step / 2
    highest = sound.sample_rate / 2
    space = np.geomspace if scale == "log" else np.linspace
    edges = space(_lowest(highest) if scale == "log" else 0.0, highest, _ROWS + 1)
    rows = pool_rows(levels, heard.frequencies, edges)
    mesh = axes.pcolormesh(columns, edges, rows, cmap=COLOURS, vmin=floor, vmax=0, rasterized=True)
    axes.set(xlabel="time (s)", xlim=(0, sound.seconds))
    axes.grid(False)
    _frequency_axis(axes, "y", sound.sample_rate, scale, notes=notes)
    return mesh


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, SVG or PDF by its suffix, whole or not at all.

    Raises:
        EarsError: the suffix is not one of ``FORMATS``, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise EarsError(
            f'the suffix "{path.suffix}" names no picture format',
            path=path,
            remedy=f"use one of {', '.join(FORMATS)}",
        )
    with write_atomically(path) as temporary:
        temporary.write_bytes(_rendered(figure, path.suffix[1:].lower()))
    return path


def encode_png(figure: Figure) -> bytes:
    """The bytes of a PNG file of a figure."""
    return _rendered(figure, "png")


def _rendered(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format=kind, dpi=150)
    return file.getvalue()


def pool_rows(
    levels: NDArray[np.float32], frequencies: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Levels (bins, frames) on the rows between ``edges`` in Hz: a picture loses no partial.

    A row takes the strongest bin inside it, or lies between its neighbours where it has none.
    """
    ends = np.searchsorted(frequencies, edges)
    filled = ends[1:] > ends[:-1]
    strongest = np.maximum.reduceat(levels, np.minimum(ends[:-1], len(levels) - 1), axis=0)
    places = 0.5 * (edges[1:] + edges[:-1]) / frequencies[1]
    below = np.minimum(places.astype(int), len(levels) - 2)
    share = (places - below)[:, None]
    between = levels[below] * (1 - share) + levels[below + 1] * share
    return np.where(filled[:, None], strongest, between).astype(np.float32)


def _facts(sound: SoundLike) -> str:
    peak = float(np.abs(sound.samples).max())
    level = f"peak {20 * np.log10(peak):.1f} dBFS".replace("-", "−") if peak else "silent"
    return f"{sound.seconds:.2f} s  ·  {_spaced(sound.sample_rate)} Hz  ·  {level}"


def _lowest(highest: float) -> float:
    """Where a logarithmic axis up to ``highest`` Hz begins, in Hz."""
    return min(_LOWEST, highest / 8)


def _refuse_empty(sound: SoundLike) -> None:
    if len(sound.samples) == 0:
        raise SoundError("nothing to draw, the sound holds no samples")


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _frequency_axis(
    axes: Axes, which: Literal["x", "y"], sample_rate: int, scale: Scale, notes: bool = True
) -> None:
    """Frequencies in Hz on one axis; the Cs of a logarithmic one named on the other side."""
    highest = sample_rate / 2
    axis = axes.xaxis if which == "x" else axes.yaxis
    limit = axes.set_xlim if which == "x" else axes.set_ylim
    axis.set_label_text("frequency (Hz)")
    if scale == "linear":
        limit(0, highest)
        axis.set_major_formatter(FuncFormatter(lambda hertz, _: _spaced(round(hertz))))
        return
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    lowest = _lowest(highest)
    limit(lowest, highest)
    rounds = [digit * 10.0**power for power in range(5) for digit in (1, 2, 5)]
    axis.set_major_locator(FixedLocator([hertz for hertz in rounds if lowest <= hertz <= highest]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda hertz, _: _spaced(round(hertz))))
    if notes:
        keys = [key for key in range(0, 128, 12) if lowest <= midi_to_hz(key) <= highest]
        other = axes.secondary_xaxis("top") if which == "x" else axes.secondary_yaxis("right")
        other_axis = other.xaxis if which == "x" else other.yaxis
        other_axis.set_major_locator(FixedLocator([midi_to_hz(key) for key in keys]))
        other_axis.set_minor_locator(NullLocator())
        other_axis.set_major_formatter(FuncFormatter(lambda _, at: midi_to_name(keys[at])))
        other.tick_params(colors=INK, length=3, labelsize=8.5)
        other.spines[:].set_visible(False)


def _decibel_bar(figure: Figure, mesh: ScalarMappable, axes: Axes) -> None:
    bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=30)
    bar.set_label("level (dB)")
    bar.locator = MultipleLocator(20)
    bar.outline.set_visible(False)
    bar.update_ticks()
