"""Figures of the pitch benchmark and labels of sounding pitch, from known estimates."""

from __future__ import annotations

import numpy as np
import pytest
from track_pitch import loud_frames, summarize

from hearing import NotePrediction, score
from label_sounding import sounding_ranges
from mechanical_ears.corpus.sounding_offsets import SoundingRange
from tracking import agreed_pitches

NO_PITCH = float("nan")


def test_trackers_agree_if_three_are_within_half_a_semitone() -> None:
    pitches = np.array(
        [
            # all   three   two and two   one finds none   none   a chain of three
            [60.0, 48.1, 72.0, 60.1, NO_PITCH, 60.0],
            [60.1, 60.0, 72.1, 60.2, NO_PITCH, 60.4],
            [60.2, 60.2, 60.0, 60.3, NO_PITCH, 60.8],
            [60.3, 60.4, 60.1, NO_PITCH, 50.0, 70.0],
        ]
    )
    expected = [60.15, 60.2, NO_PITCH, 60.2, NO_PITCH, 60.4]
    np.testing.assert_allclose(agreed_pitches(pitches), expected)
    np.testing.assert_allclose(agreed_pitches(pitches, quorum=4), [60.15] + [NO_PITCH] * 5)


def test_score_counts_by_register_octave_and_agreement() -> None:
    labels = np.array([21, 39, 40, 59, 60, 83, 84, 108])
    # correct, an octave off, correct, a semitone off, correct, none, 50 cents off, 60 cents off
    keys = [21, 27 + 24, 40, 60, 60, NO_PITCH, 84.5, 108.6]
    references = np.array([9, 39, 40, NO_PITCH, 60, 83, 84, NO_PITCH])
    predictions = [NotePrediction(key, key) for key in keys]
    predictions[0] = NotePrediction(21, 9)  # sounds an octave below its key
    figures = score(predictions, labels, references)
    assert figures.key == (4 / 8, 8)
    assert figures.chroma == (5 / 8, 8)
    assert figures.registers == ((1 / 2, 2), (1 / 2, 2), (1 / 2, 2), (1 / 2, 2))
    assert figures.sounding == (4 / 6, 6)
    assert figures.at_label == (3 / 8, 8)
    assert figures.at_label_middle == (3 / 6, 6)
    assert figures.family[1] == 0


def test_notes_without_a_predicted_family_are_not_counted() -> None:
    predictions = [NotePrediction(60, 60, family) for family in ("organ", "flute", None)]
    labels, references = np.full(3, 60), np.full(3, np.nan)
    figures = score(predictions, labels, references, ["organ", "reed", "reed"])
    assert figures.family == (1 / 2, 2)
    assert figures.sounding[1] == 0


def test_pitch_of_a_note_is_the_weighted_median_of_voiced_frames() -> None:
    frequency = np.array([440.0, 440.0, 880.0, 220.0, 0.0, np.nan])
    estimate = summarize(frequency, np.array([0.3, 0.3, 0.4, 0.0, 0.9, 0.9]))
    assert estimate == {"pitch": 69.0, "confidence": 0.3333, "voiced": 0.5}
    heavier = summarize(frequency, np.array([0.1, 0.1, 0.9, 0.0, 0.9, 0.9]))
    assert heavier["pitch"] == 81.0
    assert summarize(frequency, np.zeros(6))["pitch"] is None


def test_frames_30_db_below_the_loudest_are_quiet() -> None:
    audio = np.repeat([1.0, 0.04, 0.03, 0.0], 100)
    np.testing.assert_array_equal(loud_frames(audio, 5, 100), [1, 1, 0, 0, 0])


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ([0, 0, 0, None, None, 0], [SoundingRange(0, 127, 0, 4, 6)]),
        ([0, 0, -12, 0, 0, None], [SoundingRange(0, 127, 0, 4, 6)]),  # a single -12 is ignored
        ([7, 7, 0, 0, 0, 0], [SoundingRange(0, 127, 0, 4, 6)]),  # so are two 7s
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
def test_notes_make_ranges_of_keys(
    offsets: list[int | None], expected: list[SoundingRange]
) -> None:
    assert sounding_ranges([30, 36, 46, 54, 60, 66], offsets) == expected
