"""The folder of a training run, which can be interrupted at any moment and resumed.

    RUN/config.json                  the configuration; a run is resumed only with the same
    RUN/log.jsonl                    a line of figures for each epoch
    RUN/checkpoint-0007.safetensors  network and optimiser after epoch 7 (the last two are kept)

A checkpoint is written under a temporary name and renamed, then the line of its epoch is appended
to the log. On resuming, lines of the log after the newest checkpoint (or cut off by a kill) are
removed; at most the current epoch is lost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mechanical_ears import files
from mechanical_ears.errors import TrainingError

KEPT_CHECKPOINTS = 2

Figures = dict[str, Any]  # one line of the log
State = Mapping[str, torch.nn.Module | torch.optim.Optimizer]  # contents of a checkpoint


class RunFolder:
    """The folder of a new or resumed run.

    Args:
        path: the folder.
        config: everything that determines the training, as JSON values.
        changeable: keys of the configuration that may have other values on resuming.
        writes: whether this process writes in the folder; one of several processes does.

    Raises:
        TrainingError: the folder holds a run with another configuration, or other files.
        EarsError: the folder cannot be written, or another process is training in it.
    """

    def __init__(
        self,
        path: str | Path,
        config: Mapping[str, object],
        changeable: Collection[str] = (),
        *,
        writes: bool = True,
    ) -> None:
        self.path = Path(path)
        self.config = json.loads(json.dumps(dict(config), default=str))
        file = self.path / "config.json"
        if file.exists():
            self._check_config(file, changeable)
        elif self.path.is_dir() and any(
            file.name != files.LOCK_FILE for file in self.path.iterdir()
        ):
            raise TrainingError(
                "holds other files and no config.json of a run",
                path=path,
                remedy="give an empty or new folder",
            )
        files.make_folder(self.path)
        self._lock = files.lock_folder(self.path) if writes else None
        if writes:
            for partial in self.path.glob(".*.partial.*"):
                partial.unlink()  # left by a kill
            files.write_json(file, self.config)

    def close(self) -> None:
        """Release the lock, so that other processes can train in the folder."""
        if self._lock is not None:
            self._lock.release()

    def _check_config(self, file: Path, changeable: Collection[str]) -> None:
        try:
            stored = json.loads(file.read_text())
        except ValueError as error:
            raise TrainingError("is damaged", path=file, remedy="give a new run folder") from error
        keys = sorted({*stored, *self.config})
        if stored.get("network") != self.config.get("network"):
            keys = ["network"]  # the others follow from it
        different = [
            f"{key} {stored.get(key)!r} there, {self.config.get(key)!r} here"
            for key in keys
            if key not in changeable and stored.get(key) != self.config.get(key)
        ]
        if different:
            raise TrainingError(
                f"holds a run with another configuration: {'; '.join(different)}",
                path=self.path,
                remedy="give the same options to resume it, or a new run folder",
            )

    @property
    def log_path(self) -> Path:
        """File with the figures of each epoch."""
        return self.path / "log.jsonl"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """Epoch and file of each checkpoint, oldest first."""
        found = self.path.glob("checkpoint-*.safetensors")
        return sorted((int(file.stem.removeprefix("checkpoint-")), file) for file in found)

    def resume(self, state: State) -> int:
        """Load the newest checkpoint into networks and optimisers; remove later lines of the log.

        Returns:
            The last finished epoch, 0 for a new run.

        Raises:
            TrainingError: the checkpoint is damaged, or of another network.
        """
        checkpoints = self.checkpoints()
        epoch, file = checkpoints[-1] if checkpoints else (0, None)
        if file is not None:
            load_checkpoint(file, state)
        kept = [line for line in self.log() if line["epoch"] <= epoch]
        if self.log_path.exists():
            files.write_text(self.log_path, "".join(json.dumps(line) + "\n" for line in kept))
        return epoch

    def check_loss(self, loss: float, epoch: int) -> None:
        """Stop a training that diverged.

        Raises:
            TrainingError: the loss is not finite.
        """
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch}",
                path=self.path,
                remedy="train with a lower --learning-rate in a new run folder",
            )

    def finish_epoch(self, epoch: int, state: State, figures: Figures) -> None:
        """Save a checkpoint, then the line of the log; delete older checkpoints."""
        save_checkpoint(self.path / f"checkpoint-{epoch:04d}.safetensors", state)
        try:
            with self.log_path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"epoch": epoch, **figures}) + "\n")
        except OSError as error:
            raise files.write_error(self.log_path, error) from error
        for _, old in self.checkpoints()[:-KEPT_CHECKPOINTS]:
            old.unlink()

    def log(self) -> list[Figures]:
        """The complete lines of the log."""
        if not self.log_path.exists():
            return []
        lines = []
        for line in self.log_path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break  # cut off by a kill; it is the last line
        return lines


def save_checkpoint(path: Path, state: State) -> None:
    """Write networks and optimisers to one safetensors file, atomically."""
    tensors: dict[str, torch.Tensor] = {}
    for name, part in state.items():
        if isinstance(part, torch.optim.Optimizer):
            for index, slots in part.state_dict()["state"].items():
                for slot, value in slots.items():
                    tensors[f"{name}/{index}/{slot}"] = torch.as_tensor(value)
        else:
            for key, value in part.state_dict().items():
                tensors[f"{name}/{key}"] = value
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with files.write_atomically(path) as temporary:
        try:
            save_file(tensors, temporary)
        except SafetensorError as error:
            raise OSError(None, str(error)) from error


def load_checkpoint(path: Path, state: State) -> None:
    """Read a file of `save_checkpoint` into networks and optimisers of the same shapes.

    Raises:
        TrainingError: the file is damaged, or of another network.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise TrainingError(
            f"is a damaged checkpoint ({error})",
            path=path,
            remedy="remove it to resume from the checkpoint before",
        ) from error
    for name, part in state.items():
        own = {
            key.removeprefix(f"{name}/"): value
            for key, value in tensors.items()
            if key.startswith(f"{name}/")
        }
        try:
            if isinstance(part, torch.optim.Optimizer):
                slots: dict[int, dict[str, torch.Tensor]] = {}
                for key, value in own.items():
                    index, slot = key.split("/")
                    slots.setdefault(int(index), {})[slot] = value
                groups = part.state_dict()["param_groups"]
                part.load_state_dict({"state": slots, "param_groups": groups})
            else:
                part.load_state_dict(own)
        except (RuntimeError, ValueError, KeyError) as error:
            problem = f"is a checkpoint of another network: {str(error).splitlines()[0]}"
            raise TrainingError(problem, path=path, remedy="give a new run folder") from error
