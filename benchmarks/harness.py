"""What every benchmark does alike: run peers in environments of their own, repeat, write the table.

A benchmark times each contender several times in turn (A, B, A, B, …) within one run, reports the
median and the spread, and writes its section of docs/BENCHMARKS.md with `write_section`.
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
PEERS = ROOT / ".peers"


ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def on_one_thread() -> None:
    """Begin this program anew with one thread in its libraries, if it has not; call it first.

    Threads that wait for each other count as CPU time: a resynthesis of 8 ms looks like one of 16.
    """
    if any(os.environ.get(name) != count for name, count in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})


def peer_python(name: str) -> Path:
    """Python of the environment of a peer, set up from ``benchmarks/peers/NAME.txt`` if absent.

    What ``NAME.no-deps.txt`` names, where there is such a file, is installed after the rest and
    without its dependencies.
    """
    folder = PEERS / name
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"setting up {folder} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        requirements = ROOT / "benchmarks" / "peers" / f"{name}.txt"
        alone = requirements.with_suffix(".no-deps.txt")
        install = [python, "-m", "pip", "install", "-q"]
        subprocess.run([*install, "-r", requirements], check=True)
        if alone.exists():
            subprocess.run([*install, "--no-deps", "-r", alone], check=True)
    return python


def medians(
    contenders: Mapping[str, Callable[[], float]], repeats: int = 5
) -> dict[str, tuple[float, float, float]]:
    """Call each contender ``repeats`` times in turn; minimum, median and maximum of each."""
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
    """The machine in one line: processor, cores, Python."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    cores = "?"
    if cpuinfo.exists():
        text = cpuinfo.read_text()
        found = re.search(r"model name\s*:\s*(.+)", text)
        model = found.group(1) if found else model
        cores = str(text.count("processor\t"))
    return f"{model}, {cores} cores, Python {platform.python_version()}"


def slim_picture(path: Path, width: int = 1400, colours: int = 64) -> None:
    """Fewer pixels and colours, in place, since a repository keeps every picture for ever."""
    from PIL import Image

    with Image.open(path) as picture:
        wide = min(width, picture.width)
        small = picture.convert("RGB").resize((wide, picture.height * wide // picture.width))
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
