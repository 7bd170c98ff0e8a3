"""Independent players: FluidSynth plays a SoundFont, Polyphone converts an SFZ file to one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mechanical_ears.corpus.fluidsynth_renderer import RENDER_RATE, FluidSynthRenderer
from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.loops import seam_db
from mechanical_ears.instrument.zones import Zone
from support.toy_instruments import level, peak_pitch

KEYS = range(36, 97, 6)


def polyphone(sfz: Path, folder: Path) -> Path:
    """Convert an SFZ file to SF2 by Debian's Polyphone."""
    program = shutil.which("polyphone")
    if program is None:
        pytest.skip("Polyphone is not installed (apt install polyphone)")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder)}
    command = [program, "-1", "-i", str(sfz), "-d", str(folder), "-o", "converted"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    path = folder / "converted.sf2"
    assert path.exists(), result.stdout + result.stderr
    assert "error" not in (result.stdout + result.stderr).lower()
    return path


class Fluid:
    """A SoundFont's first preset, played by FluidSynth."""

    def __init__(self, path: Path) -> None:
        try:
            self._player = FluidSynthRenderer(path)
        except EarsError as error:
            if "needs" in str(error):
                pytest.skip(str(error))
            raise

    def play(self, key: int, velocity: int = 100, hold: float = 1.0, seconds: float = 1.5):
        """A note, float32 (frames,)."""
        frames, length = round(hold * RENDER_RATE), round(seconds * RENDER_RATE)
        return self._player.render(0, 0, key, velocity, hold=frames, length=length)

    def every_key_sounds(self) -> None:
        """Keys 0..127 at a low and a high velocity."""
        for key in range(128):
            for velocity in (20, 120):
                assert level(self.play(key, velocity, 0.2, 0.2)) > -75, (key, velocity)

    def pitches(self, tolerance: float = 5.0) -> float:
        """Largest error of keys 36..96 in cents, within a tolerance."""
        worst = 0.0
        for key in KEYS:
            audio = self.play(key, hold=1.0, seconds=1.0)[4800:]
            worst = max(worst, abs(100 * (peak_pitch(audio, RENDER_RATE, key) - key)))
        assert worst < tolerance
        return worst

    def louder_with_velocity(self) -> None:
        """Level rises with velocity, within and across layers."""
        for key in (36, 60, 84):
            levels = [level(self.play(key, v, 0.5, 0.5)) for v in range(1, 128, 6)]
            assert np.diff(levels).min() > 0.3, (key, np.round(levels, 1).tolist())
            assert levels[-1] - levels[0] > 20

    def release_ends(self, release: float) -> None:
        """A note has decayed when its release is over."""
        for key in (48, 72):
            audio = self.play(key, hold=1.0, seconds=1.0 + release + 0.5)
            sustained = level(audio[RENDER_RATE // 2 : RENDER_RATE])
            assert level(audio[-RENDER_RATE // 4 :]) < sustained - 75

    def no_click(self, zone: Zone, rate: int, repetitions: int = 3) -> float:
        """Level of the worst seam of the first repetitions of a loop, dB, which must be low."""
        key = zone.root
        speed = 2 ** (zone.transposition(key) / 12) * rate
        length = (zone.loop.end - zone.loop.start) / speed
        seams = [zone.loop.end / speed + number * length for number in range(repetitions)]
        audio = self.play(key, hold=seams[-1] + 0.5, seconds=seams[-1] + 0.5)[:, None]
        worst = -np.inf
        for seam in seams:
            frame = round(seam * RENDER_RATE)
            part = audio[frame - 2400 : frame + 2400]
            worst = max(worst, seam_db(part, 2400, RENDER_RATE))
        assert worst < 3
        return worst
