"""Publishing: from trained networks to the ONNX files that `ears imagine` runs.

    mapper.onnx      z, family                    → timbre
    generator.onnx   timbre, pitch, velocity      → the fields of `ControlGrid`
    encoder.onnx     those, pitch, velocity       → timbre, family

Weights are stored in half precision; computation is in single precision. The generator's file also
holds directions in the space of timbres along which a quality grows by one standard deviation while
everything else moves as it usually does with it: for a quality q of random instruments, regressed
on their timbres t with the weights w and the covariance Σ of timbres (Haufe et al., "On the
interpretation of weight vectors of linear models", 2014),

    d = Σ w / √(wᵀ Σ w)
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from mechanical_ears.files import make_folder, write_atomically
from mechanical_ears.imagining.training.dataset import LatentDataset
from mechanical_ears.imagining.training.latents import Codec, GridTensors
from mechanical_ears.imagining.training.networks import Encoder, Generator, Networks
from mechanical_ears.note import FAMILIES, HOLD_SECONDS
from mechanical_ears.resynthesis.control_grid import GRID_SHAPES, grid_noise_times, grid_times
from mechanical_ears.resynthesis.control_map import SILENCE_DB, SINGLES
from mechanical_ears.resynthesis.control_map_corpus import ControlMapStore
from mechanical_ears.training.onnx_export import to_onnx

VERSION: Final = "1"
DIRECTION_INSTRUMENTS: Final = 2000  # random instruments from which directions are computed
DIRECTION_KEYS: Final = (48.0, 60.0, 72.0)  # MIDI numbers at which their qualities are measured
DIRECTION_VELOCITY: Final = 100.0
MAX_TIMBRE_NOTES: Final = 64  # for the mean timbre of a training instrument
MAX_FULL_SIZE: Final = 4096  # numbers of a weight that stays in single precision
ATTACK_SHARE: Final = 0.95  # of the loudest moment's amplitude, which ends the attack
BATCH: Final = 512  # instruments


class GridGenerator(nn.Module):
    """Timbre, key and velocity → control grid."""

    def __init__(self, generator: Generator, codec: Codec) -> None:
        super().__init__()
        self.generator = generator
        self.codec = codec

    def forward(self, timbre: Tensor, pitch: Tensor, velocity: Tensor) -> tuple[Tensor, ...]:
        """The fields of `ControlGrid`."""
        return tuple(self.codec.decode(self.generator(timbre, pitch, velocity)))


class GridEncoder(nn.Module):
    """Control grid, key and velocity → timbre and family."""

    def __init__(self, encoder: Encoder, codec: Codec) -> None:
        super().__init__()
        self.encoder = encoder
        used = encoder.components
        self.codec = Codec(
            codec.mean, codec.basis[:, :used].contiguous(), codec.deviation[:used].contiguous()
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
        grid = GridTensors(partials, slots, noise, cents, fine, offsets, stiffness, ratios)
        timbre, family = self.encoder(self.codec.encode(grid), pitch, velocity)
        return timbre, family


def publish(
    folder: Path, networks: Networks, codec: Codec, train: LatentDataset, corpora: Sequence[Path]
) -> None:
    """Write the three files.

    Args:
        folder: where to.
        networks: averaged, on the CPU.
        codec: on the CPU.
        train: notes that the networks were trained on.
        corpora: of control maps.
    """
    make_folder(folder)
    networks.eval()
    provenance = [ControlMapStore(path).provenance for path in corpora]
    timbres = instrument_timbres(networks, train)
    random, families = _random_timbres(networks)
    properties: dict[str, object] = {
        "version": VERSION,
        "trained_on": " + ".join(each.title for each in provenance),
        "licence": " AND ".join(dict.fromkeys(each.licence for each in provenance)),
        "citation": "; ".join(dict.fromkeys(each.citation for each in provenance)),
        "directions": directions(networks, codec, random, families),
        "spread": _rounded(random.std(dim=0)),
        "instruments": list(train.names),
        "timbres": base64.b64encode(timbres.numpy().astype("<f2").tobytes()).decode(),
    }
    few = {name: properties[name] for name in ("version", "trained_on", "licence")}
    shape, notes = networks.shape, 3  # of the examples with which the networks are traced
    z, family = torch.randn(notes, shape.z), torch.eye(len(FAMILIES))[:notes]
    timbre = torch.randn(notes, shape.timbre)
    pitch, velocity = torch.full((notes,), 60.0), torch.ones(notes)
    grid = [torch.zeros(notes, *GRID_SHAPES[name]) for name in GridTensors._fields]
    _export(folder / "mapper.onnx", networks.mapper, (z, family), ("z", "family"), ("timbre",), few)
    names, parts = ("timbre", "pitch", "velocity"), GridTensors._fields
    generator = GridGenerator(networks.generator, codec)
    encoder = GridEncoder(networks.encoder, codec)
    example = (timbre, pitch, velocity)
    _export(folder / "generator.onnx", generator, example, names, parts, properties)
    inputs, outputs = (*parts, "pitch", "velocity"), ("timbre", "family")
    _export(folder / "encoder.onnx", encoder, (*grid, pitch, velocity), inputs, outputs, few)


@torch.no_grad()
def instrument_timbres(networks: Networks, notes: LatentDataset) -> Tensor:
    """Mean timbre of each instrument by the encoder, float32 (instruments, 64)."""
    means = []
    for number in range(len(notes.names)):
        rows = torch.nonzero(notes.instrument == number)[:MAX_TIMBRE_NOTES, 0]
        timbres = networks.encoder(notes.latents[rows], notes.pitch[rows], notes.velocity[rows])[0]
        means.append(timbres.mean(dim=0))
    return torch.stack(means)


@torch.no_grad()
def _random_timbres(networks: Networks) -> tuple[Tensor, Tensor]:
    """Timbres of random instruments, and the indices of their families."""
    rng = torch.Generator().manual_seed(1)
    families = torch.arange(DIRECTION_INSTRUMENTS) % len(FAMILIES)
    z = torch.randn(DIRECTION_INSTRUMENTS, networks.shape.z, generator=rng)
    return networks.mapper(z, torch.eye(len(FAMILIES))[families]), families


@torch.no_grad()
def directions(
    networks: Networks, codec: Codec, timbres: Tensor, families: Tensor
) -> dict[str, list[float]]:
    """Directions of qualities and families in the space of timbres.

    Args:
        networks: averaged.
        codec: of the latents.
        timbres: of random instruments, (n, 64).
        families: their indices in `FAMILIES`, (n,).
    """
    measured: dict[str, list[Tensor]] = {}
    for batch in torch.split(timbres, BATCH):
        velocity = torch.full((len(batch),), DIRECTION_VELOCITY)
        keys = [torch.full_like(velocity, key) for key in DIRECTION_KEYS]
        latents = [networks.generator(batch, key, velocity) for key in keys]
        at_keys = [qualities(codec.decode(each)) for each in latents]
        for name in at_keys[0]:
            mean = torch.stack([values[name] for values in at_keys]).mean(0)
            measured.setdefault(name, []).append(mean)
    centred = (timbres - timbres.mean(dim=0)).double()
    covariance = centred.T @ centred / len(centred)
    ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance))
    result = {}
    for name, values in measured.items():
        quality = torch.cat(values).double()
        quality = (quality - quality.mean()) / quality.std().clamp_min(1e-9)
        weights = torch.linalg.solve(covariance + ridge, centred.T @ quality / len(centred))
        direction = covariance @ weights
        result[name] = _rounded(direction / (weights @ direction).clamp_min(1e-12).sqrt())
    for number, name in enumerate(FAMILIES):
        result[name] = _rounded(centred[families == number].mean(dim=0))
    return result


def qualities(grid: GridTensors) -> dict[str, Tensor]:
    """Brightness, attack, noisiness and sustain of notes, float32 (n,) each, by their stored names.

    bright: octaves of the mean partial's frequency above the pitch, weighted by amplitude;
    attack: log2 of the time to 95 % of the loudest moment's amplitude; noisy: dB of noise over
    tones; sustain: dB, of the last held moment below the loudest.
    """
    amplitude = torch.exp2(grid.partials[:, :SINGLES] / 6.0206)
    numbers = torch.arange(1.0, SINGLES + 1)
    mean = amplitude.mean(dim=2)
    centroid = (mean * numbers).sum(dim=1) / mean.sum(dim=1).clamp_min(1e-9)
    tone = torch.exp2(grid.partials / 3.0103).sum(dim=1)
    loudest = tone.amax(dim=1, keepdim=True)
    times = torch.from_numpy(grid_times()).float()
    attack_end = (tone >= ATTACK_SHARE**2 * loudest).float().argmax(dim=1)
    last_held = int(np.searchsorted(grid_times(), HOLD_SECONDS)) - 1
    noise_held = torch.from_numpy(grid_noise_times() <= HOLD_SECONDS)
    noise = torch.exp2(grid.noise / 3.0103).sum(dim=1)[:, noise_held]
    floor = 10 ** (SILENCE_DB / 10)
    return {
        "bright": centroid.log2(),
        "attack": (times[attack_end] + 0.002).log2(),
        "noisy": 10 * (noise.mean(dim=1) / tone.mean(dim=1).clamp_min(floor)).log10(),
        "sustain": 10 * (tone[:, last_held] / loudest[:, 0]).clamp_min(1e-6).log10(),
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
    model = to_onnx(module, example, inputs, outputs, properties).model_proto
    _store_in_half(model)
    with write_atomically(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _store_in_half(model: Any) -> None:
    """Store large weights in half precision, each followed by a cast, in place."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        if values.size <= MAX_FULL_SIZE:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        model.graph.node.insert(0, node)
    onnx.checker.check_model(model)
