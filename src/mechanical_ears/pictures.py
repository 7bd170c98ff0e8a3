"""Pictures of sounds: waveform, spectrum, spectrogram, and an overview of all three.

Levels are in decibels relative to the strongest value, 20 · log10(value / strongest). Logarithmic
frequency axes label each C on the opposite side. Figures are created without pyplot: they need no
display and are freed with their last reference.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from mechanical_ears import frequency_axis
from mechanical_ears.errors import SoundError
from mechanical_ears.files import check_suffix, write_atomically
from mechanical_ears.frequency_axis import Scale, format_thousands
from mechanical_ears.spectra import FLOOR_DB, Spectrogram, Spectrum

FORMATS = (".png", ".svg", ".pdf")

INK = "#22223b"
FAINT = "#d9d9e3"
WAVE = "#51127c"  # magma at 1/4
ACCENT = "#f1605d"  # magma at 2/3
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

_HEADROOM = 1.08  # height of a waveform's axis relative to its peak
_MAX_COLUMNS = 1500  # of a waveform or spectrogram; finer ones look the same
_MAX_ROWS = 500  # of a spectrogram, for the same reason
_MAX_DOTS = 150  # samples up to which each one is drawn as a dot
_CLOSE_UP_SECONDS = 0.03  # s

P = ParamSpec("P")


class SoundLike(Protocol):
    """The part of ``sound.Sound`` that pictures need.

    A protocol instead of the class, because ``Sound.plot`` uses this module.
    """

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


def with_style(plot: Callable[P, Picture]) -> Callable[P, Picture]:
    """Decorate a drawing function to use ``STYLE`` instead of the user's matplotlib settings."""

    @wraps(plot)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Picture:
        with mpl.rc_context(STYLE):
            return plot(*args, **kwargs)

    return wrapper


@with_style
def plot_waveform(sound: SoundLike, *, seconds: float | None = 0.1, start: float = 0.0) -> Picture:
    """Amplitude over time.

    Args:
        sound: the sound to draw.
        seconds: length of the section in seconds; None for the rest of the sound.
        start: beginning of the section in seconds.

    Raises:
        SoundError: the section holds no sample.
    """
    figure = Picture(figsize=(8, 2.6))
    draw_waveform(figure.subplots(), sound, seconds=seconds, start=start)
    return figure


@with_style
def plot_spectrum(sound: SoundLike, *, scale: Scale = "linear") -> Picture:
    """Intensity of each frequency in the whole sound, in dB.

    Args:
        sound: the sound to draw.
        scale: of the frequency axis.

    Raises:
        SoundError: the sound is empty.
    """
    _refuse_empty(sound)
    figure = Picture(figsize=(8, 3))
    axes = figure.subplots()
    spectrum = sound.spectrum()
    frequencies, levels = spectrum.frequencies, spectrum.decibels()
    axes.fill_between(frequencies, levels, FLOOR_DB, color=WAVE, alpha=0.15, lw=0)
    axes.plot(frequencies, levels, color=WAVE)
    axes.set(xlabel="frequency (Hz)", ylabel="intensity (dB)", ylim=(FLOOR_DB, 3))
    frequency_axis.format_frequency_axis(axes, "x", sound.sample_rate, scale)
    return figure


@with_style
def plot_spectrogram(sound: SoundLike, *, scale: Scale = "log", floor: float = FLOOR_DB) -> Picture:
    """Level of each frequency at each time.

    Args:
        sound: the sound to draw.
        scale: of the frequency axis.
        floor: lowest level in dB relative to the strongest; it and all below are black.

    Raises:
        SoundError: the sound is empty.
    """
    figure = Picture(figsize=(8, 4))
    axes = figure.subplots()
    mesh = draw_spectrogram(axes, sound, scale=scale, floor=floor)
    _decibel_bar(figure, mesh, axes)
    return figure


@with_style
def plot_preview(sound: SoundLike) -> Picture:
    """Small waveform above a spectrogram: what a notebook shows above its player."""
    figure = Picture(figsize=(7.6, 2.8))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    draw_waveform(above, sound, seconds=None)
    draw_spectrogram(below, sound, notes=False)
    above.set(xlabel="", ylabel="")
    above.tick_params(labelbottom=False)
    below.set(xlabel=f"time (s), at {format_thousands(sound.sample_rate)} Hz")
    return figure


@with_style
def plot_overview(sound: SoundLike, title: str = "") -> Picture:
    """Waveform, close-up at the peak, spectrogram and spectrum.

    Args:
        sound: the sound to draw.
        title: a headline, such as the name of the file.

    Raises:
        SoundError: the sound is empty.
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
    amplitudes = np.abs(sound.samples).reshape(len(sound.samples), -1).max(axis=1)
    peak_time = int(amplitudes.argmax()) / sound.sample_rate
    start = max(0.0, min(peak_time, sound.seconds - _CLOSE_UP_SECONDS))
    end = start + min(_CLOSE_UP_SECONDS, sound.seconds)
    whole.axvspan(start, end, color=ACCENT, alpha=0.5, lw=0)
    draw_waveform(close, sound, seconds=_CLOSE_UP_SECONDS, start=start)
    close.set(title=f"Close-up of {1000 * _CLOSE_UP_SECONDS:.0f} ms", ylabel="")
    close.tick_params(labelleft=False)
    close.xaxis.set_major_locator(MaxNLocator(4))
    close.set_ylim(whole.get_ylim())

    mesh = draw_spectrogram(below, sound, notes=False)
    below.set(title="Spectrogram", xlim=whole.get_xlim())
    _decibel_bar(figure, mesh, below)

    spectrum = sound.spectrum()
    frequencies, levels = spectrum.frequencies, spectrum.decibels()
    right.fill_betweenx(frequencies, levels, FLOOR_DB, color=WAVE, alpha=0.15, lw=0)
    right.plot(levels, frequencies, color=WAVE)
    right.set(title="Spectrum", xlabel="intensity (dB)", xlim=(FLOOR_DB, 3))
    frequency_axis.format_frequency_axis(right, "y", sound.sample_rate, "log")
    right.set(ylabel="")
    right.tick_params(axis="y", labelleft=False)
    return figure


def draw_waveform(
    axes: Axes, sound: SoundLike, *, seconds: float | None = None, start: float = 0.0
) -> None:
    """Draw amplitude over time: dots, a line or an outline, depending on the number of samples.

    Args:
        axes: where to draw.
        sound: the sound to draw; all its channels.
        seconds: length of the section in seconds; None for the rest of the sound.
        start: beginning of the section in seconds.

    Raises:
        SoundError: the section holds no sample.
    """
    first = max(0, round(start * sound.sample_rate))
    last = None if seconds is None else first + round(seconds * sound.sample_rate)
    samples = sound.samples[first:last]
    if len(samples) == 0:
        length = f"the sound is {sound.seconds:g} s long"
        raise SoundError(f"nothing to draw from {start:g} s on, {length}")
    times = (first + np.arange(len(samples))) / sound.sample_rate
    if len(samples) > 4 * _MAX_COLUMNS:
        step = -(-len(samples) // _MAX_COLUMNS)
        starts = np.arange(0, len(samples), step)
        rows = samples.reshape(len(samples), -1)  # of all channels
        lows = np.minimum.reduceat(rows.min(axis=1), starts)
        highs = np.maximum.reduceat(rows.max(axis=1), starts)
        axes.fill_between(times[starts], lows, highs, color=WAVE, lw=0.5)
    else:
        marker = "." if len(samples) <= _MAX_DOTS else ""
        axes.plot(times, samples, color=WAVE, marker=marker, markersize=7, mec="none", mfc=ACCENT)
    limit = _HEADROOM * max(float(np.abs(samples).max()), 1e-4)
    axes.set(xlabel="time (s)", ylabel="amplitude", ylim=(-limit, limit))
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
    """Draw the level of each frequency at each time.

    Args:
        axes: where to draw.
        sound: the sound to draw.
        scale: of the frequency axis.
        floor: lowest level in dB relative to the strongest.
        notes: label each C on the opposite side of a logarithmic axis.

    Returns:
        The mesh, for a colour bar.

    Raises:
        SoundError: the sound is empty.
    """
    _refuse_empty(sound)
    spectrogram = sound.spectrogram()
    levels, times = spectrogram.decibels(floor), spectrogram.times
    if len(times) > _MAX_COLUMNS:
        starts = np.arange(0, len(times), -(-len(times) // _MAX_COLUMNS))
        levels, times = np.maximum.reduceat(levels, starts, axis=1), times[starts]
    step = times[1] - times[0] if len(times) > 1 else sound.seconds
    columns = np.append(times, times[-1] + step) - step / 2
    nyquist = sound.sample_rate / 2
    space = np.geomspace if scale == "log" else np.linspace
    edges = space(
        frequency_axis.min_frequency(nyquist) if scale == "log" else 0.0, nyquist, _MAX_ROWS + 1
    )
    rows = frequency_axis.pool_rows(levels, spectrogram.frequencies, edges)
    mesh = axes.pcolormesh(columns, edges, rows, cmap=COLOURS, vmin=floor, vmax=0, rasterized=True)
    axes.set(xlabel="time (s)", xlim=(0, sound.seconds))
    axes.grid(False)
    frequency_axis.format_frequency_axis(axes, "y", sound.sample_rate, scale, notes=notes)
    return mesh


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, SVG or PDF, by the suffix of the path.

    Raises:
        EarsError: the suffix is not one of ``FORMATS``, or the file cannot be written.
    """
    path = Path(path)
    check_suffix(path, FORMATS, "picture")
    with write_atomically(path) as temporary:
        temporary.write_bytes(_encode(figure, path.suffix[1:].lower()))
    return path


def encode_png(figure: Figure) -> bytes:
    """Bytes of a PNG file of a figure."""
    return _encode(figure, "png")


def _encode(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format=kind, dpi=150)
    return file.getvalue()


def _facts(sound: SoundLike) -> str:
    peak = float(np.abs(sound.samples).max())
    level = f"peak {20 * np.log10(peak):.1f} dBFS".replace("-", "−") if peak else "silent"
    return f"{sound.seconds:.2f} s  ·  {format_thousands(sound.sample_rate)} Hz  ·  {level}"


def _refuse_empty(sound: SoundLike) -> None:
    if len(sound.samples) == 0:
        raise SoundError("nothing to draw, the sound holds no samples")


def _decibel_bar(figure: Figure, mesh: ScalarMappable, axes: Axes) -> None:
    bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=30)
    bar.set_label("level (dB)")
    bar.locator = MultipleLocator(20)
    bar.outline.set_visible(False)
    bar.update_ticks()
