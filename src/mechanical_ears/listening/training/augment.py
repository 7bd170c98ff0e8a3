"""Augmentation: each time a note is heard it comes from another room, machine or player.

A note passes, as sound does in the world, through

    resynthesis → detuning → chorus → filters and room → onset → overdrive → noise → lossy codec
                → cut → level

and each station is left out with its own chance. Stations draw their parameters uniformly (times
and frequencies uniformly in their logarithm), independently of each other (Cubuk et al.,
"RandAugment: practical automated data augmentation with a reduced search space", 2020, found that
such plain random draws do as well as searched policies).

All random numbers come from one generator on the CPU, from which the noise's generator on the
audio's device is seeded: the same state gives the same notes on the same device.

Level is made to tell nothing: every note is brought to one peak and then made up to 30 dB louder or
quieter. The velocity label keeps its meaning, the force of the key press, but must be heard from
the timbre, as in a recording whose gain nobody knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from mechanical_ears.listening.training import effects
from mechanical_ears.listening.training.lossy_codec import lossy_codec
from mechanical_ears.note import NOTE_SAMPLE_RATE as RATE
from mechanical_ears.note import QUALITIES
from mechanical_ears.pitch import A4_FREQUENCY, A4_MIDI

Range = tuple[float, float]

MAX_CENTS = 40.0  # either way, so that the key stays the nearest
PEAK_DB = -30.0  # dB of full scale, to which notes are brought before the gain
TELEPHONE = (300.0, 3400.0)  # Hz
PEAK_COUNT = 3  # hills and valleys of an equaliser
PEAK_CENTRES = (80.0, 7000.0)  # Hz
PEAK_WIDTHS = (0.5, 1.5)  # octaves
MAINS = (50.0, 60.0)  # Hz
BRIGHTNESS_CUTOFF = 4000.0  # Hz: below this band limit nobody can tell a bright sound
MAX_TILT = 3.0  # dB an octave: beyond this tilt bright and dark are the equaliser's
MIN_POWER = 1e-5  # of the note's mean power; a kept part below it holds no note


@dataclass(frozen=True)
class Augmentation:
    """How likely each station is, and between which ends it draws.

    Attributes:
        clean_chance: that a note passes all stations but the level untouched.
        resynthesis_chance: of phases lost by ``resynthesis`` half turns, as a vocoder loses them.
        detune_chance: of detuning by ``detune`` cents, within ±40.
        chorus_chance: of a chorus, whose copy is ``chorus_delay`` s late at the least, its pitch
            swinging by ``chorus_depth`` cents ``chorus_rate`` times a second, at ``chorus_level``
            dB.
        tilt_chance: of a spectrum tilted by ``tilt`` dB an octave.
        peaks_chance: of three broad hills or valleys of ``peaks`` dB.
        low_pass_chance: of a low-pass at ``low_pass`` Hz.
        high_pass_chance: of a high-pass at ``high_pass`` Hz.
        telephone_chance: of the telephone's band, 300–3400 Hz.
        spared: low-passes lie no lower than this times the key's frequency; 0 spares no key.
        reverb_chance: of a room whose tail decays by 60 dB in ``reverb_time`` s, with an energy
            ``reverb_level`` dB above the direct sound's.
        skip_chance: of beginning ``skip`` s into the note.
        late_chance: of ``late`` s of silence before the onset, where nothing is skipped.
        clip_chance: of overdriving the peak by ``clip`` dB, hard or soft.
        noise_chance: of noise of one of the kinds ``noises``, ``noise`` dB below the note.
        lossy_chance: of a codec with noise ``lossy_margin`` dB below the sound in each band and
            nothing above ``lossy_cutoff`` Hz.
        cut_chance: of keeping only the first ``cut`` s after the onset.
        level_chance: of bringing the peak to −30 dB before the gain.
        gain_chance: of a gain of ``gain`` dB; what would clip is held at a peak of 1.

    Raises:
        ValueError: a chance or a range makes no sense; the text names it.
    """

    clean_chance: float = 0.15
    resynthesis_chance: float = 0.0
    resynthesis: Range = (0.1, 1.0)
    detune_chance: float = 0.5
    detune: Range = (-40.0, 40.0)  # cents
    chorus_chance: float = 0.1
    chorus_delay: Range = (0.005, 0.02)  # s
    chorus_rate: Range = (0.2, 3.0)  # Hz
    chorus_depth: Range = (2.0, 15.0)  # cents
    chorus_level: Range = (-12.0, -3.0)  # dB
    tilt_chance: float = 0.4
    tilt: Range = (-6.0, 6.0)  # dB an octave
    peaks_chance: float = 0.4
    peaks: Range = (-9.0, 9.0)  # dB
    low_pass_chance: float = 0.25
    low_pass: Range = (2500.0, 8000.0)  # Hz
    high_pass_chance: float = 0.25
    high_pass: Range = (20.0, 400.0)  # Hz
    telephone_chance: float = 0.05
    spared: float = 1.5
    reverb_chance: float = 0.3
    reverb_time: Range = (0.1, 1.5)  # s
    reverb_level: Range = (-24.0, 0.0)  # dB
    skip_chance: float = 0.2
    skip: Range = (0.0, 0.06)  # s
    late_chance: float = 0.3
    late: Range = (0.0, 0.1)  # s
    clip_chance: float = 0.1
    clip: Range = (0.0, 12.0)  # dB
    noise_chance: float = 0.5
    noise: Range = (0.0, 60.0)  # dB
    noises: tuple[str, ...] = effects.NOISE_KINDS
    lossy_chance: float = 0.2
    lossy_margin: Range = (6.0, 24.0)  # dB
    lossy_cutoff: Range = (3000.0, 8000.0)  # Hz
    cut_chance: float = 0.35
    cut: Range = (0.1, 4.0)  # s
    level_chance: float = 1.0
    gain_chance: float = 1.0
    gain: Range = (-30.0, 30.0)  # dB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_chance") and not 0 <= value <= 1:
                raise ValueError(f"{field.name} is {value}, outside 0..1")
            if field.type == "Range" and not value[0] <= value[1]:
                raise ValueError(f"{field.name} is {value}: its ends are the wrong way round")
            if field.name in _FROM_ZERO and value[0] < 0:
                raise ValueError(f"{field.name} is {value}, below 0")
            if field.name in _LOGARITHMIC and value[0] <= 0:
                raise ValueError(f"{field.name} is {value}, not above 0")
        if max(map(abs, self.detune)) > MAX_CENTS:
            raise ValueError(f"detune is {self.detune}, beyond ±{MAX_CENTS:g} cents")
        swing = (2 ** (self.chorus_depth[1] / 1200) - 1) / (math.pi * self.chorus_rate[0])
        if self.chorus_delay[1] + swing > effects.MAX_DELAY_SECONDS:
            raise ValueError(
                f"chorus_delay is {self.chorus_delay}: with its swing of {swing:.3f} s the copy "
                f"comes more than {effects.MAX_DELAY_SECONDS} s late"
            )
        strangers = set(self.noises) - set(effects.NOISE_KINDS)
        if strangers or not self.noises:
            raise ValueError(f"noises is {self.noises}, need some of {effects.NOISE_KINDS}")


_LOGARITHMIC = {"chorus_rate", "low_pass", "high_pass", "reverb_time", "lossy_cutoff", "cut"}
_FROM_ZERO = {"resynthesis", "chorus_delay", "chorus_depth", "skip", "late", "clip"}

_CHANCES: dict[str, Any] = {
    field.name: 0.0 for field in fields(Augmentation) if field.name.endswith("_chance")
}
NONE = Augmentation(**_CHANCES, spared=0.0)
"""Every note as it is."""


def _only(station: str, **ends: float) -> Augmentation:
    """One station, always, and its ranges narrowed to one end."""
    changed: dict[str, Any] = {name: (end, end) for name, end in ends.items()}
    return replace(NONE, **changed | {f"{station}_chance": 1.0})


STRESS_TESTS = {
    **{kind: replace(_only("noise", noise=20.0), noises=(kind,)) for kind in effects.NOISE_KINDS},
    "telephone": _only("telephone"),
    "short": _only("cut", cut=0.2),
    "quiet": _only("gain", gain=-30.0),
    "loud": _only("gain", gain=30.0),
    "falling": _only("tilt", tilt=-6.0),
    "rising": _only("tilt", tilt=6.0),
    "peaks": _only("peaks"),
    "low-pass": _only("low_pass", low_pass=2500.0),
    "high-pass": _only("high_pass", high_pass=400.0),
    "reverb": _only("reverb", reverb_time=1.5, reverb_level=0.0),
    "flat": _only("detune", detune=-40.0),
    "sharp": _only("detune", detune=40.0),
    "chorus": _only("chorus", chorus_depth=15.0, chorus_level=-3.0),
    "no attack": _only("skip", skip=0.06),
    "late": _only("late", late=0.1),
    "overdrive": _only("clip", clip=12.0),
    "lossy": _only("lossy", lossy_margin=6.0, lossy_cutoff=3000.0),
}
"""Each station alone, at its hard end, to measure what the ears lose by it; noise at 20 dB SNR."""


@dataclass(frozen=True, eq=False)
class AugmentedNotes:
    """Notes after their way, with what their labels must follow; all on the audio's device.

    Attributes:
        audio: float32 (batch, samples), peaks ≤ 1.
        cents: float32 (batch,), detuning in ±40, to be added to labels of frequency and cents.
        start: int64 (batch,), samples of the note skipped; below 0: samples before its onset.
        length: int64 (batch,), samples from where the note begins to where the silence begins.
        audible: bool (batch,); False where the kept part holds next to nothing of the note (a
            sound that swells later, or silence): no key can be heard.
        qualities: bool (batch, 10), in the order of ``QUALITIES``: False where the label no longer
            holds (``reverb`` in a room, ``fast_decay`` of a note cut short …).
    """

    audio: Tensor
    cents: Tensor
    start: Tensor
    length: Tensor
    audible: Tensor
    qualities: Tensor


@dataclass(frozen=True, eq=False)
class _Parameters:
    """What was drawn for the notes of a batch, on the CPU; each tensor (batch,) unless told."""

    detuned: Tensor
    cents: Tensor
    doubled: Tensor  # by a chorus
    chorus: tuple[Tensor, ...]
    coloured: Tensor
    colour: tuple[Tensor, ...]  # slope; gain, centre, width (batch, PEAKS); low- and high-pass
    wet: Tensor
    place: tuple[Tensor, ...]  # the room's decay s and level dB
    start: Tensor  # samples
    cut: Tensor
    kept: Tensor  # samples
    clipped: Tensor
    overdrive: tuple[Tensor, ...]
    noisy: Tensor
    noise: tuple[Tensor, ...]  # SNR dB, kind, mains Hz
    coded: Tensor
    codec: tuple[Tensor, ...]
    levelled: Tensor
    gain: Tensor  # dB
    resynthesised: Tensor
    blur: Tensor  # half turns
    seed: int  # of the noise

    def place_of(self, samples: int) -> tuple[Tensor, Tensor]:
        """Where the notes begin and where what is kept of them ends, int64 (batch,), samples."""
        begin = (-self.start).clamp(0, samples)
        over = torch.floor(samples * torch.exp2(-self.cents.clamp(min=0) / 1200)) - self.start
        end = torch.minimum(begin + self.kept, over).clamp(max=samples).to(torch.int64)
        return begin, torch.maximum(begin, end)

    def qualities(self) -> Tensor:
        """Which labels still hold, bool (batch, 10)."""
        slope, low = self.colour[0], self.colour[4]
        dull = (
            (low < BRIGHTNESS_CUTOFF)
            | (slope.abs() > MAX_TILT)
            | (self.coded & (self.codec[1] < BRIGHTNESS_CUTOFF))
        )
        spoilt = {
            "bright": dull,
            "dark": dull,
            "distortion": self.clipped,
            "fast_decay": self.cut | self.wet,
            "long_release": self.cut | self.wet,
            "nonlinear_env": self.cut,
            "percussive": self.start > 0,
            "reverb": self.cut | self.wet,
            "tempo-synced": self.cut,
        }
        never = torch.zeros_like(dull)
        return torch.stack([~spoilt.get(quality, never) for quality in QUALITIES], dim=1)


class _Sampler:
    """Random numbers for a batch of notes, on the CPU."""

    def __init__(self, generator: torch.Generator, batch: int, clean_chance: float) -> None:
        self._generator = generator
        self._batch = batch
        self._touched = torch.ones(batch, dtype=torch.bool)
        self._touched = ~self.chosen(clean_chance)

    def chosen(self, chance: float, clean_too: bool = False) -> Tensor:
        """Which notes, bool (batch,); of a clean note only what clean ones get too."""
        taken = torch.rand(self._batch, generator=self._generator) < chance
        return taken if clean_too else taken & self._touched

    def uniform(self, ends: Range, *more: int) -> Tensor:
        """Float32 (batch, *more) between two ends."""
        low, high = ends
        return low + (high - low) * torch.rand(self._batch, *more, generator=self._generator)

    def logarithmic(self, ends: Range, *more: int) -> Tensor:
        """Float32 (batch, *more) between two ends above 0, uniform in the logarithm."""
        low, high = ends
        return torch.exp(self.uniform((math.log(low), math.log(high)), *more))

    def one_of(self, values: Sequence[float]) -> Tensor:
        """One of some values for each note, (batch,)."""
        place = torch.randint(len(values), (self._batch,), generator=self._generator)
        return torch.tensor(values)[place]

    def seed(self) -> int:
        """A seed for another generator."""
        return int(torch.randint(2**62, (), generator=self._generator))


def _sample_parameters(
    how: Augmentation, pitch: Tensor, samples: int, generator: torch.Generator
) -> _Parameters:
    draw = _Sampler(generator, len(pitch), how.clean_chance)
    lowest_cutoff = how.spared * A4_FREQUENCY * torch.exp2((pitch.cpu() - A4_MIDI) / 12)
    detuned, skipped, late = (
        draw.chosen(chance) for chance in (how.detune_chance, how.skip_chance, how.late_chance)
    )
    begin = draw.uniform(how.skip) * skipped - draw.uniform(how.late) * (late & ~skipped)
    cut = draw.chosen(how.cut_chance)
    kept = (draw.logarithmic(how.cut) * RATE).round()
    coloured, colour = _sample_filters(draw, how, lowest_cutoff)
    codec_cutoff = torch.maximum(draw.logarithmic(how.lossy_cutoff), lowest_cutoff)
    kinds = [effects.NOISE_KINDS.index(name) for name in how.noises]
    return _Parameters(
        detuned=detuned,
        cents=draw.uniform(how.detune) * detuned,
        doubled=draw.chosen(how.chorus_chance),
        chorus=_sample_chorus(draw, how),
        coloured=coloured,
        colour=colour,
        wet=draw.chosen(how.reverb_chance),
        place=(draw.logarithmic(how.reverb_time), draw.uniform(how.reverb_level)),
        start=(begin * RATE).round().to(torch.int64),
        cut=cut,
        kept=torch.where(cut, kept, samples),
        clipped=draw.chosen(how.clip_chance),
        overdrive=(draw.uniform(how.clip), draw.one_of((0, 1)) == 1),
        noisy=draw.chosen(how.noise_chance),
        noise=(draw.uniform(how.noise), draw.one_of(kinds), draw.one_of(MAINS)),
        coded=draw.chosen(how.lossy_chance),
        codec=(draw.uniform(how.lossy_margin), codec_cutoff),
        levelled=draw.chosen(how.level_chance, clean_too=True),
        gain=draw.uniform(how.gain) * draw.chosen(how.gain_chance, clean_too=True),
        resynthesised=draw.chosen(how.resynthesis_chance),
        blur=draw.uniform(how.resynthesis),
        seed=draw.seed(),
    )


def _sample_chorus(draw: _Sampler, how: Augmentation) -> tuple[Tensor, ...]:
    """The arguments of `effects.chorus`."""
    rate, depth = draw.logarithmic(how.chorus_rate), draw.uniform(how.chorus_depth)
    delay = draw.uniform(how.chorus_delay) + effects.swing(rate, depth)
    return delay, rate, depth, draw.uniform(how.chorus_level)


def _sample_filters(
    draw: _Sampler, how: Augmentation, lowest_cutoff: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Which notes are filtered, and how: what is not chosen does nothing."""
    tilted, peaked = draw.chosen(how.tilt_chance), draw.chosen(how.peaks_chance)
    lower, upper = draw.chosen(how.low_pass_chance), draw.chosen(how.high_pass_chance)
    telephone = draw.chosen(how.telephone_chance)
    low = torch.where(lower, draw.logarithmic(how.low_pass), math.inf)
    low = torch.where(telephone, low.clamp(max=TELEPHONE[1]), low)
    high = torch.where(upper, draw.logarithmic(how.high_pass), 0)
    high = torch.where(telephone, high.clamp(min=TELEPHONE[0]), high)
    colour = (
        draw.uniform(how.tilt) * tilted,
        draw.uniform(how.peaks, PEAK_COUNT) * peaked[:, None],
        draw.logarithmic(PEAK_CENTRES, PEAK_COUNT),
        draw.uniform(PEAK_WIDTHS, PEAK_COUNT),
        torch.maximum(low, lowest_cutoff),
        high,
    )
    return tilted | peaked | lower | upper | telephone, colour


def augment(
    audio: Tensor, pitch: Tensor, augmentation: Augmentation, generator: torch.Generator
) -> AugmentedNotes:
    """Send each note of a batch its own way.

    Args:
        audio: float32 (batch, samples) at 16 kHz in [-1, 1], onsets at the start; not changed.
        pitch: (batch,), MIDI keys, whose fundamental low-passes and codecs spare.
        augmentation: chances and ranges.
        generator: on the CPU, wherever the audio is.
    """
    samples, device = audio.shape[1], audio.device
    way = _sample_parameters(augmentation, pitch, samples, generator)
    grain = torch.Generator(device).manual_seed(way.seed)
    sound = audio.clone()

    def coloured(notes: Tensor, *colour: Tensor) -> Tensor:
        return effects.convolve(notes, _filter_response(*colour))

    def in_a_room(notes: Tensor, decay: Tensor, level: Tensor, *colour: Tensor) -> Tensor:
        tail = effects.room_response(decay, level, augmentation.reverb_time[1], grain)
        return effects.convolve(notes, _filter_response(*colour), tail)

    def in_noise(
        notes: Tensor, snr: Tensor, kind: Tensor, mains: Tensor, first: Tensor, last: Tensor
    ) -> Tensor:
        noise = effects.make_noise(kind, mains, samples, grain)
        return effects.add_noise(notes, noise, snr, first, last)

    def from_magnitudes(notes: Tensor, blur: Tensor) -> Tensor:
        return effects.blur_phases(notes, blur, grain)

    _apply(sound, way.resynthesised, from_magnitudes, way.blur)
    _apply(sound, way.detuned, effects.detune, way.cents)
    _apply(sound, way.doubled, effects.chorus, *way.chorus)
    _apply(sound, way.coloured & ~way.wet, coloured, *way.colour)
    _apply(sound, way.wet, in_a_room, *way.place, *way.colour)

    begin, end = way.place_of(samples)
    power = sound.square().mean(1)
    _apply(sound, way.start != 0, effects.shift, way.start)
    audible = effects.power(sound, begin.to(device), end.to(device)) > MIN_POWER * power

    _apply(sound, way.clipped, effects.clip, *way.overdrive)
    _apply(sound, way.noisy, in_noise, *way.noise, begin, end)
    _apply(sound, way.coded, lossy_codec, *way.codec)
    _apply(sound, end < samples, effects.cut, end)
    _apply(sound, way.levelled, effects.level, torch.full_like(way.gain, PEAK_DB))

    return AugmentedNotes(
        audio=effects.gain(sound, way.gain.to(device)),
        cents=way.cents.to(device),
        start=way.start.to(device),
        length=(end - begin).to(device),
        audible=audible,
        qualities=way.qualities().to(device),
    )


def _filter_response(
    slope: Tensor, gain: Tensor, centre: Tensor, width: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """All filters of each note as one impulse response."""
    equaliser = effects.tilt(slope) + effects.peaks(gain, centre, width)
    return effects.minimum_phase(equaliser + effects.low_pass(low) + effects.high_pass(high))


def _apply(
    sound: Tensor, which: Tensor, effect: Callable[..., Tensor], *parameters: Tensor
) -> None:
    """Let an effect work, in place, on those notes for which it was chosen."""
    rows = which.nonzero().squeeze(1)
    if len(rows):
        there = rows.to(sound.device)
        chosen = (values[rows].to(sound.device) for values in parameters)
        sound.index_copy_(0, there, effect(sound[there], *chosen))
