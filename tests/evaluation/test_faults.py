"""Inserted faults are found, and none in clean notes."""

import numpy as np
import pytest

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.evaluation.faults import find_clicks, find_faults
from mechanical_ears.sound import Sound
from support.paths import EXAMPLES

pytestmark = pytest.mark.slow

RATE = 16_000


def tone(frequency=220.0, partials=20, seconds=4.0, rate=RATE, seed=0):
    """Partials of random phases, faded in and out."""
    time = np.arange(round(seconds * rate)) / rate
    turns = np.random.default_rng(seed).random(partials)
    numbers = np.arange(1, partials + 1)
    numbers = numbers[numbers * frequency < 0.49 * rate]
    sound = sum(np.sin(2 * np.pi * (frequency * n * time + turns[n - 1])) / n for n in numbers)
    soft = np.sin(np.pi / 2 * np.minimum(1, np.minimum(time, time[::-1]) / 0.01)) ** 2
    return (0.2 * soft * sound).astype(np.float32)


def pulses(frequency):
    """A pulse train like that of a double reed: all partials in phase."""
    time = np.arange(4 * RATE) / RATE
    soft = np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
    numbers = np.arange(1, int(0.49 * RATE / frequency))
    return (
        0.02 * soft * np.cos(2 * np.pi * frequency * np.outer(time, numbers)).sum(axis=1)
    ).astype(np.float32)


@pytest.mark.parametrize("place", [0.06, 2.3456, 3.95])
@pytest.mark.parametrize("kind", ["sample", "step"])
def test_an_inserted_click_is_found_where_it_is(place, kind):
    sound = tone()
    at = round(place * RATE)
    if kind == "sample":
        sound[at] += 0.3
    else:
        sound[at:] += 0.3 * np.exp(-np.arange(len(sound) - at) / 100).astype(np.float32)
    (found,) = find_clicks(sound, RATE)
    assert found == pytest.approx(place, abs=0.003)
    assert find_faults(sound, RATE).clicks == 1


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_clean_notes_do_not_click(rate):
    for frequency in (27.5, 110.0, 880.0, 4186.0):
        found = find_faults(tone(frequency, 60, rate=rate), rate)
        assert found == find_faults(0.01 * tone(frequency, 60, rate=rate), rate)
        assert (found.clicks, found.offset, found.clipped, found.silent) == (0, False, False, False)


def test_pulses_and_noise_are_not_clicks():
    for frequency in (27.5, 41.2, 110.0):
        assert find_clicks(pulses(frequency), RATE) == []
    noise = np.random.default_rng(0).standard_normal(64_000).astype(np.float32)
    assert find_clicks(0.1 * noise, RATE) == []


def test_toy_notes_and_examples_are_clean():
    sounds = [note.sound for note in Toy(24, instruments=12)]
    sounds += [Sound.load(file) for file in sorted(EXAMPLES.glob("*.flac"))]
    found = [find_faults(sound.samples, sound.sample_rate) for sound in sounds]
    assert (
        sum(one.clicks > 0 for one in found) <= 3
    )  # key-up noise of electric guitars that are cut off
    assert not any(one.clipped or one.silent for one in found)


def test_a_cut_note_has_a_step_at_its_end():
    assert find_faults(tone()[:40_010], RATE).clicks == 1
    assert find_faults(np.concatenate([tone()[:32_000], tone()[40_005:]]), RATE).clicks == 1


def test_offset_clipping_and_silence():
    sound = tone()
    assert find_faults(sound + np.float32(0.02 * np.abs(sound).max()), RATE).offset
    assert not find_faults(sound + np.float32(0.005 * np.abs(sound).max()), RATE).offset
    assert find_faults(sound * (1.001 / np.abs(sound).max()), RATE).clipped
    assert not find_faults(sound * (0.999 / np.abs(sound).max()), RATE).clipped
    assert find_faults(sound * 1e-4, RATE).silent
    assert find_faults(np.zeros(64_000, np.float32), RATE).silent
    sound[5] = np.nan
    assert find_faults(sound, RATE).silent
