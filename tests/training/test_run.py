"""Run folders: resumed after any interruption, and only with the same configuration."""

import json

import pytest
import torch

from mechanical_ears.errors import EarsError, TrainingError
from mechanical_ears.training.run import RunFolder


def new_state(seed=0):
    torch.manual_seed(seed)
    network = torch.nn.Linear(3, 2)
    return {
        "network": network,
        "optimiser": torch.optim.Adam(network.parameters(), lr=0.1, fused=True),
    }


def step(state, times=1):
    for number in range(times):
        generator = torch.Generator().manual_seed(number)
        state["optimiser"].zero_grad()
        state["network"](torch.rand(8, 3, generator=generator)).square().sum().backward()
        state["optimiser"].step()


def weights(state):
    return [value.tolist() for value in state["network"].state_dict().values()]


def test_resumed_training_equals_an_uninterrupted_one(tmp_path):
    uninterrupted = new_state()
    step(uninterrupted, 2)
    step(uninterrupted, 3)

    run = RunFolder(tmp_path / "run", {"seed": 0})
    state = new_state()
    assert run.resume(state) == 0
    step(state, 2)
    run.finish_epoch(1, state, {"loss": 1.5})
    run.close()

    again = RunFolder(tmp_path / "run", {"seed": 0})
    fresh = new_state(seed=99)
    assert again.resume(fresh) == 1
    step(fresh, 3)
    assert weights(fresh) == weights(uninterrupted)


def test_the_last_two_checkpoints_are_kept(tmp_path):
    run = RunFolder(tmp_path / "run", {})
    for epoch in range(1, 5):
        run.finish_epoch(epoch, new_state(), {"loss": epoch})
    assert [epoch for epoch, _ in run.checkpoints()] == [3, 4]
    assert [line["epoch"] for line in run.log()] == [1, 2, 3, 4]


def test_later_or_incomplete_lines_of_the_log_are_removed(tmp_path):
    run = RunFolder(tmp_path / "run", {})
    run.finish_epoch(1, new_state(), {"loss": 1})
    with run.log_path.open("a") as log:
        log.write(json.dumps({"epoch": 2, "loss": 0}) + '\n{"epoch": 3, "lo')
    assert run.resume(new_state()) == 1
    assert run.log_path.read_text() == '{"epoch": 1, "loss": 1}\n'


def test_another_configuration_is_refused_by_key(tmp_path):
    RunFolder(tmp_path / "run", {"batch_size": 64, "epochs": 30}).close()
    with pytest.raises(TrainingError, match="batch_size 64 there, 128 here"):
        RunFolder(tmp_path / "run", {"batch_size": 128, "epochs": 30})
    RunFolder(tmp_path / "run", {"batch_size": 64, "epochs": 60}, changeable=("epochs",))


def test_two_trainings_do_not_share_a_folder(tmp_path):
    run = RunFolder(tmp_path / "run", {})
    with pytest.raises(EarsError, match="is in use by another process"):
        RunFolder(tmp_path / "run", {})
    RunFolder(tmp_path / "run", {}, writes=False)
    run.close()
    RunFolder(tmp_path / "run", {})


def test_partial_files_of_a_kill_are_removed(tmp_path):
    RunFolder(tmp_path / "run", {}).close()
    partial = tmp_path / "run" / ".checkpoint-0001.4711.partial.safetensors"
    partial.write_bytes(b"half")
    RunFolder(tmp_path / "run", {})
    assert not partial.exists()


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("dear reader")
    with pytest.raises(TrainingError, match=r"holds other files"):
        RunFolder(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_damaged_checkpoint_is_named_and_the_one_before_still_loads(tmp_path):
    run = RunFolder(tmp_path / "run", {})
    state = new_state()
    run.finish_epoch(1, state, {"loss": 1})
    first = weights(state)
    step(state)
    run.finish_epoch(2, state, {"loss": 2})
    damaged = tmp_path / "run" / "checkpoint-0002.safetensors"
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    with pytest.raises(
        TrainingError, match=r"checkpoint-0002.safetensors: is a damaged checkpoint"
    ):
        run.resume(state)
    damaged.unlink()
    assert run.resume(state) == 1
    assert weights(state) == first


def test_checkpoint_of_another_network(tmp_path):
    run = RunFolder(tmp_path / "run", {})
    run.finish_epoch(1, {"network": torch.nn.Linear(4, 2)}, {"loss": 1})
    with pytest.raises(TrainingError, match="of another network"):
        run.resume({"network": torch.nn.Linear(3, 2)})
