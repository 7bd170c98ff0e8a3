"""The shipped ears on sounds of known pitch."""

import numpy as np
import pytest

from mechanical_ears import listen
from mechanical_ears.corpus.filenames import labels_from_name
from mechanical_ears.corpus.nsynth import open_nsynth
from mechanical_ears.corpus.toy import Toy
from mechanical_ears.errors import SoundError
from mechanical_ears.listening.ears import shipped_ears
from mechanical_ears.pitch import cents_between, midi_to_hz
from mechanical_ears.sound import Sound
from support.paths import DATA, EXAMPLES

NSYNTH = DATA / "nsynth-dev"


def partials(frequency, seconds, sample_rate, count=8):
    """A tone of falling partials, none above half the rate."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    numbers = [n for n in range(1, count + 1) if n * frequency < sample_rate / 2]
    tone = sum(np.sin(2 * np.pi * n * frequency * time + n) / n for n in numbers)
    return (0.2 * tone).astype(np.float32)


@pytest.mark.parametrize("sample_rate", [16_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("midi", [33, 48, 60, 72, 90])
def test_tones_at_every_rate(midi, sample_rate):
    hearing = listen(partials(midi_to_hz(midi + 0.2), 1.5, sample_rate), sample_rate)
    assert hearing.sounding_pitch == midi
    assert hearing.cents == pytest.approx(20, abs=1)
    assert hearing.duration == pytest.approx(1.5, abs=1e-3)


def test_leading_silence_changes_only_the_onset():
    tone = partials(220, 2, 16_000)
    late = np.concatenate([np.zeros(12_000, np.float32), tone])
    first, second = listen(tone, 16_000), listen(late, 16_000)
    assert second.onset == pytest.approx(0.75, abs=0.01)
    assert first.pitch == second.pitch == 57
    assert cents_between(second.frequency, first.frequency) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(
    "nothing",
    [
        np.zeros(16_000, np.float32),
        np.full(16_000, 0.3, np.float32),
        np.zeros(1, np.float32),
        np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32),
    ],
    ids=["silence", "DC", "one sample", "noise"],
)
def test_sounds_without_pitch_get_none(nothing):
    hearing = listen(nothing, 16_000)
    assert hearing.pitch is None
    assert hearing.frequency is None
    assert hearing.pitch_confidence < 0.5


def test_toy_notes_of_no_training():
    notes = list(Toy(60, seed=77))
    hearings = shipped_ears().listen([note.sound for note in notes])
    right = [hearing.pitch == note.pitch for hearing, note in zip(hearings, notes, strict=True)]
    assert np.mean(right) >= 0.9


def test_examples_get_the_keys_of_their_names():
    files = sorted(EXAMPLES.glob("*.flac"))
    hearings = dict(shipped_ears().listen_to_files(files))
    right = [hearings[file].pitch == labels_from_name(file.stem).pitch for file in files]
    assert sum(right) >= 20


@pytest.mark.skipif(not NSYNTH.exists(), reason="the genuine NSynth notes are not here")
def test_notes_of_nsynth():
    notes = list(open_nsynth(NSYNTH))[::5]
    hearings = shipped_ears().listen([note.sound for note in notes])
    right = [hearing.pitch == note.pitch for hearing, note in zip(hearings, notes, strict=True)]
    assert np.mean(right) >= 0.92


def test_an_array_needs_its_rate(tmp_path):
    with pytest.raises(SoundError, match="needs its sample_rate"):
        listen(np.zeros(100, np.float32))
    with pytest.raises(SoundError, match="no such file"):
        listen(tmp_path / "absent.wav")


def test_several_at_once_give_the_same_as_one_by_one(tmp_path):
    tones = [partials(midi_to_hz(midi), 1, 16_000) for midi in (45, 57, 69)]
    together = listen(np.stack(tones), 16_000)
    assert [hearing.pitch for hearing in together] == [45, 57, 69]
    Sound(tones[1], 16_000).save(tmp_path / "A3.wav")
    mixed = listen([Sound(tones[0], 16_000), Sound(tones[2], 16_000)])
    assert [hearing.pitch for hearing in mixed] == [45, 69]
    assert listen((tmp_path / "A3.wav", tones[2]), 16_000)[0].pitch == 57
    for one, tone in zip(together, tones, strict=True):
        assert listen(tone, 16_000).frequency == pytest.approx(one.frequency, rel=1e-9)


def test_the_first_minute_of_a_long_file_is_searched(tmp_path):
    rate = 8_000
    audio = np.zeros(90 * rate, np.float32)
    audio[2 * rate : 4 * rate] = partials(220, 2, rate)
    Sound(audio, rate).save(tmp_path / "long.flac")
    ((_, hearing),) = shipped_ears().listen_to_files([tmp_path / "long.flac"])
    assert hearing.sounding_pitch == 57
    assert hearing.onset == pytest.approx(2, abs=0.01)
    assert hearing.duration == pytest.approx(90)


def test_many_files_keep_their_order(tmp_path):
    files = []
    for number in range(50):
        midi = 40 + number
        path = tmp_path / f"{midi}.wav"
        if number == 17:
            path.write_text("no sound")
        else:
            Sound(partials(midi_to_hz(midi), 0.3, 16_000), 16_000).save(path)
        files.append(path)
    results = list(shipped_ears().listen_to_files(files))
    assert [path for path, _ in results] == files
    assert isinstance(results[17][1], SoundError)
    right = [
        result.sounding_pitch == int(path.stem)
        for path, result in results
        if not isinstance(result, SoundError)
    ]
    assert np.mean(right) > 0.9
