"""SoundFont files: tiny ones of which every byte is known, and FluidR3."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mechanical_ears.corpus.sf2 import Preset, Sample, SoundFontFile
from mechanical_ears.errors import CorpusError
from support.tiny_soundfont import TinySample, sine, write_soundfont, zone

FLUID = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
ONE, TWO = TinySample(b"\x01\x00" * 64, name="one"), TinySample(b"\x02\x00" * 64, name="two")


def _font(folder: Path, name: str = "tiny.sf2") -> Path:
    """Two presets of an instrument split by key and velocity; one limits both in its own zone."""
    split = [
        zone(keys=(10, 20)),  # global: refers to no sample, its range is not inherited
        zone(sample=0, keys=(0, 59)),
        zone(sample=1, keys=(60, 127), velocities=(0, 63)),
    ]
    return write_soundfont(
        folder / name,
        [ONE, TWO],
        [split],
        {
            (8, 5, "Narrow"): [zone(instrument=0, keys=(50, 69), velocities=(32, 127))],
            (0, 40, "Whole"): [zone(instrument=0)],
        },
        {"ICOP": "nobody"},
    )


def test_presets_are_sorted_and_named(tmp_path: Path) -> None:
    font = SoundFontFile(_font(tmp_path))
    assert [(preset.key, preset.name) for preset in font.presets] == [
        ("0:40", "Whole"),
        ("8:5", "Narrow"),
    ]
    assert font.info == {"INAM": "Tiny", "ICOP": "nobody"}
    assert [(s.name, s.root, s.sample_rate) for s in font.samples] == [
        ("one", 69, 48_000),
        ("two", 69, 48_000),
    ]


def test_coverage_is_the_overlap_of_preset_and_instrument_zones(tmp_path: Path) -> None:
    whole, narrow = (preset.coverage() for preset in SoundFontFile(_font(tmp_path)).presets)
    expected = np.zeros((128, 128), dtype=bool)
    expected[:60] = True
    expected[60:, :64] = True
    assert np.array_equal(whole, expected)
    of_preset = np.zeros((128, 128), dtype=bool)
    of_preset[50:70, 32:] = True
    assert np.array_equal(narrow, expected & of_preset)


@pytest.mark.parametrize(
    ("pitch", "velocity", "samples"),
    [(59, 100, {0}), (60, 63, {1}), (60, 64, set()), (slice(59, 61), 10, {0, 1})],
)
def test_samples_within_a_mask(
    tmp_path: Path, pitch: int | slice, velocity: int, samples: set[int]
) -> None:
    mask = np.zeros((128, 128), dtype=bool)
    mask[pitch, velocity] = True
    whole = SoundFontFile(_font(tmp_path)).presets[0]
    assert whole.samples_within(mask) == samples


def test_fingerprints_depend_on_the_data_only(tmp_path: Path) -> None:
    first = SoundFontFile(_font(tmp_path))
    other = write_soundfont(
        tmp_path / "other.sf2",
        [TinySample(b"\x07\x00" * 9), TinySample(TWO.data, root=3, name="renamed")],
        [[zone(sample=0)]],
        {(0, 0, "x"): [zone(instrument=0)]},
    )
    assert first.fingerprint(1) == hashlib.sha256(TWO.data).hexdigest()
    assert first.fingerprint(0) != first.fingerprint(1)
    assert SoundFontFile(other).fingerprint(1) == first.fingerprint(1)
    assert first.sha256() == hashlib.sha256(first.path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "base_name"),
    [
        ("Clarinet C7(L)", "clarinetc7"),
        ("Clarinet C7", "clarinetc7"),
        ("Ahh Choir A#5-R", "ahhchoira#5"),
        ("VIOLIN_G L", "violing"),
        ("Tuba L2", "tubal2"),
    ],
)
def test_base_names_have_no_channel_and_punctuation(name: str, base_name: str) -> None:
    assert Sample(name, 0, 0, 48_000, 60, vorbis=False).base_name == base_name


def test_silence_has_no_fingerprint_and_a_rom_sample_no_region(tmp_path: Path) -> None:
    path = write_soundfont(
        tmp_path / "odd.sf2",
        [TinySample(bytes(128)), TinySample(ONE.data, kind=0x8001)],
        [[zone(sample=0, keys=(0, 9)), zone(sample=1, keys=(10, 127))]],
        {(0, 0, "x"): [zone(instrument=0)]},
    )
    font = SoundFontFile(path)
    assert font.fingerprint(0) is None
    assert np.flatnonzero(font.presets[0].coverage().any(axis=1)).tolist() == list(range(10))


def test_compressed_samples_are_counted_in_bytes(tmp_path: Path) -> None:
    streams = [b"OggS-first-stream", b"OggS-second"]
    path = write_soundfont(
        tmp_path / "tiny.sf3",
        [TinySample(stream, kind=0x11) for stream in streams],
        [[zone(sample=0)], [zone(sample=1)]],
        {(0, 0, "a"): [zone(instrument=0)], (0, 1, "b"): [zone(instrument=1)]},
    )
    font = SoundFontFile(path)
    assert [sample.vorbis for sample in font.samples] == [True, True]
    expected = [hashlib.sha256(stream).hexdigest() for stream in streams]
    assert [font.fingerprint(index) for index in range(2)] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"RIFF\x00\x00\x00\x00WAVE", "is not a SoundFont"),
        (b"words, words, words", "is not a SoundFont"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "bad.sf2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        SoundFontFile(path)
    with pytest.raises(CorpusError, match="is a folder"):
        SoundFontFile(tmp_path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    whole = _font(tmp_path).read_bytes()
    path = tmp_path / "truncated.sf2"
    for length in range(12, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(
            CorpusError, match=f"is truncated: it has {length} of {len(whole)} bytes"
        ):
            SoundFontFile(path)


def test_damaged_tables_are_read_or_refused_without_a_crash(tmp_path: Path) -> None:
    whole = _font(tmp_path).read_bytes()
    tables = whole.index(b"pdta")
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        damaged[int(rng.integers(tables, len(whole)))] = int(rng.integers(256))
        path = tmp_path / "damaged.sf2"
        path.write_bytes(damaged)
        try:
            font = SoundFontFile(path)
            [font.fingerprint(index) for index in range(len(font.samples))]
        except CorpusError:
            refused += 1
    assert refused > 20


def test_a_zone_that_refers_to_a_missing_sample_is_refused(tmp_path: Path) -> None:
    path = write_soundfont(
        tmp_path / "bad.sf2",
        [sine()],
        [[zone(sample=7)]],
        {(0, 0, "x"): [zone(instrument=0)]},
    )
    with pytest.raises(CorpusError, match="refers to sample 7, but there are 1"):
        SoundFontFile(path)


@pytest.mark.skipif(not FLUID.exists(), reason="apt install fluid-soundfont-gm")
def test_presets_of_fluidr3() -> None:
    font = SoundFontFile(FLUID)
    presets = {preset.name: preset for preset in font.presets}

    def samples(preset: Preset) -> frozenset[int]:
        return preset.samples_within(np.ones((128, 128), dtype=bool))

    assert (len(font.presets), len(font.samples)) == (189, 1418)
    assert presets["Violin"].key == "0:40"
    assert samples(presets["Violin"]) & samples(presets["Fiddle"])
    assert not samples(presets["Violin"]) & samples(presets["Flute"])
    viola = presets["Viola"].coverage()[:, 100]
    assert viola.any()
    assert not viola.all()
