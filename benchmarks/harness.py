"""Shared by all benchmarks: environments of peers, repeated timing, sections of docs/BENCHMARKS.md.

A benchmark times its contenders interleaved (A, B, A, B, …) within one run, reports the median and
the range, and writes its section of docs/BENCHMARKS.md with `write_section`.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"
PEERS = ROOT / ".peers"  # environments and caches of other projects

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def on_one_thread() -> None:
    """Restart this program with one thread in its libraries, unless it has one; call this first.

    Threads that wait for each other use CPU time: a resynthesis of 8 ms then takes 16.
    """
    if any(os.environ.get(name) != count for name, count in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})


def peer_python(name: str) -> Path:
    """Python of a peer's own environment, created from ``benchmarks/peers/NAME.txt`` if absent.

    Packages in ``NAME.no-deps.txt``, if there is such a file, are installed afterwards without
    their dependencies.
    """
    folder = PEERS / name
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"setting up {folder} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        requirements = ROOT / "benchmarks" / "peers" / f"{name}.txt"
        without_dependencies = requirements.with_suffix(".no-deps.txt")
        install = [python, "-m", "pip", "install", "-q"]
        subprocess.run([*install, "-r", requirements], check=True)
        if without_dependencies.exists():
            subprocess.run([*install, "--no-deps", "-r", without_dependencies], check=True)
    return python


def medians(
    contenders: Mapping[str, Callable[[], float]], repeats: int = 5
) -> dict[str, tuple[float, float, float]]:
    """Minimum, median and maximum of each contender in ``repeats`` interleaved calls."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, measure in contenders.items():
            figures[name].append(measure())
    return {
        name: (min(values), statistics.median(values), max(values))
        for name, values in figures.items()
    }


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def machine() -> str:
    """This machine in one line: processor, cores, Python."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    cores = "?"
    if cpuinfo.exists():
        text = cpuinfo.read_text()
        match = re.search(r"model name\s*:\s*(.+)", text)
        model = match.group(1) if match else model
        cores = str(text.count("processor\t"))
    return f"{model}, {cores} cores, Python {platform.python_version()}"


def slim_picture(path: Path, width: int = 1400, colours: int = 64) -> None:
    """Reduce a picture's pixels and colours in place: a repository keeps every version of it."""
    from PIL import Image

    with Image.open(path) as picture:
        new_width = min(width, picture.width)
        height = picture.height * new_width // picture.width
        small = picture.convert("RGB").resize((new_width, height))
    small.quantize(colours).save(path, optimize=True)


def write_section(name: str, title: str, command: str, body: str) -> None:
    """Write (or replace) one section of docs/BENCHMARKS.md and print it."""
    section = (
        f"<!-- {name}: begin -->\n## {title}\n\n"
        f"`{command}` on {machine()}.\n\n{body.strip()}\n<!-- {name}: end -->"
    )
    print(section)
    text = DOCUMENT.read_text() if DOCUMENT.exists() else "# Benchmarks\n"
    pattern = re.compile(rf"<!-- {name}: begin -->.*?<!-- {name}: end -->", re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = text.rstrip() + "\n\n" + section + "\n"
    DOCUMENT.write_text(text)
