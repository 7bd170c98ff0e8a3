"""Figures of the pitch benchmark and labels of sounding pitch, for known predictions."""

from __future__ import annotations

import numpy as np
import pytest

from support.paths import ROOT

BENCHMARKS = ROOT / "benchmarks"

from track_pitch import loud, summary

from hearing import Heard, score
from label_sounding import sounding_ranges
from mechanical_ears.corpus.sounding_offsets import SoundingRange
from tracking import agreement

NOTHING = float("nan")


def test_trackers_agree_where_three_are_within_half_a_semitone() -> None:
    detected = np.array(
        [
            # all   three   two and two   one detects nothing   none   a chain of three
            [60.0, 48.1, 72.0, 60.1, NOTHING, 60.0],
            [60.1, 60.0, 72.1, 60.2, NOTHING, 60.4],
            [60.2, 60.2, 60.0, 60.3, NOTHING, 60.8],
            [60.3, 60.4, 60.1, NOTHING, 50.0, 70.0],
        ]
    )
    expected = [60.15, 60.2, NOTHING, 60.2, NOTHING, 60.4]
    np.testing.assert_allclose(agreement(detected), expected)
    np.testing.assert_allclose(agreement(detected, quorum=4), [60.15] + [NOTHING] * 5)


def test_score_counts_by_register_octave_and_agreement() -> None:
    labelled = np.array([21, 39, 40, 59, 60, 83, 84, 108])
    # right, an octave off, right, a semitone off, right, none, 50 cents off, 60 cents off
    keys = [21, 27 + 24, 40, 60, 60, NOTHING, 84.5, 108.6]
    agreed = np.array([9, 39, 40, NOTHING, 60, 83, 84, NOTHING])
    detected = [Heard(key, key) for key in keys]
    detected[0] = Heard(21, 9)  # sounds an octave below its key, as predicted
    figures = score(detected, labelled, agreed)
    assert figures.key == (4 / 8, 8)
    assert figures.chroma == (5 / 8, 8)
    assert figures.registers == ((1 / 2, 2), (1 / 2, 2), (1 / 2, 2), (1 / 2, 2))
    assert figures.sounding == (4 / 6, 6)
    assert figures.at_label == (3 / 8, 8)
    assert figures.at_label_middle == (3 / 6, 6)
    assert figures.family[1] == 0


def test_score_of_families_is_of_predicted_ones() -> None:
    detected = [Heard(60, 60, "organ"), Heard(60, 60, "flute"), Heard(60, 60, None)]
    labelled, agreed = np.full(3, 60), np.full(3, np.nan)
    figures = score(detected, labelled, agreed, ["organ", "reed", "reed"])
    assert figures.family == (1 / 2, 2)
    assert figures.sounding[1] == 0


def test_pitch_of_a_note_is_the_weighted_median_of_voiced_frames() -> None:
    frequency = np.array([440.0, 440.0, 880.0, 220.0, 0.0, np.nan])
    pitch = summary(frequency, np.array([0.3, 0.3, 0.4, 0.0, 0.9, 0.9]))
    assert pitch == {"pitch": 69.0, "confidence": 0.3333, "voiced": 0.5}
    heavier = summary(frequency, np.array([0.1, 0.1, 0.9, 0.0, 0.9, 0.9]))
    assert heavier["pitch"] == 81.0
    assert summary(frequency, np.zeros(6))["pitch"] is None


def test_frames_30_db_below_the_loudest_are_quiet() -> None:
    audio = np.repeat([1.0, 0.04, 0.03, 0.0], 100)
    np.testing.assert_array_equal(loud(audio, 5, 100), [1, 1, 0, 0, 0])


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ([0, 0, 0, None, None, 0], [SoundingRange(0, 127, 0, 4, 6)]),
        (
            [0, 0, -12, 0, 0, None],
            [SoundingRange(0, 127, 0, 4, 6)],
        ),  # a single exception does not count
        ([7, 7, 0, 0, 0, 0], [SoundingRange(0, 127, 0, 4, 6)]),  # nor do two
        ([0, 0, None, None, None, None], [SoundingRange(0, 127, None, 0, 6)]),
        ([0, 12, 0, 12, 0, 12], [SoundingRange(0, 127, None, 0, 6)]),
        (
            [None, -12, -12, None, -12, -12],
            [
                SoundingRange(0, 32, None, 0, 1),  # would sound below A0
                SoundingRange(33, 120, -12, 4, 5),
                SoundingRange(121, 127, None, 0, 0),
            ],
        ),
        (
            [12, 12, 12, 0, 0, 0],
            [
                SoundingRange(0, 8, None, 0, 0),
                SoundingRange(9, 46, 12, 3, 3),
                SoundingRange(47, 53, None, 0, 0),
                SoundingRange(54, 127, 0, 3, 3),
            ],
        ),
    ],
)
def test_ranges_of_keys_from_notes(
    offsets: list[int | None], expected: list[SoundingRange]
) -> None:
    assert sounding_ranges([30, 36, 46, 54, 60, 66], offsets) == expected
