"""The command that hears notes: `ears listen`."""

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
    from mechanical_ears.listening.prediction import Hearing

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
    """Detect key, frequency, family, velocity and more of recordings of single notes.

    Exit code 1 if some files could not be read; results of the others are printed all the same.

    Args:
        paths: sound files, or folders of them.
        model: ONNX file of a trained listener; default: the shipped weights.
        article: also show the key that the article's network detects.
        json_lines: print one JSON object per file instead of a table.
        csv_path: CSV file to write the results to.
        plot: PNG, SVG or PDF file to draw spectrograms and results to (up to 24 files).
    """
    from mechanical_ears.errors import EarsError, SoundError
    from mechanical_ears.files import write_text
    from mechanical_ears.listening.ears import Ears
    from mechanical_ears.listening.plots import plot_hearings
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.sound import FORMATS, find_sound_files
    from mechanical_ears.terminal import progress_bar

    if not paths:
        raise EarsError("no recording is given", remedy="name sound files or folders of them")
    ears = Ears(model)
    files = [file for path in paths for file in find_sound_files(path)]
    if not files:
        raise SoundError(
            "holds no sound files", path=paths[0], remedy=f"give {', '.join(FORMATS)} files"
        )
    hearings: dict[Path, Hearing] = {}
    unreadable = []
    with progress_bar("listening") as move:
        for done, (file, hearing) in enumerate(ears.listen_to_files(files), 1):
            if isinstance(hearing, SoundError):
                unreadable.append(hearing)
            else:
                hearings[file] = hearing
                if json_lines:
                    print(json.dumps({"path": str(file), **asdict(hearing)}, ensure_ascii=False))
            move(done, len(files))
    if hearings and not json_lines:
        _show(hearings, _article_keys(list(hearings)) if article else None)
    if csv_path is not None:
        write_text(csv_path, _to_csv(hearings))
    if plot is not None and hearings:
        pitches = {file: hearing.pitch for file, hearing in hearings.items()}
        captions = {file: _caption(hearing) for file, hearing in hearings.items()}
        save_figure(plot_hearings(pitches, captions), plot)
        print(plot, file=sys.stderr)
    for error in unreadable:
        print(f"ears: cannot read: {error}", file=sys.stderr)
    return SOME_UNREADABLE if unreadable else 0


def _key(pitch: int | None) -> str:
    from mechanical_ears.pitch import midi_to_name

    return "–" if pitch is None else f"{midi_to_name(pitch):3} {pitch}"


def _caption(hearing: Hearing) -> str:
    if hearing.pitch is None:
        return "no single pitch"
    return f"{_key(hearing.pitch)} {hearing.pitch_confidence:.0%}, {hearing.family}"


def _article_keys(files: list[Path]) -> list[int]:
    from mechanical_ears.listening.article_ears import shipped_article_ears
    from mechanical_ears.sound import Sound

    article = shipped_article_ears()
    return [article.hear([Sound.load(file)])[0].pitch for file in files]


def _show(hearings: dict[Path, Hearing], article: list[int] | None) -> None:
    """Print a table, and how often it agrees with the keys in the file names."""
    from mechanical_ears.corpus.filenames import labels_from_name
    from mechanical_ears.terminal import print_table

    rows, named = [], []
    for file, hearing in hearings.items():
        labels = labels_from_name(file.stem)
        named.append(None if labels is None else labels.pitch)
        rows.append(
            [
                file.name,
                _key(named[-1]) if labels else "",
                _key(hearing.pitch),
                f"{hearing.pitch_confidence:.0%}",
                "–" if hearing.frequency is None else f"{hearing.frequency:.1f}",
                "–" if hearing.cents is None else f"{hearing.cents:+.0f}",
                hearing.family or "–",
                hearing.velocity or "–",
            ]
        )
    header = ["file", "named", "heard", "sure", "Hz", "cents", "family", "vel."]
    keys = {"the ears": [hearing.pitch for hearing in hearings.values()]}
    if article is not None:
        keys["the article's network"] = list(article)
        header.append("article's")
        for row, pitch in zip(rows, article, strict=True):
            row.append(_key(pitch))
    print_table("What the ears hear", header, rows)
    for who, pitches in keys.items():
        judged = [pair for pair in zip(named, pitches, strict=True) if pair[0] is not None]
        if judged:
            right = sum(name == pitch for name, pitch in judged)
            print(f"{who}: {right} of {len(judged)} keys as the names say")


def _to_csv(hearings: dict[Path, Hearing]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    rows = [{"path": str(file), **asdict(hearing)} for file, hearing in hearings.items()]
    writer.writerow(rows[0] if rows else ["path"])
    for row in rows:
        row["qualities"] = " ".join(row["qualities"])
        row["nearest"] = " ".join(name for name, _ in row["nearest"])
        row["candidates"] = " ".join(f"{key}:{share:.3g}" for key, share in row["candidates"])
        writer.writerow("" if value is None else value for value in row.values())
    return text.getvalue()
