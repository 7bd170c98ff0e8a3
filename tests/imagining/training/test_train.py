"""Training of the imagination through its real command, on a corpus of a few toy notes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("pyarrow")

from safetensors.torch import load_file

from mechanical_ears.cli import main
from mechanical_ears.corpus.store import Store, build_store
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.imagining.model import Model
from mechanical_ears.imagining.training import dataset, train
from mechanical_ears.imagining.training import validate as validation
from mechanical_ears.imagining.training.critics.article import ArticleCritic
from mechanical_ears.imagining.training.critics.detector import DetectorCritic
from mechanical_ears.imagining.training.critics.ears import EarsCritic
from mechanical_ears.imagining.training.critics.make import CRITICS, stored_name
from mechanical_ears.imagining.training.latents import LEVEL_SCALE_DB, Codec
from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.publish import MAX_FULL_SIZE, GridEncoder
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_map_corpus import build_control_maps


class KilledError(BaseException):
    """Like a kill: nothing catches it."""


def corpus(folder, *, notes, instruments, split):
    build_store(Toy(notes, instruments=instruments), folder / "store", split=split)
    build_control_maps(Store(folder / "store"), folder / "maps", workers=1)
    return folder / "maps"


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imagination")
    return corpus(folder, notes=40, instruments=8, split=(0.6, 0.2, 0.2))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few notes for figures and critics; publishing is tested once."""
    monkeypatch.setattr(validation, "COMPARED_NOTES", 128)
    monkeypatch.setattr(train, "publish", lambda *parts: None)
    for expensive in (EarsCritic, ArticleCritic, DetectorCritic):
        monkeypatch.setattr(expensive, "max_notes", 4)


def command(maps, run, *options, rounds=2):
    return [
        "train", "imagination", "--corpora", str(maps), "-o", str(run), "--rounds", str(rounds),
        "--round-steps", "2", "--instruments", "4", "--accelerator", "cpu", *options,
    ]  # fmt: skip


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def reconstruction_run(maps, tmp_path_factory):
    """A run of one round without critics."""
    run = tmp_path_factory.mktemp("first") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "COMPARED_NOTES", 128)
        patch.setattr(train, "publish", lambda *parts: None)
        assert main(command(maps, run, "--critics", rounds=1)) == 0
    return run


@pytest.mark.parametrize("critic", CRITICS)
def test_each_critic_alone(critic, maps, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(command(maps, run, "--critics", critic)) == 0
    assert "round 2" in capsys.readouterr().out
    log = log_of(run)
    assert [line["epoch"] for line in log] == [1, 2]
    assert np.isfinite(log[0][f"loss_{stored_name(critic)}"])  # not all have a turn in every round
    stored = load_file(run / "checkpoint-0002.safetensors")
    assert any(name.startswith(f"critic_{stored_name(critic)}/") for name in stored)


def test_no_critic_trains_by_reconstruction(reconstruction_run):
    log = log_of(reconstruction_run)
    assert len(log) == 1
    assert log[0]["loss_reconstruction"] > 0
    assert not {f"loss_{stored_name(name)}" for name in (*CRITICS, "critics")} & set(log[0])
    assert not (reconstruction_run / "sheets").exists(), "there is one every ten rounds"
    assert json.loads((reconstruction_run / "config.json").read_text())["critics"] == []


def test_killed_training_resumes_exactly(maps, tmp_path, monkeypatch):
    options = ("--critics", *CRITICS)
    assert main(command(maps, tmp_path / "whole", *options)) == 0
    validate = train.validate
    calls = []

    def killed(*parts):
        calls.append(parts)
        if len(calls) == 2:
            raise KilledError
        return validate(*parts)

    with monkeypatch.context() as patch:
        patch.setattr(train, "validate", killed)
        with pytest.raises(KilledError):
            main(command(maps, tmp_path / "cut", *options))
    run = tmp_path / "cut"
    assert not (run / "checkpoint-0002.safetensors").exists()
    (run / ".checkpoint-0002.safetensors.partial.77").write_bytes(b"half of it")
    with (run / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "loss_cri')
    torch.rand(3)  # the global generator has no effect
    assert main(command(maps, run, *options)) == 0
    whole, cut = (
        load_file(tmp_path / name / "checkpoint-0002.safetensors") for name in ("whole", "cut")
    )
    assert whole.keys() == cut.keys()
    assert [name for name in whole if not torch.equal(whole[name], cut[name])] == []
    assert not list(run.glob(".*.partial*"))
    assert [line["epoch"] for line in log_of(run)] == [1, 2]
    assert main(command(maps, run, "--critics", "latent")) == 2, "another configuration"


def test_run_with_the_old_name_of_a_critic_resumes(maps, tmp_path):
    run = tmp_path / "run"
    assert main(command(maps, run, "--critics", "map", rounds=1)) == 0
    assert main(command(maps, run, "--critics", "latent")) == 0
    assert json.loads((run / "config.json").read_text())["critics"] == ["map"]
    assert [line["epoch"] for line in log_of(run)] == [1, 2]
    assert all("loss_map" in line for line in log_of(run))


def test_codec_of_some_notes_encodes_all(maps, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "MAX_FIT_NOTES", 5)

    def load(name):
        return dataset.load_dataset((maps,), tmp_path / name, 4, lambda done, total: None)

    codec, sides = load("codec.safetensors")
    monkeypatch.undo()
    whole, known = load("all.safetensors")
    for side in ("train", "validation"):
        assert len(sides[side]) == len(known[side]) > 0
        assert torch.equal(sides[side].pitch, known[side].pitch)
        assert torch.allclose(sides[side].latents[:, 0], known[side].latents[:, 0])  # levels
    assert not torch.equal(codec.mean, whole.mean)


def test_training_does_not_resume_with_other_notes(maps, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(command(maps, run, "--critics", "latent", rounds=1)) == 0
    before = (run / "codec.safetensors").read_bytes()
    (tmp_path / "other").mkdir()
    other = corpus(tmp_path / "other", notes=12, instruments=6, split=(0.5, 0.25, 0.25))
    assert main(command(other, run, "--critics", "latent")) == 2
    assert "another configuration: maps_sha256" in capsys.readouterr().err
    assert (run / "codec.safetensors").read_bytes() == before


def test_sheet_at_its_interval(maps, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "SHEET_ROUNDS", 2)
    assert main(command(maps, tmp_path / "run", "--critics", "latent", rounds=3)) == 0
    pictures = list((tmp_path / "run" / "sheets").glob("*.png"))
    assert [picture.name for picture in pictures] == ["round-0002.png"]


def test_diverged_training_is_reported(maps, tmp_path, capsys):
    run = tmp_path / "run"
    options = ("--critics", "latent", "--learning-rate", "1e5")
    assert main(command(maps, run, *options)) == 2
    error = capsys.readouterr().err
    assert "the training diverged in round 1" in error
    assert "lower --learning-rate" in error
    assert not list(run.glob("checkpoint-*"))


def test_unusable_corpora_are_reported(maps, tmp_path, capsys):
    def refused(path, words, *options):
        options = ("--critics", "latent", *options)
        assert main(command(path, tmp_path / f"run-{words[:5]}", *options)) == 2
        error = capsys.readouterr().err.strip()
        assert error.startswith("ears: error: ")
        assert words in error
        assert len(error.splitlines()) == 1

    (tmp_path / "few").mkdir()
    few = corpus(tmp_path / "few", notes=6, instruments=3, split=(0.34, 0.33, 0.33))
    refused(few, "holds 1 instrument to train on")
    (tmp_path / "whole").mkdir()
    whole = corpus(tmp_path / "whole", notes=2, instruments=1, split=None)
    refused(whole, "has no train side")
    shutil.copytree(maps, tmp_path / "newer")
    about = tmp_path / "newer" / "maps.json"
    about.write_text(about.read_text().replace('"version": 1', '"version": 9'))
    refused(tmp_path / "newer", "version 9")
    refused(tmp_path / "nothing", "holds no maps")
    refused(maps, 'no critic "eyes"', "eyes")


def test_published_files_match_the_networks(maps, tmp_path, monkeypatch):
    from mechanical_ears.imagining.training.publish import publish

    monkeypatch.setattr(train, "publish", publish)
    run = tmp_path / "run"
    assert main(command(maps, run, "--critics", "latent", rounds=1)) == 0
    with torch.no_grad():
        compare_published(run)


def compare_published(run):
    """The published files in ONNX Runtime against the checkpoint's weights in PyTorch."""
    stored = load_file(run / "codec.safetensors")
    codec = Codec(*(in_half(stored[name]) for name in ("mean", "basis", "deviation")))
    networks = Networks(ImaginationShape.of(codec))
    weights = load_file(run / "checkpoint-0001.safetensors")
    networks.load_state_dict(
        {
            name.removeprefix("averaged/"): in_half(value)
            for name, value in weights.items()
            if name.startswith("averaged/")
        }
    )
    model = Model(run)
    rng = torch.Generator().manual_seed(0)
    z, family = torch.randn(5, 64, generator=rng), torch.eye(len(FAMILIES))[:5]
    pitch, velocity = torch.tensor([30.0, 45, 60, 75, 100]), torch.tensor([20.0, 50, 80, 100, 127])
    timbre = networks.mapper(z, family)
    for number, right in enumerate(timbre.numpy()):
        mapped = model.map_latent(z[number].numpy(), {FAMILIES[number]: 1.0})
        np.testing.assert_allclose(mapped, right, atol=1e-4)
    latents = networks.generator(timbre, pitch, velocity)
    grid = codec.decode(latents)._asdict()
    published = model.generate(timbre.numpy(), pitch.numpy(), velocity.numpy())
    level = latents[:, 0, None, None].numpy() * LEVEL_SCALE_DB
    for name, right in grid.items():
        actual, expected = getattr(published, name), right.numpy()
        if name in ("partials", "slots", "noise"):  # above the soft floor
            audible = expected > level - 70
            assert audible.any() or name == "slots"
            actual, expected = actual[audible], expected[audible]
        np.testing.assert_allclose(actual, expected, atol=1e-2, rtol=1e-3, err_msg=name)
    encoder = GridEncoder(networks.encoder, codec)
    fields = [torch.from_numpy(getattr(published, name)) for name in grid]
    timbres, logits = encoder(*fields, pitch, velocity)
    encoded = model.encode(published, pitch.numpy(), velocity.numpy())
    np.testing.assert_allclose(encoded.timbres, timbres.numpy(), atol=2e-3)
    np.testing.assert_allclose(encoded.families, logits.softmax(dim=1).numpy(), atol=2e-3)
    assert model.metadata["licence"] == "CC0-1.0"
    assert len(model.instruments) == len(model.timbres) > 1


def in_half(value):
    return value.half().float() if value.numel() > MAX_FULL_SIZE else value


def test_denormal_numbers_work_after_a_training(reconstruction_run):
    assert np.float64(5e-324) * 1.0 > 0
