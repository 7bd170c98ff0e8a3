"""The baseline: a small convolutional GAN on spectrograms with phase, after GANSynth.

    python benchmarks/gansynth_like.py STORE -o RUN --seconds 600       (run again to resume)
    python benchmarks/imagination.py STORE --generators gansynth=gansynth_like:RUN

After Engel et al., "GANSynth: adversarial neural audio synthesis", 2019: a note of 4 s at 16 kHz is
an image of 128 frames by 256 frequencies in two channels, the log magnitude and the *instantaneous
frequency*, the difference of the phase between frames,

    X = STFT(x), 1024 samples, hop 512      f[t] = wrap(arg X[t] − arg X[t − 1]) / π

from which sums of f restore the phases, and the inverse transform the audio. A row is one bin up to
2 kHz and three bins above, which share the main lobe of a partial and its advance of phase.

The generator computes an image from z and the condition by convolutions; the discriminator scores
it, projected on the condition (Miyato and Koyama 2018), and predicts its key (as in GANSynth).
Losses: non-saturating, with R1 (Mescheder et al. 2018) every fourth step. No progressive growing.
The budget is CPU seconds of this process, over all calls. RUN holds checkpoints, log.jsonl and
notes.npz: audio float32 (n, 64000), pitch, velocity, family, instrument.
"""

from __future__ import annotations

import argparse
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
from mechanical_ears.training.run import RunFolder, State, load_checkpoint
from mechanical_ears.training.schedules import moving_average, set_updates

SAMPLES = 64_000
WINDOW, HOP = 1024, 512  # samples
FRAMES, ROWS = 128, 256  # of an image
SINGLE_ROWS = 128  # of one bin; the others are of three
FLOOR_DB = 90.0  # below full scale
Z = 128
CONDITION = 128 + len(FAMILIES) + 1  # key, family, velocity
CHANNELS = (96, 96, 64, 32, 16, 8)  # from 4 × 8 to 128 × 256
BATCH = 16
LEARNING_RATE = 1e-3
R1 = 10.0
R1_INTERVAL = 4  # steps
AVERAGE_SHARE = 0.01  # share of the newest weights in the average
SAVE_SECONDS = 60.0  # CPU s
GENERATED_BATCH = 16  # notes


def window() -> Tensor:
    """Hann window."""
    return torch.hann_window(WINDOW)


def to_images(audio: Tensor) -> Tensor:
    """Notes (n, 64000) as images (n, 2, 128, 256): levels and frequencies, both −1 … 1."""
    spectrum = torch.stft(audio, WINDOW, HOP, window=window(), return_complex=True)[:, 1:]
    spectrum = functional.pad(spectrum, (0, FRAMES - spectrum.shape[2])).transpose(1, 2)
    above = spectrum[:, :, SINGLE_ROWS:].unflatten(2, (ROWS - SINGLE_ROWS, 3))
    strongest = above.abs().argmax(dim=3, keepdim=True)
    magnitude = torch.cat(
        [spectrum[:, :, :SINGLE_ROWS].abs(), above.abs().square().mean(dim=3).sqrt()], dim=2
    )
    angle = spectrum.angle()
    advance = torch.cat([angle[:, :1], angle.diff(dim=1)], dim=1)
    advance = (advance + torch.pi) % (2 * torch.pi) - torch.pi
    rows = (
        advance[:, :, SINGLE_ROWS:]
        .unflatten(2, (ROWS - SINGLE_ROWS, 3))
        .gather(3, strongest)[..., 0]
    )
    advance = torch.cat([advance[:, :, :SINGLE_ROWS], rows], dim=2)
    level = 20 * (magnitude * (4 / WINDOW)).clamp_min(1e-9).log10()
    return torch.stack([(level / FLOOR_DB).clamp(-1, 0) * 2 + 1, advance / torch.pi], dim=1)


def to_audio(image: Tensor) -> Tensor:
    """Images (n, 2, 128, 256) as notes (n, 64000)."""
    level = (image[:, 0].clamp(-1, 1) - 1) / 2 * FLOOR_DB
    magnitude = 10 ** (level / 20) * (WINDOW / 4) * (level > -FLOOR_DB + 0.5)
    phase = (image[:, 1] * torch.pi).cumsum(dim=1)
    rows = torch.polar(magnitude, phase)
    wide = rows[:, :, SINGLE_ROWS:].repeat_interleave(3, dim=2)
    signs = torch.tensor([-1.0, 1.0, -1.0]).repeat(
        ROWS - SINGLE_ROWS
    )  # of a lobe's neighbouring bins
    spectrum = torch.cat(
        [torch.zeros_like(rows[:, :, :1]), rows[:, :, :SINGLE_ROWS], wide * signs], 2
    )
    spectrum = spectrum[:, : 1 + SAMPLES // HOP].transpose(1, 2)
    return torch.istft(spectrum, WINDOW, HOP, window=window(), length=SAMPLES)


def condition_features(requests: NoteRequests) -> Tensor:
    """Conditions as network input, (n, 140)."""
    key = functional.one_hot(torch.from_numpy(requests.pitch), 128)
    family = functional.one_hot(torch.from_numpy(requests.family).clamp_min(0), len(FAMILIES))
    family = family * (torch.from_numpy(requests.family) >= 0)[:, None]
    velocity = torch.from_numpy(requests.velocity)[:, None] / 127
    return torch.cat([key, family, velocity], dim=1).float()


class PixelNorm(nn.Module):
    """Scales the channels of each pixel to a mean square of 1."""

    def forward(self, features: Tensor) -> Tensor:
        """(n, channels, …) → the same."""
        return features * (features.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Generator(nn.Module):
    """Z and condition → image."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(Z + CONDITION, CHANNELS[0] * 4 * 8)
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

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """(n, 128), (n, 140) → (n, 2, 128, 256)."""
        features = self.enter(torch.cat([z, condition * 4], dim=1)).unflatten(
            1, (CHANNELS[0], 4, 8)
        )
        return torch.tanh(self.leave(self.grow(functional.leaky_relu(features, 0.2))))


class Discriminator(nn.Module):
    """Image → score, projected on the condition, and logits of the key."""

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
        self.project = nn.Linear(CONDITION, 256, bias=False)
        self.key = nn.Linear(256, 128)

    def forward(self, image: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 2, 128, 256), (n, 140) → (n,), (n, 128)."""
        features = functional.leaky_relu(self.hidden(self.shrink(image)), 0.2)
        projected = (features * self.project(condition)).mean(dim=1)
        return self.score(features)[:, 0] + projected, self.key(features)


class Training:
    """Both networks, their optimisers, and the averaged generator."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.generator, self.discriminator = Generator(), Discriminator()
        self.average = moving_average(
            self.generator, lambda update: max(AVERAGE_SHARE, 1 / (update + 1))
        )
        rates = {"lr": LEARNING_RATE, "betas": (0.0, 0.99)}
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), **rates)
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters(), **rates)

    def state(self) -> State:
        """What checkpoints keep."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "averaged": self.average.module,
            "generator_adam": self.generator_adam,
            "discriminator_adam": self.discriminator_adam,
        }

    def step(
        self, real: Tensor, condition: Tensor, number: int, rng: torch.Generator
    ) -> list[float]:
        """One step of each network; returns the two losses."""
        key = condition[:, :128].argmax(dim=1)
        with torch.no_grad():
            fake = self.generator(torch.randn(len(real), Z, generator=rng), condition)
        penalise = number % R1_INTERVAL == 0
        real.requires_grad_(penalise)
        scores, key_logits = self.discriminator(real, condition)
        loss = functional.softplus(-scores).mean() + functional.cross_entropy(key_logits, key)
        loss = loss + functional.softplus(self.discriminator(fake, condition)[0]).mean()
        if penalise:
            (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
            loss = loss + R1_INTERVAL * R1 / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()
        descend(self.discriminator_adam, loss)
        fake = self.generator(torch.randn(len(real), Z, generator=rng), condition)
        scores, key_logits = self.discriminator(fake, condition)
        generator_loss = functional.softplus(-scores).mean() + functional.cross_entropy(
            key_logits, key
        )
        descend(self.generator_adam, generator_loss)
        self.average.update_parameters(self.generator)
        return [float(loss.detach()), float(generator_loss.detach())]


def descend(adam: torch.optim.Adam, loss: Tensor) -> None:
    """One step down the gradient."""
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()


def requests_like(store: Store, rows: NDArray[np.int64]) -> NoteRequests:
    """Requests for notes like those of a store, each of a new instrument."""
    labels = (
        getattr(store, name)[rows].astype(np.int64) for name in ("family", "pitch", "velocity")
    )
    return NoteRequests(np.arange(len(rows)), *labels)


def train(store: Store, run_path: Path, seconds: float, seed: int) -> Training:
    """Train until ``seconds`` CPU seconds are spent in all; resumes a run."""
    run = RunFolder(run_path, {"network": "gansynth-like", "seed": seed, "store": store.path})
    training = Training(seed)
    number = run.resume(training.state())  # an epoch of the run is a step
    set_updates(training.average, number)
    spent = run.log()[-1]["cpu_seconds"] if number else 0.0
    rows = store.rows(TRAIN)
    started = time.process_time() - spent
    saved, sums = spent, np.zeros(3)
    while spent < seconds:
        step_rng = np.random.default_rng([seed, number])
        chosen = np.sort(step_rng.choice(rows, BATCH))
        rng = torch.Generator().manual_seed(int(step_rng.integers(1 << 62)))
        real = to_images(torch.from_numpy(as_float(store.audio[chosen])))
        sums += (
            *training.step(real, condition_features(requests_like(store, chosen)), number, rng),
            1,
        )
        number += 1
        spent = time.process_time() - started
        if spent - saved >= SAVE_SECONDS or spent >= seconds:
            saved = spent
            figures = {
                "cpu_seconds": round(spent, 2),
                "notes": number * BATCH,
                "loss_discriminator": round(sums[0] / sums[2], 4),
                "loss_generator": round(sums[1] / sums[2], 4),
            }
            run.finish_epoch(number, training.state(), figures)
            print(json.dumps({"step": number, **figures}), file=sys.stderr)
            sums[:] = 0
            if not all(np.isfinite(list(figures.values()))):
                raise EarsError("the training diverged", path=run_path)
    run.close()
    return training


@torch.no_grad()
def generate_notes(generator: Generator, requests: NoteRequests, seed: int = 0) -> Iterator[Notes]:
    """Generate notes; an instrument is one z."""
    for first in range(0, len(requests), GENERATED_BATCH):
        part = slice(first, first + GENERATED_BATCH)
        batch = NoteRequests(
            *(getattr(requests, name)[part] for name in NoteRequests.__dataclass_fields__)
        )
        z = [
            np.random.default_rng([seed, int(each)]).standard_normal(Z) for each in batch.instrument
        ]
        images = generator(torch.from_numpy(np.stack(z)).float(), condition_features(batch))
        audio = to_audio(images).clamp(-1, 1).numpy()
        names = np.array([f"gansynth-{each:04d}" for each in batch.instrument])
        yield Notes(batch.pitch, batch.velocity, batch.family, names, audio)


def note_generator(run_path: Path) -> NoteGenerator:
    """Generator of the newest checkpoint of a run, see benchmarks/imagination.py."""
    checkpoints = sorted(
        run_path.glob("checkpoint-*.safetensors"), key=lambda file: file.stat().st_mtime
    )
    if not checkpoints:
        raise EarsError("holds no checkpoint", path=run_path, remedy="train it first")
    generator = Generator()
    load_checkpoint(checkpoints[-1], {"averaged": generator})
    return lambda requests: generate_notes(generator, requests)


def image_loss(store: Store, count: int = 20) -> tuple[float, float]:
    """Loss of the images themselves: log-spectral and mel distance of unseen notes, dB."""
    rows = store.rows(UNSEEN)[:: max(1, len(store.rows(UNSEEN)) // count)][:count]
    audio = as_float(store.audio[rows])
    back = to_audio(to_images(torch.from_numpy(audio))).numpy()
    apart = [
        spectral_distance(one, restored, NOTE_SAMPLE_RATE)
        for one, restored in zip(audio, back, strict=True)
    ]
    return float(np.mean([a.lsd for a in apart])), float(np.mean([a.mel for a in apart]))


def main() -> None:
    """Train, then write notes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN")
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds, over all calls")
    parser.add_argument("--notes", type=int, default=500, help="number of notes to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        store = open_store(options.store)
        training = train(store, options.output, options.seconds, options.seed)
        rows = np.random.default_rng(options.seed).choice(store.rows(TRAIN), options.notes)
        parts = list(generate_notes(training.average.module, requests_like(store, rows)))
        fields = Notes.__dataclass_fields__
        notes = {name: np.concatenate([getattr(part, name) for part in parts]) for name in fields}
        with (
            write_atomically(options.output / "notes.npz") as temporary,
            temporary.open("wb") as file,
        ):
            np.savez(file, **notes)
    except EarsError as error:
        sys.exit(f"gansynth_like.py: {error}")
    lsd, mel = image_loss(store)
    print(
        f"{options.output}: {options.notes} notes; real ones as images and back: "
        f"log-spectral distance {lsd:.1f} dB, mel {mel:.1f} dB"
    )


if __name__ == "__main__":
    main()
