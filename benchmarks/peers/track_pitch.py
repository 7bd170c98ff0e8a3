"""Hears single notes with a pitch tracker of another project: see ../tracking.py.

    python track_pitch.py FOLDER TRACKER

For each number of a note on standard input it answers a line of JSON: ``note``, ``pitch``
(fractional MIDI number, null where no frame is voiced), ``confidence`` (mean over the voiced
frames), ``voiced`` (their share of all) and ``cpu`` (seconds on one core; loading and warming up
are not counted). FOLDER holds ``audio.npy``, float32 (samples,), all notes one behind the other,
and ``notes.json``: ``start``, ``samples`` and ``sample_rate`` of each.

A tracker gives a frequency and a weight for each frame; the note's pitch is the median of the
voiced frames, weighted:

    pitch = m[k],  k the first with  Σ_{i ≤ k} w[i] ≥ ½ Σ w[i],  m ascending, w > 0 where voiced

The weight is the tracker's own confidence (1 where it has none). In doubt we help the trackers:
each note is scaled to full level first; where a tracker takes no frame for voiced, all frames
serve; and those that do not tell sound from silence (YIN, aubio, PESTO, CREPE) are not asked about
frames 30 dB below the loudest. The range is that of a piano, A0 to C8 and half a semitone beyond,
or all that the tracker can do; everything else is as its makers set it.

Libraries that read the number of their threads from the environment are held to one by the caller.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

HALF_STEP = 2 ** (0.5 / 12)
LOWEST, HIGHEST = 27.5 / HALF_STEP, 4186.009 * HALF_STEP  # Hz
WINDOW = 0.128  # s, of YIN's and aubio's frames: at least three periods of A0
HOP = 0.032  # s, between aubio's frames
QUIET = -30.0  # dB to the loudest frame, below which some are not asked
PEAK = 0.9  # of full scale, to which notes are brought
STEP = 10.0  # ms, between frames of torchcrepe and pesto, their default
CREPE_RANGE = (32.0, 2006.0)  # Hz, what its 360 classes cover
WARM_UP = 0.5  # s of the first note, heard once before anything counts

# Frequencies (Hz) and weights of the frames of a note, of float32 audio and its rate in Hz.
Frames = tuple[np.ndarray, np.ndarray]
Tracker = Callable[[np.ndarray, int], Frames]


def praat(method: str) -> Tracker:
    """Praat's autocorrelation (ac) or cross-correlation (cc)."""
    import parselmouth

    def track(audio: np.ndarray, rate: int) -> Frames:
        sound = parselmouth.Sound(audio.astype(np.float64), rate)
        analyse = getattr(sound, f"to_pitch_{method}")
        frames = analyse(pitch_floor=LOWEST, pitch_ceiling=HIGHEST).selected_array
        return frames["frequency"], frames["strength"]

    return track


def yin() -> Tracker:
    """Librosa's YIN."""
    import librosa

    def track(audio: np.ndarray, rate: int) -> Frames:
        window = power_of_two(WINDOW * rate)
        frequency = librosa.yin(audio, fmin=LOWEST, fmax=HIGHEST, sr=rate, frame_length=window)
        return frequency, loud(audio, len(frequency), window // 4)

    return track


def pyin() -> Tracker:
    """Librosa's probabilistic YIN."""
    import librosa

    def track(audio: np.ndarray, rate: int) -> Frames:
        window = power_of_two(WINDOW * rate)
        frequency, voiced, probability = librosa.pyin(
            audio, fmin=LOWEST, fmax=HIGHEST, sr=rate, frame_length=window, fill_na=None
        )
        return frequency, preferred(voiced, probability)

    return track


def aubio() -> Tracker:
    """Aubio's fast YIN."""
    import aubio

    def track(audio: np.ndarray, rate: int) -> Frames:
        window, hop = power_of_two(WINDOW * rate), power_of_two(HOP * rate)
        detector = aubio.pitch("yinfast", window, hop, rate)
        detector.set_unit("Hz")
        hops = np.pad(audio, (0, -len(audio) % hop)).reshape(-1, hop)
        frequency = np.array([detector(part)[0] for part in hops])
        within = (frequency >= LOWEST) & (frequency <= HIGHEST)
        return frequency, within * loud(audio, len(hops), hop)

    return track


def swift() -> Tracker:
    """SwiftF0, which hears 46.9 to 2094 Hz."""
    from swift_f0 import SwiftF0

    detector = SwiftF0(threads=1)

    def track(audio: np.ndarray, rate: int) -> Frames:
        heard = detector.detect(audio, rate)
        return heard.pitch_hz, preferred(heard.confidence >= 0.5, heard.confidence)

    return track


def basic_pitch() -> Tracker:
    """Basic Pitch on its ONNX file: the key whose note posterior has the highest mean."""
    logging.disable(logging.WARNING)  # it warns of each runtime that is not installed
    import librosa
    import onnxruntime
    from basic_pitch import FilenameSuffix, build_icassp_2022_model_path
    from basic_pitch import constants as its
    from basic_pitch.inference import Model, unwrap_output, window_audio_file

    path = build_icassp_2022_model_path(FilenameSuffix.onnx)
    model = Model(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model.model = onnxruntime.InferenceSession(str(path), options)
    overlap = 30  # frames, as in its run_inference, which takes files only

    def track(audio: np.ndarray, rate: int) -> Frames:
        audio = librosa.resample(audio, orig_sr=rate, target_sr=its.AUDIO_SAMPLE_RATE)
        padded = np.pad(audio, (overlap * its.FFT_HOP // 2, 0))
        step = its.AUDIO_N_SAMPLES - overlap * its.FFT_HOP
        windows = [window[None] for window, _ in window_audio_file(padded, step)]
        notes = np.concatenate([model.predict(window)["note"] for window in windows])
        posterior = unwrap_output(notes, len(audio), overlap).mean(axis=0)
        key = int(posterior.argmax())
        return its.FREQ_BINS_NOTES[[key]], posterior[[key]]

    return track


def crepe(capacity: str) -> Tracker:
    """CREPE in PyTorch, full or tiny, with its default Viterbi decoder."""
    without_torchaudio()
    import torch
    import torchcrepe

    torch.set_num_threads(1)

    def track(audio: np.ndarray, rate: int) -> Frames:
        sound = torch.from_numpy(audio)[None]
        hop = round(STEP / 1000 * rate)
        frequency, periodicity = torchcrepe.predict(
            sound, rate, hop, *CREPE_RANGE, capacity, return_periodicity=True, batch_size=512
        )
        frequency, periodicity = frequency[0].numpy(), periodicity[0].numpy()
        return frequency, periodicity * loud(audio, len(frequency), hop)

    return track


def pesto() -> Tracker:
    """PESTO, the model that its makers recommend."""
    without_torchaudio()
    import torch
    from pesto import load_model

    torch.set_num_threads(1)
    models: dict[int, torch.nn.Module] = {}

    def track(audio: np.ndarray, rate: int) -> Frames:
        if rate not in models:
            models[rate] = load_model("mir-1k_g7", STEP, sampling_rate=rate)
        with torch.inference_mode():
            frequency, confidence, *_ = models[rate](
                torch.from_numpy(audio), sr=rate, convert_to_freq=True, return_activations=True
            )
        frequency, confidence = frequency.numpy(), confidence.numpy()
        return frequency, confidence * loud(audio, len(frequency), round(STEP / 1000 * rate))

    return track


TRACKERS: dict[str, Callable[[], Tracker]] = {
    "praat-ac": lambda: praat("ac"),
    "praat-cc": lambda: praat("cc"),
    "yin": yin,
    "pyin": pyin,
    "aubio": aubio,
    "swift-f0": swift,
    "basic-pitch": basic_pitch,
    "pesto": pesto,
    "crepe-full": lambda: crepe("full"),
    "crepe-tiny": lambda: crepe("tiny"),
}


def without_torchaudio() -> None:
    """Let what imports torchaudio (to load files, which nobody does here) go without it."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))


def power_of_two(samples: float) -> int:
    """The lowest power of two that is not below."""
    return 1 << int(np.ceil(np.log2(samples)))


def loud(audio: np.ndarray, frames: int, hop: int) -> np.ndarray:
    """Weight 1 for frames (one a hop) that are near the loudest, 0 for the others."""
    parts = np.pad(audio, (0, max(0, frames * hop - len(audio))))[: frames * hop]
    level = np.sqrt(np.mean(parts.reshape(frames, hop) ** 2, axis=1))
    return (level > level.max() * 10 ** (QUIET / 20)).astype(float)


def preferred(voiced: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The confidence of voiced frames, or of all where none is voiced."""
    return np.where(voiced, confidence, 0) if voiced.any() else confidence


def summary(frequency: np.ndarray, weight: np.ndarray) -> dict[str, float | None]:
    """Pitch, confidence and voiced share of a note."""
    voiced = np.isfinite(frequency) & (frequency > 0) & (weight > 0)
    if not voiced.any():
        return {"pitch": None, "confidence": 0.0, "voiced": 0.0}
    midi = 69 + 12 * np.log2(frequency[voiced] / 440)
    order = np.argsort(midi)
    heights, weights = midi[order], weight[voiced][order]
    total = np.cumsum(weights)
    middle = heights[np.searchsorted(total, total[-1] / 2)]
    return {
        "pitch": round(float(middle), 4),
        "confidence": round(float(weights.mean()), 4),
        "voiced": round(float(voiced.mean()), 4),
    }


def main() -> None:
    """Answer the lines."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    warnings.simplefilter("ignore")
    audio = np.load(folder / "audio.npy", mmap_mode="r")
    notes = json.loads((folder / "notes.json").read_text())

    def read(number: int) -> tuple[np.ndarray, int]:
        start, samples = notes["start"][number], notes["samples"][number]
        sound = np.array(audio[start : start + samples])
        return sound * np.float32(PEAK / np.abs(sound).max()), notes["sample_rate"][number]

    track = TRACKERS[name]()
    sound, rate = read(0)
    track(sound[: round(WARM_UP * rate)], rate)
    for line in sys.stdin:
        sound, rate = read(int(line))
        begin = time.process_time()
        heard = summary(*track(sound, rate))
        cpu = time.process_time() - begin
        print(json.dumps({"note": int(line), **heard, "cpu": round(cpu, 6)}), flush=True)


if __name__ == "__main__":
    main()
