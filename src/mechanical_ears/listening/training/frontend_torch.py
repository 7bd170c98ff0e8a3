"""The front end in PyTorch, for training; a test compares it with `frontend.extract_features`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mechanical_ears.listening import frontend


class TorchFrontEnd(nn.Module):
    """`frontend.extract_features` as a module; its constants are buffers, which move to a GPU."""

    pitch_samples: Tensor
    pitch_window: Tensor
    pitch_filters: Tensor
    envelope_samples: Tensor
    envelope_window: Tensor
    envelope_filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        constants = vars(frontend.layout()).copy()
        windows = {"pitch": frontend.PITCH_WINDOW, "envelope": frontend.ENVELOPE_WINDOW}
        for kind, window in windows.items():
            firsts = constants.pop(f"{kind}_centres") - window // 2
            constants[f"{kind}_samples"] = firsts[:, None] + np.arange(window)
        for name, values in constants.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Extract the features of notes.

        Args:
            audio: float32 (batch, 64000) at 16 kHz, onset at the start.

        Returns:
            pitch map (batch, 24, 300), envelope (batch, 48, 24), level (batch,); see
            `FrontEndFeatures`.
        """
        half = frontend.PITCH_WINDOW // 2
        padded = functional.pad(audio, (half, half))
        pitch = _power(padded, self.pitch_samples + half, self.pitch_window, self.pitch_filters)
        samples = self.envelope_samples + half
        envelope = _power(padded, samples, self.envelope_window, self.envelope_filters)
        loudest = pitch.amax(dim=(1, 2)).clamp_min(frontend.SILENCE_POWER)
        level = (1 + 10 * loudest.log10() / frontend.RANGE_DB).clamp_min(0)
        return _relative(pitch), _relative(envelope), level


def _power(audio: Tensor, samples: Tensor, window: Tensor, filters: Tensor) -> Tensor:
    """Power (batch, frames, bands) of frames of samples (frames, window)."""
    spectrum = torch.fft.rfft(audio[:, samples] * window)
    power: Tensor = (spectrum.real**2 + spectrum.imag**2) @ filters
    return power


def _relative(power: Tensor) -> Tensor:
    """Level below the maximum of each note, 0 … 1 over ``RANGE_DB``."""
    loudest = power.amax(dim=(1, 2), keepdim=True).clamp_min(frontend.SILENCE_POWER)
    decibels = 10 * (power.clamp_min(frontend.MIN_POWER) / loudest).log10()
    return (1 + decibels / frontend.RANGE_DB).clamp_min(0)
