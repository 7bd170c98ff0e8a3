"""Sound: the article's sine, channels, files, resampling, the notebook's player."""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanical_ears.errors import EarsError, SoundError
from mechanical_ears.sound import FORMATS, Sound, find_sound_files

STEP = 2**-15  # of 16-bit samples


def frequency_of(sound: Sound) -> float:
    """Frequency in Hz of a sine, from the phase difference between its halves."""
    half = len(sound.samples) // 2
    first, second = (
        np.fft.rfft(part * np.hanning(half), 1 << 18)
        for part in (sound.samples[:half], sound.samples[half : 2 * half])
    )
    peak = int(np.abs(first).argmax())
    estimate = peak * sound.sample_rate / (1 << 18)
    fraction = np.angle(second[peak] * np.conj(first[peak])) / (2 * np.pi)  # cycles
    cycles = np.round(estimate * half / sound.sample_rate - fraction) + fraction
    return float(cycles * sound.sample_rate / half)


def test_the_articles_sine_at_exact_times() -> None:
    sound = Sound.sine()
    assert (len(sound.samples), sound.sample_rate, sound.seconds) == (64_000, 16_000, 4.0)
    assert sound.samples.dtype == np.float32
    np.testing.assert_allclose(sound.samples[[0, 10, 20, 30, 40]], [0, 1, 0, -1, 0], atol=1e-6)
    assert frequency_of(sound) == pytest.approx(400, abs=1e-4)


@settings(deadline=None, max_examples=25)
@given(frequency=st.floats(60, 3900), sample_rate=st.sampled_from([8000, 16_000, 44_100]))
def test_sines_have_their_frequency(frequency: float, sample_rate: int) -> None:
    sound = Sound.sine(frequency, seconds=1, sample_rate=sample_rate)
    assert frequency_of(sound) == pytest.approx(frequency, rel=1e-5)


@pytest.mark.parametrize("frequency", [0, -1, 8000, 9000])
def test_a_sine_above_nyquist_is_refused(frequency: float) -> None:
    with pytest.raises(SoundError, match=r"outside 0\.\.8000 Hz; .*raise the sample rate"):
        Sound.sine(frequency)


def test_a_sine_without_samples_is_refused() -> None:
    with pytest.raises(SoundError, match="holds no sample"):
        Sound.sine(seconds=0)


@pytest.mark.parametrize(
    ("samples", "sample_rate", "problem"),
    [
        (np.zeros((2, 3, 4)), 16_000, r"shape \(2, 3, 4\), neither \(samples,\) nor"),
        (np.zeros((4, 0)), 16_000, r"shape \(4, 0\), neither"),
        (np.float32(1), 16_000, r"shape \(\), neither"),
        (np.zeros((2, 16_000)), 16_000, r"16000 channels, .*not \(channels, samples\)"),
        ([[1, 2], [3]], 16_000, "samples are not an array of numbers"),
        (np.zeros(3, complex), 16_000, "samples are of type complex128, not real numbers"),
        (["a"], 16_000, "samples are of type <U1, not real numbers"),
        (np.array([0, 1, np.nan]), 16_000, "sample 2 is not a finite number"),
        (np.array([np.inf]), 16_000, "sample 0 is not a finite number"),
        (np.array([[0, 0], [0, -np.inf]]), 16_000, "sample 1 is not a finite number"),
        (np.zeros(3), 0, "sample rate is 0 Hz"),
        (np.zeros(3), -8000, "sample rate is -8000 Hz"),
        (np.zeros(3), 0.5, "sample rate is 0.5 Hz, not a whole number"),
        (np.zeros(3), np.nan, "sample rate is nan Hz"),
        (np.zeros(3), np.inf, "sample rate is inf Hz"),
    ],
)
def test_bad_samples_and_rates_are_refused(
    samples: np.ndarray, sample_rate: int, problem: str
) -> None:
    with pytest.raises(SoundError, match=problem):
        Sound(samples, sample_rate)


# --- channels


def two_tones(sample_rate: int = 48_000) -> Sound:
    """One second of 440 Hz on the left and 660 Hz on the right."""
    channels = [Sound.sine(hertz, 1, sample_rate).samples for hertz in (440, 660)]
    return Sound(0.5 * np.stack(channels, axis=1), sample_rate)


def peaks(samples: np.ndarray) -> list[int]:
    """Frequency in Hz of the strongest partial of each channel of one second."""
    return [int(np.abs(np.fft.rfft(channel)).argmax()) for channel in samples.T]


def test_channels_are_kept_and_mixed() -> None:
    sound = two_tones()
    assert (sound.channels, sound.seconds, sound.samples.shape) == (2, 1.0, (48_000, 2))
    assert sound.mono().channels == 1
    np.testing.assert_allclose(sound.mono().samples, sound.samples.mean(axis=1), atol=1e-7)
    mono = sound.mono()
    assert mono.mono() is mono


def test_one_channel_has_one_dimension() -> None:
    """(samples, 1) becomes (samples,)."""
    sound = Sound(np.arange(4).reshape(4, 1) / 4, 16_000)
    assert sound.channels == 1
    assert sound.samples.tolist() == [0, 0.25, 0.5, 0.75]
    assert sound.samples.flags.c_contiguous


def test_a_sound_may_be_empty() -> None:
    for shape in ((0,), (0, 2)):
        assert Sound(np.zeros(shape), 16_000).seconds == 0


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_channels_are_saved_and_loaded(tmp_path: Path, suffix: str) -> None:
    path = two_tones().save(tmp_path / f"x{suffix}")
    read, rate = soundfile.read(path)
    assert (read.shape, rate) == ((48_000, 2), 48_000)
    assert peaks(read) == [440, 660]
    loaded = Sound.load(path, mono=False)
    assert (loaded.samples.shape, peaks(loaded.samples)) == ((48_000, 2), [440, 660])
    assert Sound.load(path).channels == 1
    assert Sound.load(path, 0.25, mono=False).samples.shape == (12_000, 2)


def test_more_channels_than_a_format_has_are_refused(tmp_path: Path) -> None:
    quad = Sound(np.zeros((100, 4)), 48_000)
    assert Sound.load(quad.save(tmp_path / "x.wav"), mono=False).channels == 4
    with pytest.raises(SoundError, match=r"MP3 does not take .*channels: 4.*mono\(\) first"):
        quad.save(tmp_path / "x.mp3")


def test_each_channel_is_resampled() -> None:
    sound = two_tones().resample(16_000)
    assert sound.samples.shape == (16_000, 2)
    assert peaks(sound.samples) == [440, 660]
    expected = 0.5 * Sound.sine(660, 1, 16_000).samples
    np.testing.assert_allclose(sound.samples[1000:-1000, 1], expected[1000:-1000], atol=1e-4)


def test_spectra_are_those_of_the_mono_mix() -> None:
    sound = two_tones()
    np.testing.assert_array_equal(
        sound.spectrogram().magnitudes, sound.mono().spectrogram().magnitudes
    )
    np.testing.assert_array_equal(sound.spectrum().intensities, sound.mono().spectrum().intensities)


# --- files


@pytest.mark.parametrize(
    ("suffix", "tolerance"),
    [
        (".wav", 1.5 * STEP),
        (".flac", 1.5 * STEP),
        (".ogg", 0.03),
        (".mp3", 0.03),
    ],
)
def test_saved_sounds_load_again(tmp_path: Path, suffix: str, tolerance: float) -> None:
    assert suffix in FORMATS
    sound = Sound(0.5 * Sound.sine(440, 1, 44_100).samples, 44_100)
    path = sound.save(tmp_path / f"tone{suffix}")
    loaded = Sound.load(path)
    assert loaded.sample_rate == 44_100
    assert len(loaded.samples) == 44_100
    inner = slice(2000, -2000)  # lossy formats smear the abrupt ends
    np.testing.assert_allclose(loaded.samples[inner], sound.samples[inner], atol=tolerance)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # nothing temporary is left


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [("PCM_U8", 2**-7), ("PCM_24", 2**-23), ("PCM_32", 2**-24), ("FLOAT", 0), ("DOUBLE", 0)],
)
def test_every_sample_format_of_wav_loads(tmp_path: Path, subtype: str, tolerance: float) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 500).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype=subtype)
    loaded = Sound.load(tmp_path / "a.wav")
    assert loaded.sample_rate == 8000
    np.testing.assert_allclose(loaded.samples, samples, atol=tolerance, rtol=0)


def test_stereo_is_mixed_to_its_mean(tmp_path: Path) -> None:
    stereo = np.array([[0.5, 0.25], [-0.5, 0.5], [0, -1]], dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(Sound.load(tmp_path / "a.wav").samples, [0.375, 0, -0.5])


def test_the_old_name_of_max_seconds_still_works(tmp_path: Path) -> None:
    path = Sound.sine(seconds=1).save(tmp_path / "a.wav")
    with pytest.warns(DeprecationWarning, match='"longest" of Sound.load is now "max_seconds"'):
        assert Sound.load(path, longest=0.5).seconds == 0.5  # type: ignore[call-arg]
    assert Sound.load(path, max_seconds=0.5).seconds == 0.5


def test_saving_clips_beyond_full_scale(tmp_path: Path) -> None:
    Sound(np.array([2.0, -3.0, 0.5]), 8000).save(tmp_path / "loud.wav")
    loaded = Sound.load(tmp_path / "loud.wav")
    np.testing.assert_allclose(loaded.samples, [1, -1, 0.5], atol=2 * STEP)


def test_files_that_cannot_be_loaded_give_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a sound at all " * 20)
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(0), 16_000)
    nan = np.array([0, np.nan], dtype=np.float32)
    soundfile.write(tmp_path / "nan.wav", nan, 16_000, subtype="FLOAT")
    for name, problem in {
        "text.wav": "is not a sound that can be read",
        "empty.wav": "is not a sound that can be read",
        "silent.wav": "holds no samples",
        "nan.wav": "sample 1 is not a finite number",
        "absent.wav": "no such file",
        "": "is a folder",
    }.items():
        with pytest.raises(SoundError, match=problem) as caught:
            Sound.load(tmp_path / name)
        assert caught.value.path == str(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tone.aiff", "tone", "tone.wav.txt"])
def test_unknown_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SoundError, match=r"names no sound format; use one of \.wav, \.flac"):
        Sound.sine().save(tmp_path / name)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EarsError, match=r"cannot write: No such file.*create the folder first"):
        Sound.sine().save(tmp_path / "absent" / "tone.wav")


@pytest.mark.parametrize(("suffix", "rate"), [("mp3", 96_000), ("ogg", 400_000), ("flac", 700_000)])
def test_unsupported_rates_are_refused(tmp_path: Path, suffix: str, rate: int) -> None:
    path = tmp_path / f"tone.{suffix}"
    path.write_bytes(b"before")
    with pytest.raises(SoundError, match=r"resample\(\) to 44100 Hz, or save as \.wav"):
        Sound.sine(400, 0.1, rate).save(path)
    assert path.read_bytes() == b"before"


def test_a_long_ogg_is_written_in_blocks(tmp_path: Path) -> None:
    """With five minutes at once, libsndfile 1.2 has a segmentation fault."""
    Sound(np.zeros(44_100 * 300), 44_100).save(tmp_path / "long.ogg")
    assert soundfile.info(tmp_path / "long.ogg").frames == 44_100 * 300


def test_folders_are_searched_for_sound_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.WAV", "a.flac", "c.mp3", "notes.txt"):
        (tmp_path / name).touch()
    files = [str(file.relative_to(tmp_path)) for file in find_sound_files(tmp_path)]
    assert files == ["a.flac", "b/2.WAV", "c.mp3"]
    assert find_sound_files(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    (tmp_path / "empty").mkdir()
    assert find_sound_files(tmp_path / "empty") == []
    with pytest.raises(SoundError, match="no such file or folder"):
        find_sound_files(tmp_path / "absent")


# --- resampling


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_time_and_pitch(rate: int) -> None:
    sound = Sound.sine(1000, 1, 44_100).resample(rate)
    assert sound.sample_rate == rate
    assert sound.seconds == pytest.approx(1, abs=1 / rate)
    expected = Sound.sine(1000, 1, rate).samples
    inner = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(sound.samples[inner], expected[inner], atol=1e-4)


def test_downsampling_does_not_alias() -> None:
    sound = Sound.sine(6000, 1, 44_100).resample(8000)
    assert np.abs(sound.samples[800:-800]).max() < 1e-5


def test_resampling_to_bad_rates_is_refused() -> None:
    with pytest.raises(SoundError, match="sample rate is 0 Hz"):
        Sound.sine().resample(0)
    with pytest.raises(SoundError, match="hold no sample at 100 Hz"):
        Sound(np.ones(1), 48_000).resample(100)


# --- the notebook, the loudspeaker, the imports


@pytest.mark.parametrize(
    "sound", [Sound.sine(440, 0.25), two_tones(16_000)], ids=["mono", "stereo"]
)
def test_the_notebook_player_holds_the_sound_and_a_picture(sound: Sound) -> None:
    html = sound._repr_html_()
    wave = re.search(r'src="data:audio/wav;base64,([^"]+)"', html)
    picture = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert wave is not None
    assert picture is not None
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(wave[1])), dtype="float32")
    assert rate == 16_000
    np.testing.assert_allclose(samples, sound.samples, atol=2 * STEP)
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")


def test_an_empty_sound_in_a_notebook() -> None:
    assert Sound(np.zeros(0), 16_000)._repr_html_() == "<p>a sound of 0 s</p>"


def test_plot_draws_the_first_tenth_of_a_second() -> None:
    line = Sound.sine().plot().axes[0].lines[0]
    times, values = line.get_data()
    np.testing.assert_allclose(times, np.arange(1600) / 16_000)
    np.testing.assert_array_equal(values, Sound.sine().samples[:1600])


def test_playing_without_sounddevice_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SoundError, match=r"cannot play without sounddevice; pip install"):
        Sound.sine().play()


def test_playing_sends_clipped_samples_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[np.ndarray, int]] = []

    class Device:
        class PortAudioError(Exception):
            pass

        @staticmethod
        def play(samples: np.ndarray, sample_rate: int, *, blocking: bool) -> None:
            if sample_rate == 1:
                raise Device.PortAudioError("Invalid sample rate")
            assert blocking
            played.append((samples, sample_rate))

    monkeypatch.setitem(sys.modules, "sounddevice", Device)
    Sound(np.array([0.5, -2.0]), 16_000).play()
    np.testing.assert_array_equal(played[0][0], [0.5, -1])
    assert played[0][1] == 16_000
    with pytest.raises(SoundError, match=r"no audio device plays this \(Invalid sample rate\)"):
        Sound(np.zeros(3), 1).play()


def test_importing_sound_loads_no_heavy_module() -> None:
    heavy = "matplotlib", "soundfile", "soxr", "sounddevice", "scipy", "torch"
    code = f"import mechanical_ears.sound, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
