"""The command that listens."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from mechanical_ears.cli.app import CsvPath, JsonLines, app

if TYPE_CHECKING:
    from mechanical_ears.listening.ears import Hearing

SOME_UNREADABLE = 1  # exit code


@app.command
def listen(
    paths: Positional[tuple[Path, ...]],
    *,
    model: Path | None = None,
    article: bool = False,
    json_lines: JsonLines = False,
    csv_path: CsvPath = None,
    plot: Path | None = None,
) -> int:
    """Hear notes: key, frequency, family, velocity and more of any recording of a note.

    Exit code 1 if some files could not be read; the others are answered all the same.

    Args:
        paths: sound files, or folders of them.
        model: ONNX file of another training of the listener; the shipped weights if not given.
        article: show beside it what the article's network hears.
        json_lines: print a JSON object for each file instead of a table.
        csv_path: CSV file to write, too.
        plot: PNG, SVG or PDF file with the spectrograms and what was heard (up to 24 files).
    """
    from mechanical_ears.errors import SoundError
    from mechanical_ears.files import write_text
    from mechanical_ears.listening.ears import Ears
    from mechanical_ears.listening.plots import hearing_picture
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.sound import FORMATS, sound_files
    from mechanical_ears.terminal import progress_bar

    ears = Ears(model)
    files = [file for path in paths for file in sound_files(path)]
    if not files:
        raise SoundError(
            "holds no sound files", path=paths[0], remedy=f"give {', '.join(FORMATS)} files"
        )
    heard: dict[Path, Hearing] = {}
    unreadable = []
    with progress_bar("listening") as move:
        for done, (file, hearing) in enumerate(ears.listen_to_files(files), 1):
            if isinstance(hearing, SoundError):
                unreadable.append(hearing)
            else:
                heard[file] = hearing
                if json_lines:
                    print(json.dumps({"path": str(file), **asdict(hearing)}, ensure_ascii=False))
            move(done, len(files))
    if heard and not json_lines:
        _show(heard, _articles_keys(list(heard)) if article else None)
    if csv_path is not None:
        write_text(csv_path, _as_csv(heard))
    if plot is not None and heard:
        shown = {file: hearing.pitch for file, hearing in heard.items()}
        words = {file: _words(hearing) for file, hearing in heard.items()}
        save_figure(hearing_picture(shown, words), plot)
        print(plot, file=sys.stderr)
    for error in unreadable:
        print(f"ears: not heard: {error}", file=sys.stderr)
    return SOME_UNREADABLE if unreadable else 0


def _key(pitch: int | None) -> str:
    from mechanical_ears.pitch import midi_to_name

    return "–" if pitch is None else f"{midi_to_name(pitch):3} {pitch}"


def _words(hearing: Hearing) -> str:
    if hearing.pitch is None:
        return "no single pitch"
    return f"{_key(hearing.pitch)} {hearing.pitch_confidence:.0%}, {hearing.family}"


def _articles_keys(files: list[Path]) -> list[int]:
    from mechanical_ears.listening.article_ears import shipped_article_ears
    from mechanical_ears.sound import Sound

    article = shipped_article_ears()
    return [article.hear([Sound.load(file)])[0].pitch for file in files]


def _show(heard: dict[Path, Hearing], article: list[int] | None) -> None:
    """A table, and how often the files' names agree with it."""
    from mechanical_ears.corpus.filenames import labels_from_name
    from mechanical_ears.terminal import show_table

    rows, named = [], []
    for file, hearing in heard.items():
        told = labels_from_name(file.stem)
        named.append(None if told is None else told.pitch)
        rows.append(
            [
                file.name,
                _key(named[-1]) if told else "",
                _key(hearing.pitch),
                f"{hearing.pitch_confidence:.0%}",
                "–" if hearing.frequency is None else f"{hearing.frequency:.1f}",
                "–" if hearing.cents is None else f"{hearing.cents:+.0f}",
                hearing.family or "–",
                hearing.velocity or "–",
            ]
        )
    header = ["file", "named", "heard", "sure", "Hz", "cents", "family", "vel."]
    keys = {"the ears": [hearing.pitch for hearing in heard.values()]}
    if article is not None:
        keys["the article's network"] = list(article)
        header.append("article's")
        for row, pitch in zip(rows, article, strict=True):
            row.append(_key(pitch))
    show_table("What the ears hear", header, rows)
    for who, pitches in keys.items():
        judged = [pair for pair in zip(named, pitches, strict=True) if pair[0] is not None]
        if judged:
            right = sum(name == pitch for name, pitch in judged)
            print(f"{who}: {right} of {len(judged)} keys as the names say")


def _as_csv(heard: dict[Path, Hearing]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    rows = [{"path": str(file), **asdict(hearing)} for file, hearing in heard.items()]
    writer.writerow(rows[0] if rows else ["path"])
    for row in rows:
        row["qualities"] = " ".join(row["qualities"])
        row["nearest"] = " ".join(name for name, _ in row["nearest"])
        writer.writerow("" if value is None else value for value in row.values())
    return text.getvalue()
