"""The `ears` command: each subcommand is a thin call of the library.

Exit codes: 0 done; 2 wrong input or usage, told in one line; 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg
from tyro.extras import SubcommandApp

from mechanical_ears.errors import EarsError
from mechanical_ears.training.device import Accelerator, Precision

if TYPE_CHECKING:
    from mechanical_ears.corpus.corpus import Corpus
    from mechanical_ears.evaluation.hearing import Accuracy

Output = Annotated[Path, arg(aliases=["-o"])]
MaybeOutput = Annotated[Path | None, arg(aliases=["-o"])]
Side = Literal["held-out", "train", "validation", "test", "all"]

app, corpus_app, build_app, train_app = (SubcommandApp() for _ in range(4))
app.command(
    corpus_app, name="corpus", help="Gather notes, and build the stores that training reads."
)
app.command(train_app, name="train", help="Train networks.")
corpus_app.command(build_app, name="build", help="Write a corpus to a store.")

TRAIN_EXTRA = {"torch", "lightning", "safetensors", "pyarrow", "fluidsynth", "google_crc32c"}


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
    json_lines: Annotated[bool, arg(name="json")] = False,
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
    from mechanical_ears.listening.ears import ArticleEars
    from mechanical_ears.listening.picture import hearing_picture
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.pitch import midi_to_name
    from mechanical_ears.sound import Sound, sound_files
    from mechanical_ears.terminal import progress_bar, show_table

    ears = ArticleEars(model)
    files = [file for path in paths for file in sound_files(path)]
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


@dataclass(frozen=True)
class BuildOptions:
    """How a store is written.

    Attributes:
        output: folder of the store to write.
        split: shares of train, validation and test, by instrument; 1 0 0 holds nothing out.
        split_seed: another seed, other instruments held out.
        seconds: length of each note in the store, s; longer ones are cut, shorter ones padded.
        skip_bad: leave out records that cannot be read, and count them, instead of stopping.
    """

    output: Output
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = 0
    seconds: float = 4.0
    skip_bad: bool = False


Build = OmitArgPrefixes[BuildOptions]


def _build(corpus: Corpus, store: BuildOptions, description: Mapping[str, object]) -> None:
    from mechanical_ears.corpus.store import build_store
    from mechanical_ears.terminal import progress_bar

    held_out = store.split[0] < 1
    with progress_bar(f"building {store.output}") as move:
        report = build_store(
            corpus,
            store.output,
            seconds=store.seconds,
            split=store.split if held_out else None,
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
        store: how the store is written.
    """
    from mechanical_ears.corpus.nsynth import open_nsynth

    _build(open_nsynth(path), store, {"nsynth": path.name})


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
        store: how the store is written.
        presets: "bank:program" or a part of a preset's name; all melodic ones if not given.
        pitches: lowest and highest MIDI number.
        velocities: MIDI velocities.
        limit: take a random subset of so many notes.
        seed: of the subset.
        sample_rate: of the store, Hz.
        workers: processes that render; all cores if not given.
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
    asked = {"presets": presets, "pitches": pitches, "velocities": velocities}
    _build(corpus, store, {**asked, "limit": limit, "seed": seed})


@build_app.command
def folder(
    path: Positional[Path],
    *,
    store: Build,
    labels: Path | None = None,
    sample_rate: int = 16_000,
) -> None:
    """Read a folder of recordings whose notes are told by file names or a CSV file.

    Args:
        path: the folder; A#3.flac, piano_060_100.wav and NSynth's own names are understood.
        store: how the store is written.
        labels: CSV file with the columns file, pitch (or note) and, if known, velocity,
            instrument, family, source; labels.csv in the folder is found without being named.
        sample_rate: of the store, Hz; recordings of other rates are resampled.
    """
    from mechanical_ears.corpus.folder import Folder

    corpus = Folder(path, labels=labels, sample_rate=sample_rate)
    _build(corpus, store, {"labels": str(labels)})


@build_app.command
def toy(*, store: Build, count: int = 1000, instruments: int = 24, seed: int = 0) -> None:
    """Synthesise notes of our own: additive, FM, plucked strings, noise. Needs no data.

    Args:
        store: how the store is written.
        count: notes.
        instruments: how many instruments play them.
        seed: another seed, other instruments.
    """
    from mechanical_ears.corpus.toy import Toy

    asked = {"count": count, "instruments": instruments, "seed": seed}
    _build(Toy(count, instruments=instruments, seed=seed), store, asked)


@corpus_app.command
def download(
    source: Positional[str], *, output: Output = Path("data"), checksum: str | None = None
) -> None:
    """Download NSynth as it is published; call again to go on with a broken download.

    Args:
        source: nsynth-train.tfrecord, nsynth-valid.jsonwav, … (train, valid or test; tfrecord or
            jsonwav), or a URL.
        output: folder for the file.
        checksum: SHA-256 or MD5 that the file must have, beside the one that the server tells.
    """
    from mechanical_ears.corpus.download import download as fetch
    from mechanical_ears.terminal import progress_bar

    with progress_bar(f"downloading {source}", unit="MB", scale=1e-6) as move:
        path = fetch(source, output, checksum=checksum, progress=move)
    print(path)


@corpus_app.command
def info(store: Positional[Path], *, json_lines: Annotated[bool, arg(name="json")] = False) -> None:
    """Tell what a store or another corpus holds: families, pitches, hours, licence.

    Args:
        store: the store.
        json_lines: print JSON instead of tables.
    """
    from mechanical_ears.corpus.store import Store
    from mechanical_ears.note import FAMILIES
    from mechanical_ears.pitch import midi_to_name
    from mechanical_ears.terminal import show_table

    opened = Store(store)
    names = [*FAMILIES, "unknown"]
    sides = sorted(set(opened.side.tolist()))
    families: dict[str, dict[str, Any]] = {}
    for code, name in enumerate(names):
        chosen = opened.family == (code if name != "unknown" else -1)
        if chosen.any():
            per_side = Counter(opened.side[chosen].tolist())
            families[name] = {
                "notes": int(chosen.sum()),
                "instruments": len(set(opened.instrument[chosen].tolist())),
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
    show_table(str(store), ("", ""), rows)
    header = ["family", *next(iter(families.values()))]
    show_table("by family", header, [(name, *row.values()) for name, row in families.items()])


@train_app.command
def article(
    corpus: Path,
    output: Output,
    *,
    validation: Path | None = None,
    epochs: int = 30,
    batch_size: int = 128,
    learning_rate: float = 1e-4,
    seed: int = 0,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> None:
    """Train the article's network to hear pitch from raw audio; call again to go on.

    Args:
        corpus: store with a train and a validation side.
        output: the run folder: config, log, checkpoints, chart and model.
        validation: another store to validate on, instead of the validation side.
        epochs: how often to walk all training notes.
        batch_size: notes a step.
        learning_rate: of Adam.
        seed: of the first weights and of the order of notes.
        accelerator: what to compute on; auto takes a GPU if there is one.
        precision: auto takes bf16 on CUDA GPUs.
    """
    from mechanical_ears.listening.article_training import ArticleTraining, train_article
    from mechanical_ears.terminal import TrainingBar, is_first_process
    from mechanical_ears.training.device import Hardware

    training = ArticleTraining(corpus, validation, epochs, batch_size, learning_rate, seed)
    with TrainingBar() as bar:
        log = train_article(training, output, bar, Hardware(accelerator, precision))
    last = log[-1]
    if is_first_process():
        print(
            f"{output}: epoch {last['epoch']}, accuracy {last['accuracy']:.1%} on training notes, "
            f"{last['validation_accuracy']:.1%} on unseen instruments"
        )


@app.command
def evaluate(
    model: Positional[Path],
    *,
    corpus: Path,
    side: Side = "held-out",
    output: MaybeOutput = None,
    json_lines: Annotated[bool, arg(name="json")] = False,
    skip_bad: bool = False,
) -> None:
    """Measure how well a network hears the pitch of a corpus.

    Args:
        model: a run folder, or an ONNX file of the article's network.
        corpus: a store, NSynth in either form, or a folder of recordings.
        side: notes of a store to hear; held-out leaves out those of its train side.
        output: folder for report.json and the confusion picture.
        json_lines: print JSON instead of tables.
        skip_bad: leave out records that cannot be read.
    """
    from mechanical_ears.corpus.opening import open_corpus
    from mechanical_ears.evaluation.hearing import evaluate as hear_all
    from mechanical_ears.evaluation.picture import confusion_picture
    from mechanical_ears.files import make_folder, write_json
    from mechanical_ears.listening.ears import ArticleEars
    from mechanical_ears.pictures import save_figure
    from mechanical_ears.terminal import progress_bar, show_table

    ears = ArticleEars(model / "model.onnx" if model.is_dir() else model)
    opened = open_corpus(corpus)
    with progress_bar("listening") as move:
        report = hear_all(ears.probabilities, opened, side=side, skip_bad=skip_bad, progress=move)
    values = {"model": str(model), "corpus": str(corpus), "side": side, **report.to_json()}
    if output is not None:
        make_folder(output)
        write_json(output / "report.json", values)
        picture = confusion_picture(report, f"{model.name} on {corpus.name}")
        save_figure(picture, output / "confusion.png")
    if json_lines:
        print(json.dumps(values, ensure_ascii=False))
        return

    def row(name: str, part: Accuracy) -> tuple[object, ...]:
        shares = (part.exact, part.top5, part.chroma, part.within_one)
        return (name, part.notes, *(f"{share:.1%}" for share in shares))

    parts = {"all": report.overall, **report.by_register, **report.by_family}
    header = ("", "notes", "exact", "top 5", "chroma", "within 1")
    show_table(f"{model} on {corpus}", header, [row(*part) for part in parts.items()])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; what the user did wrong is told in one line on stderr."""
    try:
        app.cli(
            prog="ears",
            description="Mechanical Ears: listen to musical notes, imagine instruments.",
            args=arguments,
            config=(OmitSubcommandPrefixes,),
        )
    except EarsError as error:
        print(f"ears: error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_EXTRA:
            raise
        print(
            f'ears: error: this needs {error.name}; pip install "mechanical-ears[train]"',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("\nears: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
