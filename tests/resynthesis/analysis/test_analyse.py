"""Analysis: what synthesised notes are made of is found in their maps."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears.errors import SoundError
from mechanical_ears.note import Note
from mechanical_ears.pitch import cents_between, hz_to_midi
from mechanical_ears.resynthesis.analysis.analyse import analyse
from mechanical_ears.resynthesis.control_map import MODES, ROWS, SINGLES, band_edges
from mechanical_ears.resynthesis.spectral_distance import spectral_distance
from mechanical_ears.resynthesis.synthesis.render import render
from mechanical_ears.sound import Sound

RATE = 16_000


def harmonics(frequency, amplitudes, seconds=2.0, rate=RATE, ratios=None, decay=0.0):
    """Sines at multiples (or ``ratios``) of a frequency, ``decay`` in dB/s."""
    time = np.arange(round(seconds * rate)) / rate
    ratios = np.arange(1, len(amplitudes) + 1) if ratios is None else ratios
    audio = np.zeros(len(time))
    for number, (ratio, amplitude) in enumerate(zip(ratios, amplitudes, strict=True)):
        audio += amplitude * np.sin(2 * np.pi * frequency * ratio * time + number)
    return Sound((audio * 10 ** (-decay * time / 20)).astype(np.float32), rate)


def sustain(control_map):
    """Frames while the key is held, without the attack."""
    return (control_map.times > 0.3) & (control_map.times < control_map.key_up - 0.2)


@pytest.mark.parametrize("frequency", [41.3, 146.7, 440.0, 1567.0])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_amplitudes_of_partials(frequency, rate):
    amplitudes = np.array([0.2, 0.05, 0.1, 0.02])
    control_map = analyse(harmonics(frequency, amplitudes, rate=rate), hz_to_midi(frequency))
    assert abs(cents_between(control_map.frequency, frequency)) < 0.05
    assert control_map.divisor == 1
    found = control_map.partials[: len(amplitudes), sustain(control_map)].astype(float)
    assert np.abs(found - 20 * np.log10(amplitudes)[:, None]).max() < 0.3  # dB
    rest = control_map.partials[len(amplitudes) :, sustain(control_map)].astype(float)
    assert rest.max() < -60  # dB


def test_channels_are_mixed():
    mono = harmonics(220.0, [0.3, 0.1])
    stereo = Sound(np.stack([1.5 * mono.samples, 0.5 * mono.samples], axis=1), RATE)
    expected, actual = (analyse(sound, hz_to_midi(220)).partials for sound in (mono, stereo))
    np.testing.assert_allclose(actual[:2], expected[:2], atol=0.02)  # dB


def test_a_falling_note():
    control_map = analyse(harmonics(220.0, [0.3, 0.1], decay=20.0), hz_to_midi(220))
    inside = sustain(control_map)
    expected = 20 * np.log10(0.3) - 20 * control_map.times[inside]
    assert np.abs(control_map.partials[0, inside] - expected).max() < 0.3  # dB


def test_noise_between_partials():
    noise = 0.01 * np.random.default_rng(3).standard_normal(4 * RATE)  # −40 dB in all
    sound = harmonics(300.0, [0.1, 0.1, 0.1], seconds=4)
    control_map = analyse(Sound(sound.samples + noise.astype(np.float32), RATE), hz_to_midi(300))
    inside = (control_map.noise_times > 0.3) & (control_map.noise_times < control_map.key_up - 0.2)
    bands = (band_edges()[1:] < 7500) & (band_edges()[:-1] > 150)
    expected = -40 + 10 * np.log10(np.diff(band_edges()) / (RATE / 2))
    found = control_map.noise[:, inside].astype(float).mean(axis=1)
    assert np.abs(found - expected)[bands].mean() < 1.5  # dB
    assert np.abs((found - expected)[bands].mean()) < 1.0  # dB


def test_a_clean_note_has_no_noise():
    sound = harmonics(220.0, [0.2, 0.1, 0.05], seconds=4)
    noise = render(analyse(sound, hz_to_midi(220)), partials=False).samples[RATE : 2 * RATE]
    assert 20 * np.log10(noise.std() / sound.samples.std()) < -70  # dB


def test_vibrato_is_tracked():
    time = np.arange(3 * RATE) / RATE
    cents = 40 * np.sin(2 * np.pi * 5 * time)
    phase = 2 * np.pi * np.cumsum(330 * 2 ** (cents / 1200)) / RATE
    audio = sum(0.1 / n * np.sin(n * phase + n) for n in range(1, 9))
    control_map = analyse(Sound(np.asarray(audio, dtype=np.float32), RATE), hz_to_midi(330))
    inside = sustain(control_map)
    offset = 1200 * np.log2(control_map.frequency / 330)
    found = control_map.cents[inside] + offset
    assert np.abs(found - np.interp(control_map.times[inside], time, cents)).max() < 8  # cents


def test_an_octave_and_two_octaves_below_the_key():
    for divisor in (2, 4):
        sound = harmonics(440 / divisor, [0.1] * 8)
        control_map = analyse(sound, hz_to_midi(440))
        assert control_map.divisor == divisor
        found = control_map.partials[:8, sustain(control_map)].astype(float)
        assert np.abs(found + 20).max() < 0.3  # dB


def test_a_wrong_octave_in_the_label_does_no_harm():
    sound = harmonics(220.0, [0.2, 0.1, 0.15, 0.05, 0.1, 0.02])
    for wrong in (110.0, 440.0):
        control_map = analyse(sound, hz_to_midi(wrong))
        assert spectral_distance(sound.samples, render(control_map).samples, RATE).lsd < 4  # dB


def test_modes_of_a_bell():
    ratios = [1.0, 2.0, 2.4, 3.0, 4.55]
    sound = harmonics(400.0, [0.1, 0.08, 0.06, 0.05, 0.04], ratios=ratios, decay=6)
    control_map = analyse(sound, hz_to_midi(400))
    known = control_map.frequencies / 400
    inside = np.flatnonzero(sustain(control_map))[::7]
    for ratio, amplitude in ((2.4, 0.06), (4.55, 0.04)):
        place = int(np.argmin(np.abs(known - ratio)))
        assert abs(known[place] / ratio - 1) < 0.002
        row = place if place < SINGLES else ROWS - MODES + place - len(known) + MODES
        expected = 20 * np.log10(amplitude) - 6 * control_map.times[inside]
        assert np.abs(control_map.partials[row, inside] - expected).max() < 1.0  # dB


def test_beats_of_two_voices():
    one, two = (harmonics(f, 0.1 / np.arange(1, 9), seconds=3).samples for f in (220.0, 221.1))
    sound = Sound(one + two, RATE)
    control_map = analyse(sound, hz_to_midi(220))
    with_phases = spectral_distance(sound.samples, render(control_map).samples, RATE).lsd
    without = spectral_distance(sound.samples, render(control_map, phases=False).samples, RATE).lsd
    assert with_phases < 2.5 < without  # dB


def test_the_rate_of_the_recording_does_not_matter():
    loud = harmonics(196.0, 0.1 / np.arange(1, 30), rate=48_000)
    maps = [analyse(loud.resample(rate), hz_to_midi(196)) for rate in (16_000, 44_100, 48_000)]
    for other in maps[:2]:
        assert abs(cents_between(other.frequency, maps[2].frequency)) < 0.01
        at = np.linspace(0.3, 1.7, 50)
        for row in range(20):
            rows = [np.interp(at, m.times, m.partials[row].astype(float)) for m in (other, maps[2])]
            assert np.abs(rows[0] - rows[1]).max() < 0.2  # dB


def test_partials_up_to_20_kilohertz():
    sound = harmonics(500.0, [0.1] * 39, rate=44_100)  # to 19.5 kHz
    control_map = analyse(sound, hz_to_midi(500))
    assert (
        np.abs(control_map.partials[:39, sustain(control_map)].astype(float) + 20).max() < 0.3
    )  # dB


def test_the_onset_is_time_0():
    sound = harmonics(330.0, [0.2, 0.1])
    late = Sound(np.concatenate([np.zeros(RATE // 2, np.float32), sound.samples]), RATE)
    assert abs(analyse(late, hz_to_midi(330)).onset - 0.5) < 0.003
    assert analyse(sound, hz_to_midi(330)).onset == 0


def test_the_key_up_is_estimated_or_given():
    sound = harmonics(330.0, [0.2, 0.1], seconds=4)
    fall = np.minimum(1, np.exp(-(np.arange(4 * RATE) / RATE - 3) * 15)).astype(np.float32)
    released = Sound(sound.samples * fall, RATE)
    assert abs(analyse(released, hz_to_midi(330)).key_up - 3) < 0.1
    assert analyse(sound, hz_to_midi(330)).key_up == 4
    assert analyse(released, hz_to_midi(330), key_up=2).key_up == 2
    note = Note(released, 64, 100, "sine")
    assert analyse(note).key_up == 3


def test_the_ears_predict_an_unknown_pitch():
    sound = harmonics(220.0, 0.2 / np.arange(1, 20), seconds=4)
    assert abs(cents_between(analyse(sound).frequency, 220)) < 0.1


def test_sounds_that_cannot_be_analysed():
    with pytest.raises(SoundError, match="silent"):
        analyse(Sound(np.zeros(RATE, np.float32), RATE), 60)
    with pytest.raises(SoundError, match="ms"):
        analyse(Sound(np.full(1, 0.5, np.float32), RATE), 60)
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.1
    with pytest.raises(SoundError, match="single pitch"):
        analyse(Sound(noise, RATE))


def test_odd_sounds_are_analysed():
    random = np.random.default_rng(0)
    noise = Sound(random.standard_normal(2 * RATE).astype(np.float32) * 0.1, RATE)
    chord = Sound(sum(harmonics(f, [0.1, 0.05]).samples for f in (220, 277, 330)), RATE)
    clipped = Sound(np.clip(harmonics(110.0, [3.0, 1.0]).samples, -1, 1), RATE)
    for sound, pitch in ((noise, 60), (chord, 57), (clipped, 45)):
        rendered = render(analyse(sound, pitch)).samples
        assert abs(20 * np.log10(rendered.std() / sound.samples.std())) < 2  # dB
    short = harmonics(440.0, [0.3, 0.1], seconds=0.05)
    rendered = render(analyse(short, 69)).samples
    assert len(rendered) == len(short.samples)
    assert abs(20 * np.log10(rendered.std() / short.samples.std())) < 2  # dB


def test_a_note_cut_off_among_many_silent_partials():
    sound = harmonics(440.0, [0.3])  # partial 58 of the pitch that is given; a click at its end
    rendered = render(analyse(sound, hz_to_midi(440 / 58)), noise=False).samples
    assert np.abs(rendered).max() < 0.6


def test_noise_does_not_rise_before_the_release():
    time = np.arange(64_000) / 16_000
    tone = sum(0.2 / n * np.sin(2 * np.pi * 440 * n * time + n) for n in range(1, 9))
    tone[48_000:] *= np.exp(-(time[48_000:] - 3) / 0.01)  # a click at the key-up
    noise = 1e-4 * np.random.default_rng(3).standard_normal(len(time))
    control_map = analyse(Sound((tone + noise).astype(np.float32), 16_000), 69, key_up=3.0)
    levels = control_map.noise[10:34].astype(np.float64)  # bands up to 7 kHz
    times = control_map.noise_times
    held = (times > 1) & (times < 2.5)
    before = (times > 2.85) & (times < 2.999)
    assert before.sum() >= 3
    assert levels[:, before].max() < levels[:, held].max() + 3  # dB


def test_few_partials_get_many_frames():
    time = np.arange(64_000) / 16_000
    frames = []
    for key in (36, 57, 72, 84):
        first = 440 * 2 ** ((key - 69) / 12)
        tone = sum(0.1 / n * np.sin(2 * np.pi * first * n * time) for n in range(1, 6))
        frames.append(len(analyse(Sound(tone.astype(np.float32), 16_000), key).cents))
    assert frames == [144, 144, 576, 576]  # 122, 36, 15 and 7 partials below 8 kHz
