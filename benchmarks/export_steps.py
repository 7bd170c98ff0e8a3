"""Steps, loops and releases of exported samples of imagined instruments.

    python benchmarks/export_steps.py [--seeds 20] [--hold 4]

The instruments of seeds 0, 1, … are sampled as `ears export` does, and their samples played as
`SampledInstrument.note` does. ``MEASURES`` explains the numbers.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness import markdown_table, write_section
from mechanical_ears.imagining.imagine import imagine
from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument
from mechanical_ears.instrument.loops import unroll_loop
from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.seams import SeamJump, measure_seam, pitch_frames
from mechanical_ears.instrument.zones import Zone
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.steps import has_step

COMMAND = "python benchmarks/export_steps.py"
EDGES = ("start", "end", "seam", "key-up")
MAX_HELD_SECONDS = 1.0  # s to the key-up of a played note
END_SECONDS = 0.01  # s, at the end of a sample and of a played note
SILENCE_DB = -60.0  # dB relative to the loudest 10 ms

MEASURES = """
Every third key of 88 in three layers, held for 4 s at 48 kHz. *start*, *end*, *seam*, *key-up*:
samples with a step there (`mechanical_ears.steps`); keys are released after 1 s, or at half of a
shorter sample. *looped*: samples with a loop; *length*: of the shortest loop, and median. *level*,
*centroid*, *pitch*: median, 90 % and largest change at the seams, from 100 ms before to 100 ms
after (`mechanical_ears.instrument.seams`); *jumps*: seams that change by more than 0.5 dB, 5 % or
3 cents. *loud ends*: samples without a loop, or notes played from a sample, whose last 10 ms are
less than 60 dB below their loudest 10 ms.
""".strip()


@dataclass
class ExportFigures:
    """What is counted in the samples of an instrument.

    Attributes:
        samples: number of samples.
        steps: number of samples with a step, by edge.
        jumps: changes at the seams of loops.
        loop_seconds: length of each loop, s.
        loud_ends: number of samples, or of notes played from them, that are cut while audible.
    """

    samples: int = 0
    steps: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EDGES, 0))
    jumps: list[SeamJump] = field(default_factory=list)
    loop_seconds: list[float] = field(default_factory=list)
    loud_ends: int = 0

    def add(self, other: ExportFigures) -> None:
        """Add the figures of another instrument."""
        self.samples += other.samples
        for edge in EDGES:
            self.steps[edge] += other.steps[edge]
        self.jumps += other.jumps
        self.loop_seconds += other.loop_seconds
        self.loud_ends += other.loud_ends

    def row(self, name: str) -> list[object]:
        """Cells of the table."""
        cells: list[object] = [name, self.samples, *self.steps.values(), len(self.jumps)]
        if not self.jumps:
            return [*cells, *["–"] * 5, self.loud_ends]
        lengths = np.array(self.loop_seconds)
        cells.append(f"{lengths.min():.2f}, {np.median(lengths):.2f} s")
        for name_of_change, unit in (("level", "dB"), ("centroid", "%"), ("pitch", "cents")):
            changes = np.abs([getattr(jump, name_of_change) for jump in self.jumps])
            middle, high, highest = np.percentile(changes, [50, 90, 100])
            cells.append(f"{middle:.2f}, {high:.2f}, {highest:.2f} {unit}")
        return [*cells, sum(jump.excess > 1 for jump in self.jumps), self.loud_ends]


def measure_samples(instrument: SampledInstrument) -> ExportFigures:
    """Figures of all samples of an instrument."""
    figures = ExportFigures()
    for zone in instrument.zones:
        _measure_zone(figures, instrument, zone)
    return figures


def _measure_zone(figures: ExportFigures, instrument: SampledInstrument, zone: Zone) -> None:
    sample = instrument.samples[zone.sample]
    audio, rate = sample.audio.mean(axis=1), sample.sample_rate
    figures.samples += 1
    figures.steps["start"] += has_step(audio, 0, rate)
    figures.steps["end"] += has_step(audio, len(audio), rate)
    if zone.loop is not None:
        seam, frequency = zone.loop.end, midi_to_hz(zone.root)
        frames = seam + pitch_frames(frequency, rate)
        unrolled = unroll_loop(sample.audio, zone.loop, frames).mean(axis=1)
        figures.steps["seam"] += has_step(unrolled, seam, rate)
        figures.jumps.append(measure_seam(unrolled, seam, frequency, rate))
        figures.loop_seconds.append((seam - zone.loop.start) / rate)
    held = min(MAX_HELD_SECONDS, len(audio) / rate / 2)
    key = min(max(zone.root, zone.keys[0]), zone.keys[1])
    seconds = held + instrument.release_seconds
    note = instrument.note(key, zone.velocities[1], seconds, rate, zone.round_robin[0] - 1)
    figures.steps["key-up"] += has_step(note.samples, round(held * rate), rate)
    heard = [note.samples] if zone.loop is not None else [note.samples, audio]
    figures.loud_ends += any(_end_level(each, rate) > SILENCE_DB for each in heard)


def _end_level(samples: NDArray[np.float32], rate: int) -> float:
    """Level of the last 10 ms in dB of the loudest."""
    block = round(END_SECONDS * rate)
    blocks = samples[len(samples) % block :].reshape(-1, block).astype(np.float64)
    powers = np.mean(blocks**2, axis=1)
    return float(10 * np.log10((powers[-1] + 1e-20) / (powers.max() + 1e-20)))


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--hold", type=float, default=4.0, help="s")
    options = parser.parse_args()
    rows, total = [], ExportFigures()
    for seed in range(options.seeds):
        instrument = imagine(seed)
        plan = SamplingPlan(hold_seconds=options.hold)
        figures = measure_samples(sample_instrument(instrument, plan))
        total.add(figures)
        rows.append(figures.row(instrument.name))
        print(rows[-1], file=sys.stderr)
    rows.append(total.row("all"))
    header = ["", "samples", *EDGES, "looped", "length", "level", "centroid", "pitch", "jumps"]
    body = f"{MEASURES}\n\n{markdown_table([*header, 'loud ends'], rows)}"
    write_section("export-steps", "Edges and loops of exported samples", COMMAND, body)


if __name__ == "__main__":
    main()
