"""Training notes as latents, with key, velocity, family and instrument, all in memory.

    RUN/codec.safetensors   the codec, and the latents of all notes of the corpora

Encoding a corpus of control maps and finding its components takes a minute or two; the run folder
keeps the result, so that a resumed training has exactly the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mechanical_ears.corpus.split import SPLITS
from mechanical_ears.errors import CorpusError
from mechanical_ears.files import write_atomically
from mechanical_ears.imagining.training.augment import Augmentation
from mechanical_ears.imagining.training.critics.base import NoteBatch
from mechanical_ears.imagining.training.latents import Codec, GridTensors, fit_codec, grid_tensors
from mechanical_ears.imagining.training.networks import Condition
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_grid import (
    concatenate_grids,
    fill_unknown,
    known_mask,
    to_control_grid,
)
from mechanical_ears.resynthesis.control_map_corpus import ControlMapStore
from mechanical_ears.training.feed import prefetch

CHUNK_NOTES: Final = 512
MAX_FIT_NOTES: Final = 40_000  # for the components; each note takes 60 kB of memory
MIN_INSTRUMENTS: Final = 2
NOTES_PER_INSTRUMENT: Final = 4  # in a batch
Progress = Callable[[int, int], None]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LatentDataset:
    """Notes of one side of a split, instrument by instrument.

    Attributes:
        latents: float32 (n, 1 + components).
        pitch: float32 (n,), MIDI.
        velocity: float32 (n,).
        family: int64 (n,), index in `FAMILIES`; −1 unknown.
        instrument: int64 (n,), index in ``names``, ascending.
        names: of the instruments.
    """

    latents: Tensor
    pitch: Tensor
    velocity: Tensor
    family: Tensor
    instrument: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.latents)

    def condition(self, rows: Tensor) -> Condition:
        """Key, velocity and family of some notes."""
        shares = torch.eye(len(FAMILIES) + 1, len(FAMILIES))
        shares[-1] = 1 / len(FAMILIES)  # of unknown families, −1
        return Condition(self.pitch[rows], self.velocity[rows], shares[self.family[rows]])

    def sample(self, instruments: int, notes: int, rng: torch.Generator) -> Tensor:
        """Rows of random instruments, ``notes`` of each: int64 (instruments · notes,).

        The notes of an instrument are spread evenly over all that it has: always different ones
        where it has 10 · ``notes``, mostly where it has fewer.
        """
        counts = torch.bincount(self.instrument, minlength=len(self.names))
        firsts = torch.cumsum(counts, 0) - counts
        chosen = torch.randint(len(self.names), (instruments,), generator=rng)
        count = counts[chosen][:, None].double()
        start = torch.rand(instruments, 1, generator=rng, dtype=torch.float64)
        jitter = torch.rand(instruments, notes, generator=rng, dtype=torch.float64)
        positions = (start + (torch.arange(notes) + 0.9 * jitter) / notes) % 1 * count
        return (firsts[chosen][:, None] + positions.long().clamp(max=count.long() - 1)).flatten()


def random_batch(
    dataset: LatentDataset, instruments: int, rng: torch.Generator, augmentation: Augmentation
) -> NoteBatch:
    """Four notes each of random instruments, all notes of an instrument augmented alike."""
    device = augmentation.table.device
    rows = dataset.sample(instruments, NOTES_PER_INSTRUMENT, rng)
    condition = dataset.condition(rows).to(device)
    gains = augmentation.random_gains(instruments, rng)
    gains = gains.repeat_interleave(NOTES_PER_INSTRUMENT, 0).to(device)
    latents = augmentation(dataset.latents[rows].to(device), condition.pitch, gains)
    return NoteBatch(latents, condition)


def load_dataset(
    paths: Sequence[Path], file: Path, components: int, progress: Progress
) -> tuple[Codec, dict[str, LatentDataset]]:
    """The codec and the notes of each side, from the file, or computed and saved there.

    Args:
        paths: corpora of control maps, each with a train and a validation side.
        file: cache of the codec and the latents.
        components: of a latent.
        progress: called with the number of notes encoded and in all.

    Raises:
        CorpusError: a corpus cannot be used (it has no split, or too few instruments), or the file
            is damaged.
    """
    stores = [ControlMapStore(path) for path in paths]
    digest = fingerprint(paths)
    rows = {side: [_side_rows(store, side) for store in stores] for side in SPLITS}
    _check(stores, rows)
    loaded = _load_latents(file, digest)
    if loaded is None:
        loaded = _encode_all(stores, rows, components, progress)
        _save_latents(file, digest, *loaded)
    codec, latents = loaded
    return codec, {side: _with_labels(stores, rows[side], latents[side]) for side in SPLITS}


def fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 that identifies the content of control-map corpora, independent of their paths.

    Raises:
        CorpusError: a corpus is missing.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update((ControlMapStore(path).path / "maps.json").read_bytes())
    return digest.hexdigest()


def _side_rows(store: ControlMapStore, side: str) -> Rows:
    """Rows of a side, instrument by instrument; in each instrument in a fixed random order."""
    sides = np.array(store.table["split"].to_pylist())
    names = np.array(store.table["instrument_str"].to_pylist())
    rows = np.flatnonzero(sides == side)
    order = np.random.default_rng(0).random(len(rows))
    return rows[np.lexsort((order, names[rows]))]


def _check(stores: Sequence[ControlMapStore], rows: dict[str, list[Rows]]) -> None:
    for side in SPLITS[:2]:
        for store, of_store in zip(stores, rows[side], strict=True):
            if not len(of_store):
                raise CorpusError(
                    f"has no {side} side",
                    path=store.path,
                    remedy="build it from a store with a split, or with --split-of STORE",
                )
    count = len(set(_instrument_names(stores, rows["train"])))
    if count < MIN_INSTRUMENTS:
        raise CorpusError(
            f"holds {count} instrument to train on, fewer than {MIN_INSTRUMENTS}",
            path=stores[0].path,
            remedy="use a corpus with more instruments, or several corpora",
        )


def _load_latents(file: Path, digest: str) -> tuple[Codec, dict[str, Tensor]] | None:
    """Codec and latents from the file, if it is there and of the same corpora."""
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            if (stored.metadata() or {}).get("maps_sha256") != digest:
                return None
            codec = Codec(*(stored.get_tensor(name) for name in ("mean", "basis", "deviation")))
            return codec, {side: stored.get_tensor(f"codes/{side}") for side in SPLITS}
    except SafetensorError as error:
        raise CorpusError("is damaged", path=file, remedy="remove it") from error


def _save_latents(file: Path, digest: str, codec: Codec, latents: dict[str, Tensor]) -> None:
    tensors = {**{f"codes/{side}": latents[side] for side in SPLITS}, **codec.state_dict()}
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    with write_atomically(file) as temporary:
        save_file(tensors, temporary, metadata={"maps_sha256": digest})


def _encode_all(
    stores: Sequence[ControlMapStore],
    rows: dict[str, list[Rows]],
    components: int,
    progress: Progress,
) -> tuple[Codec, dict[str, Tensor]]:
    """Fit the codec on training notes, and encode all notes."""
    fit_rows = _thinned(rows["train"], MAX_FIT_NOTES)
    codec, fit_latents = fit_codec(_grids(stores, fit_rows, progress), components)
    latents = {}
    for side in SPLITS:
        if side == "train" and len(fit_latents) == sum(map(len, rows[side])):
            latents[side] = fit_latents
        else:
            empty = torch.zeros(0, 1 + len(codec.deviation))
            batches = _grids(stores, rows[side], progress)
            latents[side] = torch.cat([empty, *(codec.encode(batch) for batch in batches)])
    return codec, latents


def _thinned(rows: Sequence[Rows], max_rows: int) -> list[Rows]:
    """At most ``max_rows`` rows, evenly spaced over all corpora."""
    step = max(1, -(-sum(map(len, rows)) // max_rows))
    return [of_store[::step] for of_store in rows]


def _grids(
    stores: Sequence[ControlMapStore], rows: Sequence[Rows], progress: Progress
) -> Iterator[GridTensors]:
    """Control grids in chunks, which a thread prepares ahead."""
    chunks = [
        (store, of_store[first : first + CHUNK_NOTES])
        for store, of_store in zip(stores, rows, strict=True)
        for first in range(0, len(of_store), CHUNK_NOTES)
    ]
    total, done = sum(len(of_chunk) for _, of_chunk in chunks), 0
    grids = prefetch(_grid(*chunk) for chunk in chunks)
    for grid, (_, of_chunk) in zip(grids, chunks, strict=True):
        done += len(of_chunk)
        progress(done, total)
        yield grid


def _grid(store: ControlMapStore, rows: Rows) -> GridTensors:
    maps = [store[int(row)] for row in rows]
    known_rows, known_bands = zip(*(known_mask(each) for each in maps), strict=True)
    grid = concatenate_grids([to_control_grid(each) for each in maps])
    return grid_tensors(fill_unknown(grid, np.stack(known_rows), np.stack(known_bands)))


def _column(stores: Sequence[ControlMapStore], rows: Sequence[Rows], name: str) -> list[object]:
    return [
        value
        for store, of_store in zip(stores, rows, strict=True)
        for value in store.table[name].take(of_store).to_pylist()
    ]


def _instrument_names(stores: Sequence[ControlMapStore], rows: Sequence[Rows]) -> list[str]:
    """Instrument of each note as STORE/NAME: names of two stores may be the same."""
    return [
        f"{number}/{name}"
        for number, (store, of_store) in enumerate(zip(stores, rows, strict=True))
        for name in _column([store], [of_store], "instrument_str")
    ]


def _with_labels(
    stores: Sequence[ControlMapStore], rows: Sequence[Rows], latents: Tensor
) -> LatentDataset:
    of_notes = _instrument_names(stores, rows)
    names = list(dict.fromkeys(of_notes))
    index = {name: number for number, name in enumerate(names)}
    family = map(str, _column(stores, rows, "instrument_family_str"))
    return LatentDataset(
        latents=latents,
        pitch=torch.tensor(_column(stores, rows, "pitch"), dtype=torch.float32),
        velocity=torch.tensor(_column(stores, rows, "velocity"), dtype=torch.float32),
        family=torch.tensor([FAMILIES.index(f) if f in FAMILIES else -1 for f in family]),
        instrument=torch.tensor([index[name] for name in of_notes], dtype=torch.int64),
        names=tuple(name.split("/", 1)[1] for name in names),
    )
