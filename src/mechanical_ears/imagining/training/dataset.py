"""Notes as codes with what they are: all that the networks learn from, in memory.

    RUN/codec.safetensors   the codec, and the codes of all notes of the corpora

Taking a corpus of maps apart into outlines and finding their components costs a minute or two; the
run folder keeps the result, so that a training that goes on has the very same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from mechanical_ears.imagining.training.latents import Codec, GridTensors, fit_codec, tensors
from mechanical_ears.imagining.training.networks import Condition
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.control_grid import (
    concatenate_grids,
    fill_unknown,
    known_mask,
    to_control_grid,
)
from mechanical_ears.resynthesis.control_map_corpus import ControlMapStore

CHUNK: Final = 512  # notes
FITTED: Final = 40_000  # notes, at most, whose components are sought: each takes 60 kB of memory
FEWEST_INSTRUMENTS: Final = 2
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class CodedNotes:
    """Notes of one side, instrument by instrument.

    Attributes:
        codes: float32 (n, 1 + components).
        pitch: float32 (n,), MIDI.
        velocity: float32 (n,).
        family: int64 (n,), number in `FAMILIES`; −1 unknown.
        instrument: int64 (n,), number in ``names``, ascending.
        names: of the instruments.
    """

    codes: Tensor
    pitch: Tensor
    velocity: Tensor
    family: Tensor
    instrument: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def asked(self, rows: Tensor) -> Condition:
        """What some notes were played as."""
        families = self.family[rows]
        shares = torch.zeros(len(rows), len(FAMILIES))
        shares[families >= 0, families[families >= 0]] = 1.0
        shares[families < 0] = 1 / len(FAMILIES)
        return Condition(self.pitch[rows], self.velocity[rows], shares)

    def draw(self, instruments: int, each: int, generator: torch.Generator) -> Tensor:
        """Rows of notes, (instruments · each,): instruments by lot, so many notes of each.

        Two notes of an instrument are different ones where it has so many.
        """
        counts = torch.bincount(self.instrument, minlength=len(self.names))
        firsts = torch.cumsum(counts, 0) - counts
        chosen = torch.randint(len(self.names), (instruments,), generator=generator)
        count = counts[chosen][:, None].double()
        start = torch.rand(instruments, 1, generator=generator, dtype=torch.float64)
        apart = torch.rand(instruments, each, generator=generator, dtype=torch.float64)
        places = (start + (torch.arange(each) + 0.9 * apart) / each) % 1 * count
        return (firsts[chosen][:, None] + places.long().clamp(max=count.long() - 1)).flatten()


def _outlined(maps: ControlMapStore, rows: NDArray[np.int64]) -> GridTensors:
    controls = [maps[int(row)] for row in rows]
    sees = [known_mask(each) for each in controls]
    whole = concatenate_grids([to_control_grid(each) for each in controls])
    return tensors(
        fill_unknown(
            whole, np.stack([rows for rows, _ in sees]), np.stack([bands for _, bands in sees])
        )
    )


def _batches(
    maps: Sequence[ControlMapStore], sides: Sequence[NDArray[np.int64]], progress: Progress
) -> Iterator[GridTensors]:
    chunks = [
        (each, rows[first : first + CHUNK])
        for each, rows in zip(maps, sides, strict=True)
        for first in range(0, len(rows), CHUNK)
    ]
    total, done = sum(len(rows) for _, rows in chunks), 0
    with ThreadPoolExecutor(1) as pool:  # takes one chunk apart while another is worked on
        ahead = [pool.submit(_outlined, *chunk) for chunk in chunks[:1]]
        for place, (_, rows) in enumerate(chunks):
            made = ahead.pop().result()
            if place + 1 < len(chunks):
                ahead.append(pool.submit(_outlined, *chunks[place + 1]))
            done += len(rows)
            progress(done, total)
            yield made


def _some(rows: Sequence[NDArray[np.int64]], most: int) -> list[NDArray[np.int64]]:
    """At most so many rows, evenly from all corpora."""
    step = max(1, -(-sum(map(len, rows)) // most))
    return [mine[::step] for mine in rows]


def _ordered(maps: ControlMapStore, side: str) -> NDArray[np.int64]:
    """Rows of a side, instrument by instrument; shuffled within each, by a fixed lot."""
    sides = np.array(maps.table["split"].to_pylist())
    names = np.array(maps.table["instrument_str"].to_pylist())
    rows = np.flatnonzero(sides == side)
    lot = np.random.default_rng(0).random(len(rows))
    return rows[np.lexsort((lot, names[rows]))]


def _encoded(codec: Codec, batches: Iterator[GridTensors]) -> Tensor:
    """Codes of notes, (n, 1 + components); none of none."""
    return torch.cat(
        [torch.zeros(0, 1 + len(codec.deviation)), *(codec.encode(batch) for batch in batches)]
    )


def fingerprint(paths: Sequence[Path]) -> str:
    """What tells corpora of maps from others, wherever they lie; SHA-256.

    Raises:
        CorpusError: there is none.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update((ControlMapStore(path).path / "maps.json").read_bytes())
    return digest.hexdigest()


def load_coded(
    paths: Sequence[Path], file: Path, components: int, progress: Progress
) -> tuple[Codec, dict[str, CodedNotes]]:
    """The codec and the notes of each side, from the file, or made and kept there.

    Args:
        paths: corpora of control maps, each with a train and a validation side.
        file: that keeps them.
        components: of a code.
        progress: called with notes done and in all.

    Raises:
        CorpusError: a corpus cannot be used: it was never split, or holds too few instruments.
    """
    maps = [ControlMapStore(path) for path in paths]
    digest = fingerprint(paths)
    rows = {side: [_ordered(each, side) for each in maps] for side in SPLITS}
    for side in SPLITS[:2]:
        for each, mine in zip(maps, rows[side], strict=True):
            if not len(mine):
                raise CorpusError(
                    f"has no {side} side",
                    path=each.path,
                    remedy="build it from a store with a split, or with --split-of STORE",
                )
    instruments = {
        (each.path, name)
        for each, mine in zip(maps, rows["train"], strict=True)
        for name in each.table["instrument_str"].take(mine).to_pylist()
    }
    if len(instruments) < FEWEST_INSTRUMENTS:
        raise CorpusError(
            f"holds {len(instruments)} instrument to train on, fewer than {FEWEST_INSTRUMENTS}",
            path=maps[0].path,
            remedy="take a corpus of more instruments, or several corpora",
        )
    codec = Codec.blank(components)
    codes: dict[str, Tensor] = {}
    if file.exists():
        try:
            with safe_open(file, framework="pt") as kept:
                if (kept.metadata() or {}).get("maps_sha256") == digest:
                    codes = {side: kept.get_tensor(f"codes/{side}") for side in SPLITS}
                    names = ("mean", "basis", "deviation")
                    codec = Codec(*(kept.get_tensor(name) for name in names))
        except SafetensorError as error:
            raise CorpusError("is damaged", path=file, remedy="remove it") from error
    if not codes:
        some = _some(rows["train"], FITTED)
        codec, fitted = fit_codec(_batches(maps, some, progress), components)
        whole = len(fitted) == sum(map(len, rows["train"]))
        codes = {
            side: fitted
            if side == "train" and whole
            else _encoded(codec, _batches(maps, rows[side], progress))
            for side in SPLITS
        }
        kept_tensors = {f"codes/{side}": values.contiguous() for side, values in codes.items()}
        with write_atomically(file) as temporary:
            save_file(
                {**kept_tensors, **{k: v.contiguous() for k, v in codec.state_dict().items()}},
                temporary,
                metadata={"maps_sha256": digest},
            )
    return codec, {side: _labelled(maps, rows[side], codes[side]) for side in SPLITS}


def _labelled(
    maps: Sequence[ControlMapStore], rows: Sequence[NDArray[np.int64]], codes: Tensor
) -> CodedNotes:
    def column(name: str) -> list[object]:
        return [
            value
            for each, mine in zip(maps, rows, strict=True)
            for value in each.table[name].take(mine).to_pylist()
        ]

    owners = [
        f"{place}/{name}"
        for place, (each, mine) in enumerate(zip(maps, rows, strict=True))
        for name in each.table["instrument_str"].take(mine).to_pylist()
    ]
    names = list(dict.fromkeys(owners))
    number = {name: place for place, name in enumerate(names)}
    families = {name: place for place, name in enumerate(FAMILIES)}
    return CodedNotes(
        codes=codes,
        pitch=torch.tensor(column("pitch"), dtype=torch.float32),
        velocity=torch.tensor(column("velocity"), dtype=torch.float32),
        family=torch.tensor(
            [families.get(str(each), -1) for each in column("instrument_family_str")]
        ),
        instrument=torch.tensor([number[owner] for owner in owners], dtype=torch.int64),
        names=tuple(name.split("/", 1)[1] for name in names),
    )
