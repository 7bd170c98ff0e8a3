"""A plot of an instrument: zones, tuning, loudness over velocity, and one sample with its loop."""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mechanical_ears.instrument.levels import momentary_level
from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import VELOCITY_RANGE, Zone
from mechanical_ears.pictures import ACCENT, COLOURS, INK, WAVE, Picture, with_style
from mechanical_ears.pitch import midi_to_name

SIZE: Final = (11.0, 6.6)  # inches
SHADES: Final = (0.82, 0.35)  # of the colour map, from the softest zone to the loudest
BLACK_KEYS: Final = (1, 3, 6, 8, 10)  # of an octave
COLUMNS: Final = 1500  # of a waveform
MIN_CENTS: Final = 5.0  # of the tuning axis, to each side
MIN_LOUDNESS_DB: Final = -60.0  # dB below the loudest
LOUDNESS_KEYS: Final = 3  # keys whose loudness is drawn
SAMPLE_VELOCITY: Final = 100  # MIDI velocity of the sample that is drawn


@with_style
def plot_instrument(instrument: SampledInstrument) -> Picture:
    """Zones over keys and velocities, tuning, loudness, and the sample of a middle key."""
    picture = Picture(figsize=SIZE)
    grid = picture.add_gridspec(4, 2, height_ratios=(3.2, 0.55, 1.1, 2.6), width_ratios=(2.6, 1))
    zones = picture.add_subplot(grid[0, :])
    keyboard = picture.add_subplot(grid[1, :], sharex=zones)
    tuning = picture.add_subplot(grid[2, :], sharex=zones)
    _plot_zones(zones, instrument)
    _plot_keyboard(keyboard, {zone.root for zone in instrument.zones})
    _plot_tuning(tuning, instrument)
    _plot_sample(picture.add_subplot(grid[3, 0]), instrument)
    _plot_loudness(picture.add_subplot(grid[3, 1]), instrument)
    return picture


def _plot_zones(axes: Axes, instrument: SampledInstrument) -> None:
    peaks = {zone: _peak_level(instrument, zone) for zone in instrument.zones}
    low, high = min(peaks.values()), max(peaks.values())
    colours = mpl.colormaps[COLOURS]
    for zone, level in peaks.items():
        share = (level - low) / max(high - low, 1.0)
        shade = SHADES[0] + share * (SHADES[1] - SHADES[0])
        corner = (zone.keys[0] - 0.5, zone.velocities[0] - 0.5)
        width, height = (last - first + 1 for first, last in (zone.keys, zone.velocities))
        axes.add_patch(Rectangle(corner, width, height, fc=colours(shade), ec="white", lw=0.8))
        middle = (zone.velocities[0] + zone.velocities[1]) / 2
        axes.plot(zone.root, middle, "o", ms=2.6, color="white", mec=INK, mew=0.5)
    layers = len({zone.velocities for zone in instrument.zones})
    looped = sum(zone.loop is not None for zone in instrument.zones)
    axes.set(
        title=f"{instrument.name}: {len(instrument.zones)} zones, {layers} "
        f"velocity layer{'s' * (layers > 1)}, {looped} looped; dots: keys as recorded",
        xlim=(-0.5, 127.5),
        ylim=(VELOCITY_RANGE[0] - 0.5, VELOCITY_RANGE[1] + 0.5),
        ylabel="velocity",
        yticks=sorted({1, *(zone.velocities[1] for zone in instrument.zones)}),
    )
    axes.grid(visible=False)
    axes.tick_params(labelbottom=False)


def _plot_keyboard(axes: Axes, roots: set[int]) -> None:
    for key in range(128):
        black = key % 12 in BLACK_KEYS
        colour = ACCENT if key in roots else INK if black else "white"
        height = 0.62 if black else 1.0
        axes.add_patch(Rectangle((key - 0.5, 1 - height), 1, height, fc=colour, ec=INK, lw=0.4))
    axes.set(ylim=(0, 1), yticks=[])
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    axes.tick_params(labelbottom=False, bottom=False)


def _plot_tuning(axes: Axes, instrument: SampledInstrument) -> None:
    """Cents by which each recording is sharp of its key, which the zone corrects."""
    for zone in instrument.zones:
        axes.plot([zone.root] * 2, [0, zone.cents], color=WAVE, lw=1.0)
        axes.plot(zone.root, zone.cents, "o", ms=2.6, color=WAVE)
    limit = max(MIN_CENTS, *(1.15 * abs(zone.cents) for zone in instrument.zones))
    octaves = range(0, 128, 12)
    axes.axhline(0, color=INK, lw=0.8)
    axes.set(ylim=(-limit, limit), ylabel="cents\noff key")
    axes.set_xticks(octaves, [midi_to_name(key) for key in octaves])


def _plot_sample(axes: Axes, instrument: SampledInstrument) -> None:
    zone = _middle_zone(instrument)
    sample = instrument.samples[zone.sample]
    mono = sample.audio.mean(axis=1)
    mono = mono / max(float(np.abs(mono).max()), 1e-9)
    step = max(1, len(mono) // COLUMNS)
    blocks = mono[: len(mono) // step * step].reshape(-1, step)
    seconds = np.arange(len(blocks)) * step / sample.sample_rate
    axes.fill_between(seconds, blocks.min(axis=1), blocks.max(axis=1), color=WAVE, lw=0)
    loop = "no loop: it decays"
    if zone.loop is not None:
        start, end = (frame / sample.sample_rate for frame in (zone.loop.start, zone.loop.end))
        axes.axvspan(start, end, color=ACCENT, alpha=0.25, lw=0)
        for time in (start, end):
            axes.axvline(time, color=ACCENT, lw=1.2)
        loop = f"loop of {end - start:.2f} s"
    axes.set(
        title=f"{midi_to_name(zone.root)}, velocity {zone.velocities[0]}–{zone.velocities[1]}: "
        f"{loop}, release {zone.envelope.release:g} s",
        xlabel="s",
        xlim=(0, len(mono) / sample.sample_rate),
        ylim=(-1.05, 1.05),
        yticks=[],
    )


def _plot_loudness(axes: Axes, instrument: SampledInstrument) -> None:
    """Level over velocity at a few keys, by the zones' samples and responses."""
    roots = sorted({zone.root for zone in instrument.zones})
    chosen = np.linspace(0, len(roots) - 1, LOUDNESS_KEYS + 2).round().astype(int)[1:-1]
    keys = sorted({roots[index] for index in chosen})
    velocities = np.arange(VELOCITY_RANGE[0], VELOCITY_RANGE[1] + 1)
    colours = mpl.colormaps[COLOURS](np.linspace(0.2, 0.75, len(keys)))
    curves = {}
    for key in keys:
        powers = [
            sum(
                _power(instrument, zone) * zone.velocity_response.gain(velocity) ** 2
                for zone in instrument.zones_at(key, velocity)
            )
            for velocity in velocities.tolist()
        ]
        curves[key] = 10 * np.log10(np.array(powers) + 1e-12)
    loudest = max(float(curve.max()) for curve in curves.values())
    for (key, curve), colour in zip(curves.items(), colours, strict=True):
        axes.plot(velocities, curve - loudest, color=colour, label=midi_to_name(key))
    axes.set(title="loudness", xlabel="velocity", ylabel="dB", xlim=VELOCITY_RANGE)
    axes.set(ylim=(MIN_LOUDNESS_DB, 3), xticks=[1, 32, 64, 96, 127])
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _middle_zone(instrument: SampledInstrument) -> Zone:
    """The zone of a middle key that plays at velocity 100."""
    roots = sorted(zone.root for zone in instrument.zones)
    middle = roots[len(roots) // 2]

    def distance(zone: Zone) -> tuple[int, bool]:
        low, high = zone.velocities
        return abs(zone.root - middle), not low <= SAMPLE_VELOCITY <= high

    return min(instrument.zones, key=distance)


def _peak_level(instrument: SampledInstrument, zone: Zone) -> float:
    """Peak of a zone at its highest velocity, dB of full scale."""
    peak = float(np.abs(instrument.samples[zone.sample].audio).max()) * 10 ** (zone.gain / 20)
    return float(20 * np.log10(peak * zone.velocity_response.gain(zone.velocities[1]) + 1e-6))


def _power(instrument: SampledInstrument, zone: Zone) -> float:
    """Mean square of a zone's loudest 400 ms at velocity 127."""
    sample = instrument.samples[zone.sample]
    return float(10 ** ((momentary_level(sample.audio, sample.sample_rate) + zone.gain) / 10))
