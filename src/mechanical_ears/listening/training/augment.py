"""Augmentation of notes, as if each came from another room, device or player.

A note passes, as sound does on its way to a listener, through

    resynthesis → detuning → chorus → filters and room → onset → overdrive → noise → lossy codec
                → cut → level

where each effect is applied by chance (see `augmentation`). All random numbers come from one
generator on the CPU, which also seeds the generator of noise on the device of the audio: the same
state gives the same notes on the same device.

Level must not reveal the velocity: notes are normalised to one peak and then made up to 30 dB
louder or softer. The velocity label keeps its meaning, the force of the key press, but has to be
predicted from the timbre, as in a recording of unknown gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mechanical_ears.listening.training import effects
from mechanical_ears.listening.training.augmentation import Augmentation, Range
from mechanical_ears.listening.training.lossy_codec import lossy_codec
from mechanical_ears.note import NOTE_SAMPLE_RATE as RATE
from mechanical_ears.note import QUALITIES
from mechanical_ears.pitch import A4_FREQUENCY, A4_MIDI

PEAK_DB = -30.0  # of full scale, to which notes are normalised before the gain
TELEPHONE = (300.0, 3400.0)  # Hz
PEAK_COUNT = 3  # peaks and dips of an equaliser
PEAK_CENTRES = (80.0, 7000.0)  # Hz
PEAK_WIDTHS = (0.5, 1.5)  # octaves
MAINS = (50.0, 60.0)  # Hz
MIN_BRIGHTNESS_CUTOFF = 4000.0  # Hz: with a lower band limit nobody can recognise a bright sound
MAX_NEUTRAL_TILT = 3.0  # dB an octave: with more, brightness is that of the equaliser
MIN_POWER = 1e-5  # of the mean power of the note; a part with less is inaudible


@dataclass(frozen=True, eq=False)
class AugmentedNotes:
    """Augmented notes, and what is needed to adapt their labels; all on the device of the audio.

    Attributes:
        audio: float32 (batch, samples), peaks ≤ 1.
        cents: float32 (batch,), detuning in ±40, to be added to labels of frequency and cents.
        start: int64 (batch,), samples skipped; below 0: samples of silence before the onset.
        length: int64 (batch,), samples from the onset to the silence at the end.
        audible: bool (batch,); False if next to nothing is left of the note (of a sound that swells
            later, or of silence): no key can be recognised.
        qualities: bool (batch, 10), in the order of ``QUALITIES``: False if the label no longer
            holds (``reverb`` in a room, ``fast_decay`` of a note cut short …).
    """

    audio: Tensor
    cents: Tensor
    start: Tensor
    length: Tensor
    audible: Tensor
    qualities: Tensor


@dataclass(frozen=True, eq=False)
class _Stage:
    """An effect on some notes of a batch, on the CPU: bool (batch,), parameters (batch, …)."""

    selected: Tensor
    parameters: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False)
class _Stages:
    """Random parameters of all effects for the notes of a batch, on the CPU."""

    resynthesis: _Stage  # blur, 0 … 1
    detuning: _Stage  # cents
    chorus: _Stage  # delay, rate, depth, level, as `effects.chorus`
    filters: _Stage  # slope; gain, centre, width (batch, PEAK_COUNT); low-pass, high-pass
    room: _Stage  # decay s, level dB
    start: Tensor  # samples
    cut: _Stage  # samples kept
    overdrive: _Stage  # dB, hard or soft
    noise: _Stage  # SNR dB, kind, mains Hz
    codec: _Stage  # margin dB, cutoff Hz
    normalised: Tensor  # bool
    gain: Tensor  # dB
    seed: int  # of the noise

    def bounds(self, samples: int) -> tuple[Tensor, Tensor]:
        """Onset and end of the part of the notes that is kept, int64 (batch,), samples."""
        (cents,), (kept,) = self.detuning.parameters, self.cut.parameters
        begin = (-self.start).clamp(0, samples)
        over = torch.floor(samples * torch.exp2(-cents.clamp(min=0) / 1200)) - self.start
        end = torch.minimum(begin + kept, over).clamp(max=samples).to(torch.int64)
        return begin, torch.maximum(begin, end)

    def qualities(self) -> Tensor:
        """Labels of qualities that still hold, bool (batch, 10)."""
        slope, low_pass = self.filters.parameters[0], self.filters.parameters[4]
        muffled = self.codec.selected & (self.codec.parameters[1] < MIN_BRIGHTNESS_CUTOFF)
        muffled = muffled | (low_pass < MIN_BRIGHTNESS_CUTOFF) | (slope.abs() > MAX_NEUTRAL_TILT)
        cut = self.cut.selected
        decay = cut | self.room.selected
        invalid = {
            "bright": muffled,
            "dark": muffled,
            "distortion": self.overdrive.selected,
            "fast_decay": decay,
            "long_release": decay,
            "nonlinear_env": cut,
            "percussive": self.start > 0,
            "reverb": decay,
            "tempo-synced": cut,
        }
        never = torch.zeros_like(cut)
        return torch.stack([~invalid.get(quality, never) for quality in QUALITIES], dim=1)


class _Sampler:
    """Random numbers for a batch of notes, on the CPU."""

    def __init__(self, rng: torch.Generator, batch: int, clean_chance: float) -> None:
        self._rng = rng
        self._batch = batch
        self._clean = torch.zeros(batch, dtype=torch.bool)
        self._clean = self.select(clean_chance)

    def select(self, chance: float, clean_too: bool = False) -> Tensor:
        """Random notes, bool (batch,); clean ones only for effects that they get too."""
        selected = torch.rand(self._batch, generator=self._rng) < chance
        return selected if clean_too else selected & ~self._clean

    def uniform(self, ends: Range, *shape: int) -> Tensor:
        """Float32 (batch, *shape) in a range."""
        low, high = ends
        return low + (high - low) * torch.rand(self._batch, *shape, generator=self._rng)

    def log_uniform(self, ends: Range, *shape: int) -> Tensor:
        """Float32 (batch, *shape) in a range above 0, uniform in the logarithm."""
        low, high = ends
        return torch.exp(self.uniform((math.log(low), math.log(high)), *shape))

    def choice(self, values: Sequence[float]) -> Tensor:
        """One of some values for each note, (batch,)."""
        index = torch.randint(len(values), (self._batch,), generator=self._rng)
        return torch.tensor(values)[index]

    def seed(self) -> int:
        """A seed for another generator."""
        return int(torch.randint(2**62, (), generator=self._rng))


def _sample_stages(
    settings: Augmentation, pitch: Tensor, samples: int, rng: torch.Generator
) -> _Stages:
    """Sample the parameters of all effects.

    The order of calls is the order of random numbers, on which the weights that are trained from a
    seed depend.
    """
    sample = _Sampler(rng, len(pitch), settings.clean_chance)
    min_cutoff = settings.min_cutoff * A4_FREQUENCY * torch.exp2((pitch.cpu() - A4_MIDI) / 12)
    detuned = sample.select(settings.detune_chance)
    skipped, late = sample.select(settings.skip_chance), sample.select(settings.late_chance)
    start = sample.uniform(settings.skip) * skipped
    start = start - sample.uniform(settings.late) * (late & ~skipped)
    cut = sample.select(settings.cut_chance)
    kept = torch.where(cut, (sample.log_uniform(settings.cut) * RATE).round(), samples)
    filters = _sample_filters(sample, settings, min_cutoff)
    codec_cutoff = torch.maximum(sample.log_uniform(settings.lossy_cutoff), min_cutoff)
    kinds = [effects.NOISE_KINDS.index(name) for name in settings.noises]
    return _Stages(
        filters=filters,
        detuning=_Stage(detuned, (sample.uniform(settings.detune) * detuned,)),
        chorus=_Stage(sample.select(settings.chorus_chance), _sample_chorus(sample, settings)),
        room=_Stage(
            sample.select(settings.reverb_chance),
            (sample.log_uniform(settings.reverb_time), sample.uniform(settings.reverb_level)),
        ),
        start=(start * RATE).round().to(torch.int64),
        cut=_Stage(cut, (kept,)),
        overdrive=_Stage(
            sample.select(settings.clip_chance),
            (sample.uniform(settings.clip), sample.choice((0, 1)) == 1),
        ),
        noise=_Stage(
            sample.select(settings.noise_chance),
            (sample.uniform(settings.noise), sample.choice(kinds), sample.choice(MAINS)),
        ),
        codec=_Stage(
            sample.select(settings.lossy_chance),
            (sample.uniform(settings.lossy_margin), codec_cutoff),
        ),
        normalised=sample.select(settings.level_chance, clean_too=True),
        gain=sample.uniform(settings.gain) * sample.select(settings.gain_chance, clean_too=True),
        resynthesis=_Stage(
            sample.select(settings.resynthesis_chance), (sample.uniform(settings.resynthesis),)
        ),
        seed=sample.seed(),
    )


def _sample_chorus(sample: _Sampler, settings: Augmentation) -> tuple[Tensor, ...]:
    """Parameters of `effects.chorus`."""
    rate, depth = sample.log_uniform(settings.chorus_rate), sample.uniform(settings.chorus_depth)
    delay = sample.uniform(settings.chorus_delay) + effects.swing(rate, depth)
    return delay, rate, depth, sample.uniform(settings.chorus_level)


def _sample_filters(sample: _Sampler, settings: Augmentation, min_cutoff: Tensor) -> _Stage:
    """Parameters of `_filter_response`; filters that are not selected are flat."""
    tilted, peaked = sample.select(settings.tilt_chance), sample.select(settings.peaks_chance)
    lower, upper = sample.select(settings.low_pass_chance), sample.select(settings.high_pass_chance)
    telephone = sample.select(settings.telephone_chance)
    low_pass = torch.where(lower, sample.log_uniform(settings.low_pass), math.inf)
    low_pass = torch.where(telephone, low_pass.clamp(max=TELEPHONE[1]), low_pass)
    high_pass = torch.where(upper, sample.log_uniform(settings.high_pass), 0)
    high_pass = torch.where(telephone, high_pass.clamp(min=TELEPHONE[0]), high_pass)
    parameters = (
        sample.uniform(settings.tilt) * tilted,
        sample.uniform(settings.peaks, PEAK_COUNT) * peaked[:, None],
        sample.log_uniform(PEAK_CENTRES, PEAK_COUNT),
        sample.uniform(PEAK_WIDTHS, PEAK_COUNT),
        torch.maximum(low_pass, min_cutoff),
        high_pass,
    )
    return _Stage(tilted | peaked | lower | upper | telephone, parameters)


def augment(
    audio: Tensor, pitch: Tensor, settings: Augmentation, rng: torch.Generator
) -> AugmentedNotes:
    """Augment each note of a batch with its own random effects.

    Args:
        audio: float32 (batch, samples) at 16 kHz in [-1, 1], onsets at the start; not changed.
        pitch: (batch,), MIDI keys, whose fundamental low-passes and codecs do not remove.
        settings: chances and ranges.
        rng: on the CPU, wherever the audio is.
    """
    samples, device = audio.shape[1], audio.device
    stages = _sample_stages(settings, pitch, samples, rng)
    noise_rng = torch.Generator(device).manual_seed(stages.seed)
    sound = audio.clone()

    def blur(notes: Tensor, phase_error: Tensor) -> Tensor:
        return effects.blur_phases(notes, phase_error, noise_rng)

    def filtered(notes: Tensor, *filters: Tensor) -> Tensor:
        return effects.convolve(notes, _filter_response(*filters))

    def in_room(notes: Tensor, decay: Tensor, level: Tensor, *filters: Tensor) -> Tensor:
        tail = effects.room_response(decay, level, settings.reverb_time[1], noise_rng)
        return effects.convolve(notes, _filter_response(*filters), tail)

    def in_noise(
        notes: Tensor, snr: Tensor, kind: Tensor, mains: Tensor, first: Tensor, last: Tensor
    ) -> Tensor:
        noise = effects.make_noise(kind, mains, samples, noise_rng)
        return effects.add_noise(notes, noise, snr, first, last)

    room, filters, noise = stages.room, stages.filters, stages.noise
    _apply(sound, blur, stages.resynthesis)
    _apply(sound, effects.detune, stages.detuning)
    _apply(sound, effects.chorus, stages.chorus)
    _apply(sound, filtered, _Stage(filters.selected & ~room.selected, filters.parameters))
    _apply(sound, in_room, _Stage(room.selected, (*room.parameters, *filters.parameters)))

    begin, end = stages.bounds(samples)
    power = sound.square().mean(1)
    _apply(sound, effects.shift, _Stage(stages.start != 0, (stages.start,)))
    audible = effects.power(sound, begin.to(device), end.to(device)) > MIN_POWER * power

    _apply(sound, effects.clip, stages.overdrive)
    _apply(sound, in_noise, _Stage(noise.selected, (*noise.parameters, begin, end)))
    _apply(sound, lossy_codec, stages.codec)
    _apply(sound, effects.cut, _Stage(end < samples, (end,)))
    peak = torch.full_like(stages.gain, PEAK_DB)
    _apply(sound, effects.set_peak, _Stage(stages.normalised, (peak,)))

    return AugmentedNotes(
        audio=effects.apply_gain(sound, stages.gain.to(device)),
        cents=stages.detuning.parameters[0].to(device),
        start=stages.start.to(device),
        length=(end - begin).to(device),
        audible=audible,
        qualities=stages.qualities().to(device),
    )


def _filter_response(
    slope: Tensor, gain: Tensor, centre: Tensor, width: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """Impulse response of all filters of each note."""
    equaliser = effects.tilt(slope) + effects.peaks(gain, centre, width)
    return effects.minimum_phase(equaliser + effects.low_pass(low) + effects.high_pass(high))


def _apply(sound: Tensor, effect: Callable[..., Tensor], stage: _Stage) -> None:
    """Apply an effect in place to the selected notes."""
    rows = stage.selected.nonzero().squeeze(1)
    if len(rows):
        rows_there = rows.to(sound.device)
        parameters = (values[rows].to(sound.device) for values in stage.parameters)
        sound.index_copy_(0, rows_there, effect(sound[rows_there], *parameters))
