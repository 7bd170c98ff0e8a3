"""Round robins in exports: different samples that take turns, in each format that has them."""

import re
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import numpy as np
import pytest

from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument
from mechanical_ears.instrument.export import NO_ROUND_ROBINS, export
from mechanical_ears.instrument.midi import read_song
from mechanical_ears.instrument.opening import open_instrument
from mechanical_ears.instrument.player import play_song
from mechanical_ears.instrument.zones import check_tiling
from mechanical_ears.sound import Sound
from support.independent_players import Fluid
from support.toy_instruments import RATE, Organ, level, note_events, write_midi

COUNT = 3
PLAN = SamplingPlan(48, 72, 12, 2, 1.5, round_robins=COUNT)


@dataclass(frozen=True)
class ChangingOrgan(Organ):
    """An organ whose repetitions are 1 dB softer each."""

    def note(self, pitch, velocity=100, seconds=None, sample_rate=RATE, round_robin=0):
        note = super().note(pitch, velocity, seconds, sample_rate)
        return Sound(note.samples * np.float32(10 ** (-round_robin / 20)), sample_rate)


def levels(instrument, pitch=60, velocity=100):
    return [
        level(instrument.note(pitch, velocity, 1.0, round_robin=number).samples[4800:RATE])
        for number in range(COUNT + 1)
    ]


def test_each_zone_has_as_many_different_samples():
    sampled = sample_instrument(ChangingOrgan(), PLAN)
    check_tiling(sampled.zones)
    assert len(sampled.zones) == len(sampled.samples) == 2 * 2 * COUNT
    for pitch in (40, 60, 80):
        zones = [sampled.zones_at(pitch, 100, number) for number in range(COUNT + 1)]
        assert [len(each) for each in zones] == [1] * (COUNT + 1)
        names = [zone.sample for (zone,) in zones]
        assert len(set(names)) == COUNT
        assert names[COUNT] == names[0]
        assert all(f"_r{number + 1}" in names[number] for number in range(1, COUNT))


def test_repetitions_keep_their_levels():
    played = np.array(levels(sample_instrument(ChangingOrgan(), PLAN)))
    np.testing.assert_allclose(played - played[0], [0, -1, -2, 0], atol=0.1)
    single = sample_instrument(Organ(), replace(PLAN, round_robins=1))
    assert {zone.round_robin for zone in single.zones} == {(1, 1)}


@pytest.mark.parametrize("flac", [False, True])
def test_sfz_written_and_read_back(tmp_path, flac):
    written = export(ChangingOrgan(), tmp_path / "x.sfz", plan=PLAN, flac=flac)
    assert (written.zones, written.samples, written.notices) == (12, 12, ())
    read = open_instrument(written.path)
    check_tiling(read.zones)
    np.testing.assert_allclose(np.array(levels(read)) - levels(read)[0], [0, -1, -2, 0], atol=0.1)
    places = {}
    for region in written.path.read_text().split("<region>")[1:]:
        opcodes = dict(re.findall(r"(\w+)=(\S+)", region))
        place = tuple(opcodes[name] for name in ("lokey", "hikey", "lovel", "hivel"))
        assert opcodes["seq_length"] == str(COUNT)
        places.setdefault(place, {})[opcodes["seq_position"]] = opcodes["sample"]
    assert len(places) == 4
    for samples in places.values():
        assert set(samples) == {"1", "2", "3"}
        contents = {(tmp_path / sample).read_bytes() for sample in samples.values()}
        assert len(contents) == COUNT


def test_decentsampler(tmp_path):
    path = export(ChangingOrgan(), tmp_path / "x.dspreset", plan=PLAN).path
    places = {}
    for sample in ElementTree.parse(path).getroot().iter("sample"):
        assert (sample.get("seqMode"), sample.get("seqLength")) == ("round_robin", str(COUNT))
        place = tuple(sample.get(name) for name in ("loNote", "hiNote", "loVel", "hiVel"))
        places.setdefault(place, {})[sample.get("seqPosition")] = sample.get("path")
    for samples in places.values():
        assert set(samples) == {"1", "2", "3"}
        assert len(set(samples.values())) == COUNT


def test_a_soundfont_holds_the_first_and_says_so(tmp_path):
    written = export(ChangingOrgan(), tmp_path / "x.sf2", plan=PLAN)
    assert (written.zones, written.samples, written.notices) == (4, 4, (NO_ROUND_ROBINS,))
    read = open_instrument(written.path)
    assert len(read.zones) == 4
    np.testing.assert_allclose(levels(read), levels(read)[0], atol=1e-6)
    single = export(Organ(), tmp_path / "y.sf2", plan=replace(PLAN, round_robins=1))
    assert single.notices == ()
    assert single.size == pytest.approx(written.size, rel=0.1)


@pytest.mark.fluidsynth
def test_fluidsynth_plays_the_first(tmp_path):
    fluid = Fluid(export(ChangingOrgan(), tmp_path / "x.sf2", plan=PLAN).path)
    first, second = (level(fluid.play(60)[9600:40_000]) for _ in range(2))
    assert first == pytest.approx(second, abs=0.05)


def test_songs_play_them_in_turn(tmp_path):
    notes = [event for n in range(4) for event in note_events(2 * n, 2 * n + 1, 60)]
    song = read_song(write_midi(tmp_path / "x.mid", notes))
    instrument = sample_instrument(ChangingOrgan(), PLAN)
    samples = play_song(song, {0: instrument}).sound.mono().samples
    played = np.array([level(samples[n * RATE + 4800 : n * RATE + 19_200]) for n in range(4)])
    np.testing.assert_allclose(played - played[0], [0, -1, -2, 0], atol=0.1)
