"""The table of SoundFont generators, compared with the specification."""

import pytest

from mechanical_ears.corpus.sf2_generators import FULL_RANGE, Generator, generator_name


@pytest.mark.parametrize(
    ("generator", "row"),
    [  # number, default, minimum and maximum of section 8.1.3
        (Generator.START_OFFSET, (0, 0, 0, 32_767)),
        (Generator.FILTER_CUTOFF, (8, 13_500, 1_500, 13_500)),
        (Generator.PAN, (17, 0, -500, 500)),
        (Generator.DELAY, (33, -12_000, -12_000, 5_000)),
        (Generator.ATTACK, (34, -12_000, -12_000, 8_000)),
        (Generator.SUSTAIN, (37, 0, 0, 1_440)),
        (Generator.RELEASE, (38, -12_000, -12_000, 8_000)),
        (Generator.ATTENUATION, (48, 0, 0, 1_440)),
        (Generator.FINE_TUNE, (52, 0, -99, 99)),
        (Generator.SCALE_TUNING, (56, 100, 0, 1_200)),
        (Generator.ROOT_KEY, (58, -1, 0, 127)),
    ],
)
def test_rows_of_the_specification(generator, row):
    assert (int(generator), generator.default, generator.minimum, generator.maximum) == row


def test_unused_and_reserved_numbers_are_missing():
    unused = {14, 18, 19, 20, 42, 49, 55, 59, 60}
    assert {int(generator) for generator in Generator} == set(range(61)) - unused


def test_defaults_are_in_range_or_mean_unset():
    for generator in Generator:
        assert generator.minimum <= generator.default <= generator.maximum or (
            generator.default == -1
        )
    assert (FULL_RANGE & 0xFF, FULL_RANGE >> 8) == (0, 127)


def test_clip():
    assert Generator.PAN.clip(-900) == -500
    assert Generator.PAN.clip(12) == 12
    assert Generator.SUSTAIN.clip(2_000) == 1_440


def test_names():
    assert generator_name(8) == "filter cutoff"
    assert generator_name(13) == "modulation LFO to volume"
    assert generator_name(60) == "generator 60"
