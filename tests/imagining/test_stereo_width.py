"""Stereo notes of imagined instruments: wide as their family, mono as before."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears import imagine
from mechanical_ears.imagining.stereo_width import TABLE, family_width, note_width
from mechanical_ears.note import FAMILIES
from mechanical_ears.resynthesis.analysis.stereo_bands import measure_stereo
from mechanical_ears.resynthesis.control_map import BANDS
from mechanical_ears.resynthesis.motion import Motion


@pytest.mark.parametrize("family", FAMILIES)
def test_width_of_every_family(family):
    width = family_width(family, 3)
    assert width.side.shape == width.level_difference.shape == (BANDS,)
    assert (np.abs(width.side) <= 60).all()
    assert (width.level_difference >= 0).all()
    assert 0 <= width.spread <= 6


def test_the_table_is_small():
    assert TABLE.stat().st_size < 50_000


def test_mixtures_and_unknown_families():
    one, other = family_width("string", 1), family_width("mallet", 1)
    both = family_width("string+mallet", 1)
    np.testing.assert_allclose(both.side, (one.side + other.side) / 2)
    assert family_width(None, 1).side.shape == (BANDS,)


def test_keys_differ_and_repetitions_do_not():
    first, again, other = (note_width("brass", 2, pitch) for pitch in (60, 60, 61))
    assert first.seed == again.seed != other.seed
    np.testing.assert_array_equal(first.side, other.side)


def test_stereo_notes():
    instrument = imagine(4, family="string", candidate=0)
    mono = instrument.note(57, seconds=2, sample_rate=48_000)
    stereo = instrument.note(57, seconds=2, sample_rate=48_000, channels=2)
    assert stereo.samples.shape == (len(mono.samples), 2)
    scale = np.abs(mono.samples).max()
    together = stereo.mono().samples
    gain = (together @ mono.samples) / (mono.samples @ mono.samples)  # of peaks in full scale
    assert 0.5 < gain <= 1.001
    np.testing.assert_allclose(together / gain, mono.samples, atol=1e-4 * scale)
    correlation = measure_stereo(stereo).correlation
    assert 0 < np.nanmedian(correlation) < 0.95
    again = instrument.note(57, seconds=2, sample_rate=48_000, channels=2)
    np.testing.assert_array_equal(stereo.samples, again.samples)


def test_velocities_share_their_sides():
    instrument = imagine(4, family="keyboard", candidate=0)
    soft, loud = (
        measure_stereo(instrument.note(60, velocity, 2, 48_000, channels=2)).side
        for velocity in (60, 100)
    )
    both = np.isfinite(soft) & np.isfinite(loud)
    assert np.median(np.abs(soft - loud)[both]) < 2  # dB


def test_voices_that_beat_are_apart():
    beating = Motion(beat_rate=0.7, beat_mix=0.4)
    assert note_width("string", 1, 60, beating).voices == 0.7
    assert note_width("string", 1, 60, Motion()).voices == 0
