"""How fast a SoundFont is rendered: one worker against all, in notes a second and in real time.

    python benchmarks/rendering.py [FONT.sf2]

The notes are drawn evenly from all melodic presets, keys 21–108 and NSynth's five velocities, 4 s
each, rendered at 48 kHz with 7th-order interpolation and resampled to 16 kHz.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import markdown_table, medians, write_section
from mechanical_ears.corpus.fluidsynth_renderer import FluidSynthRenderer
from mechanical_ears.corpus.soundfont import SoundFont
from mechanical_ears.note import NOTE_SECONDS

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
NOTES = 1200
REPEATS = 3


def _corpus(font: Path, workers: int) -> int:
    return sum(1 for _ in SoundFont(font, limit=NOTES, workers=workers).scan())


def _synthesis_alone(font: Path) -> int:
    """One preset's keys through FluidSynth only: what a worker can reach at most."""
    with FluidSynthRenderer(font) as renderer:
        for pitch in range(21, 109):
            renderer.render(0, 0, pitch, 100, hold=144_000, length=192_000)
    return 88


def _timed(render: Callable[[], int], walls: list[float]) -> Callable[[], float]:
    """Notes per CPU-second of all threads; notes a second by the clock go into ``walls``."""

    def measure() -> float:
        clock, cpu = time.perf_counter(), time.process_time()
        count = render()
        walls.append(count / (time.perf_counter() - clock))
        return count / (time.process_time() - cpu)

    return measure


def main() -> None:
    """Measure and write the section."""
    font = Path(sys.argv[1]) if len(sys.argv) > 1 else FONT
    cores = os.cpu_count() or 1
    contenders = {
        "FluidSynth alone (one preset, no resampling), 1 worker": lambda: _synthesis_alone(font),
        "corpus, 1 worker": lambda: _corpus(font, 1),
        f"corpus, {cores} workers": lambda: _corpus(font, cores),
    }
    walls: dict[str, list[float]] = {name: [] for name in contenders}
    measured = medians(
        {name: _timed(render, walls[name]) for name, render in contenders.items()}, REPEATS
    )
    clock = {name: statistics.median(values) for name, values in walls.items()}
    rows = [
        [
            name,
            f"{median:.0f} ({low:.0f}–{high:.0f})",
            f"{median * NOTE_SECONDS:.0f}",
            f"{clock[name]:.0f} ({min(walls[name]):.0f}–{max(walls[name]):.0f})",
        ]
        for name, (low, median, high) in measured.items()
    ]
    header = [
        "",
        "notes per CPU-second (lowest–highest)",
        "× real time a core",
        "notes per second of wall",
    ]
    table = markdown_table(header, rows)
    whole = SoundFont(font)
    sizes = sorted((len(group) for group in whole.groups()), reverse=True)
    rate = clock[f"corpus, {cores} workers"]
    facts = (
        f"{font.name}, {NOTES} notes drawn over all presets, median of {REPEATS} runs in turn. "
        f"All {len(whole.instruments)} melodic presets × 88 keys × 5 velocities are {len(whole):,} "
        f"planned notes: {len(whole) / rate / 60:.0f} minutes here. "
        f"Instruments that share samples form groups of {', '.join(map(str, sizes))}; "
        f"{len(whole.instruments) - sum(sizes)} stand alone."
    )
    write_section(
        "rendering",
        "Rendering SoundFonts",
        "python benchmarks/rendering.py",
        f"{facts}\n\n{table}",
    )


if __name__ == "__main__":
    main()
