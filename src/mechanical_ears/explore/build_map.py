"""Making the map: imagine some thousand instruments, let the ears hear them, lay them out.

    python -m mechanical_ears.explore.build_map [--points 3000] [--model DIR] [--output map.npz]

One command, to be run again when the weights change; it goes on where it was interrupted. Laid out
by t-SNE (van der Maaten and Hinton, "Visualizing data using t-SNE", 2008) from the profiles' main
axes, so that near instruments stay near and families keep their sides.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from mechanical_ears.errors import EarsError
from mechanical_ears.explore import hearing, worker_tasks
from mechanical_ears.explore.sound_map import SHIPPED, Array, Axes, SpaceMap, among, principal_axes
from mechanical_ears.explore.worker import Worker
from mechanical_ears.files import write_atomically
from mechanical_ears.note import FAMILIES
from mechanical_ears.workers import worker_count

POINTS: Final = 3000
PERPLEXITY: Final = 30.0  # neighbours that count for an instrument
SEED: Final = 1  # of the layout
MARGIN: Final = 0.97  # of −1..1 that is used
FIRST_LOOK: Final = 220  # instruments heard, from which there is a first map
SAVED: Final = 110  # instruments heard between two saves
CHECKED: Final = 5  # rows of an interrupted map that are heard again
COLUMNS: Final = ("seed", "family", "draw", "timbre", "gain", "balance", "likenesses")

Row = dict[str, Any]
Progress = Callable[[int, int], None]


def wanted(points: int) -> list[tuple[int, str]]:
    """Seeds and families: all families equally, whatever the number."""
    whole = -(-points // len(FAMILIES))
    return [(seed, family) for seed in range(whole) for family in FAMILIES][:points]


class Charting:
    """The making of a map.

    Args:
        model: folder of weights; None for the shipped ones.
        points: instruments on it.
        workers: processes.
        part: file that keeps what was heard, so that it can go on; None for none.
        gives_way: of 19, how much to other processes.
    """

    def __init__(
        self,
        model: Path | None,
        points: int,
        workers: int,
        part: Path | None = None,
        *,
        gives_way: int = 0,
    ) -> None:
        self._prepared = (None if model is None else str(model), None, gives_way)
        self._wanted = wanted(points)
        self._part = part
        self._rows: dict[tuple[int, str], Row] = {}
        self._lock = threading.Lock()
        self._failed: EarsError | None = None
        self._stopped = False
        self._count = workers
        self._workers: list[Worker] = []

    @property
    def of(self) -> int:
        """Instruments that will be on the map."""
        return len(self._wanted)

    @property
    def done(self) -> int:
        """Instruments that were heard."""
        return len(self._rows)

    def stop(self) -> None:
        """End it; what was heard is kept."""
        self._stopped = True
        for worker in self._workers:
            worker.end()

    def run(
        self,
        progress: Progress = lambda done, of: None,
        look: Callable[[SpaceMap], None] | None = None,
    ) -> SpaceMap:
        """Make the map.

        Args:
            progress: told how many instruments were heard, and of how many.
            look: given a first map of fewer instruments.

        Raises:
            EarsError: the weights are missing, or it was stopped.
        """
        self._workers = [Worker(worker_tasks.prepare, *self._prepared) for _ in range(self._count)]
        try:
            weights, known = self._ready()
            self._read(weights.sha256)
            self._forget_what_is_no_longer_so()
            if look is not None and self.of > FIRST_LOOK:
                self._hear(self._wanted[:FIRST_LOOK], weights.sha256, progress)
                first = self._map(self._wanted[:FIRST_LOOK], weights, known, None)
                look(first)
            else:
                first = None
            self._hear(self._wanted, weights.sha256, progress)
            return self._map(self._wanted, weights, known, first)
        finally:
            for worker in self._workers:
                worker.end()

    def _ready(self) -> tuple[worker_tasks.Weights, list[str]]:
        weights: list[worker_tasks.Weights] = [worker.ready() for worker in self._workers]
        known: list[str] = self._workers[0].do(hearing.known_instruments)
        return weights[0], known

    def _hear(self, pairs: Sequence[tuple[int, str]], weights: str, progress: Progress) -> None:
        left = iter([pair for pair in pairs if pair not in self._rows])
        progress(self.done, self.of)

        def work(worker: Worker) -> None:
            while not self._stopped and self._failed is None:
                with self._lock:
                    pair = next(left, None)
                if pair is None:
                    return
                try:
                    row = worker.do(hearing.charted, *pair)
                except EarsError as error:
                    self._failed = error
                    return
                with self._lock:
                    self._rows[pair] = row
                    progress(self.done, self.of)
                    if self.done % SAVED == 0:
                        self._save(weights)

        threads = [threading.Thread(target=work, args=(each,)) for each in self._workers]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self._save(weights)
        if self._failed is not None:
            raise self._failed
        if self._stopped:
            raise EarsError("the map was stopped", remedy="the same command goes on from here")

    def _map(
        self,
        pairs: Sequence[tuple[int, str]],
        weights: worker_tasks.Weights,
        known: Sequence[str],
        first: SpaceMap | None,
    ) -> SpaceMap:
        column = {name: np.stack([self._rows[pair][name] for pair in pairs]) for name in COLUMNS}
        likenesses = column["likenesses"].astype(np.float32)
        axes = principal_axes(likenesses, known)
        profiles = axes.profile(likenesses).astype(np.float16)
        start = None if first is None else _start(likenesses, axes, first)
        places = self._workers[0].do(layout, profiles.astype(np.float32), start)
        return SpaceMap(
            weights=weights.sha256,
            licence=weights.licence,
            axes=axes,
            seeds=column["seed"].astype(np.int32),
            families=column["family"].astype(np.int8),
            draws=column["draw"].astype(np.int8),
            timbres=column["timbre"].astype(np.float32),
            gains=column["gain"].astype(np.float32),
            balances=column["balance"].astype(np.float32),
            profiles=profiles,
            places=places,
            novelty=(1 - likenesses.max(axis=1)).astype(np.float16),
            nearest=likenesses.argmax(axis=1).astype(np.int16),
        )

    def _forget_what_is_no_longer_so(self) -> None:
        """What another version of the program heard is not mixed with what this one hears."""
        for pair in [*self._rows][:: max(1, len(self._rows) // CHECKED)]:
            anew = self._workers[0].do(hearing.charted, *pair)
            if not all(np.array_equal(anew[name], self._rows[pair][name]) for name in COLUMNS):
                self._rows.clear()
                return

    def _save(self, weights: str) -> None:
        if self._part is None or not self._rows:
            return
        rows = list(self._rows.values())
        columns = {name: np.stack([row[name] for row in rows]) for name in COLUMNS}
        with write_atomically(self._part) as temporary:
            told = np.frombuffer(weights.encode(), np.uint8)
            np.savez(temporary, allow_pickle=False, weights=told, **columns)

    def _read(self, weights: str) -> None:
        if self._part is None or not self._part.exists():
            return
        with suppress(OSError, ValueError, KeyError), np.load(self._part) as file:
            if file["weights"].tobytes().decode() != weights:
                return
            columns = {name: file[name] for name in COLUMNS}
            for number in range(len(columns["seed"])):
                row = {name: columns[name][number] for name in COLUMNS}
                self._rows[int(row["seed"]), FAMILIES[int(row["family"])]] = row


def _start(likenesses: Array, axes: Axes, first: SpaceMap) -> Array:
    """Where a layout begins so that those of a first map stay about where they are."""
    profiles = axes.profile(likenesses)
    here = profiles[: len(first)]
    rows = [among(np.sum((here - each) ** 2, axis=1), first.places) for each in profiles]
    return np.array(rows, dtype=np.float32)


def layout(profiles: Array, start: Array | None) -> Array:
    """Places float32 (n, 2) in −1..1 of profiles (n, axes), by t-SNE.

    Args:
        profiles: of instruments.
        start: places to begin with; None for their two main axes.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count = len(profiles)
    if count < 8:
        return np.asarray(np.random.default_rng(SEED).uniform(-1, 1, (count, 2)), np.float32)
    begin = profiles[:, :2] if start is None else start
    begin = begin / np.maximum(begin.std(axis=0), 1e-9) * 1e-4 * (1 if start is None else 1e4)
    method = TSNE(
        perplexity=min(PERPLEXITY, (count - 1) / 4),
        init=begin.astype(np.float32),
        random_state=SEED,
        n_jobs=1,
    )
    with threadpool_limits(1):  # threads that wait for each other on a busy machine take minutes
        found = method.fit_transform(profiles)
    middle = (found.max(axis=0) + found.min(axis=0)) / 2
    found = found - middle
    return np.asarray(found * (MARGIN / np.abs(found).max()), dtype=np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the map that ships."""
    from mechanical_ears.terminal import progress_bar

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--model", type=Path, help="folder of weights; the shipped ones if none")
    parser.add_argument("--output", type=Path, default=SHIPPED)
    parser.add_argument("--workers", type=int, default=worker_count())
    options = parser.parse_args(arguments)
    part = options.output.with_suffix(".part.npz")
    charting = Charting(options.model, options.points, options.workers, part)
    try:
        with progress_bar("hearing instruments") as move:
            made = charting.run(lambda done, of: move(done, of))
    except KeyboardInterrupt:
        charting.stop()
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    made.save(options.output)
    part.unlink(missing_ok=True)
    size = options.output.stat().st_size
    print(f"{options.output}: {len(made)} instruments, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
