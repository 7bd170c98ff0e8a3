"""Augmentation: each effect against its known result, and all of them together."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from mechanical_ears.listening.training import effects
from mechanical_ears.listening.training.augment import augment
from mechanical_ears.listening.training.augmentation import NONE, STRESS_TESTS, Augmentation
from mechanical_ears.listening.training.effects import NOISE_KINDS
from mechanical_ears.listening.training.lossy_codec import _dct_iv, lossy_codec
from mechanical_ears.note import NOTE_SAMPLE_RATE as RATE
from mechanical_ears.note import QUALITIES

CHANCES = [field.name for field in fields(Augmentation) if field.name.endswith("_chance")]
EVERYTHING = replace(Augmentation(), **dict.fromkeys(CHANCES, 1.0) | {"clean_chance": 0.0})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sine(hertz: float, seconds: float = 1.0, amplitude: float = 0.5) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return (amplitude * torch.sin(2 * torch.pi * hertz * time)).to(torch.float32)


def white(batch: int = 4, samples: int = RATE, scale: float = 0.1) -> torch.Tensor:
    return scale * torch.randn(batch, samples, generator=seeded(99))


def measured_hertz(sound: torch.Tensor) -> float:
    """Frequency of a sine, from the difference of its phase between two halves of a part."""
    half = len(sound) // 2
    halves = sound[: 2 * half].double().reshape(2, half).numpy() * np.hanning(half)
    first, second = np.fft.rfft(halves)
    index = int(np.argmax(np.abs(first)))
    return float(index + np.angle(second[index] / first[index]) / (2 * np.pi)) * RATE / half


def level_at(sound: torch.Tensor, hertz: float) -> float:
    """Amplitude in dB of a sine within a sound."""
    time = np.arange(len(sound)) / RATE
    taper = np.hanning(len(sound))
    line = np.sum(sound.numpy() * taper * np.exp(-2j * np.pi * hertz * time)) / taper.sum()
    return float(20 * np.log10(2 * np.abs(line)))


def db(power_ratio: torch.Tensor | float) -> torch.Tensor:
    return 10 * torch.log10(torch.as_tensor(power_ratio))


@pytest.mark.parametrize(
    ("samples", "length"), [(1, 2), (7, 8), (64_000, 64_000), (64_001, 64_800)]
)
def test_fast_lengths(samples, length):
    assert effects.fast_length(samples) == length


@pytest.mark.parametrize("hertz", [27.5, 440.0, 3000.0, 6000.0])
def test_detuning_shifts_a_sine_by_its_cents(hertz):
    all_cents = [-40.0, -3.0, 0.0, 25.0, 40.0]
    notes = sine(hertz, 4.0).repeat(len(all_cents), 1)
    for cents, sound in zip(all_cents, effects.detune(notes, torch.tensor(all_cents)), strict=True):
        measured = measured_hertz(sound[:48_000])
        assert 1200 * np.log2(measured / hertz) == pytest.approx(cents, abs=0.05)


def test_detuning_by_nothing_changes_nothing():
    notes = torch.stack([sine(440.0), sine(5000.0)])
    torch.testing.assert_close(
        effects.detune(notes, torch.zeros(2))[:, 50:-50], notes[:, 50:-50], atol=2e-4, rtol=0
    )


@pytest.mark.parametrize(("hertz", "below"), [(3000.0, -75.0), (6000.0, -50.0)])
def test_detuning_adds_no_other_tones(hertz, below):
    sound = effects.detune(sine(hertz, 2.0)[None], torch.tensor([17.0]))[0, 1000:30_000].double()
    spectrum = np.abs(np.fft.rfft(sound.numpy() * np.blackman(len(sound))))
    at = round(hertz * 2 ** (17 / 1200) * len(sound) / RATE)
    loudest = spectrum.max()
    spectrum[at - 8 : at + 9] = 0
    assert 20 * np.log10(spectrum.max() / loudest) < below


def test_detuning_keeps_the_onset():
    notes = torch.zeros(1, RATE)
    notes[0, 100] = 1
    assert effects.detune(notes, torch.tensor([40.0]))[0].argmax() == 98  # 100 / 2^(40/1200) = 97.7


def test_chorus_copy_is_late_and_softer():
    notes = torch.zeros(1, RATE)
    notes[0, 4000] = 1
    late, still = torch.tensor([0.02]), torch.tensor([0.0])
    sound = effects.chorus(notes, late, torch.tensor([1.0]), still, torch.tensor([-6.0]))
    assert sound[0, 4000] == pytest.approx(1, abs=1e-3)
    assert sound[0, 4320] == pytest.approx(10 ** (-6 / 20), abs=1e-3)


def test_chorus_swings_around_the_pitch():
    rate, depth = torch.tensor([0.5]), torch.tensor([15.0])
    note = sine(1000.0, 4.0)[None]
    delay = torch.tensor([0.02])
    copy = effects.chorus(note, delay, rate, depth, torch.tensor([0.0]))[0] - note[0]
    # the delay falls fastest, and the copy is sharpest, in the middle of the period at 1 s
    measured = [measured_hertz(copy[at - 800 : at + 800]) for at in (16_000, 32_000)]
    assert [1200 * np.log2(f / 1000) for f in measured] == pytest.approx([15, -15], abs=0.5)
    # a period of 2 s later it is in phase again: the mean pitch is that of the note
    torch.testing.assert_close(copy[4000:20_000], copy[36_000:52_000], atol=2e-3, rtol=0)


def response_at(decibels: torch.Tensor, *hertz: float) -> list[float]:
    """Gain in dB of a filter, applied to sines."""
    impulse = effects.minimum_phase(decibels)
    levels = []
    for frequency in hertz:
        note = sine(frequency, 2.0)
        sound = effects.convolve(note[None], impulse)[0]
        levels.append(level_at(sound[RATE:], frequency) - level_at(note[RATE:], frequency))
    return levels


def test_low_pass():
    levels = response_at(effects.low_pass(torch.tensor([2500.0])), 500, 2500, 5000)
    assert levels == pytest.approx([0, -3.01, -24.1], abs=0.2)


def test_high_pass():
    levels = response_at(effects.high_pass(torch.tensor([400.0])), 200, 400, 2000)
    assert levels == pytest.approx([-24.1, -3.01, 0], abs=0.2)


def test_tilt_pivots_at_1_khz_and_levels_out():
    levels = response_at(effects.tilt(torch.tensor([-6.0])), 30, 250, 500, 1000, 4000)
    assert levels == pytest.approx([24, 12, 6, 0, -12], abs=0.2)


def test_peaks():
    one = [torch.tensor([[9.0]]), torch.tensor([[800.0]]), torch.tensor([[0.5]])]
    levels = response_at(effects.peaks(*one), 50, 800, 800 * 2**0.5)
    assert levels == pytest.approx([0, 9, 9 * np.exp(-0.5)], abs=0.1)


def test_filters_respond_at_once():
    impulse = effects.minimum_phase(effects.low_pass(torch.tensor([2500.0])))[0]
    energy = impulse.square().cumsum(0)
    assert energy[8] > 0.8 * energy[-1]


def test_convolution_is_linear_and_not_circular():
    notes, short = white(2, 500), white(2, 80)
    expected = [np.convolve(n, h)[:500] for n, h in zip(notes.numpy(), short.numpy(), strict=True)]
    torch.testing.assert_close(effects.convolve(notes, short), torch.tensor(np.stack(expected)))


@pytest.mark.parametrize("decay", [0.1, 0.6, 1.5])
def test_rooms_decay_by_60_db_in_their_time(decay):
    tails = effects.room_response(torch.full((8,), decay), torch.full((8,), -6.0), 1.5, seeded())
    assert (tails[:, 0] == 1).all()
    tails = tails[:, 1:]
    torch.testing.assert_close(db(tails.square().sum(1)), torch.full((8,), -6.0), atol=0.01, rtol=0)
    left = db(tails.square().flip(1).cumsum(1).flip(1).mean(0))  # Schroeder's backward integral
    falls = [int((left < left[0] - fall).nonzero()[0]) / RATE for fall in (5, 25)]
    assert 3 * (falls[1] - falls[0]) == pytest.approx(decay, rel=0.05)


def test_shift_skips_or_delays():
    notes = torch.arange(1.0, 7.0).repeat(3, 1)
    shifted = effects.shift(notes, torch.tensor([2, 0, -3]))
    assert shifted.tolist() == [[3, 4, 5, 6, 0, 0], [1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 2, 3]]


def test_cut_fades_for_5_ms_and_then_is_silent():
    sound = effects.cut(torch.ones(1, RATE), torch.tensor([3200]))[0]
    assert (sound[:3121] == 1).all()
    assert sound[3160] == 0.5
    assert (sound[3200:] == 0).all()


def test_clipping():
    note = sine(100.0)[None]
    hard = effects.clip(note, torch.tensor([6.0206]), torch.tensor([True]))[0]
    torch.testing.assert_close(hard, (2 * note[0]).clamp(-0.5, 0.5), atol=1e-5, rtol=0)
    soft = effects.clip(note, torch.tensor([6.0206]), torch.tensor([False]))[0]
    torch.testing.assert_close(soft, 0.5 * torch.tanh(4 * note[0]), atol=1e-5, rtol=0)
    untouched = effects.clip(note, torch.tensor([0.0]), torch.tensor([True]))
    torch.testing.assert_close(untouched, note)


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_noise_falls_with_frequency_by_its_colour(kind, slope):
    kinds = torch.full((8,), NOISE_KINDS.index(kind))
    noise = effects.make_noise(kinds, torch.full((8,), 50.0), 64_000, seeded())
    power = torch.fft.rfft(noise).abs().square().mean(0)
    octaves = [
        power[round(low / 0.25) : round(2 * low / 0.25)].mean() for low in (250, 500, 1000, 2000)
    ]
    assert np.diff(db(torch.stack(octaves)).numpy()) == pytest.approx([slope] * 3, abs=0.4)


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_hum_is_the_mains_and_its_partials(mains):
    hum = effects.make_noise(torch.tensor([3]), torch.tensor([mains]), 64_000, seeded())[0]
    power = torch.fft.rfft(hum).abs().square()
    partials = (torch.arange(1, 21) * mains * 4).long()
    assert power[partials].sum() / power.sum() == pytest.approx(1, abs=1e-4)
    assert (power[partials] > 0).all()


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("snr", [0.0, 20.0, 60.0])
def test_noise_has_its_level_where_the_note_is(kind, snr):
    note = torch.zeros(2, 2 * RATE)
    note[:, 800:] = sine(440.0, 2.0)[:-800]
    noise = effects.make_noise(
        torch.full((2,), NOISE_KINDS.index(kind)), torch.tensor([50.0, 60.0]), 2 * RATE, seeded()
    )
    first, end = torch.tensor([800, 800]), torch.tensor([4000, 32_000])
    added = effects.add_noise(note, noise, torch.full((2,), snr), first, end) - note
    for row in range(2):
        part = slice(int(first[row]), int(end[row]))
        ratio = note[row, part].square().mean() / added[row, part].square().mean()
        assert db(ratio) == pytest.approx(snr, abs=0.1)
        assert added[row, :800].abs().max() > 0  # silence before the onset is noisy too


def test_dct_iv_is_the_formula():
    count = 12
    n = np.arange(count) + 0.5
    matrix = np.sqrt(2 / count) * np.cos(np.pi / count * np.outer(n, n))
    values = white(2, count)
    np.testing.assert_allclose(_dct_iv(values).numpy(), values.numpy() @ matrix, atol=1e-6)


@pytest.mark.parametrize("samples", [64_000, 576, 1000, 1])
def test_a_codec_of_unlimited_bit_rate_loses_nothing(samples):
    notes = white(2, samples)
    kept = lossy_codec(notes, torch.full((2,), 150.0), torch.full((2,), 9000.0))
    torch.testing.assert_close(kept, notes, atol=1e-6, rtol=0)


@pytest.mark.parametrize("margin", [12.0, 18.0, 24.0])
def test_codec_noise_is_below_the_sound_by_its_margin(margin):
    notes = white()
    loss = lossy_codec(notes, torch.full((4,), margin), torch.full((4,), 9000.0)) - notes
    assert db(notes.square().mean() / loss.square().mean()) == pytest.approx(margin, abs=1.0)


def test_codec_keeps_nothing_above_its_cutoff():
    kept = lossy_codec(white(1), torch.tensor([20.0]), torch.tensor([4000.0]))[0]
    power = torch.fft.rfft(kept[1000:-1000] * torch.hann_window(14_000)).abs().square()
    hertz = torch.fft.rfftfreq(14_000, 1 / RATE)
    assert db(power[hertz > 4200].mean() / power[hertz < 3800].mean()) < -50


def test_codec_drops_masked_partials():
    loud, soft = sine(1000.0), sine(1200.0, amplitude=0.0005)
    kept = lossy_codec((loud + soft)[None], torch.tensor([6.0]), torch.tensor([8000.0]))[0]
    alone = lossy_codec(soft[None], torch.tensor([6.0]), torch.tensor([8000.0]))[0]
    assert level_at(alone, 1200) == pytest.approx(level_at(soft, 1200), abs=2)
    assert level_at(kept, 1000) == pytest.approx(level_at(loud, 1000), abs=1)


def test_level_and_gain():
    notes = torch.stack([sine(440.0), sine(440.0, amplitude=0.01), torch.zeros(RATE)])
    peaks = effects.set_peak(notes, torch.full((3,), -30.0)).abs().amax(1)
    assert peaks.tolist() == pytest.approx([10**-1.5, 10**-1.5, 0], rel=1e-4)
    louder = effects.apply_gain(notes, torch.full((3,), 20.0)).abs().amax(1)
    assert louder.tolist() == pytest.approx([1, 0.1, 0], rel=1e-3)


@pytest.fixture(scope="module")
def notes():
    keys = torch.arange(30, 94, 2)
    hertz = 440 * 2 ** ((keys - 69) / 12)
    time = torch.arange(RATE) / RATE
    partials = torch.arange(1, 5)[:, None, None] * hertz[:, None] * time * 2 * torch.pi
    return 0.2 * torch.sin(partials).mean(0) * torch.exp(-2 * time), keys


def test_no_effect_leaves_notes_as_they_are(notes):
    audio, keys = notes
    before = audio.clone()
    kept = augment(audio, keys, NONE, seeded())
    torch.testing.assert_close(kept.audio, audio, atol=1e-6, rtol=0)
    torch.testing.assert_close(audio, before, atol=0, rtol=0)
    assert (kept.cents == 0).all()
    assert (kept.start == 0).all()
    assert (kept.length == RATE).all()
    assert kept.audible.all()
    assert kept.qualities.all()


@pytest.mark.parametrize("settings", [Augmentation(), EVERYTHING], ids=["usual", "everything"])
def test_the_same_generator_gives_the_same_notes(notes, settings):
    audio, keys = notes
    first, again = (augment(audio, keys, settings, seeded(5)) for _ in range(2))
    other = augment(audio, keys, settings, seeded(6))
    for field in fields(first):
        one, two = getattr(first, field.name), getattr(again, field.name)
        torch.testing.assert_close(one, two, atol=0, rtol=0)
    assert (other.audio != first.audio).any(dim=1).all()


@pytest.mark.parametrize("name", STRESS_TESTS)
def test_hard_ends_change_the_sound_and_stay_in_range(notes, name):
    audio, keys = notes
    hard = augment(audio, keys, STRESS_TESTS[name], seeded())
    assert torch.isfinite(hard.audio).all()
    assert hard.audio.abs().max() <= 1 + 1e-6
    assert (hard.audio - audio).abs().amax(1).min() > 1e-4


@pytest.mark.parametrize("settings", [Augmentation(), EVERYTHING, *STRESS_TESTS.values()])
def test_silence_and_one_sample_stay_finite(settings):
    for samples in (1, 5, 4000):
        silent = augment(torch.zeros(3, samples), torch.tensor([0, 60, 127]), settings, seeded())
        assert (silent.audio == 0).all()
        assert not silent.audible.any()
        assert (silent.length >= 0).all()
        assert (silent.length <= samples).all()
    click = augment(torch.ones(3, 1), torch.tensor([0, 60, 127]), settings, seeded())
    assert torch.isfinite(click.audio).all()


def test_start_length_and_cents_follow_the_effects(notes):
    audio, keys = notes
    flat = augment(audio, keys, STRESS_TESTS["flat"], seeded())
    assert (flat.cents == -40).all()
    late = augment(audio, keys, STRESS_TESTS["late"], seeded())
    assert (late.start == -1600).all()
    assert (late.length == RATE - 1600).all()
    assert (late.audio[:, :1600] == 0).all()
    torch.testing.assert_close(late.audio[:, 1600:-80], audio[:, :-1680])
    skipped = augment(audio, keys, STRESS_TESTS["no attack"], seeded())
    assert (skipped.start == 960).all()
    assert (skipped.length == RATE - 960).all()
    torch.testing.assert_close(skipped.audio[:, : RATE - 1040], audio[:, 960:-80])
    short = augment(audio, keys, STRESS_TESTS["short"], seeded())
    assert (short.length == 3200).all()
    assert (short.audio[:, 3200:] == 0).all()
    quiet = augment(audio, keys, STRESS_TESTS["quiet"], seeded())
    torch.testing.assert_close(quiet.audio, audio * 10**-1.5)


def test_a_cut_note_is_cut_after_the_silence_before_it(notes):
    audio, keys = notes
    settings = replace(STRESS_TESTS["late"], cut_chance=1.0, cut=(0.1, 0.1))
    sound = augment(audio, keys, settings, seeded())
    assert (sound.length == 1600).all()
    assert sound.audible.all()
    assert (sound.audio[:, 3200:] == 0).all()
    assert sound.audio[:, 1600:3200].abs().amax(1).min() > 0.01


def test_a_note_that_swells_too_late_is_inaudible():
    swelling = torch.cat([torch.zeros(8000), sine(440.0, 0.5)])[None]
    assert not augment(swelling, torch.tensor([69]), STRESS_TESTS["short"], seeded()).audible.any()


def test_qualities_that_no_longer_hold(notes):
    audio, keys = notes
    lost = {
        "telephone": {"bright", "dark"},
        "overdrive": {"distortion"},
        "no attack": {"percussive"},
    }
    for name, names in lost.items():
        holds = augment(audio, keys, STRESS_TESTS[name], seeded()).qualities
        expected = [quality not in names for quality in QUALITIES]
        assert (holds == torch.tensor(expected)).all()


def test_low_passes_keep_the_fundamental():
    key = torch.tensor([103])  # 3136 Hz
    note = sine(3135.96)[None]
    settings = replace(STRESS_TESTS["low-pass"], min_cutoff=1.5)
    kept, lost = (
        augment(note, key, one, seeded()).audio for one in (settings, STRESS_TESTS["low-pass"])
    )
    assert level_at(kept[0], 3136) > level_at(note[0], 3136) - 0.5
    assert level_at(lost[0], 3136) < level_at(note[0], 3136) - 7


def test_level_does_not_reveal_the_velocity():
    loud, soft = torch.full((400, 64), 0.9), torch.full((400, 64), 0.01)
    settings = replace(NONE, level_chance=1.0, gain_chance=1.0, gain=(-30.0, 30.0))
    keys = torch.full((400,), 60)
    one, two = (augment(audio, keys, settings, seeded()).audio for audio in (loud, soft))
    torch.testing.assert_close(one, two)
    decibels = 2 * db(one.abs().amax(1))
    assert decibels.min() == pytest.approx(-60, abs=1)
    assert decibels.max() == pytest.approx(0, abs=1)


def test_effects_occur_with_their_chances():
    keys = torch.full((2000,), 60)
    settings = replace(NONE, detune_chance=0.5, detune=(-40.0, 40.0), clean_chance=0.2)
    cents = augment(torch.zeros(2000, 8), keys, settings, seeded()).cents
    assert (cents != 0).float().mean() == pytest.approx(0.4, abs=0.04)
    assert cents.abs().max() <= 40
    assert cents[cents != 0].mean() == pytest.approx(0, abs=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_chance": 1.5}, "noise_chance is 1.5, outside 0..1"),
        ({"detune": (-50.0, 0.0)}, "beyond ±40 cents"),
        ({"cut": (2.0, 1.0)}, "its ends are reversed"),
        ({"cut": (0.0, 1.0)}, "not above 0"),
        ({"skip": (-1.0, 1.0)}, "below 0"),
        ({"chorus_delay": (0.01, 0.05)}, "more than 0.06 s late"),
        ({"noises": ("blue",)}, "need some of"),
        ({"noises": ()}, "need some of"),
    ],
)
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**settings)
