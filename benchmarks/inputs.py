"""The article's "important choice": raw audio, Fourier spectrum, or frequency over time.

    python benchmarks/inputs.py STORE [--cpu-seconds 480] [--notes 20000] [--only NAME …]

"Will we use the raw audio signal, the Fourier spectrum or any frequency-over-time as input?" Three
plain convolutional networks of about the same size predict the key, a softmax over 128. All are
trained with the same notes, the same optimiser and the same CPU seconds on one thread, in which a
cheaper input allows more notes; reading them and computing the input count. The learning rate
follows the share s of the seconds that is spent,

    rate(s) = 2e-3 · min(1, s / 0.05) · (1 + cos πs) / 2

so that every training ends with a rate of 0. Notes are normalised to a peak of 1 (the spectra are
relative to their maximum anyway) and get a random gain in training; nothing else is augmented.

The networks' shapes were chosen by short trials on validation presets: raw audio's is the best of
six (maximum instead of mean pooling gained most), the spectrum's the better of two (a third was
stopped half-way), that of frequency over time the first that was tried.

A finished contender has a line in .peers/inputs/log.jsonl and its weights next to it, and is not
trained again with the same options; the section is written as soon as all are finished.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.nn import functional

from harness import PEERS, ROOT, machine, markdown_table, medians, write_section
from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.corpus.open_corpus import open_corpus
from mechanical_ears.corpus.split import SPLITS
from mechanical_ears.corpus.store import ALL_SIDES, Store, as_float
from mechanical_ears.evaluation.pitch_accuracy import evaluate_pitch
from mechanical_ears.listening.frontend import BINS, PITCH_FRAMES, RANGE_DB, SAMPLE_RATE, SAMPLES
from mechanical_ears.listening.training.frontend_torch import TorchFrontEnd
from mechanical_ears.pitch import PITCH_COUNT
from mechanical_ears.training.feed import Batch, StoredNotes, load_batches, shuffle

DATA = ROOT.parent / "shared" / "data"
FOLDER = PEERS / "inputs"
SEED = 0
BATCH = 32  # notes
LEARNING_RATE = 2e-3  # peak, of AdamW
WEIGHT_DECAY = 0.02
WARM_UP_SHARE = 0.05  # of the CPU seconds, until the learning rate is reached
GAIN_DB = (-12.0, 0.0)  # of the random gain, relative to a peak of 1
SPECTRUM_BINS = SAMPLES // 2  # 0.25 Hz apart; the one at half the sample rate is left out
SILENCE_AMPLITUDE = 1e-6  # peak below which a note is silent
TIMED_NOTES = 50
REPEATS = 5  # of the timing, interleaved
REPORTS = 10  # progress lines of a training


@dataclass(frozen=True)
class Layer:
    """A convolution over (time, frequency), followed by batch normalisation and ReLU."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Contender:
    """An input with a network for it.

    Attributes:
        name: on the command line and in the log.
        title: in the table.
        prepare: creates the module audio float32 (batch, 64000) → float32 (batch, time, frequency).
        shape: (time, frequency) of one note.
        layers: of the network.
        pooled: whether features are max-pooled over all positions, because a waveform sounds alike
            early and late; otherwise the position determines the key.
    """

    name: str
    title: str
    prepare: Callable[[], nn.Module]
    shape: tuple[int, int]
    layers: tuple[Layer, ...]
    pooled: bool = False

    def network(self) -> nn.Sequential:
        """Audio float32 (batch, 64000) at a peak of 1 or less → logits (batch, 128)."""
        modules: list[nn.Module] = [self.prepare(), nn.Unflatten(1, (1, self.shape[0]))]
        channels, size = 1, list(self.shape)
        for layer in self.layers:
            padding = tuple(length // 2 for length in layer.kernel)
            modules += [
                nn.Conv2d(
                    channels, layer.channels, layer.kernel, layer.stride, padding, bias=False
                ),
                nn.BatchNorm2d(layer.channels),
                nn.ReLU(),
            ]
            channels = layer.channels
            size = [
                (length + 2 * pad - reach) // step + 1
                for length, pad, reach, step in zip(
                    size, padding, layer.kernel, layer.stride, strict=True
                )
            ]
        if self.pooled:
            modules.append(nn.AdaptiveMaxPool2d(1))
            size = [1, 1]
        modules += [nn.Flatten(), nn.Linear(channels * math.prod(size), PITCH_COUNT)]
        return nn.Sequential(*modules).to(memory_format=torch.channels_last)


class Raw(nn.Module):
    """The unchanged samples: (batch, 64000) → (batch, 1, 64000)."""

    def forward(self, audio: Tensor) -> Tensor:
        """Audio with an axis of one frame."""
        return audio[:, None]


class Spectrum(nn.Module):
    """Spectrum of the whole note: (batch, 64000) → (batch, 1, 32000).

    max(0, 1 + dB(|X| / max |X|) / 80), like the ears' pitch map.
    """

    def forward(self, audio: Tensor) -> Tensor:
        """Levels 0 … 1 of the frequencies k / 4 Hz."""
        amplitude = torch.fft.rfft(audio)[:, None, :SPECTRUM_BINS].abs()
        loudest = amplitude.amax(dim=2, keepdim=True).clamp_min(SILENCE_AMPLITUDE)
        decibels = 20 * (amplitude / loudest).clamp_min(1e-9).log10()
        return (1 + decibels / RANGE_DB).clamp_min(0)


class PitchMap(nn.Module):
    """The ears' log-frequency spectrogram: (batch, 64000) → (batch, 24, 300)."""

    def __init__(self) -> None:
        super().__init__()
        self.front_end = TorchFrontEnd()

    def forward(self, audio: Tensor) -> Tensor:
        """The pitch map alone; the whole front end is computed."""
        pitch_map: Tensor = self.front_end(audio)[0]
        return pitch_map


CONTENDERS = (
    Contender(
        "raw",
        "raw audio",
        Raw,
        (1, SAMPLES),
        (
            Layer(48, (1, 128), (1, 16)),
            Layer(64, (1, 9), (1, 4)),
            Layer(96, (1, 9), (1, 4)),
            Layer(128, (1, 9), (1, 2)),
            Layer(192, (1, 9), (1, 2)),
        ),
        pooled=True,
    ),
    Contender(
        "spectrum",
        "Fourier spectrum",
        Spectrum,
        (1, SPECTRUM_BINS),
        (
            Layer(24, (1, 16), (1, 8)),
            Layer(32, (1, 9), (1, 4)),
            Layer(48, (1, 9), (1, 2)),
            Layer(64, (1, 9), (1, 4)),
            Layer(48, (1, 9), (1, 2)),
        ),
    ),
    Contender(
        "over-time",
        "frequency over time",
        PitchMap,
        (PITCH_FRAMES, BINS),
        (
            Layer(24, (3, 5), (2, 1)),
            Layer(48, (3, 3), (2, 3)),
            Layer(64, (3, 3), (2, 1)),
            Layer(32, (3, 3), (3, 1)),
        ),
    ),
)


def learning_rate(share: float) -> float:
    """The learning rate when ``share`` (0 … 1) of the CPU seconds is spent."""
    return (
        LEARNING_RATE * min(1, share / WARM_UP_SHARE) * (1 + math.cos(math.pi * min(1, share))) / 2
    )


def normalise(audio: Tensor) -> Tensor:
    """Notes (batch, samples) with a peak of 1; silence stays silent."""
    return audio / audio.abs().amax(dim=1, keepdim=True).clamp_min(SILENCE_AMPLITUDE)


def train(network: nn.Module, notes: StoredNotes, cpu_seconds: float) -> dict[str, float]:
    """Train until ``cpu_seconds`` of this process are spent; returns figures of the training."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    rng = torch.Generator().manual_seed(SEED)
    network.train()
    count, recent, reports = 0, [], 0
    started, wall = time.process_time(), time.perf_counter()
    for batch in _endless(notes):
        share = (time.process_time() - started) / cpu_seconds
        if share >= 1:
            break
        if share * REPORTS >= reports + 1:
            reports += 1
            loss, right = np.mean(recent, axis=0)
            print(f"  {share:4.0%}: {count} notes, loss {loss:.2f}, {right:.1%}", file=sys.stderr)
            recent = []
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(share)
        key = batch.pitch_on(torch.device("cpu"))
        gain = torch.empty(len(key), 1).uniform_(*GAIN_DB, generator=rng)
        audio = normalise(batch.audio_on(torch.device("cpu"))) * 10 ** (gain / 20)
        logits = network(audio)
        loss = functional.cross_entropy(logits, key)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        count += len(key)
        recent.append((loss.item(), (logits.argmax(dim=1) == key).float().mean().item()))
    return {
        "heard": count,
        "cpu_seconds_spent": round(time.process_time() - started, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
    }


def _endless(notes: StoredNotes) -> Iterator[Batch]:
    epoch = 0
    while True:
        epoch += 1
        yield from load_batches(shuffle(notes, SEED, epoch), BATCH)


def predict(network: nn.Module, audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits float32 (batch, 128) of notes float32 (batch, 64000)."""
    with torch.inference_mode():
        logits: NDArray[np.float32] = network(normalise(torch.from_numpy(audio))).numpy()
    return logits


def held_out_sets(store: Store) -> dict[str, tuple[Corpus, str]]:
    """Notes to test on: the held-out sides, and the recordings that are available."""
    held_out: dict[str, tuple[Corpus, str]] = {side: (store, side) for side in SPLITS[1:]}
    for name in ("nsynth-dev", "spanish-guitar"):
        if (DATA / name).exists():
            held_out[name] = (open_corpus(DATA / name), ALL_SIDES)
        else:
            print(f"{name} is skipped: {DATA / name} is missing", file=sys.stderr)
    return held_out


class Log:
    """Stored results: a JSON line and a file of weights for each contender.

    Args:
        folder: of the results; created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, settings: dict[str, Any]) -> dict[str, Any] | None:
        """The result of a contender with the same options."""
        file = self.folder / "log.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        for line in map(json.loads, reversed(lines)):
            if line["asked"] == settings and self.weights(settings).exists():
                result: dict[str, Any] = line
                return result
        return None

    def weights(self, settings: dict[str, Any]) -> Path:
        """File of the weights of a contender with these options."""
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{settings['contender']}-{digest[:12]}.safetensors"

    def add(self, settings: dict[str, Any], network: nn.Module, result: dict[str, Any]) -> None:
        """Store a result."""
        save_model(network, str(self.weights(settings)))
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps({"asked": settings, "machine": machine(), **result}) + "\n")


def compete(
    contender: Contender,
    notes: StoredNotes,
    held_out: dict[str, tuple[Corpus, str]],
    seconds: float,
) -> tuple[nn.Module, dict[str, Any]]:
    """Train and test a contender, or load it from the log."""
    torch.manual_seed(SEED)
    network = contender.network()
    settings = {
        "contender": contender.name,
        "network": str(network),
        "cpu_seconds": seconds,
        "notes": notes.fingerprint(),
        "sets": list(held_out),
        "training": [SEED, BATCH, LEARNING_RATE, WEIGHT_DECAY, WARM_UP_SHARE, *GAIN_DB],
    }
    log = Log(FOLDER)
    stored = log.find(settings)
    if stored is not None:
        load_model(network, log.weights(settings))
        return network.eval(), stored
    print(f"{contender.name}: {len(notes)} notes, {seconds:g} CPU seconds", file=sys.stderr)
    result: dict[str, Any] = {
        "parameters": sum(weights.numel() for weights in network.parameters()),
        **train(network, notes, seconds),
    }
    network.eval()
    result["heard_right"] = {}
    for name, (corpus, side) in held_out.items():
        overall = evaluate_pitch(partial(predict, network), corpus, side=side).overall
        result["heard_right"][name] = [overall.notes, overall.exact, overall.chroma]
    print(json.dumps({"contender": contender.name, **result}))
    log.add(settings, network, result)
    return network, result


def time_inference(networks: dict[str, nn.Module], store: Store) -> dict[str, float]:
    """CPU ms per note of each contender, one note at a time, from samples to the key."""
    rows = store.rows(SPLITS[1])[:TIMED_NOTES]
    audio = as_float(store.audio[rows])

    def once(network: nn.Module) -> float:
        predict(network, audio[:1])
        started = time.process_time()
        for note in audio:
            predict(network, note[None])
        return 1000 * (time.process_time() - started) / len(audio)

    measured = medians({name: partial(once, part) for name, part in networks.items()}, REPEATS)
    return {name: median for name, (_, median, _) in measured.items()}


def body(results: dict[str, dict[str, Any]], milliseconds: dict[str, float], seconds: float) -> str:
    """Text of the section."""
    first = next(iter(results.values()))
    names = list(first["heard_right"])
    rows = []
    for contender in CONTENDERS:
        result = results[contender.name]
        times, places = contender.shape
        rows.append(
            [
                contender.title,
                f"{places:,}" if times == 1 else f"{times} × {places}",
                f"{result['parameters']:,}",
                f"{result['heard']:,}",
                *(
                    f"{exact:.1%} ({chroma:.1%})"
                    for _, exact, chroma in result["heard_right"].values()
                ),
                f"{milliseconds[contender.name]:.1f}",
            ]
        )
    count = {name: first["heard_right"][name][0] for name in names}
    header = [
        "input",
        "numbers",
        "parameters",
        "training notes",
        *(_titled(name) for name in names),
    ]
    wall = ", ".join(f"{result['wall_seconds']:.0f}" for result in results.values())
    sizes = ", ".join(f"{_titled(name)} {notes:,}" for name, notes in count.items())
    return (
        "The article's *important choice*: raw audio, the Fourier spectrum, or frequency over "
        f"time? The same {seconds:g} CPU seconds of one thread for a plain convolutional network "
        f"on each, from the same {first['training_notes']:,} training notes, batches of {BATCH}, "
        "no augmentation but a random gain. Computing the input counts, so a cheaper one is "
        "trained on more notes. Share of correct keys, in brackets regardless of the octave; "
        f"instruments and recordings that no network trained on ({sizes} notes); the validation "
        "presets helped to choose the networks' shapes. One training each. The last column is "
        f"CPU time per note, median of {REPEATS} interleaved repeats. Wall time of the trainings: "
        f"{wall} s.\n\n" + markdown_table([*header, "CPU ms per note"], rows)
    )


def _titled(name: str) -> str:
    return f"{name} presets" if name in SPLITS else name


def main() -> None:
    """Train the selected contenders; write the section once all are finished."""
    names = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path, help="a store with train, validation and test sides")
    parser.add_argument("--cpu-seconds", type=float, default=480.0, help="of each training")
    parser.add_argument("--notes", type=int, default=20_000, help="training notes")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    torch.set_num_threads(1)

    store = Store(options.store)
    train_side = StoredNotes.from_stores([store], SPLITS[0], SAMPLE_RATE, SAMPLES)
    notes = shuffle(train_side, SEED, 0).select(slice(0, options.notes))
    held_out = held_out_sets(store)
    networks, results = {}, {}
    for contender in CONTENDERS:
        if contender.name in options.only:
            network, result = compete(contender, notes, held_out, options.cpu_seconds)
            networks[contender.name] = network
            results[contender.name] = {**result, "training_notes": len(notes)}
    if len(results) < len(CONTENDERS):
        print("the section is written when all contenders are finished: run without --only")
        return
    command = (
        f"python benchmarks/inputs.py STORE --cpu-seconds {options.cpu_seconds:g} "
        f"--notes {options.notes}"
    )
    text = body(results, time_inference(networks, store), options.cpu_seconds)
    title = "The important choice: raw audio, spectrum, or frequency over time"
    write_section("inputs", title, command, text)


if __name__ == "__main__":
    main()
