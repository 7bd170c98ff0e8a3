"""Build a map: imagine some thousand instruments, let the ears hear them, lay them out.

    python -m mechanical_ears.explore.build_map [--points 3000] [--model DIR] [--output map.npz]

Run it again after a training; an interrupted run is resumed. The layout is a t-SNE of the profiles
(van der Maaten and Hinton, "Visualizing data using t-SNE", 2008), started from their two main
axes, so that near instruments stay near and families keep their sides of the map.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from mechanical_ears.errors import EarsError
from mechanical_ears.explore import hearing, sound_map, worker_tasks
from mechanical_ears.explore.sound_map import Array, ProfileAxes, SoundMap
from mechanical_ears.explore.worker import Worker
from mechanical_ears.files import write_atomically
from mechanical_ears.note import FAMILIES
from mechanical_ears.workers import worker_count

POINTS: Final = 3000  # instruments
PERPLEXITY: Final = 30.0  # effective number of neighbours of an instrument
LAYOUT_SEED: Final = 1
FILLED: Final = 0.97  # of −1..1, by the layout
FIRST_MAP_POINTS: Final = 220  # instruments of a first, smaller map
SAVE_INTERVAL: Final = 110  # instruments between two saves
CHECKED_ROWS: Final = 5  # rows of an interrupted run that are computed again
COLUMNS: Final = ("seed", "family", "draw", "timbre", "gain", "balance", "likenesses")

Pair = tuple[int, str]  # seed and family
Row = dict[str, Any]  # values by the names of COLUMNS
Progress = Callable[[int, int], None]


def seeds_and_families(points: int) -> list[Pair]:
    """Seeds and families of a map's instruments: all families equally often."""
    seeds = -(-points // len(FAMILIES))
    return [(seed, family) for seed in range(seeds) for family in FAMILIES][:points]


class MapBuilder:
    """Builds a map.

    Args:
        model: folder of weights; None for the shipped ones.
        points: instruments on the map.
        workers: processes.
        partial_file: that stores the rows of an interrupted run; None for none.
        niceness: 0..19, by which the workers lower their priority.
    """

    def __init__(
        self,
        model: Path | None,
        points: int,
        workers: int,
        partial_file: Path | None = None,
        *,
        niceness: int = 0,
    ) -> None:
        self._start_worker = partial(Worker, worker_tasks.prepare, model, None, niceness)
        self._pairs = seeds_and_families(points)
        self._partial_file = partial_file
        self._rows: dict[Pair, Row] = {}
        self._lock = threading.Lock()
        self._error: EarsError | None = None
        self._stopped = False
        self._worker_count = workers
        self._workers: list[Worker] = []

    @property
    def total(self) -> int:
        """Instruments that the map will have."""
        return len(self._pairs)

    @property
    def done(self) -> int:
        """Instruments that the ears have heard."""
        return len(self._rows)

    def stop(self) -> None:
        """Stop a run; its rows are stored."""
        self._stopped = True
        for worker in self._workers:
            worker.kill()

    def run(
        self,
        progress: Progress = lambda done, total: None,
        on_first_map: Callable[[SoundMap], None] | None = None,
    ) -> SoundMap:
        """Build the map.

        Args:
            progress: called with the number of instruments done, and of how many.
            on_first_map: called with a first map of fewer instruments.

        Raises:
            EarsError: the weights are missing, or it was stopped.
        """
        self._workers = [self._start_worker() for _ in range(self._worker_count)]
        try:
            weights, *_ = [worker.wait_until_ready() for worker in self._workers]
            self._load_rows(weights.sha256)
            self._check_rows()
            first_map = None
            if on_first_map is not None and self.total > FIRST_MAP_POINTS:
                first_pairs = self._pairs[:FIRST_MAP_POINTS]
                self._compute_rows(first_pairs, weights.sha256, progress)
                first_map = self._make_map(first_pairs, weights, None)
                on_first_map(first_map)
            self._compute_rows(self._pairs, weights.sha256, progress)
            return self._make_map(self._pairs, weights, first_map)
        finally:
            for worker in self._workers:
                worker.kill()

    def _compute_rows(self, pairs: Sequence[Pair], weights: str, progress: Progress) -> None:
        remaining = iter([pair for pair in pairs if pair not in self._rows])
        progress(self.done, self.total)

        def work(worker: Worker) -> None:
            while not self._stopped and self._error is None:
                with self._lock:
                    pair = next(remaining, None)
                if pair is None:
                    return
                try:
                    row = worker.run(hearing.map_row, *pair)
                except EarsError as error:
                    self._error = error
                    return
                with self._lock:
                    self._rows[pair] = row
                    progress(self.done, self.total)
                    if self.done % SAVE_INTERVAL == 0:
                        self._save_rows(weights)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in self._workers]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self._save_rows(weights)
        if self._error is not None:
            raise self._error
        if self._stopped:
            raise EarsError("the map was stopped", remedy="the same command resumes it")

    def _make_map(
        self, pairs: Sequence[Pair], weights: worker_tasks.WeightsInfo, first_map: SoundMap | None
    ) -> SoundMap:
        columns = {name: np.stack([self._rows[pair][name] for pair in pairs]) for name in COLUMNS}
        likenesses = columns["likenesses"].astype(np.float32)
        axes = sound_map.principal_axes(likenesses, self._workers[0].run(hearing.known_instruments))
        profiles = axes.profile(likenesses).astype(np.float16)
        start = None if first_map is None else _start_positions(likenesses, axes, first_map)
        return SoundMap(
            weights=weights.sha256,
            licence=weights.licence,
            axes=axes,
            seeds=columns["seed"].astype(np.int32),
            families=columns["family"].astype(np.int8),
            candidates=columns["draw"].astype(np.int8),
            timbres=columns["timbre"].astype(np.float32),
            gains=columns["gain"].astype(np.float32),
            balances=columns["balance"].astype(np.float32),
            profiles=profiles,
            positions=self._workers[0].run(layout, profiles.astype(np.float32), start),
            novelty=(1 - likenesses.max(axis=1)).astype(np.float16),
            nearest=likenesses.argmax(axis=1).astype(np.int16),
        )

    def _check_rows(self) -> None:
        """Discard rows that this version of the program would compute differently."""
        for pair in [*self._rows][:: max(1, len(self._rows) // CHECKED_ROWS)]:
            row = self._workers[0].run(hearing.map_row, *pair)
            if not all(np.array_equal(row[name], self._rows[pair][name]) for name in COLUMNS):
                self._rows.clear()
                return

    def _save_rows(self, weights: str) -> None:
        if self._partial_file is None or not self._rows:
            return
        rows = list(self._rows.values())
        columns = {name: np.stack([row[name] for row in rows]) for name in COLUMNS}
        columns["weights"] = np.frombuffer(weights.encode(), np.uint8)
        with write_atomically(self._partial_file) as temporary:
            np.savez(temporary, allow_pickle=False, **columns)

    def _load_rows(self, weights: str) -> None:
        if self._partial_file is None or not self._partial_file.exists():
            return
        with suppress(OSError, ValueError, KeyError), np.load(self._partial_file) as file:
            if file["weights"].tobytes().decode() != weights:
                return
            columns = {name: file[name] for name in COLUMNS}
            for index in range(len(columns["seed"])):
                row = {name: columns[name][index] for name in COLUMNS}
                self._rows[int(row["seed"]), FAMILIES[int(row["family"])]] = row


def _start_positions(likenesses: Array, axes: ProfileAxes, first_map: SoundMap) -> Array:
    """Positions to start a layout with, so that instruments of a first map hardly move."""
    profiles = axes.profile(likenesses)
    on_first_map = profiles[: len(first_map)]
    squares = [np.sum((on_first_map - profile) ** 2, axis=1) for profile in profiles]
    rows = [sound_map.interpolate_position(each, first_map.positions) for each in squares]
    return np.array(rows, dtype=np.float32)


def layout(profiles: Array, start: Array | None) -> Array:
    """Positions float32 (n, 2) in −1..1 of profiles (n, axes), by t-SNE.

    Args:
        profiles: of instruments.
        start: positions to start with; None for the two main axes of the profiles.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count = len(profiles)
    if count < 8:
        generator = np.random.default_rng(LAYOUT_SEED)
        return np.asarray(generator.uniform(-1, 1, (count, 2)), np.float32)
    initial = profiles[:, :2] if start is None else start
    initial = initial / np.maximum(initial.std(axis=0), 1e-9) * 1e-4 * (1 if start is None else 1e4)
    method = TSNE(
        perplexity=min(PERPLEXITY, (count - 1) / 4),
        init=initial.astype(np.float32),
        random_state=LAYOUT_SEED,
        n_jobs=1,
    )
    with threadpool_limits(1):  # threads that wait for each other on a busy machine take minutes
        positions = method.fit_transform(profiles)
    positions = positions - (positions.max(axis=0) + positions.min(axis=0)) / 2
    return np.asarray(positions * (FILLED / np.abs(positions).max()), dtype=np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the map that ships with the package."""
    from mechanical_ears.terminal import progress_bar

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--model", type=Path, help="folder of weights; default: the shipped ones")
    parser.add_argument("--output", type=Path, default=sound_map.SHIPPED_MAP)
    parser.add_argument("--workers", type=int, default=worker_count())
    options = parser.parse_args(arguments)
    partial_file = options.output.with_suffix(".part.npz")
    builder = MapBuilder(options.model, options.points, options.workers, partial_file)
    try:
        with progress_bar("hearing instruments") as report:
            built = builder.run(report)
    except KeyboardInterrupt:
        builder.stop()
        print("interrupted; the same command resumes it", file=sys.stderr)
        return 130
    built.save(options.output)
    partial_file.unlink(missing_ok=True)
    size = options.output.stat().st_size
    print(f"{options.output}: {len(built)} instruments, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
