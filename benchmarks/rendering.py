"""Speed of rendering a SoundFont with one worker and with all, in notes per second and real time.

    python benchmarks/rendering.py [FONT.sf2]

The notes are chosen evenly from all melodic presets, keys 21–108 and NSynth's five velocities, 4 s
each, rendered at 48 kHz with 7th-order interpolation and resampled to 16 kHz.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import markdown_table, medians, write_section
from mechanical_ears.corpus.fluidsynth_renderer import FluidSynthRenderer
from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.note import NOTE_SECONDS
from mechanical_ears.workers import worker_count

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
NOTES = 1200
REPEATS = 3


def _render_corpus(font: Path, workers: int) -> int:
    return sum(1 for _ in SoundFont(font, limit=NOTES, workers=workers).scan())


def _synthesise_only(font: Path) -> int:
    """Keys of one preset with FluidSynth only: the upper limit for a worker."""
    with FluidSynthRenderer(font) as renderer:
        for pitch in range(21, 109):
            renderer.render(0, 0, pitch, 100, hold=144_000, length=192_000)
    return 88


def _time(render: Callable[[], int], walls: list[float]) -> Callable[[], float]:
    """Measure notes per CPU-second of all threads; append notes per second of wall to ``walls``."""

    def measure() -> float:
        wall, cpu = time.perf_counter(), time.process_time()
        count = render()
        walls.append(count / (time.perf_counter() - wall))
        return count / (time.process_time() - cpu)

    return measure


def main() -> None:
    """Measure and write the section."""
    font = Path(sys.argv[1]) if len(sys.argv) > 1 else FONT
    workers = worker_count()
    contenders = {
        "FluidSynth only (one preset, no resampling), 1 worker": lambda: _synthesise_only(font),
        "corpus, 1 worker": lambda: _render_corpus(font, 1),
        f"corpus, {workers} workers": lambda: _render_corpus(font, workers),
    }
    walls: dict[str, list[float]] = {name: [] for name in contenders}
    figures = medians(
        {name: _time(render, walls[name]) for name, render in contenders.items()}, REPEATS
    )
    wall = {name: statistics.median(values) for name, values in walls.items()}
    rows = [
        [
            name,
            f"{median:.0f} ({low:.0f}–{high:.0f})",
            f"{median * NOTE_SECONDS:.0f}",
            f"{wall[name]:.0f} ({min(walls[name]):.0f}–{max(walls[name]):.0f})",
        ]
        for name, (low, median, high) in figures.items()
    ]
    header = [
        "",
        "notes per CPU-second (lowest–highest)",
        "× real time per core",
        "notes per second of wall time",
    ]
    table = markdown_table(header, rows)
    whole = SoundFont(font)
    sizes = sorted((len(group) for group in whole.groups()), reverse=True)
    rate = wall[f"corpus, {workers} workers"]
    facts = (
        f"{font.name}, {NOTES} notes from all presets, median of {REPEATS} interleaved runs. "
        f"All {len(whole.instruments)} melodic presets × 88 keys × 5 velocities are {len(whole):,} "
        f"notes: {len(whole) / rate / 60:.0f} minutes on this machine. "
        f"Instruments that share samples form groups of {', '.join(map(str, sizes))}; "
        f"{len(whole.instruments) - sum(sizes)} share none."
    )
    write_section(
        "rendering",
        "Rendering SoundFonts",
        "python benchmarks/rendering.py",
        f"{facts}\n\n{table}",
    )


if __name__ == "__main__":
    main()
