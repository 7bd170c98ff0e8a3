"""On what a training runs: CPU, one GPU, or as many processes as torchrun has started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mechanical_ears.errors import TrainingError

Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Hardware:
    """Where to compute; it does not change what is trained.

    Attributes:
        accelerator: "auto" takes a GPU if there is one.
        precision: "auto" takes bf16-mixed on CUDA and float32 elsewhere (on CPUs bf16 is slower).
    """

    accelerator: Accelerator = "auto"
    precision: Precision = "auto"


def launch_fabric(hardware: Hardware) -> Any:
    """Start Lightning Fabric: alone, or as one of torchrun's processes.

    Raises:
        TrainingError: there is no such accelerator here.
    """
    import os

    import torch
    from lightning.fabric import Fabric

    accelerator = hardware.accelerator
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise TrainingError("there is no CUDA GPU here", remedy="use --accelerator auto or cpu")
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    precision = hardware.precision
    if precision == "auto":
        precision = "bf16-mixed" if accelerator == "cuda" else "32-true"
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=max(1, int(os.environ.get("WORLD_SIZE", "1")) // local),
        precision=precision,
    )
    fabric.launch()
    return fabric
