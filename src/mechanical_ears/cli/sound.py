"""Commands for single sounds: `ears tone`, `ears show`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from mechanical_ears.cli.app import MaybeOutput, Output, app


@app.command
def tone(
    frequency: Positional[float] = 400.0,
    *,
    output: Output = Path("tone.wav"),
    seconds: float = 4.0,
    sample_rate: int = 16_000,
) -> None:
    """Write a sine wave.

    Args:
        frequency: Hz.
        output: WAV, FLAC, Ogg or MP3 file to write.
        seconds: length, s.
        sample_rate: sample rate, Hz.
    """
    from mechanical_ears.sound import Sound

    path = Sound.sine(frequency, seconds, sample_rate).save(output)
    print(f"{path}: {frequency:g} Hz, {seconds:g} s, {sample_rate} samples a second")


@app.command
def show(file: Positional[Path], *, output: MaybeOutput = None) -> None:
    """Draw the waveform, spectrum and spectrogram of a sound in one picture.

    Args:
        file: sound file.
        output: PNG, SVG or PDF file to write; default: the sound's name with .png.
    """
    from mechanical_ears.pictures import plot_overview, save_figure
    from mechanical_ears.sound import Sound

    figure = plot_overview(Sound.load(file), file.name)
    path = save_figure(figure, output or file.with_suffix(".png"))
    print(path)
