"""`ears evaluate imagination` as a user types it, on toy data."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mechanical_ears.cli import main
from mechanical_ears.corpus.store import build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.evaluation.imagination import SETS, evaluate_generator, sample_instruments
from mechanical_ears.evaluation.judge import EvaluationNetwork
from mechanical_ears.evaluation.measurements import Notes
from mechanical_ears.evaluation.note_sets import open_store, read_notes
from mechanical_ears.evaluation.plots import plot_instruments
from mechanical_ears.evaluation.real_notes import EvaluationPlan, measure_real_notes
from mechanical_ears.evaluation.report import report_rows, to_markdown
from mechanical_ears.pitch import midi_to_hz

pytestmark = pytest.mark.slow

OPTIONS = ["--instruments", "10", "--notes", "50"]


@pytest.fixture(scope="module")
def measured_real(tmp_path_factory):
    return tmp_path_factory.mktemp("real") / "kept"


def test_the_report(toy_weights, toy_store, measured_real, tmp_path, capsys):
    command = ["evaluate", "imagination", "--corpus", str(toy_store), "--model", str(toy_weights)]
    command += [*OPTIONS, "--real", str(measured_real), "-o", str(tmp_path / "report")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "of the targets are missed" in printed
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [*report["sets"]] == list(SETS)
    generated = report["sets"]["generated"]
    assert generated["heard"]["notes"] == generated["to_train"]["generated"] == 50
    assert generated["novelty"]["instruments"] == 10
    assert {"threshold", "strangers"} < generated["novelty"].keys()
    assert generated["velocity"] == {
        "steps": 40,
        "louder": 1.0,
        "decibels": pytest.approx(5, abs=0.2),
    }
    assert generated["heard"]["cents"] < 0.5  # the toy's strings are exact
    assert generated["faults"]["clicks"] == 0
    train = report["sets"]["train"]
    assert train["to_train"]["frechet"] < generated["to_train"]["frechet"]
    assert train["to_train"]["precision"] > generated["to_train"]["precision"]
    assert train["novelty"] is None
    table = {row["figure"]: row for row in report["table"]}
    assert table["velocity steps that are louder"]["met"] is True
    assert table["silent notes"] == {
        "figure": "silent notes",
        **dict.fromkeys(SETS, "0.0 %"),
        "target": "none",
        "met": True,
    }
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| velocity steps that are louder | 100.0 % |" in text
    for name in ("embeddings", "families", "instruments"):
        assert (tmp_path / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")

    kept = {file: file.stat().st_mtime_ns for file in measured_real.iterdir()}
    assert len(kept) == 9
    assert main([*command, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["sets"] == report["sets"]  # same seed, same figures
    assert kept == {file: file.stat().st_mtime_ns for file in measured_real.iterdir()}


def test_training_notes_passed_off_as_generated_are_neither_bad_nor_new(toy_store, measured_real):
    """A copying generator: it returns notes of training instruments whatever is requested."""
    store, network, plan = open_store(toy_store), EvaluationNetwork.load(), EvaluationPlan(10, 50)
    real_notes = measure_real_notes(store, network, plan, cache=measured_real)
    train = store.rows("train")
    names = np.unique(store.instrument[train])

    def copy(requests):
        for number in np.unique(requests.instrument):
            own = train[store.instrument[train] == names[number % len(names)]]
            wanted = np.flatnonzero(requests.instrument == number)
            picked = [
                own[
                    np.lexsort(
                        (
                            np.abs(store.velocity[own].astype(int) - requests.velocity[at]),
                            np.abs(store.pitch[own].astype(int) - requests.pitch[at]),
                        )
                    )[0]
                ]
                for at in wanted
            ]
            yield from read_notes(store, np.array(picked))

    evaluation = evaluate_generator(copy, store, real_notes, network, plan)
    generated = evaluation.sets["generated"]
    assert generated.novelty.share == 0
    assert generated.to_train.precision > 0.8
    assert generated.velocity.louder == 1
    table = {row.figure: row for row in report_rows(evaluation)}
    assert table["instruments that are new"].met is False
    assert table["notes that clip"].met is True
    assert to_markdown(report_rows(evaluation)).count("\n") == len(table) + 1


def test_samples_of_any_generator(toy_store):
    """Three keys of each instrument, also if all notes come in one batch."""
    store = open_store(toy_store)

    def sawtooth(requests):
        time = np.arange(64_000) / 16_000
        audio = [time * midi_to_hz(int(key)) % 1 - 0.5 for key in requests.pitch]
        names = np.array([f"saw {number}" for number in requests.instrument])
        yield Notes(
            requests.pitch, requests.velocity, requests.family, names, audio=np.float32(audio)
        )

    samples = sample_instruments(sawtooth, store, EvaluationPlan(30, 50))
    assert len(samples) == 24
    for number, notes in enumerate(samples):
        assert list(notes.pitch) == [45, 60, 76]
        assert {*notes.instrument} == {f"saw {number}"}
    picture = plot_instruments(samples[:3], "three")
    assert len([axes for axes in picture.axes if axes.images]) == 9


def error_of(capsys, *arguments):
    assert main(["evaluate", "imagination", *map(str, arguments)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    return error


def test_bad_input_is_reported_in_one_line(toy_weights, toy_store, tmp_path, capsys):
    model, output = ["--model", toy_weights], ["-o", tmp_path / "report"]
    error = error_of(capsys, "--corpus", toy_store, "--model", tmp_path / "none", *output)
    assert "no such folder of weights" in error
    (tmp_path / "empty").mkdir()
    error = error_of(capsys, "--corpus", toy_store, "--model", tmp_path / "empty", *output)
    assert "generator.onnx: no such model file" in error
    error = error_of(capsys, "--corpus", tmp_path / "none", *model, *output)
    assert "is not a store" in error
    build_store(Toy(12, instruments=3), tmp_path / "unsplit")
    error = error_of(capsys, "--corpus", tmp_path / "unsplit", *model, *output)
    assert "never split; build it with --split" in error
    build_store(Toy(30, instruments=6), tmp_path / "small", split=(0.5, 0.25, 0.25))
    error = error_of(capsys, "--corpus", tmp_path / "small", *model, *output)
    assert "fewer than 100 notes on a side of its split; build a larger store" in error
    error = error_of(capsys, "--corpus", toy_store, *model, *output, "--instruments", 0)
    assert '"instruments" is 0, below 2' in error
    error = error_of(capsys, "--corpus", toy_store, *model, *output, "--notes", 20)
    assert '"notes" is 20, below 50' in error
    (tmp_path / "judge").write_bytes(b"nothing")
    error = error_of(capsys, "--corpus", toy_store, *model, *output, "--judge", tmp_path / "judge")
    assert "is not a file of the evaluation network" in error
    (tmp_path / "file").write_text("")
    error = error_of(capsys, "--corpus", toy_store, *model, "-o", tmp_path / "file")
    assert "is a file where a folder is needed" in error


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "imagination", "--corpus", "x", "-o", "y", "--colour", "red"])
    assert ended.value.code == 2
    assert "--colour" in capsys.readouterr().err


def test_without_torch_it_says_what_to_install(toy_weights, toy_store, tmp_path):
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from mechanical_ears.cli import main\n"
        f"sys.exit(main(['evaluate', 'imagination', '--corpus', {str(toy_store)!r}, "
        f"'--model', {str(toy_weights)!r}, '-o', {str(tmp_path / 'r')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip() == (
        'ears: error: this needs torch; pip install "mechanical-ears[train]"'
    )
    assert not (tmp_path / "r").exists()
