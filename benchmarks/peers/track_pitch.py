"""Estimate the pitch of single notes with a tracker of another project: see ../tracking.py.

    python track_pitch.py FOLDER TRACKER

For each note number on standard input print a line of JSON: ``note``, ``pitch`` (fractional MIDI
number, null if no frame is voiced), ``confidence`` (mean over the voiced frames), ``voiced`` (their
share of all) and ``cpu`` (seconds on one core, without loading and warming up). FOLDER contains
``audio.npy``, float32 (samples,), all notes concatenated, and ``notes.json``: ``start``,
``samples`` and ``sample_rate`` of each.

A tracker returns a frequency and a weight for each frame; the note's pitch is the weighted median
of the voiced frames:

    pitch = m[k],  k the first with  Σ_{i ≤ k} w[i] ≥ ½ Σ w[i],  m ascending, w > 0 where voiced

The weight is the tracker's own confidence (1 if it has none). Doubtful choices favour the trackers:
each note is scaled to full level first; if a tracker finds no voiced frame, all frames count; and
for those that do not distinguish sound from silence (YIN, aubio, PESTO, CREPE) frames 30 dB below
the loudest do not count. The range is that of a piano, A0 to C8 and half a semitone beyond, or all
that the tracker supports; all other settings are the tracker's defaults.

The caller limits libraries that read the number of their threads from the environment to one.
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

HALF_SEMITONE_RATIO = 2 ** (0.5 / 12)
MIN_HZ, MAX_HZ = 27.5 / HALF_SEMITONE_RATIO, 4186.009 * HALF_SEMITONE_RATIO
WINDOW_SECONDS = 0.128  # of YIN's and aubio's frames: at least three periods of A0
HOP_SECONDS = 0.032  # between aubio's frames
QUIET_DB = -30.0  # relative to the loudest frame; quieter ones do not count for some trackers
PEAK = 0.9  # of full scale, to which notes are normalised
STEP_MS = 10.0  # between frames of torchcrepe and pesto, their default
CREPE_RANGE_HZ = (32.0, 2006.0)  # of its 360 classes
WARM_UP_SECONDS = 0.5  # of the first note, analysed once before timing

Frames = tuple[np.ndarray, np.ndarray]  # frequencies in Hz and weights of a note's frames
Tracker = Callable[[np.ndarray, int], Frames]  # of float32 audio and its rate in Hz


def praat(method: str) -> Tracker:
    """Praat's autocorrelation (ac) or cross-correlation (cc)."""
    import parselmouth

    def track(audio: np.ndarray, rate: int) -> Frames:
        sound = parselmouth.Sound(audio.astype(np.float64), rate)
        analyse = getattr(sound, f"to_pitch_{method}")
        frames = analyse(pitch_floor=MIN_HZ, pitch_ceiling=MAX_HZ).selected_array
        return frames["frequency"], frames["strength"]

    return track


def yin() -> Tracker:
    """Librosa's YIN."""
    import librosa

    def track(audio: np.ndarray, rate: int) -> Frames:
        window = next_power_of_two(WINDOW_SECONDS * rate)
        frequency = librosa.yin(audio, fmin=MIN_HZ, fmax=MAX_HZ, sr=rate, frame_length=window)
        return frequency, loud_frames(audio, len(frequency), window // 4)

    return track


def pyin() -> Tracker:
    """Librosa's probabilistic YIN."""
    import librosa

    def track(audio: np.ndarray, rate: int) -> Frames:
        window = next_power_of_two(WINDOW_SECONDS * rate)
        frequency, voiced, probability = librosa.pyin(
            audio, fmin=MIN_HZ, fmax=MAX_HZ, sr=rate, frame_length=window, fill_na=None
        )
        return frequency, voiced_confidence(voiced, probability)

    return track


def aubio() -> Tracker:
    """Aubio's fast YIN."""
    import aubio

    def track(audio: np.ndarray, rate: int) -> Frames:
        window = next_power_of_two(WINDOW_SECONDS * rate)
        hop = next_power_of_two(HOP_SECONDS * rate)
        detector = aubio.pitch("yinfast", window, hop, rate)
        detector.set_unit("Hz")
        hops = np.pad(audio, (0, -len(audio) % hop)).reshape(-1, hop)
        frequency = np.array([detector(part)[0] for part in hops])
        within = (frequency >= MIN_HZ) & (frequency <= MAX_HZ)
        return frequency, within * loud_frames(audio, len(hops), hop)

    return track


def swift() -> Tracker:
    """SwiftF0, whose range is 46.9 to 2094 Hz."""
    from swift_f0 import SwiftF0

    detector = SwiftF0(threads=1)

    def track(audio: np.ndarray, rate: int) -> Frames:
        result = detector.detect(audio, rate)
        return result.pitch_hz, voiced_confidence(result.confidence >= 0.5, result.confidence)

    return track


def basic_pitch() -> Tracker:
    """Basic Pitch on its ONNX file: the key whose note posterior has the highest mean."""
    logging.disable(logging.WARNING)  # it warns about runtimes that are not installed
    import librosa
    import onnxruntime
    from basic_pitch import FilenameSuffix, build_icassp_2022_model_path, constants
    from basic_pitch.inference import Model, unwrap_output, window_audio_file

    path = build_icassp_2022_model_path(FilenameSuffix.onnx)
    model = Model(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model.model = onnxruntime.InferenceSession(str(path), options)
    overlap = 30  # frames, as in its run_inference, which accepts files only

    def track(audio: np.ndarray, rate: int) -> Frames:
        audio = librosa.resample(audio, orig_sr=rate, target_sr=constants.AUDIO_SAMPLE_RATE)
        padded = np.pad(audio, (overlap * constants.FFT_HOP // 2, 0))
        step = constants.AUDIO_N_SAMPLES - overlap * constants.FFT_HOP
        windows = [window[None] for window, _ in window_audio_file(padded, step)]
        notes = np.concatenate([model.predict(window)["note"] for window in windows])
        posterior = unwrap_output(notes, len(audio), overlap).mean(axis=0)
        key = int(posterior.argmax())
        return constants.FREQ_BINS_NOTES[[key]], posterior[[key]]

    return track


def crepe(capacity: str) -> Tracker:
    """CREPE in PyTorch, full or tiny, with its default Viterbi decoder."""
    replace_torchaudio()
    import torch
    import torchcrepe

    torch.set_num_threads(1)

    def track(audio: np.ndarray, rate: int) -> Frames:
        sound = torch.from_numpy(audio)[None]
        hop = round(STEP_MS / 1000 * rate)
        frequency, periodicity = torchcrepe.predict(
            sound, rate, hop, *CREPE_RANGE_HZ, capacity, return_periodicity=True, batch_size=512
        )
        frequency, periodicity = frequency[0].numpy(), periodicity[0].numpy()
        return frequency, periodicity * loud_frames(audio, len(frequency), hop)

    return track


def pesto() -> Tracker:
    """PESTO with the model that its authors recommend."""
    replace_torchaudio()
    import torch
    from pesto import load_model

    torch.set_num_threads(1)
    models: dict[int, torch.nn.Module] = {}

    def track(audio: np.ndarray, rate: int) -> Frames:
        if rate not in models:
            models[rate] = load_model("mir-1k_g7", STEP_MS, sampling_rate=rate)
        with torch.inference_mode():
            frequency, confidence, *_ = models[rate](
                torch.from_numpy(audio), sr=rate, convert_to_freq=True, return_activations=True
            )
        frequency, confidence = frequency.numpy(), confidence.numpy()
        hop = round(STEP_MS / 1000 * rate)
        return frequency, confidence * loud_frames(audio, len(frequency), hop)

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


def replace_torchaudio() -> None:
    """Replace torchaudio, which is only imported to load files, by an empty module."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))


def next_power_of_two(samples: float) -> int:
    """The smallest power of two that is at least ``samples``."""
    return 1 << int(np.ceil(np.log2(samples)))


def loud_frames(audio: np.ndarray, frames: int, hop: int) -> np.ndarray:
    """Weight 1 for frames (one per hop) within 30 dB of the loudest, 0 for the others."""
    parts = np.pad(audio, (0, max(0, frames * hop - len(audio))))[: frames * hop]
    level = np.sqrt(np.mean(parts.reshape(frames, hop) ** 2, axis=1))
    return (level > level.max() * 10 ** (QUIET_DB / 20)).astype(float)


def voiced_confidence(voiced: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The confidence of voiced frames, or of all frames if none is voiced."""
    return np.where(voiced, confidence, 0) if voiced.any() else confidence


def summarize(frequency: np.ndarray, weight: np.ndarray) -> dict[str, float | None]:
    """Pitch, confidence and voiced share of a note, from its frames."""
    voiced = np.isfinite(frequency) & (frequency > 0) & (weight > 0)
    if not voiced.any():
        return {"pitch": None, "confidence": 0.0, "voiced": 0.0}
    midi = 69 + 12 * np.log2(frequency[voiced] / 440)
    order = np.argsort(midi)
    pitches, weights = midi[order], weight[voiced][order]
    total = np.cumsum(weights)
    median = pitches[np.searchsorted(total, total[-1] / 2)]
    return {
        "pitch": round(float(median), 4),
        "confidence": round(float(weights.mean()), 4),
        "voiced": round(float(voiced.mean()), 4),
    }


def main() -> None:
    """Print an estimate for each line."""
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
    track(sound[: round(WARM_UP_SECONDS * rate)], rate)
    for line in sys.stdin:
        sound, rate = read(int(line))
        begin = time.process_time()
        estimate = summarize(*track(sound, rate))
        cpu = time.process_time() - begin
        print(json.dumps({"note": int(line), **estimate, "cpu": round(cpu, 6)}), flush=True)


if __name__ == "__main__":
    main()
