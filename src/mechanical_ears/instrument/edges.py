"""Where samples begin and end: silence is cut off, and no cut leaves a step."""

from __future__ import annotations

from typing import Final

import numpy as np

from mechanical_ears.instrument import levels
from mechanical_ears.instrument.sampled import Audio
from mechanical_ears.steps import has_step

PRE_ONSET_SECONDS: Final = 0.002  # s, kept before the onset of a note
FADE_IN_SECONDS: Final = 0.002  # s, of a note that would start with a step
ONSET_BLOCK_SECONDS: Final = 0.002  # s, of a level before the onset
PEAK_BLOCKS: Final = 16  # blocks, 32 ms, of the loudest part of a note
SILENCE_RATIO: Final = 1e-4  # power of silence relative to the loudest part, −40 dB
FADE_OUT_SECONDS: Final = 0.05  # s, at the end of a note that is silent there
CUT_FADE_SECONDS: Final = 0.45  # s, at the end of a note that is cut at its full level


def trim_silence(audio: Audio, sample_rate: int, tolerance: float = 0.005) -> Audio:
    """A note without the silence before it; nothing is cut if that is at most ``tolerance`` s.

    Silence is more than 40 dB below the loudest 32 ms. The onset of the ears (listening/onset.py)
    will not do: of a slow attack it takes the quiet beginning for the background.

    Args:
        audio: float32 (frames, channels).
        sample_rate: Hz.
        tolerance: s.
    """
    block = max(1, round(ONSET_BLOCK_SECONDS * sample_rate))
    powers = levels.block_powers(audio, block)
    if len(powers) == 0:
        return fade_in(audio, sample_rate)
    count = min(PEAK_BLOCKS, len(powers))
    peak = np.convolve(powers, np.full(count, 1 / count), mode="valid").max()
    onset = block * int((powers > SILENCE_RATIO * peak).argmax())
    first = max(0, onset - round(PRE_ONSET_SECONDS * sample_rate))
    return fade_in(audio[first if first > tolerance * sample_rate else 0 :], sample_rate)


def fade_in(audio: Audio, sample_rate: int) -> Audio:
    """A note faded in over 2 ms; unchanged if it starts without a step.

    Args:
        audio: float32 (frames, channels).
        sample_rate: Hz.
    """
    fade = min(round(FADE_IN_SECONDS * sample_rate), len(audio) // 4)
    if not fade or not any(has_step(channel, 0, sample_rate) for channel in audio.T):
        return audio
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    return np.concatenate([audio[:fade] * ramp.astype(np.float32)[:, None], audio[fade:]])


def trim_decay(audio: Audio, sample_rate: int) -> Audio:
    """A note up to where it is 60 dB below its loudest block, its end faded out.

    The fade is the longer, the louder a note is that is cut before.

    Args:
        audio: float32 (frames, channels).
        sample_rate: Hz.
    """
    powers = levels.overlapping_powers(audio, sample_rate)
    silence = powers.max() * 10 ** (-levels.AUDIBLE_RANGE_DB / 10)
    loud = np.flatnonzero(powers > silence)
    end = len(audio)
    if len(loud):
        end = min(end, round((loud[-1] / 2 + 2) * levels.BLOCK_SECONDS * sample_rate))
    trimmed = audio[: max(end, 1)].copy()
    excess = 10 * float(np.log10(max(powers[-1] / max(silence, 1e-30), 1.0)))  # dB, at a cut
    share = min(excess / levels.AUDIBLE_RANGE_DB, 1.0)
    seconds = FADE_OUT_SECONDS + share * (CUT_FADE_SECONDS - FADE_OUT_SECONDS)
    fade = min(round(seconds * sample_rate), len(trimmed) // 4)
    if fade:
        ramp = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 1) / fade)
        trimmed[-fade:] *= ramp.astype(np.float32)[:, None]
    return trimmed
