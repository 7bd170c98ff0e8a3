"""Devices of a training: CPU, one GPU, or the processes that torchrun has started."""

from __future__ import annotations

import ctypes
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from mechanical_ears.errors import TrainingError

if TYPE_CHECKING:
    import torch
    from torch import nn

Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Hardware:
    """Device and number format; neither changes what is trained.

    Attributes:
        accelerator: "auto" selects a GPU if there is one.
        precision: "auto" selects bf16-mixed on CUDA, and on CPUs with matrix tiles (AMX) for
            trainings that are faster with it; float32 elsewhere (on other CPUs bf16 is slower).
    """

    accelerator: Accelerator = "auto"
    precision: Precision = "auto"


def compile_network(network: nn.Module, device: torch.device) -> nn.Module:
    """Compile a network where possible: on CUDA, and on CPUs with a C++ compiler.

    The result shares its weights with the network. (On 2 cores the listener trains 1.4 times as
    fast.)
    """
    import torch

    if device.type == "cuda" or (device.type == "cpu" and shutil.which("c++")):
        return cast("nn.Module", torch.compile(network))
    return network


@contextmanager
def torch_settings(
    *, threads: int | None = None, flush_denormal: bool | None = None
) -> Iterator[None]:
    """Change settings of torch for the whole process; on exit they are restored.

    Args:
        threads: of one operation on the CPU; None changes nothing.
        flush_denormal: whether numbers below the smallest normal float32, about 1e-38, count as 0:
            they slow a processor down; None changes nothing.
    """
    import torch

    threads_before, flushed_before = torch.get_num_threads(), flushes_denormal()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        if flush_denormal is not None:
            torch.set_flush_denormal(flush_denormal)
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_flush_denormal(flushed_before)


def flushes_denormal() -> bool:
    """Whether torch flushes subnormal numbers to 0 in this thread; it has no function for that."""
    import torch

    return float(torch.tensor(2.0**-140) * 1) == 0


def keep_freed_memory() -> None:
    """Reuse freed memory instead of returning it to the system, where glibc allows it.

    A batch of audio is larger than what glibc keeps by default; the kernel would provide each new
    tensor page by page and zero it, which took half of the time of a training on 2 cores.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return
    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8  # numbers in malloc.h
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 256 << 20)
    libc.mallopt(arena_max, 1)


def launch_fabric(hardware: Hardware, *, mixed: bool = False) -> Any:
    """Start Lightning Fabric, as a single process or as one of torchrun's.

    Args:
        hardware: where to compute.
        mixed: whether the training is faster with bf16 on CPUs with matrix tiles.

    Raises:
        TrainingError: the accelerator is not available.
    """
    import os

    import torch
    from lightning.fabric import Fabric

    keep_freed_memory()
    accelerator = hardware.accelerator
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no CUDA GPU is available", remedy="use --accelerator auto or cpu")
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    precision = hardware.precision
    if precision == "auto":
        has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", bool)
        tiles = mixed and accelerator == "cpu" and has_tiles()
        precision = "bf16-mixed" if accelerator == "cuda" or tiles else "32-true"
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=max(1, int(os.environ.get("WORLD_SIZE", "1")) // local),
        precision=precision,
    )
    fabric.launch()
    return fabric
