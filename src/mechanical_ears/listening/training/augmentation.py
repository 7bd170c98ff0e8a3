"""Settings of the augmentation: the chance and the range of each effect; stress tests.

Each effect is applied to a note with its own chance, with parameters uniform in their ranges (times
and frequencies uniform in the logarithm), independent of each other (Cubuk et al., "RandAugment:
practical automated data augmentation with a reduced search space", 2020, found such random choices
as good as searched policies).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from mechanical_ears.listening.training import effects

Range = tuple[float, float]

MAX_CENTS = 40.0  # of detuning, so that the key stays the nearest


@dataclass(frozen=True)
class Augmentation:
    """Chances of effects, 0..1, and ranges of their parameters.

    Attributes:
        clean_chance: that a note passes all effects except level and gain unchanged.
        resynthesis_chance: of phases off by up to ``resynthesis`` · 180°, as after a vocoder.
        detune_chance: of detuning by ``detune`` cents, within ±40.
        chorus_chance: of a chorus whose copy is at least ``chorus_delay`` s late, with a vibrato of
            ``chorus_depth`` cents and ``chorus_rate`` Hz, at ``chorus_level`` dB.
        tilt_chance: of a spectral tilt of ``tilt`` dB an octave.
        peaks_chance: of three broad peaks or dips of ``peaks`` dB.
        low_pass_chance: of a low-pass at ``low_pass`` Hz.
        high_pass_chance: of a high-pass at ``high_pass`` Hz.
        telephone_chance: of the band of a telephone, 300–3400 Hz.
        min_cutoff: lowest cutoff of low-passes, times the fundamental of the key; 0 for no limit.
        reverb_chance: of a room whose tail decays by 60 dB in ``reverb_time`` s, with an energy
            ``reverb_level`` dB above that of the direct sound.
        skip_chance: of skipping the first ``skip`` s.
        late_chance: of ``late`` s of silence before the onset, if nothing is skipped.
        clip_chance: of overdriving the peak by ``clip`` dB, hard or soft.
        noise_chance: of noise of one of the kinds ``noises``, ``noise`` dB below the note.
        lossy_chance: of a codec with noise ``lossy_margin`` dB below the sound in each band and
            nothing above ``lossy_cutoff`` Hz.
        cut_chance: of keeping only the first ``cut`` s after the onset.
        level_chance: of normalising the peak to −30 dB before the gain.
        gain_chance: of a gain of ``gain`` dB, limited to a peak of 1.

    Raises:
        ValueError: a chance or a range is invalid; the message names it.
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
    min_cutoff: float = 1.5
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
                raise ValueError(f"{field.name} is {value}: its ends are reversed")
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
                f"is more than {effects.MAX_DELAY_SECONDS} s late"
            )
        unknown = set(self.noises) - set(effects.NOISE_KINDS)
        if unknown or not self.noises:
            raise ValueError(f"noises is {self.noises}, need some of {effects.NOISE_KINDS}")


_LOGARITHMIC = {"chorus_rate", "low_pass", "high_pass", "reverb_time", "lossy_cutoff", "cut"}
_FROM_ZERO = {"resynthesis", "chorus_delay", "chorus_depth", "skip", "late", "clip"}

_CHANCES: dict[str, Any] = {
    field.name: 0.0 for field in fields(Augmentation) if field.name.endswith("_chance")
}
NONE = Augmentation(**_CHANCES, min_cutoff=0.0)
"""Notes stay as they are."""


def _only(effect: str, **values: float) -> Augmentation:
    """One effect, always, with fixed parameters."""
    changed: dict[str, Any] = {name: (value, value) for name, value in values.items()}
    return replace(NONE, **changed | {f"{effect}_chance": 1.0})


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
"""Each effect alone, at the hard end of its range, to measure robustness; noise at 20 dB SNR."""
