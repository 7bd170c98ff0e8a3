"""The baseline: a convolutional GAN on pictures of sound, after GANSynth, small enough for here.

    python benchmarks/gansynth_like.py STORE -o RUN --seconds 600       (call again to go on)
    python benchmarks/imagination.py STORE --players gansynth=gansynth_like:RUN

After Engel et al., "GANSynth: adversarial neural audio synthesis", 2019: a note of 4 s at 16 kHz is
a picture of 128 moments by 256 frequencies in two channels, the logarithm of the magnitude and the
*instantaneous frequency*, by how much the phase moves from one moment to the next,

    X = STFT(x), 1024 samples, hop 512      f[t] = wrap(arg X[t] − arg X[t − 1]) / π

from which sums of f give back the phases, and the inverse transform the sound. Rows are single bins
up to 2 kHz and three bins above, which share the main lobe of a partial, and its phase's advance.

The generator grows a picture from z and what is asked for by convolutions; the discriminator
scores it, projected on what was asked for (Miyato and Koyama 2018), and tells its key (as GANSynth
does). Losses: non-saturating, with R1 (Mescheder et al. 2018), every fourth step. No progressive
growing. The budget is CPU seconds of this process, over all calls. RUN holds checkpoints, log.jsonl
and notes.npz: audio float32 (n, 64000), pitch, velocity, family, instrument.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.corpus.store import Store, as_float
from mechanical_ears.errors import EarsError
from mechanical_ears.evaluation.measurements import Notes
from mechanical_ears.evaluation.note_sets import (
    TRAIN,
    UNSEEN,
    NoteGenerator,
    NoteRequests,
    open_store,
)
from mechanical_ears.files import write_atomically
from mechanical_ears.note import FAMILIES, NOTE_SAMPLE_RATE
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from mechanical_ears.training.run import RunFolder, load_checkpoint

SAMPLES = 64_000
WINDOW, HOP = 1024, 512  # samples
MOMENTS, ROWS = 128, 256  # of a picture
SINGLE = 128  # rows of one bin; the others are of three
FLOOR = 90.0  # dB below full scale
Z = 128
ASKED = 128 + len(FAMILIES) + 1  # key, family, velocity
CHANNELS = (96, 96, 64, 32, 16, 8)  # from 4 × 8 to 128 × 256
BATCH = 16
RATE = 1e-3
R1 = 10.0
R1_EVERY = 4  # steps
AVERAGED = 0.01  # share of the newest weights in the average
SAVED_EVERY = 60.0  # CPU s
TOGETHER = 16  # notes made at once


def window() -> Tensor:
    """Hann's."""
    return torch.hann_window(WINDOW)


def pictures(audio: Tensor) -> Tensor:
    """Notes (n, 64000) as pictures (n, 2, 128, 256): levels and frequencies, both −1 … 1."""
    spectrum = torch.stft(audio, WINDOW, HOP, window=window(), return_complex=True)[:, 1:]
    spectrum = functional.pad(spectrum, (0, MOMENTS - spectrum.shape[2])).transpose(1, 2)
    above = spectrum[:, :, SINGLE:].unflatten(2, (ROWS - SINGLE, 3))
    strongest = above.abs().argmax(dim=3, keepdim=True)
    magnitude = torch.cat(
        [spectrum[:, :, :SINGLE].abs(), above.abs().square().mean(dim=3).sqrt()], dim=2
    )
    angle = spectrum.angle()
    moved = torch.cat([angle[:, :1], angle.diff(dim=1)], dim=1)
    moved = (moved + torch.pi) % (2 * torch.pi) - torch.pi
    rows = moved[:, :, SINGLE:].unflatten(2, (ROWS - SINGLE, 3)).gather(3, strongest)[..., 0]
    moved = torch.cat([moved[:, :, :SINGLE], rows], dim=2)
    level = 20 * (magnitude * (4 / WINDOW)).clamp_min(1e-9).log10()
    return torch.stack([(level / FLOOR).clamp(-1, 0) * 2 + 1, moved / torch.pi], dim=1)


def sounds(picture: Tensor) -> Tensor:
    """Pictures (n, 2, 128, 256) as notes (n, 64000)."""
    level = (picture[:, 0].clamp(-1, 1) - 1) / 2 * FLOOR
    magnitude = 10 ** (level / 20) * (WINDOW / 4) * (level > -FLOOR + 0.5)
    phase = (picture[:, 1] * torch.pi).cumsum(dim=1)
    rows = torch.polar(magnitude, phase)
    wide = rows[:, :, SINGLE:].repeat_interleave(3, dim=2)
    signs = torch.tensor([-1.0, 1.0, -1.0]).repeat(ROWS - SINGLE)  # of a lobe's neighbouring bins
    spectrum = torch.cat([torch.zeros_like(rows[:, :, :1]), rows[:, :, :SINGLE], wide * signs], 2)
    spectrum = spectrum[:, : 1 + SAMPLES // HOP].transpose(1, 2)
    return torch.istft(spectrum, WINDOW, HOP, window=window(), length=SAMPLES)


def asked_numbers(asked: NoteRequests) -> Tensor:
    """What notes are asked for as numbers, (n, 140)."""
    key = functional.one_hot(torch.from_numpy(asked.pitch), 128)
    family = functional.one_hot(torch.from_numpy(asked.family).clamp_min(0), len(FAMILIES))
    family = family * (torch.from_numpy(asked.family) >= 0)[:, None]
    velocity = torch.from_numpy(asked.velocity)[:, None] / 127
    return torch.cat([key, family, velocity], dim=1).float()


class PixelNorm(nn.Module):
    """Scales the channels of each pixel to a mean square of 1."""

    def forward(self, features: Tensor) -> Tensor:
        """(n, channels, …) → the same."""
        return features * (features.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Generator(nn.Module):
    """Z and what is asked for → picture."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(Z + ASKED, CHANNELS[0] * 4 * 8)
        layers: list[nn.Module] = [PixelNorm()]
        for inputs, outputs in pairwise(CHANNELS):
            layers += [
                nn.Upsample(scale_factor=2),
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.LeakyReLU(0.2),
                PixelNorm(),
                nn.Conv2d(outputs, outputs, 3, padding=1),
                nn.LeakyReLU(0.2),
                PixelNorm(),
            ]
        self.grow = nn.Sequential(*layers)
        self.leave = nn.Conv2d(CHANNELS[-1], 2, 1)

    def forward(self, z: Tensor, asked: Tensor) -> Tensor:
        """(n, 128), (n, 140) → (n, 2, 128, 256)."""
        begun = self.enter(torch.cat([z, asked * 4], dim=1)).unflatten(1, (CHANNELS[0], 4, 8))
        return torch.tanh(self.leave(self.grow(functional.leaky_relu(begun, 0.2))))


class Discriminator(nn.Module):
    """Picture → score, projected on what was asked for, and logits of the key."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(2, CHANNELS[-1], 1)]
        for inputs, outputs in pairwise(reversed(CHANNELS)):
            layers += [
                nn.LeakyReLU(0.2),
                nn.Conv2d(inputs, inputs, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.AvgPool2d(2),
            ]
        self.shrink = nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Flatten())
        self.hidden = nn.Linear(CHANNELS[0] * 4 * 8, 256)
        self.score = nn.Linear(256, 1)
        self.project = nn.Linear(ASKED, 256, bias=False)
        self.key = nn.Linear(256, 128)

    def forward(self, picture: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 2, 128, 256), (n, 140) → (n,), (n, 128)."""
        features = functional.leaky_relu(self.hidden(self.shrink(picture)), 0.2)
        projected = (features * self.project(asked)).mean(dim=1)
        return self.score(features)[:, 0] + projected, self.key(features)


class Game:
    """Both networks, their optimisers, and the average of the generator."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.generator, self.discriminator = Generator(), Discriminator()
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False)
        rates = {"lr": RATE, "betas": (0.0, 0.99)}
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), **rates)
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters(), **rates)

    def step(self, real: Tensor, asked: Tensor, number: int, lots: torch.Generator) -> list[float]:
        """One step of each; the two losses."""
        key = asked[:, :128].argmax(dim=1)
        with torch.no_grad():
            fake = self.generator(torch.randn(len(real), Z, generator=lots), asked)
        penalised = number % R1_EVERY == 0
        real.requires_grad_(penalised)
        scores, told = self.discriminator(real, asked)
        loss = functional.softplus(-scores).mean() + functional.cross_entropy(told, key)
        loss = loss + functional.softplus(self.discriminator(fake, asked)[0]).mean()
        if penalised:
            (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
            loss = loss + R1_EVERY * R1 / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()
        descend(self.discriminator_adam, loss)
        fake = self.generator(torch.randn(len(real), Z, generator=lots), asked)
        scores, told = self.discriminator(fake, asked)
        other = functional.softplus(-scores).mean() + functional.cross_entropy(told, key)
        descend(self.generator_adam, other)
        share = max(AVERAGED, 1 / (number + 1))
        with torch.no_grad():
            pairs = zip(self.averaged.parameters(), self.generator.parameters(), strict=True)
            for mean, weight in pairs:
                mean.lerp_(weight, share)
        return [float(loss.detach()), float(other.detach())]


def descend(adam: torch.optim.Adam, loss: Tensor) -> None:
    """One step down the gradient."""
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


def asked_of(store: Store, rows: NDArray[np.int64]) -> NoteRequests:
    """What notes of a store were played as; each an instrument of its own."""
    labels = (
        getattr(store, name)[rows].astype(np.int64) for name in ("family", "pitch", "velocity")
    )
    return NoteRequests(np.arange(len(rows)), *labels)


def train(store: Store, run_path: Path, seconds: float, seed: int) -> Game:
    """Train for so many CPU seconds in all, or go on with it."""
    run = RunFolder(run_path, {"network": "gansynth-like", "seed": seed, "store": store.path})
    game = Game(seed)
    number = run.resume(vars(game))  # an epoch of the run is a step
    spent = run.log()[-1]["cpu_seconds"] if number else 0.0
    rows = store.rows(TRAIN)
    begun = time.process_time() - spent
    saved, sums = spent, np.zeros(3)
    while spent < seconds:
        chance = np.random.default_rng([seed, number])
        chosen = np.sort(chance.choice(rows, BATCH))
        lots = torch.Generator().manual_seed(int(chance.integers(1 << 62)))
        real = pictures(torch.from_numpy(as_float(store.audio[chosen])))
        sums += (*game.step(real, asked_numbers(asked_of(store, chosen)), number, lots), 1)
        number += 1
        spent = time.process_time() - begun
        if spent - saved >= SAVED_EVERY or spent >= seconds:
            saved = spent
            figures = {
                "cpu_seconds": round(spent, 2),
                "notes": number * BATCH,
                "loss_discriminator": round(sums[0] / sums[2], 4),
                "loss_generator": round(sums[1] / sums[2], 4),
            }
            run.finish_epoch(number, vars(game), figures)
            print(json.dumps({"step": number, **figures}), file=sys.stderr)
            sums[:] = 0
            if not all(np.isfinite(list(figures.values()))):
                raise EarsError("the training diverged", path=run_path)
    run.close()
    return game


@torch.no_grad()
def play(generator: Generator, asked: NoteRequests, seed: int = 0) -> Iterator[Notes]:
    """Play what is asked for; an instrument is one z."""
    for first in range(0, len(asked), TOGETHER):
        part = slice(first, first + TOGETHER)
        some = NoteRequests(
            *(getattr(asked, name)[part] for name in NoteRequests.__dataclass_fields__)
        )
        z = [
            np.random.default_rng([seed, int(each)]).standard_normal(Z) for each in some.instrument
        ]
        made = generator(torch.from_numpy(np.stack(z)).float(), asked_numbers(some))
        audio = sounds(made).clamp(-1, 1).numpy()
        names = np.array([f"gansynth-{each:04d}" for each in some.instrument])
        yield Notes(audio, some.pitch, some.velocity, some.family, names)


def player(run_path: Path) -> NoteGenerator:
    """What plays with the newest checkpoint of a run, see benchmarks/imagination.py."""
    kept = sorted(run_path.glob("checkpoint-*.safetensors"), key=lambda file: file.stat().st_mtime)
    if not kept:
        raise EarsError("holds no checkpoint", path=run_path, remedy="train it first")
    generator = Generator()
    load_checkpoint(kept[-1], {"averaged": generator})
    return lambda asked: play(generator, asked)


def through_pictures(store: Store, count: int = 20) -> tuple[float, float]:
    """What the pictures themselves cost: log-spectral and mel distance of unseen notes, dB."""
    rows = store.rows(UNSEEN)[:: max(1, len(store.rows(UNSEEN)) // count)][:count]
    audio = as_float(store.audio[rows])
    back = sounds(pictures(torch.from_numpy(audio))).numpy()
    apart = [
        spectral_distance(one, other, NOTE_SAMPLE_RATE)
        for one, other in zip(audio, back, strict=True)
    ]
    return float(np.mean([a.lsd for a in apart])), float(np.mean([a.mel for a in apart]))


def main() -> None:
    """Train, then write notes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN")
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds, over all calls")
    parser.add_argument("--notes", type=int, default=500, help="that are written")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        store = open_store(options.store)
        game = train(store, options.output, options.seconds, options.seed)
        rows = np.random.default_rng(options.seed).choice(store.rows(TRAIN), options.notes)
        parts = list(play(game.averaged, asked_of(store, rows)))
        fields = Notes.__dataclass_fields__
        notes = {name: np.concatenate([getattr(part, name) for part in parts]) for name in fields}
        with (
            write_atomically(options.output / "notes.npz") as temporary,
            temporary.open("wb") as file,
        ):
            np.savez(file, **notes)
    except EarsError as error:
        sys.exit(f"gansynth_like.py: {error}")
    lsd, mel = through_pictures(store)
    print(
        f"{options.output}: {options.notes} notes; real ones through pictures and back: "
        f"log-spectral distance {lsd:.1f} dB, mel {mel:.1f} dB"
    )


if __name__ == "__main__":
    main()
