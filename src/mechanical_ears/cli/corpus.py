"""Commands for corpora: `ears corpus build`, `download`, `info`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import OmitArgPrefixes, Positional

from mechanical_ears.cli.app import JsonLines, Output, build_app, corpus_app

if TYPE_CHECKING:
    from mechanical_ears.corpus.corpus import Corpus


@dataclass(frozen=True)
class BuildOptions:
    """Options for writing a store.

    Attributes:
        output: folder of the store to write.
        split: shares of train, validation and test, by instrument. Default: NSynth is not split
            (its published parts share no instrument), any other corpus is split 0.8 0.1 0.1.
        split_seed: seed of the split.
        seconds: length of each note in the store, s; longer notes are cut, shorter ones padded.
        skip_bad: skip and count records that cannot be read, instead of stopping.
    """

    output: Output
    split: tuple[float, float, float] | None = None
    split_seed: int = 0
    seconds: float = 4.0
    skip_bad: bool = False


Build = OmitArgPrefixes[BuildOptions]
Shares = tuple[float, float, float]
SHARES: Shares = (0.8, 0.1, 0.1)  # default of train, validation and test


def _build(
    corpus: Corpus,
    store: BuildOptions,
    description: Mapping[str, object],
    shares: Shares | None = SHARES,
) -> None:
    from mechanical_ears.corpus.store import build_store
    from mechanical_ears.terminal import progress_bar

    with progress_bar(f"building {store.output}") as move:
        report = build_store(
            corpus,
            store.output,
            seconds=store.seconds,
            split=store.split or shares,
            seed=store.split_seed,
            skip_bad=store.skip_bad,
            description=description,
            progress=move,
        )
    print(
        f"{store.output}: {report.notes:,} notes; "
        f"{report.silent:,} silent and {len(report.bad):,} bad ones left out"
    )
    for problem in report.bad[:10]:
        print(f"  left out: {problem}")


@build_app.command
def nsynth(path: Positional[Path], *, store: Build) -> None:
    """Read NSynth: TFRecord files, a folder of JSON and WAV, or its .tar.gz.

    Args:
        path: nsynth-train.tfrecord, a folder with examples.json, or nsynth-test.jsonwav.tar.gz.
        store: options of the store.
    """
    from mechanical_ears.corpus.nsynth import open_nsynth

    _build(open_nsynth(path), store, {"nsynth": path.name}, shares=None)


@build_app.command
def soundfont(
    fonts: Positional[tuple[Path, ...]],
    *,
    store: Build,
    presets: tuple[str, ...] = (),
    pitches: tuple[int, int] = (21, 108),
    velocities: tuple[int, ...] = (25, 50, 75, 100, 127),
    limit: int | None = None,
    seed: int = 0,
    sample_rate: int = 16_000,
    workers: int | None = None,
) -> None:
    """Render SoundFonts (.sf2, .sf3) through FluidSynth in NSynth's form.

    Args:
        fonts: one or several SoundFonts.
        store: options of the store.
        presets: "bank:program" or part of a preset's name; default: all melodic presets.
        pitches: lowest and highest MIDI number.
        velocities: MIDI velocities.
        limit: number of notes of a random subset; default: all.
        seed: seed of the random subset.
        sample_rate: sample rate of the store, Hz.
        workers: number of rendering processes; default: all cores.
    """
    from mechanical_ears.corpus.soundfont import SoundFont

    low, high = pitches
    corpus = SoundFont(
        fonts,
        presets=presets or None,
        pitches=range(low, high + 1),
        velocities=velocities,
        sample_rate=sample_rate,
        limit=limit,
        seed=seed,
        workers=workers,
        seconds=store.seconds,
    )
    options = {"presets": presets, "pitches": pitches, "velocities": velocities}
    _build(corpus, store, {**options, "limit": limit, "seed": seed})


@build_app.command
def folder(
    path: Positional[Path], *, store: Build, labels: Path | None = None, sample_rate: int = 16_000
) -> None:
    """Read a folder of recordings labelled by their file names or a CSV file.

    Args:
        path: folder; names such as A#3.flac, piano_060_100.wav and NSynth's own are understood.
        store: options of the store.
        labels: CSV file with the columns file, pitch (or note) and optionally velocity,
            instrument, family, source; default: labels.csv in the folder, if there is one.
        sample_rate: sample rate of the store, Hz; other recordings are resampled.
    """
    from mechanical_ears.corpus.folder import Folder

    corpus = Folder(path, labels=labels, sample_rate=sample_rate)
    _build(corpus, store, {"labels": str(labels)})


@build_app.command
def toy(*, store: Build, count: int = 1000, instruments: int = 24, seed: int = 0) -> None:
    """Synthesise a corpus: additive, FM, plucked strings, noise. Needs no data.

    Args:
        store: options of the store.
        count: number of notes.
        instruments: number of instruments.
        seed: seed of the instruments and notes.
    """
    from mechanical_ears.corpus.toy import Toy

    options = {"count": count, "instruments": instruments, "seed": seed}
    _build(Toy(count, instruments=instruments, seed=seed), store, options)


@corpus_app.command
def download(
    source: Positional[str], *, output: Output = Path("data"), checksum: str | None = None
) -> None:
    """Download NSynth as it is published; run again to resume an interrupted download.

    Args:
        source: nsynth-train.tfrecord, nsynth-valid.jsonwav, … (train, valid or test; tfrecord or
            jsonwav), or a URL.
        output: folder for the file.
        checksum: expected SHA-256 or MD5, checked in addition to the server's.
    """
    from mechanical_ears.corpus.download import download as fetch
    from mechanical_ears.terminal import progress_bar

    with progress_bar(f"downloading {source}", unit="MB", scale=1e-6) as move:
        path = fetch(source, output, checksum=checksum, progress=move)
    print(path)


@corpus_app.command
def info(store: Positional[Path], *, json_lines: JsonLines = False) -> None:
    """Show what a store holds: families, pitches, hours, licence.

    Args:
        store: folder of the store.
        json_lines: print JSON instead of tables.
    """
    from mechanical_ears.corpus.store import Store
    from mechanical_ears.note import FAMILIES
    from mechanical_ears.pitch import midi_to_name
    from mechanical_ears.terminal import print_table

    opened = Store(store)
    names = [*FAMILIES, "unknown"]
    sides = sorted(set(opened.side.tolist()))
    families: dict[str, dict[str, Any]] = {}
    for code, name in enumerate(names):
        selected = opened.family == (code if name != "unknown" else -1)
        if selected.any():
            per_side = Counter(opened.side[selected].tolist())
            families[name] = {
                "notes": int(selected.sum()),
                "instruments": len(set(opened.instrument[selected].tolist())),
                **{side or "unsplit": per_side[side] for side in sides},
            }
    about = {
        "notes": len(opened),
        "instruments": len(set(opened.instrument.tolist())),
        "hours": round(opened.audio.size / opened.sample_rate / 3600, 2),
        "sample_rate": opened.sample_rate,
        "seconds": opened.audio.shape[1] / opened.sample_rate,
        "pitch_range": [int(opened.pitch.min()), int(opened.pitch.max())],
        "velocities": sorted(set(opened.velocity.tolist())),
        "title": opened.provenance.title,
        "licence": opened.provenance.licence,
        "citation": opened.provenance.citation,
        "silent_left_out": opened.about["silent"],
        "bad_left_out": len(opened.about["bad"]),
        "families": families,
    }
    if json_lines:
        print(json.dumps(about, ensure_ascii=False))
        return
    low, high = about["pitch_range"]
    rows = [(key.replace("_", " "), value) for key, value in about.items() if key != "families"]
    rows[5] = ("pitch range", f"{low}–{high} ({midi_to_name(low)}–{midi_to_name(high)})")
    print_table(str(store), ("", ""), rows)
    header = ["family", *next(iter(families.values()))]
    print_table("by family", header, [(name, *row.values()) for name, row in families.items()])
