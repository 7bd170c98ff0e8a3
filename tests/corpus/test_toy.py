"""The toy corpus: exact pitch, louder and brighter with velocity, the same for the same seed."""

from functools import cache
from itertools import islice

import numpy as np
import pytest

from mechanical_ears.corpus.toy import Toy
from mechanical_ears.corpus.toy_voices import RECIPES
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import FAMILIES, QUALITIES, VELOCITIES, Note
from mechanical_ears.pitch import hz_to_midi, midi_to_hz

KINDS = [f"{recipe.family}_{recipe.source}" for recipe in RECIPES]
INHARMONIC = {
    "flute_synthetic",
    "keyboard_synthetic",
    "mallet_synthetic",
}  # breath, stiffness, bars
HARMONIC = [kind for kind in KINDS if kind not in INHARMONIC]


@cache
def one_of_each_kind(pitch: int, velocity: int, sample_rate: int) -> dict[int, Note]:
    toy = Toy(
        len(KINDS),
        instruments=len(KINDS),
        pitches=(pitch,),
        velocities=(velocity,),
        sample_rate=sample_rate,
    )
    return {note.instrument_id: note for note in toy}


def make_note(kind: int, pitch: int, velocity: int = 100, sample_rate: int = 16_000) -> Note:
    """A note of the ``kind``-th kind of voice."""
    return one_of_each_kind(pitch, velocity, sample_rate)[kind]


def vertex(three: np.ndarray) -> float:
    """Maximum of the parabola through three points, in steps from the middle one."""
    return float(0.5 * (three[0] - three[2]) / (three[0] - 2 * three[1] + three[2]))


def repetition_rate(note: Note) -> float:
    """Frequency in Hz of the period of a sound, by autocorrelation without a model of partials.

    The period is the first peak that is nearly as high as the highest.
    """
    samples = note.sound.samples[1600:17_984].astype(np.float64)
    oversampling = 8  # lags per sample
    spectrum = np.fft.rfft(samples, 1 << 15)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, oversampling << 15)[: oversampling * 4096]
    correlation /= len(samples) - np.arange(len(correlation)) / oversampling
    shortest = int(np.argmax(correlation < 0))
    peaks = 1 + shortest + np.flatnonzero(np.diff(np.sign(np.diff(correlation[shortest:]))) < 0)
    first = int(peaks[correlation[peaks] > 0.93 * correlation[peaks].max()][0])
    return (
        note.sound.sample_rate * oversampling / (first + vertex(correlation[first - 1 : first + 2]))
    )


def fundamental_of(note: Note) -> float:
    """Frequency in Hz of the spectral peak nearest the label, by parabolic interpolation."""
    samples = note.sound.samples[:48_000] * np.hanning(48_000)
    size = 1 << 19
    levels = np.log(np.abs(np.fft.rfft(samples, size)) + 1e-12)
    expected = midi_to_hz(note.pitch) * size / note.sound.sample_rate
    low, high = int(expected * 0.97), int(expected * 1.03) + 1
    peak = low + int(levels[low:high].argmax())
    assert low < peak < high - 1
    return (peak + vertex(levels[peak - 1 : peak + 2])) * note.sound.sample_rate / size


def centroid_of(note: Note) -> float:
    """Centre of gravity of the power spectrum of the held sound, over a second, in Hz."""
    power = np.abs(np.fft.rfft(note.sound.samples[4000:20_000] * np.hanning(16_000))) ** 2
    return float(power @ np.arange(len(power)) / power.sum())


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
@pytest.mark.parametrize("pitch", [21, 33, 48, 60, 77, 96, 108])
def test_the_fundamental_is_within_a_cent(kind: int, pitch: int) -> None:
    note = make_note(kind, pitch)
    assert hz_to_midi(fundamental_of(note)) == pytest.approx(pitch, abs=0.01)


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
@pytest.mark.parametrize("pitch", [40, 52, 64])
def test_the_sound_repeats_at_the_pitch(kind: int, pitch: int) -> None:
    """No voice is an octave off; stiff strings may be up to a tenth of a semitone sharp."""
    note = make_note(kind, pitch)
    assert hz_to_midi(repetition_rate(note)) == pytest.approx(pitch, abs=0.15)


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_higher_velocities_are_louder_and_brighter(kind: int) -> None:
    notes = [make_note(kind, 48, velocity) for velocity in VELOCITIES]
    power = [float(np.mean(note.sound.samples.astype(np.float64) ** 2)) for note in notes]
    louder = np.diff(10 * np.log10(power))
    assert (louder > 2).all()
    assert 15 < louder.sum() < 30.5  # dB from 25 to 127
    assert (np.diff([centroid_of(note) for note in notes]) > 0).all()


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_notes_start_and_end_without_clicks(kind: int) -> None:
    samples = make_note(kind, 60, 127).sound.samples
    assert len(samples) == 64_000
    assert samples[0] == 0
    assert abs(samples[-1]) < 1e-6
    assert 0.3 < np.abs(samples).max() < 0.81
    released = [np.abs(samples[start : start + 800]).max() for start in range(48_000, 64_000, 800)]
    assert (np.diff(released) < 0.02).all()
    last = np.abs(samples[-800:]).reshape(8, 100).max(axis=1)
    assert (np.diff(last) <= 1e-3).all()


def test_keys_are_held_for_three_seconds() -> None:
    organ = make_note(0, 60).sound.samples
    level = np.sqrt(np.mean(organ[: 15 * 4000].reshape(15, 4000) ** 2, axis=1))
    np.testing.assert_allclose(level[1:12], level[1], rtol=0.02)
    assert level[13] < 0.7 * level[11]


@pytest.mark.parametrize("name", HARMONIC)
@pytest.mark.parametrize("pitch", [65, 89])
def test_voices_do_not_alias(name: str, pitch: int) -> None:
    """At 8 kHz, aliases would be between the harmonics."""
    samples = make_note(KINDS.index(name), pitch, 127, sample_rate=8000).sound.samples
    power = np.abs(np.fft.rfft(samples[:24_000] * np.hanning(24_000))) ** 2
    frequencies = np.fft.rfftfreq(24_000, 1 / 8000)
    harmonic = midi_to_hz(pitch) * np.round(frequencies / midi_to_hz(pitch))
    between = np.abs(frequencies - harmonic) > 40  # Hz
    assert power[between].sum() < 1e-5 * power.sum()


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again, other = (Toy(12, seed=seed, seconds=0.5) for seed in (7, 7, 8))
    for a, b in zip(first, again, strict=True):
        assert a.name == b.name
        assert a.sound.samples.tobytes() == b.sound.samples.tobytes()
    assert [note.name for note in first] != [note.name for note in other]


def test_a_scan_may_start_anywhere() -> None:
    toy = Toy(20, seed=3, seconds=0.5)
    entries = list(toy.scan())
    assert [entry.index for entry in entries] == list(range(20))
    for start in (0, 7, 19, 20):
        tail = list(toy.scan(start))
        assert len(tail) == 20 - start
        for a, b in zip(tail, entries[start:], strict=True):
            assert a.index == b.index
            assert a.note.name == b.note.name
            assert a.note.sound.samples.tobytes() == b.note.sound.samples.tobytes()


def test_a_longer_corpus_starts_with_the_shorter() -> None:
    short, long = Toy(5, seconds=0.5), Toy(500, seconds=0.5)
    for a, b in zip(short, islice(long, 5), strict=True):
        assert a.name == b.name
        assert a.sound.samples.tobytes() == b.sound.samples.tobytes()


def test_labels_cover_nsynths_vocabulary() -> None:
    toy = Toy(600, seconds=0.2)
    notes = list(toy)
    assert len(toy) == len(notes) == 600
    assert len({note.name for note in notes}) == 600
    assert {note.family for note in notes} == set(FAMILIES)
    assert {note.source for note in notes} == {"synthetic", "electronic"}
    assert {note.instrument_id for note in notes} == set(range(24))
    assert {note.velocity for note in notes} == set(VELOCITIES)
    assert {note.pitch for note in notes} == set(range(21, 109))
    assert "mallet_synthetic_001" in {note.instrument for note in notes}
    assert {quality for note in notes for quality in note.qualities} == {
        "bright",
        "dark",
        "fast_decay",
        "long_release",
        "percussive",
    }
    for note in notes:
        assert note.instrument.startswith(f"{note.family}_{note.source}_")
        assert list(note.qualities) == sorted(note.qualities, key=QUALITIES.index)
        assert np.abs(note.sound.samples).max() < 1


def test_provenance() -> None:
    assert (Toy(1).provenance.title, Toy(1).provenance.licence) == ("toy", "CC0-1.0")


def test_all_combinations_occur_once() -> None:
    toy = Toy(12, instruments=2, pitches=(60, 61, 62), velocities=(50, 100), seconds=0.2)
    assert len({(note.instrument, note.pitch, note.velocity) for note in toy}) == 12


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"count": -1}, '"count" is -1, below 0'),
        ({"seed": -1}, '"seed" is -1, below 0'),
        ({"instruments": 0}, '"instruments" is 0, below 1'),
        ({"pitches": (128,)}, r'"pitch" is 128, outside 0\.\.127'),
        ({"velocities": (0,)}, r'"velocity" is 0, outside 1\.\.127'),
        ({"pitches": (120,)}, r"pitch 120 \(8372 Hz\) cannot sound at 16000 Hz; raise"),
        ({"seconds": 0.1}, '"seconds" is 0.1, below 0.2'),
        (
            {"count": 6, "instruments": 1, "pitches": (60,)},
            '"count" is 6, but there are only 5',
        ),
    ],
)
def test_bad_arguments_are_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(CorpusError, match=problem):
        Toy(**settings)  # type: ignore[arg-type]


def test_an_index_out_of_range_is_refused() -> None:
    with pytest.raises(CorpusError, match=r'"index" is 5, outside 0\.\.4'):
        Toy(5).note(5)
