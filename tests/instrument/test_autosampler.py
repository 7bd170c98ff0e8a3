"""Instruments are sampled: looped where they hold, kept while heard, louder with velocity."""

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.autosampler import (
    PEAK,
    SamplingPlan,
    falls,
    loudness,
    own_release,
    sample_instrument,
)
from mechanical_ears.instrument.control_map_instrument import ControlMapInstrument
from mechanical_ears.instrument.loops import loop_seam_db
from mechanical_ears.instrument.playable import Playable
from mechanical_ears.instrument.zones import check_tiling
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.sound import Sound
from support.toy_instruments import POWER, RATE, Organ, level, peak_pitch

PLAN = SamplingPlan(lowest=36, highest=84, every=16, layers=3, seconds=2.5)


@pytest.fixture(scope="module")
def organ():
    return sample_instrument(Organ(), PLAN)


def test_what_holds_is_looped_without_a_click(organ):
    check_tiling(organ.zones)
    assert len(organ.zones) == 9
    for zone in organ.zones:
        assert zone.loop is not None
        assert loop_seam_db(organ.samples[zone.sample].audio, zone.loop, RATE) < 1


def test_its_loudness_follows_the_velocity_as_the_instruments_own(organ):
    for zone in organ.zones:
        assert zone.velocity_response.power == pytest.approx(POWER, abs=0.01)
    peaks = [np.abs(sample.audio).max() for sample in organ.samples.values()]
    assert max(peaks) == pytest.approx(PEAK, abs=1e-6)


def test_it_plays_as_the_instrument_does(organ):
    for pitch in (40, 61, 84):
        made = organ.note(pitch, 100, 2.0 + organ.release_seconds)
        assert abs(peak_pitch(made.samples[4800:RATE], RATE, pitch) - pitch) < 0.01
    for velocity in (10, 50, 127):
        told = level(Organ().note(60, velocity, 2.0).samples[9600:RATE])
        made = level(organ.note(60, velocity, 2.0).samples[9600:RATE])
        reference = level(Organ().note(60, 100, 2.0).samples[9600:RATE]) - level(
            organ.note(60, 100, 2.0).samples[9600:RATE]
        )
        assert told - made == pytest.approx(reference, abs=0.3)


def test_a_held_note_goes_on_and_ends(organ):
    made = organ.note(60, 100, 20.0 + organ.release_seconds).samples
    blocks = [level(made[RATE * s : RATE * (s + 1)]) for s in range(1, 19)]
    assert np.ptp(blocks) < 0.2
    assert level(made[-480:]) < blocks[0] - 70


def test_its_release_is_its_own(organ):
    assert organ.zones[0].envelope.release == pytest.approx(0.2, abs=0.03)


def test_what_falls_is_kept_while_it_is_heard():
    made = sample_instrument(Organ(fall=20.0), SamplingPlan(36, 84, 24, 1, 1.5))
    for zone in made.zones:
        audio = made.samples[zone.sample].audio
        assert zone.loop is None
        assert len(audio) / RATE == pytest.approx(3.0, abs=0.4)  # 60 dB at 20 dB/s
        assert abs(audio[-1, 0]) < 1e-3


def test_plans():
    assert SamplingPlan().roots[:3] == [22, 25, 28]
    assert SamplingPlan().velocities == [25, 64, 107]
    assert SamplingPlan(layers=1).velocities == [100]
    assert SamplingPlan(keys=(60, 48, 60)).roots == [48, 60]
    assert SamplingPlan(lowest=60, highest=60).roots == [60]


@pytest.mark.parametrize(
    "wrong",
    [
        {"lowest": -1},
        {"lowest": 70, "highest": 60},
        {"every": 0},
        {"layers": 0},
        {"layers": 17},
        {"seconds": 0.1},
        {"sample_rate": 100},
    ],
)
def test_plans_that_make_no_sense(wrong):
    with pytest.raises(EarsError, match=r"outside|not within"):
        SamplingPlan(**wrong)


def test_measures_with_known_answers():
    time = np.arange(2 * RATE) / RATE
    falling = np.sin(2 * np.pi * 220 * time) * 10 ** (-30 * time / 20)
    assert falls(falling.astype(np.float32), RATE) == pytest.approx(30, abs=1)
    assert falls(np.sin(2 * np.pi * 220 * time).astype(np.float32), RATE) == pytest.approx(
        0, abs=0.1
    )
    let_go = np.sin(2 * np.pi * 220 * time) * 10 ** (-np.maximum(time - 1, 0) * 160 / 20)
    assert own_release(let_go.astype(np.float32), RATE, 1.0) == pytest.approx(0.5, abs=0.03)
    hissing = let_go + 0.02 * np.random.default_rng(0).standard_normal(len(time))
    assert own_release(hissing.astype(np.float32), RATE, 1.0) == pytest.approx(0.5, abs=0.05)
    slowly = np.sin(2 * np.pi * 220 * time) * 10 ** (-np.maximum(time - 1, 0) * 16 / 20)
    assert own_release(slowly.astype(np.float32), RATE, 1.0) == pytest.approx(5.0, abs=0.3)
    assert own_release((let_go * (time < 0.5)).astype(np.float32), RATE, 1.0) is None
    assert loudness(np.full((RATE, 1), 0.5, np.float32), RATE) == pytest.approx(-6.02, abs=0.01)
    short = np.zeros((RATE // 10, 1), np.float32) + 0.5  # a quarter of 400 ms
    assert loudness(short, RATE) == pytest.approx(-12.04, abs=0.01)


def test_silence_is_no_instrument():
    class Silence(Organ):
        def note(self, pitch, velocity=100, seconds=None, sample_rate=RATE, take=0):
            return Sound(np.zeros(RATE, np.float32), RATE)

    with pytest.raises(EarsError, match="Organ: makes no sound"):
        sample_instrument(Silence(), SamplingPlan(60, 60, 1, 1, 0.5))


def test_progress_is_told():
    seen = []
    sample_instrument(
        Organ(), SamplingPlan(60, 60, 1, 2, 0.5), lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_control_maps_play():
    note = Organ().note(57, 100, 2.0, 16_000)
    maps = ControlMapInstrument("Maps", {(57, 100): analyse(note, 57)}, licence="CC0-1.0")
    assert isinstance(maps, Playable)
    assert isinstance(Organ(), Playable)
    made = maps.note(60.5, 80, 3.0, RATE)
    assert len(made.samples) == 3 * RATE
    assert abs(peak_pitch(made.samples[4800:RATE], RATE, 60.5) - 60.5) < 0.01
    louder = maps.note(60.5, 120, 3.0, RATE)
    rise = level(louder.samples[4800:RATE]) - level(made.samples[4800:RATE])
    assert rise == pytest.approx(40 * 0.25, abs=0.1)
    with pytest.raises(EarsError, match="no control map"):
        ControlMapInstrument("none", {})
