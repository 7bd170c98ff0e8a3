"""Sampling: loops of sustained notes, length of decaying ones, loudness by velocity."""

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.autosampler import (
    TARGET_PEAK,
    SamplingPlan,
    sample_instrument,
)
from mechanical_ears.instrument.control_map_instrument import ControlMapInstrument
from mechanical_ears.instrument.loops import loop_seam_db
from mechanical_ears.instrument.playable import Playable
from mechanical_ears.instrument.zones import check_tiling
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.sound import Sound
from support.toy_instruments import POWER, RATE, Organ, level, peak_pitch

PLAN = SamplingPlan(lowest_key=36, highest_key=84, key_step=16, layers=3, hold_seconds=2.5)


@pytest.fixture(scope="module")
def organ():
    return sample_instrument(Organ(), PLAN)


def test_sustained_notes_loop_without_a_click(organ):
    check_tiling(organ.zones)
    assert len(organ.zones) == 9
    for zone in organ.zones:
        assert zone.loop is not None
        assert loop_seam_db(organ.samples[zone.sample].audio, zone.loop, RATE) < 1


def test_velocity_response_and_peak(organ):
    for zone in organ.zones:
        assert zone.velocity_response.power == pytest.approx(POWER, abs=0.01)
    peaks = [np.abs(sample.audio).max() for sample in organ.samples.values()]
    assert max(peaks) == pytest.approx(TARGET_PEAK, abs=1e-6)


def test_samples_play_like_the_instrument(organ):
    for pitch in (40, 61, 84):
        note = organ.note(pitch, 100, 2.0 + organ.release_seconds)
        assert abs(peak_pitch(note.samples[4800:RATE], RATE, pitch) - pitch) < 0.01
    differences = []
    for velocity in (10, 50, 100, 127):
        notes = (each.note(60, velocity, 2.0).samples[9600:RATE] for each in (Organ(), organ))
        original, sampled = map(level, notes)
        differences.append(original - sampled)
    assert np.ptp(differences) < 0.3


def test_a_long_note_keeps_its_level_and_ends(organ):
    samples = organ.note(60, 100, 20.0 + organ.release_seconds).samples
    blocks = [level(samples[RATE * s : RATE * (s + 1)]) for s in range(1, 19)]
    assert np.ptp(blocks) < 0.2
    assert level(samples[-480:]) < blocks[0] - 70


def test_release_time_is_that_of_the_instrument(organ):
    assert organ.zones[0].envelope.release == pytest.approx(0.2, abs=0.03)


def test_decaying_notes_are_kept_while_audible():
    sampled = sample_instrument(Organ(decay=20.0), SamplingPlan(36, 84, 24, 1, 1.5))
    for zone in sampled.zones:
        audio = sampled.samples[zone.sample].audio
        assert zone.loop is None
        assert len(audio) / RATE == pytest.approx(3.0, abs=0.4)  # 60 dB at 20 dB/s
        assert abs(audio[-1, 0]) < 1e-3


def test_roots_and_velocities_of_plans():
    assert SamplingPlan().roots[:3] == [22, 25, 28]
    assert SamplingPlan().velocities == [25, 64, 107]
    assert SamplingPlan(layers=1).velocities == [100]
    assert SamplingPlan(keys=(60, 48, 60)).roots == [48, 60]
    assert SamplingPlan(lowest_key=60, highest_key=60).roots == [60]


@pytest.mark.parametrize(
    "fields",
    [
        {"lowest_key": -1},
        {"lowest_key": 70, "highest_key": 60},
        {"key_step": 0},
        {"layers": 0},
        {"layers": 17},
        {"round_robins": 0},
        {"round_robins": 17},
        {"hold_seconds": 0.1},
        {"sample_rate": 100},
    ],
)
def test_plans_out_of_range_are_refused(fields):
    with pytest.raises(EarsError, match=r"outside|not within"):
        SamplingPlan(**fields)


def test_old_names_of_a_plan():
    with pytest.warns(DeprecationWarning, match='"every" of SamplingPlan is now "key_step"'):
        plan = SamplingPlan(every=12, layers=1)
    assert plan == SamplingPlan(key_step=12, layers=1)
    with pytest.warns(DeprecationWarning, match=r"SamplingPlan\.longest is now"):
        assert plan.longest == plan.max_hold_seconds


def test_a_silent_instrument_is_refused():
    class Silence(Organ):
        def note(self, pitch, velocity=100, seconds=None, sample_rate=RATE, round_robin=0):
            return Sound(np.zeros(RATE, np.float32), RATE)

    with pytest.raises(EarsError, match="Organ: makes no sound"):
        sample_instrument(Silence(), SamplingPlan(60, 60, 1, 1, 0.5))


def test_progress():
    seen = []
    sample_instrument(
        Organ(), SamplingPlan(60, 60, 1, 2, 0.5), lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_control_maps_are_playable():
    recording = Organ().note(57, 100, 2.0, 16_000)
    maps = ControlMapInstrument("Maps", {(57, 100): analyse(recording, 57)}, licence="CC0-1.0")
    assert isinstance(maps, Playable)
    assert isinstance(Organ(), Playable)
    note = maps.note(60.5, 80, 3.0, RATE)
    assert len(note.samples) == 3 * RATE
    assert abs(peak_pitch(note.samples[4800:RATE], RATE, 60.5) - 60.5) < 0.01
    louder = maps.note(60.5, 120, 3.0, RATE)
    rise = level(louder.samples[4800:RATE]) - level(note.samples[4800:RATE])
    assert rise == pytest.approx(40 * 0.25, abs=0.1)
    with pytest.raises(EarsError, match="no control map"):
        ControlMapInstrument("none", {})


@pytest.mark.parametrize("decay", [0.0, 20.0])
def test_stereo_samples(decay):
    plan = SamplingPlan(60, 60, 1, 1, 1.0, channels=2)
    sampled = sample_instrument(Organ(decay=decay), plan)
    mono = sample_instrument(Organ(decay=decay), SamplingPlan(60, 60, 1, 1, 1.0))
    (stereo,), (single,) = sampled.samples.values(), mono.samples.values()
    assert stereo.audio.shape == (len(single.audio), 2)
    np.testing.assert_array_equal(stereo.audio[:, :1], single.audio)
    assert sampled.zones == mono.zones
    with pytest.raises(EarsError, match="3 channels"):
        SamplingPlan(channels=3)
