"""Commands for single sounds: tone, show, listen."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tyro.conf import Positional

from mechanical_ears.cli.apps import JsonLines, MaybeOutput, Output, app


@app.command
def tone(
    frequency: Positional[float] = 400.0,
    *,
    output: Output = Path("tone.wav"),
    seconds: float = 4.0,
    sample_rate: int = 16_000,
) -> None:
    """Make a sine wave: the first sound.

    Args:
        frequency: Hz.
        output: WAV, FLAC, Ogg or MP3 file to write.
        seconds: length, s.
        sample_rate: Hz.
    """
    from mechanical_ears.sound import Sound

    path = Sound.sine(frequency, seconds, sample_rate).save(output)
    print(f"{path}: {frequency:g} Hz, {seconds:g} s, {sample_rate} samples a second")


@app.command
def show(file: Positional[Path], *, output: MaybeOutput = None) -> None:
    """Draw a sound: its wave, its spectrum and its spectrogram in one picture.

    Args:
        file: the sound.
        output: PNG, SVG or PDF file to write; the sound's name with .png if not given.
    """
    from mechanical_ears.pictures import save_figure, sheet
    from mechanical_ears.sound import Sound

    path = save_figure(sheet(Sound.load(file), file.name), output or file.with_suffix(".png"))
    print(path)


@app.command
def listen(
    paths: Positional[tuple[Path, ...]],
    *,
    model: Path | None = None,
    json_lines: JsonLines = False,
    plot: Path | None = None,
) -> None:
    """Hear the pitch of notes with the article's network.

    Args:
        paths: sound files, or folders of them.
        model: ONNX file of another training of the network; the shipped weights if not given.
        json_lines: print a JSON object for each file instead of a table.
        plot: PNG, SVG or PDF file with the spectrograms and what was heard (up to 24 files).
    """
    from mechanical_ears.corpus.filenames import labels_from_name
    from mechanical_ears.errors import SoundError
    from mechanical_ears.listening.article_ears import ArticleEars
    from mechanical_ears.listening.picture import hearing_picture
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.pitch import midi_to_name
    from mechanical_ears.sound import FORMATS, Sound, sound_files
    from mechanical_ears.terminal import progress_bar, show_table

    ears = ArticleEars(model)
    files = [file for path in paths for file in sound_files(path)]
    if not files:
        raise SoundError(
            "holds no sound files", path=paths[0], remedy=f"give {', '.join(FORMATS)} files"
        )
    heard = []
    with progress_bar("listening") as move:
        for done, file in enumerate(files, 1):
            (answer,) = ears.hear([Sound.load(file)])
            heard.append(answer)
            move(done, len(files))
    if json_lines:
        for file, answer in zip(files, heard, strict=True):
            row = {"path": str(file), "pitch": answer.pitch, "pitch_name": answer.name}
            print(json.dumps({**row, "probability": round(answer.probability, 4)}))
    else:
        rows, differences = [], []
        for file, answer in zip(files, heard, strict=True):
            told = labels_from_name(file.stem)
            named, difference = "", ""
            if told is not None:
                named = f"{midi_to_name(told.pitch)} ({told.pitch})"
                differences.append(answer.pitch - told.pitch)
                difference = f"{differences[-1]:+d}" if differences[-1] else "✓"
            key = f"{answer.name} ({answer.pitch})"
            rows.append((file.name, named, key, difference, f"{answer.probability:.0%}"))
        header = ("file", "named", "heard", "off", "sure")
        show_table("What the article's network hears", header, rows)
        if differences:
            right, octaves = differences.count(0), sum(gap % 12 == 0 for gap in differences)
            print(
                f"{right} of {len(differences)} heard as their names say, "
                f"{octaves} if octaves are forgiven"
            )
    if plot is not None:
        save_figure(hearing_picture(files, heard), plot)
        print(plot, file=sys.stderr)
