"""Make ``librosa.npz``: signals and what librosa answers to them, for ``test_spectra.py``.

Run once, in an environment with librosa (it is no dependency of ours):

    .peers/tensorflow/bin/python tests/golden/make_librosa.py

librosa 0.11.0 made the file that is here. Frames of long signals are thinned to keep it small.
"""

import warnings
from pathlib import Path

import librosa
import numpy as np

CASES = {  # name: (length in samples, window, hop, every how many frames are kept)
    "sine": (16_000, 2048, 512, 8),
    "noise": (5_001, 512, 128, 5),
    "odd_window": (1_999, 401, 100, 4),
    "short": (700, 2048, 512, 1),
    "one_sample": (1, 256, 64, 1),
}


def signal(name: str, length: int) -> np.ndarray:
    """The sine of 440 Hz at 16 kHz, or Gaussian noise from the length as seed."""
    if name == "sine":
        return np.sin(2 * np.pi * 440 * np.arange(length) / 16_000).astype(np.float32)
    return np.random.default_rng(length).normal(0, 0.3, length).astype(np.float32)


def main() -> None:
    """Write the file beside this one."""
    answers = {"fft_frequencies": librosa.fft_frequencies(sr=44_100, n_fft=2048)}
    for name, (length, window, hop, every) in CASES.items():
        samples = signal(name, length)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # librosa warns of windows longer than the signal
            transform = librosa.stft(samples, n_fft=window, hop_length=hop)
        answers[f"{name}_samples"] = samples
        answers[f"{name}_settings"] = np.array([window, hop, every, transform.shape[1]])
        answers[f"{name}_stft"] = transform[:, ::every]
    uncentred = librosa.stft(signal("noise", 5_001), n_fft=512, hop_length=128, center=False)
    answers["noise_uncentred"] = uncentred[:, ::5]
    np.savez_compressed(Path(__file__).with_name("librosa.npz"), **answers)


if __name__ == "__main__":
    main()
