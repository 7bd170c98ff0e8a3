"""From trained networks to the files that `ears imagine` runs.

    mapper.onnx      z, family                    → timbre
    generator.onnx   timbre, pitch, velocity      → the fields of `Outlines`
    encoder.onnx     those, pitch, velocity       → timbre, family

Weights are stored in half precision and computed with in single precision. With the generator go
directions in the space of timbres along which a quality grows by one standard deviation while all
else moves as it usually does with it: for a quality q of imagined instruments, regressed on their
timbres t with the weights w and the covariance Σ of timbres (Haufe et al., "On the interpretation
of weight vectors of linear models", 2014),

    d = Σ w / √(wᵀ Σ w)
"""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from mechanical_ears.files import make_folder, write_atomically
from mechanical_ears.imagining.training.latents import Codec, GridTensors
from mechanical_ears.imagining.training.networks import Encoder, Generator, Networks
from mechanical_ears.note import FAMILIES, HOLD_SECONDS
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, grid_noise_times, grid_times
from mechanical_ears.resynthesis.control_map import SILENCE_DB, SINGLES
from mechanical_ears.resynthesis.control_map_corpus import ControlMapStore

if TYPE_CHECKING:
    from mechanical_ears.imagining.training.dataset import CodedNotes

VERSION: Final = "1"
DRAWN: Final = 2000  # instruments from which directions are learned
KEYS: Final = (48.0, 60.0, 72.0)  # MIDI numbers at which their qualities are told
NOTES_AN_INSTRUMENT: Final = 64  # that tell a training instrument's timbre, at most
SMALL: Final = 4096  # numbers, up to which a weight stays in single precision
EARLY: Final = 0.95  # of the loudest moment's amplitude, that ends the attack
BATCH: Final = 512


class GeneratorToOutlines(nn.Module):
    """Timbre, key and velocity → outlines."""

    def __init__(self, generator: Generator, codec: Codec) -> None:
        super().__init__()
        self.generator = generator
        self.codec = codec

    def forward(self, timbre: Tensor, pitch: Tensor, velocity: Tensor) -> tuple[Tensor, ...]:
        """The fields of `Outlines`."""
        return tuple(self.codec.decode(self.generator(timbre, pitch, velocity)))


class EncoderOfOutlines(nn.Module):
    """Outlines, key and velocity → timbre and family."""

    def __init__(self, encoder: Encoder, codec: Codec) -> None:
        super().__init__()
        self.encoder = encoder
        heard = encoder.heard
        self.codec = Codec(
            codec.mean, codec.basis[:, :heard].contiguous(), codec.deviation[:heard].contiguous()
        )

    def forward(
        self,
        partials: Tensor,
        slots: Tensor,
        noise: Tensor,
        cents: Tensor,
        fine: Tensor,
        offsets: Tensor,
        stiffness: Tensor,
        ratios: Tensor,
        pitch: Tensor,
        velocity: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Timbres (n, 64) and logits of families (n, 11)."""
        outlines = GridTensors(partials, slots, noise, cents, fine, offsets, stiffness, ratios)
        timbre, family = self.encoder(self.codec.encode(outlines), pitch, velocity)
        return timbre, family


def publish(
    folder: Path,
    players: Networks,
    codec: Codec,
    train: CodedNotes,
    corpora: Sequence[Path],
) -> None:
    """Write the three files.

    Args:
        folder: where to.
        players: averaged networks, on the CPU.
        codec: on the CPU.
        train: the notes that they learned from.
        corpora: of control maps.
    """
    make_folder(folder)
    players.eval()
    provenance = [ControlMapStore(path).provenance for path in corpora]
    timbres = instrument_timbres(players, train)
    drawn, families = _drawn_timbres(players)
    told: dict[str, object] = {
        "version": VERSION,
        "trained_on": " + ".join(each.title for each in provenance),
        "licence": " AND ".join(dict.fromkeys(each.licence for each in provenance)),
        "citation": "; ".join(dict.fromkeys(each.citation for each in provenance)),
        "directions": directions(players, codec, drawn, families),
        "spread": _rounded(drawn.std(dim=0)),
        "instruments": list(train.names),
        "timbres": base64.b64encode(timbres.numpy().astype("<f2").tobytes()).decode(),
    }
    shape = players.shape
    z, family = torch.randn(3, shape.z), torch.eye(len(FAMILIES))[:3]
    timbre, pitch, velocity = torch.randn(3, shape.timbre), torch.full((3,), 60.0), torch.ones(3)
    outlines = [torch.zeros(3, *GRID_SHAPES[name]) for name in GridTensors._fields]
    few = {"version": VERSION, "trained_on": told["trained_on"], "licence": told["licence"]}
    _export(folder / "mapper.onnx", players.mapper, (z, family), ("z", "family"), ("timbre",), few)
    _export(
        folder / "generator.onnx",
        GeneratorToOutlines(players.generator, codec),
        (timbre, pitch, velocity),
        ("timbre", "pitch", "velocity"),
        GridTensors._fields,
        told,
    )
    _export(
        folder / "encoder.onnx",
        EncoderOfOutlines(players.encoder, codec),
        (*outlines, pitch, velocity),
        (*GridTensors._fields, "pitch", "velocity"),
        ("timbre", "family"),
        few,
    )


@torch.no_grad()
def instrument_timbres(players: Networks, notes: CodedNotes) -> Tensor:
    """Mean timbre of each instrument by ear, float32 (instruments, 64)."""
    means = []
    for number in range(len(notes.names)):
        rows = torch.nonzero(notes.instrument == number)[:NOTES_AN_INSTRUMENT, 0]
        heard = players.encoder(notes.codes[rows], notes.pitch[rows], notes.velocity[rows])[0]
        means.append(heard.mean(dim=0))
    return torch.stack(means)


@torch.no_grad()
def _drawn_timbres(players: Networks) -> tuple[Tensor, Tensor]:
    """Timbres by lot, and their families' numbers."""
    lots = torch.Generator().manual_seed(1)
    families = torch.arange(DRAWN) % len(FAMILIES)
    z = torch.randn(DRAWN, players.shape.z, generator=lots)
    return players.mapper(z, torch.eye(len(FAMILIES))[families]), families


@torch.no_grad()
def directions(
    players: Networks, codec: Codec, timbres: Tensor, families: Tensor
) -> dict[str, list[float]]:
    """Directions of qualities and families among timbres (n, 64)."""
    told: dict[str, list[Tensor]] = {}
    for first in range(0, len(timbres), BATCH):
        some = timbres[first : first + BATCH]
        parts = []
        for key in KEYS:
            codes = players.generator(
                some, torch.full((len(some),), key), torch.full((len(some),), 100.0)
            )
            parts.append(qualities(codec.decode(codes)))
        for name in parts[0]:
            told.setdefault(name, []).append(torch.stack([part[name] for part in parts]).mean(0))
    centred = (timbres - timbres.mean(dim=0)).double()
    covariance = centred.T @ centred / len(centred)
    ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance))
    found = {}
    for name, values in told.items():
        quality = torch.cat(values).double()
        quality = (quality - quality.mean()) / quality.std().clamp_min(1e-9)
        weights = torch.linalg.solve(covariance + ridge, centred.T @ quality / len(centred))
        along = covariance @ weights
        found[name] = _rounded(along / (weights @ along).clamp_min(1e-12).sqrt())
    for number, name in enumerate(FAMILIES):
        found[name] = _rounded(centred[families == number].mean(dim=0))
    return found


def qualities(outlines: GridTensors) -> dict[str, Tensor]:
    """How bright, slow in attack, noisy and sustained notes are, float32 (n,) each.

    bright: octaves of the mean partial's frequency above the pitch, weighted by amplitude;
    attack: log2 of the time to 95 % of the loudest moment's amplitude; noisy: dB of noise over
    tones; sustain: dB, of the last held moment below the loudest.
    """
    amplitude = torch.exp2(outlines.partials[:, :SINGLES] / 6.0206)
    numbers = torch.arange(1.0, SINGLES + 1)
    mean = amplitude.mean(dim=2)
    bright = ((mean * numbers).sum(dim=1) / mean.sum(dim=1).clamp_min(1e-9)).log2()
    tone = torch.exp2(outlines.partials / 3.0103).sum(dim=1)
    loudest = tone.amax(dim=1, keepdim=True)
    times = torch.from_numpy(grid_times()).float()
    reached = (tone >= EARLY**2 * loudest).float().argmax(dim=1)
    held = int(np.searchsorted(grid_times(), HOLD_SECONDS)) - 1
    noise_held = grid_noise_times() <= HOLD_SECONDS
    noise = torch.exp2(outlines.noise / 3.0103).sum(dim=1)[:, torch.from_numpy(noise_held)]
    floor = 10 ** (SILENCE_DB / 10)
    return {
        "bright": bright,
        "attack": (times[reached] + 0.002).log2(),
        "noisy": 10 * (noise.mean(dim=1) / tone.mean(dim=1).clamp_min(floor)).log10(),
        "sustain": 10 * (tone[:, held] / loudest[:, 0]).clamp_min(1e-6).log10(),
    }


def _rounded(values: Tensor) -> list[float]:
    return [round(float(value), 5) for value in values]


def _export(
    path: Path,
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    properties: Mapping[str, object],
) -> None:
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own making
        program = torch.onnx.export(
            module.eval(),
            example,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _halve(model)
    for key, value in properties.items():
        entry = model.metadata_props.add()
        entry.key = key
        entry.value = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    with write_atomically(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _halve(model: Any) -> None:
    """Store large weights in half precision, with a cast behind each, in place."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        if values.size <= SMALL:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        model.graph.node.insert(0, node)
    onnx.checker.check_model(model)
