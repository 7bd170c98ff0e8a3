"""Pictures: the drawn values are those of the sound; files are complete."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from mechanical_ears import pictures
from mechanical_ears.errors import EarsError, SoundError
from mechanical_ears.pitch import midi_to_hz, midi_to_name
from mechanical_ears.sound import Sound


@pytest.fixture(scope="module")
def tone() -> Sound:
    return Sound.sine(1000, seconds=1)


def test_a_long_waveform_is_drawn_as_an_outline(tone: Sound) -> None:
    axes = pictures.plot_waveform(tone, seconds=None).axes[0]
    outline = axes.collections[0].get_paths()[0].vertices
    assert outline[:, 1].max() == pytest.approx(1, abs=1e-4)
    assert outline[:, 1].min() == pytest.approx(-1, abs=1e-4)
    assert axes.get_xlim() == pytest.approx((0, 1))


def test_few_samples_are_drawn_as_dots(tone: Sound) -> None:
    few = pictures.plot_waveform(tone, seconds=0.005, start=0.5).axes[0].lines[0]
    assert few.get_marker() == "."
    np.testing.assert_array_equal(few.get_ydata(), tone.samples[8000:8080])
    assert few.get_xdata()[0] == 0.5
    assert pictures.plot_waveform(tone, seconds=0.1).axes[0].lines[0].get_marker() == ""


def test_all_channels_are_drawn(tone: Sound) -> None:
    stereo = Sound(np.stack([tone.samples, 0.25 - 0.25 * tone.samples], axis=1), 16_000)
    outline = (
        pictures.plot_waveform(stereo, seconds=None).axes[0].collections[0].get_paths()[0].vertices
    )
    assert outline[:, 1].max() == pytest.approx(1, abs=1e-4)
    assert outline[:, 1].min() == pytest.approx(-1, abs=1e-4)
    left, right = pictures.plot_waveform(stereo, seconds=0.1).axes[0].lines[:2]
    np.testing.assert_array_equal(left.get_ydata(), stereo.samples[:1600, 0])
    np.testing.assert_array_equal(right.get_ydata(), stereo.samples[:1600, 1])


def test_the_spectrum_peaks_at_the_tone(tone: Sound) -> None:
    axes = pictures.plot_spectrum(tone).axes[0]
    hertz, decibels = axes.lines[0].get_data()
    assert hertz[decibels.argmax()] == 1000
    assert axes.get_xlim() == (0, 8000)
    assert axes.get_xscale() == "linear"


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_spectrogram_is_brightest_at_the_tone(tone: Sound, scale: str) -> None:
    axes = pictures.plot_spectrogram(tone, scale=scale, floor=-60).axes[0]
    mesh = axes.collections[0]
    assert mesh.get_clim() == (-60, 0)
    levels = mesh.get_array()
    edges = mesh.get_coordinates()[:, 0, 1]
    row = int(levels[:, levels.shape[1] // 2].argmax())
    assert edges[row] <= 1000 * 1.001
    assert edges[row + 1] >= 1000 * 0.999
    assert axes.get_yscale() == scale
    assert axes.get_ylim()[1] == 8000


def test_no_partial_is_lost_between_rows() -> None:
    """Single-bin tones up to 8 kHz, many bins per row of a logarithmic axis: all are drawn."""
    bins = np.array([100, 301, 502, 703, 904, 1005])
    times = np.arange(16_000) / 16_000
    samples = 0.1 * np.sin(2 * np.pi * 7.8125 * bins[:, None] * times).sum(axis=0)
    mesh = pictures.plot_spectrogram(Sound(samples, 16_000)).axes[0].collections[0]
    middle = mesh.get_array()[:, 15]
    edges = mesh.get_coordinates()[:, 0, 1]
    for hertz in 7.8125 * bins:
        row = np.searchsorted(edges, hertz, side="right") - 1
        assert middle[row - 1 : row + 1].max() > -1


def test_log_axes_label_each_c(tone: Sound) -> None:
    figure = pictures.plot_spectrogram(tone)
    figure.draw_without_rendering()
    names = figure.axes[0].child_axes[0]
    labels = [label.get_text() for label in names.get_yticklabels()]
    positions = list(names.get_yticks())
    assert labels == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"]
    assert positions == [midi_to_hz(key) for key in range(24, 120, 12)]
    assert labels[3] == midi_to_name(60)


def test_the_overview_shows_title_length_rate_and_peak(tone: Sound) -> None:
    figure = pictures.plot_overview(Sound(0.5 * tone.samples, 16_000), "half a tone")
    assert [text.get_text() for text in figure.texts] == [
        "half a tone",
        "1.00 s  ·  16\u202f000 Hz  ·  peak −6.0 dBFS",
    ]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:4] == ["Waveform", "Close-up of 30 ms", "Spectrogram", "Spectrum"]


@pytest.mark.parametrize(
    "sound",
    [
        Sound(np.zeros(16_000), 16_000),
        Sound(np.ones(1), 16_000),
        Sound(np.full(3, 0.1), 8000),
        Sound(np.random.default_rng(0).normal(0, 0.1, 192_000), 192_000),
        Sound.sine(30, 2, 100),
        Sound(np.random.default_rng(0).normal(0, 0.1, (9000, 2)), 48_000),
    ],
    ids=["silence", "one sample", "three samples", "192 kHz", "100 Hz", "stereo"],
)
def test_every_sound_has_an_overview(sound: Sound, tmp_path: Path) -> None:
    path = pictures.save_figure(pictures.plot_overview(sound, "x"), tmp_path / "x.png")
    pixels = matplotlib.image.imread(path)
    assert pixels.shape == (990, 1650, 4)
    assert pixels[:, :, :3].std() > 0.05


def test_an_empty_sound_is_refused() -> None:
    empty = Sound(np.zeros(0), 16_000)
    for draw in (
        pictures.plot_waveform,
        pictures.plot_spectrum,
        pictures.plot_spectrogram,
        pictures.plot_overview,
    ):
        with pytest.raises(SoundError, match="nothing to draw"):
            draw(empty)


def test_a_section_after_the_end_is_refused(tone: Sound) -> None:
    with pytest.raises(SoundError, match="from 2 s on, the sound is 1 s long"):
        pictures.plot_waveform(tone, start=2)


def test_the_suffix_selects_the_format(tone: Sound, tmp_path: Path) -> None:
    figure = pictures.plot_waveform(tone)
    png = pictures.save_figure(figure, tmp_path / "a.png")
    svg = pictures.save_figure(figure, tmp_path / "a.svg")
    pdf = pictures.save_figure(figure, tmp_path / "a.PDF")
    assert matplotlib.image.imread(png).shape == (390, 1200, 4)
    assert ElementTree.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "amplitude" in svg.read_text()
    assert pdf.read_bytes().startswith(b"%PDF")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.PDF", "a.png", "a.svg"]


def test_other_suffixes_and_missing_folders_are_refused(tone: Sound, tmp_path: Path) -> None:
    figure = pictures.plot_waveform(tone)
    with pytest.raises(EarsError, match=r"names no picture format; use one of \.png"):
        pictures.save_figure(figure, tmp_path / "a.gif")
    with pytest.raises(EarsError, match="create the folder first"):
        pictures.save_figure(figure, tmp_path / "absent" / "a.png")


def test_the_users_matplotlib_settings_are_kept(tone: Sound) -> None:
    before = dict(matplotlib.rcParams)
    pictures.encode_png(pictures.plot_preview(tone))
    assert dict(matplotlib.rcParams) == before


def test_no_display_and_no_pyplot_are_needed() -> None:
    code = (
        "import sys; from mechanical_ears.sound import Sound; "
        "print(Sound.sine().plot()._repr_png_()[:4], 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == r"b'\x89PNG' False"
