"""Notes rendered from SoundFonts: right pitch, right loudness, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from mechanical_ears.corpus import fluidsynth_renderer
from mechanical_ears.corpus.corpus import CorpusEntry
from mechanical_ears.corpus.general_midi import PROGRAMS, family_and_source
from mechanical_ears.corpus.sf2 import SoundFontFile
from mechanical_ears.corpus.soundfont import MAX_PEAK, SoundFont, render_note
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import FAMILIES, SOURCES
from mechanical_ears.pitch import cents_between, midi_to_hz
from support.tiny_soundfont import TinySample, sine, write_soundfont, zone

pytestmark = pytest.mark.fluidsynth

FOLDER = Path("/usr/share/sounds/sf2")
FLUID, SMALL = FOLDER / "FluidR3_GM.sf2", FOLDER / "TimGM6mb.sf2"


def _has_fluidsynth() -> bool:
    try:
        fluidsynth_renderer._load_library()
    except CorpusError:
        return False
    return True


needs_fluidsynth = pytest.mark.skipif(
    not _has_fluidsynth(), reason="apt install libfluidsynth3; pip install pyfluidsynth"
)
needs_small = pytest.mark.skipif(not SMALL.exists(), reason="apt install timgm6mb-soundfont")
needs_fluid = pytest.mark.skipif(not FLUID.exists(), reason="apt install fluid-soundfont-gm")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Presets 0:40 and 0:73 share a 440 Hz sine; 0:56 has a silent sample, 0:0 keys 60..71."""
    quiet = TinySample(bytes(2 * 48_000))
    return write_soundfont(
        tmp_path / "Tiny Font.sf2",
        [sine(name="Air A4"), quiet, sine(880, name="Wire A5")],
        [
            [zone(sample=0)],
            [zone(sample=1)],
            [zone(keys=(0, 9)), zone(sample=2, keys=(60, 71))],
        ],
        {
            (0, 0, "Piano"): [zone(instrument=2)],
            (0, 40, "Violin"): [zone(instrument=0)],
            (0, 56, "Mute"): [zone(instrument=1)],
            (0, 73, "Flute"): [zone(instrument=0)],
            (0, 127, "Gun"): [zone(instrument=0)],
            (128, 0, "Kit"): [zone(instrument=0)],
        },
        {"INAM": "Tiny", "ICOP": "nobody, 2026"},
    )


def _frequency(samples: NDArray[np.float32], sample_rate: int) -> float:
    """Frequency in Hz of a steady sine, from the phase between two windows 0.5 s apart."""
    window = np.hanning(sample_rate)
    hop = sample_rate // 2
    first, second = (
        np.fft.rfft(window * samples[start : start + sample_rate])
        for start in (sample_rate // 2, sample_rate // 2 + hop)
    )
    peak = int(np.abs(first).argmax())
    turn = np.angle(second[peak] / first[peak]) / (2 * np.pi)  # turns within the hop of 0.5 s
    return peak + (turn - peak * 0.5 + round(peak * 0.5 - turn)) / 0.5


def _entries(corpus: SoundFont, start: int = 0) -> list[tuple[int, str, bytes]]:
    return [_entry(entry) for entry in corpus.scan(start)]


def _entry(entry: CorpusEntry) -> tuple[int, str, bytes]:
    assert entry.problem is None
    note = entry.note
    if note is None:
        return entry.index, "", b""
    return entry.index, note.name, note.sound.samples.tobytes()


@needs_fluidsynth
@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("pitch", [45, 60, 69, 83])
def test_pitch_is_exact(tiny: Path, pitch: int, sample_rate: int) -> None:
    sound = render_note(tiny, 0, 40, pitch, sample_rate=sample_rate)
    assert (sound.sample_rate, len(sound.samples)) == (sample_rate, 4 * sample_rate)
    frequency = _frequency(sound.samples, sample_rate)
    assert abs(cents_between(frequency, midi_to_hz(pitch))) < 0.1


@needs_fluidsynth
def test_compressed_soundfonts_are_rendered(tmp_path: Path) -> None:
    plain = np.frombuffer(sine().data, dtype="<i2")
    stream = io.BytesIO()
    soundfile.write(stream, plain, 48_000, format="OGG", subtype="VORBIS")
    path = write_soundfont(
        tmp_path / "tiny.sf3",
        [TinySample(stream.getvalue(), kind=0x11)],
        [[zone(sample=0)]],
        {(0, 0, "Piano"): [zone(instrument=0)]},
    )
    (note,) = SoundFont(path, pitches=[64], velocities=[127])
    frequency = _frequency(note.sound.samples, 16_000)
    assert abs(cents_between(frequency, midi_to_hz(64))) < 0.5


@needs_fluidsynth
def test_loudness_goes_with_the_square_of_velocity(tiny: Path) -> None:
    def decibels(velocity: int) -> float:
        samples = render_note(tiny, 0, 40, 69, velocity).samples[1600:40_000]
        return float(20 * np.log10(np.sqrt(np.mean(samples**2))))

    for velocity in (25, 50, 75, 100):
        expected = 40 * np.log10(velocity / 127)
        assert decibels(velocity) - decibels(127) == pytest.approx(expected, abs=0.1)


@needs_fluidsynth
def test_the_key_is_released_after_the_hold(tiny: Path) -> None:
    samples = np.abs(render_note(tiny, 0, 40, 69, hold_seconds=1.0, seconds=1.5).samples)
    assert len(samples) == 24_000
    assert samples[:16_000].reshape(-1, 160).max(axis=1).min() > 0.05
    assert samples[16_800:].max() < 1e-4


@needs_fluidsynth
def test_a_note_above_full_scale_is_scaled_down_not_clipped(tmp_path: Path) -> None:
    path = write_soundfont(
        tmp_path / "loud.sf2",
        [sine(level=1.0)],
        [[zone(sample=0)] * 8],
        {(0, 0, "Loud"): [zone(instrument=0)]},
    )
    samples = render_note(path, 0, 0, 69, 127).samples
    assert np.abs(samples).max() == pytest.approx(MAX_PEAK, abs=1e-6)
    spectrum = np.abs(np.fft.rfft(np.hanning(16_000) * samples[16_000:32_000]))
    assert spectrum[1320] < spectrum[440] * 1e-4  # a clipped sine has a third partial


@needs_fluidsynth
def test_labels_indices_and_silence(tiny: Path) -> None:
    corpus = SoundFont(tiny, pitches=range(55, 65), velocities=(127, 50), workers=2)
    assert corpus.instruments == (
        "keyboard_acoustic_tiny_font-000-000",
        "string_acoustic_tiny_font-000-040",
        "brass_acoustic_tiny_font-000-056",
        "flute_acoustic_tiny_font-000-073",
    )
    assert len(corpus) == 2 * (5 + 10 + 10 + 10)  # the piano covers 60..64 only
    entries = list(corpus.scan())
    assert [entry.index for entry in entries] == list(range(70))
    notes = [entry.note for entry in entries if entry.note is not None]
    assert Counter(note.family for note in notes) == {"keyboard": 10, "string": 20, "flute": 20}
    first = notes[0]
    assert first.name == "keyboard_acoustic_tiny_font-000-000-060-050"
    assert (first.pitch, first.velocity, first.source) == (60, 50, "acoustic")
    assert len(first.sound.samples) == 64_000


@needs_fluidsynth
def test_groups_share_recordings_across_fonts(tiny: Path, tmp_path: Path) -> None:
    low, high = zone(sample=0, keys=(0, 60)), zone(sample=1, keys=(61, 127))
    other = write_soundfont(
        tmp_path / "other.sf2",
        [sine(331, name="Reed E4"), sine(880, name="renamed"), sine(450, name="air A4 (L)")],
        [[low, high], [zone(sample=2)]],
        {(0, 71, "Clarinet"): [zone(instrument=0)], (0, 75, "Pipe"): [zone(instrument=1)]},
    )
    piano, violin, _, flute = SoundFont(tiny).instruments
    assert SoundFont(tiny).groups() == [frozenset({violin, flute})]
    both = SoundFont([tiny, other])
    clarinet, pipe = both.instruments[-2:]
    by_name = frozenset({violin, flute, pipe})
    assert set(both.groups()) == {by_name, frozenset({piano, clarinet})}
    assert SoundFont([tiny, other], pitches=[60]).groups() == [by_name]


@needs_fluidsynth
def test_provenance(tiny: Path) -> None:
    provenance = SoundFont(tiny).provenance
    assert (provenance.title, provenance.licence) == ("Tiny", "unknown")
    assert provenance.citation == "nobody, 2026"
    digest = hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert provenance.files == {"Tiny Font.sf2": digest}


@needs_fluidsynth
def test_presets_are_selected_by_number_or_name(tiny: Path) -> None:
    corpus = SoundFont(tiny, presets=["0:73", "PIAN"])
    assert [name[-7:] for name in corpus.instruments] == ["000-000", "000-073"]


@needs_fluidsynth
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"presets": ["0:99"]}, 'preset "0:99" does not exist; give "bank:program"'),
        ({"presets": ["tuba"]}, 'preset "tuba" does not exist'),
        ({"presets": ["128:0"]}, 'preset "128:0" is not a melodic instrument'),
        ({"pitches": [128]}, '"pitch" is 128, outside 0..127'),
        ({"pitches": []}, 'no "pitch" is given'),
        ({"velocities": [0]}, '"velocity" is 0, outside 1..127'),
        ({"sample_rate": 0}, '"sample_rate" is 0 Hz, not above 0'),
        ({"hold_seconds": 5.0}, '"hold_seconds" is 5.0, outside 0..4.0'),
        ({"limit": 0}, '"limit" is 0, not above 0'),
        ({"workers": 0}, '"workers" is 0, not above 0'),
    ],
)
def test_bad_arguments(tiny: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(CorpusError, match=re.escape(message)):
        SoundFont(tiny, **arguments)  # type: ignore[arg-type]


@needs_fluidsynth
def test_bad_files(tiny: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.sf2"
    words.write_text("not a font")
    with pytest.raises(CorpusError, match="is not a SoundFont"):
        SoundFont(words)
    with pytest.raises(CorpusError, match="no SoundFont is given"):
        SoundFont([])
    with pytest.raises(CorpusError, match='a SoundFont named "tiny_font" is given twice'):
        SoundFont([tiny, tiny])
    with pytest.raises(CorpusError, match="has no preset 3:3"):
        render_note(tiny, 3, 3, 60)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("raise ImportError('no library')", "apt install libfluidsynth3"),
        ("raise ModuleNotFoundError('no module')", "pip install"),
    ],
)
def test_a_missing_library_is_reported_with_its_remedy(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, message: str
) -> None:
    (tmp_path / "fluidsynth.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    fluidsynth_renderer._load_library.cache_clear()
    try:
        with pytest.raises(CorpusError, match=message):
            SoundFont(tiny)
    finally:
        fluidsynth_renderer._load_library.cache_clear()


@needs_fluidsynth
@needs_small
def test_bytes_do_not_depend_on_workers_and_start() -> None:
    whole = _entries(SoundFont(SMALL, limit=60, workers=1, seed=3))
    assert len({samples for _, _, samples in whole}) > 55
    assert _entries(SoundFont(SMALL, limit=60, workers=2, seed=3)) == whole
    again = SoundFont(SMALL, limit=60, workers=2, seed=3)
    assert _entries(again, 41) == whole[41:]
    assert _entries(again, 60) == []


@needs_fluidsynth
@needs_small
def test_notes_do_not_depend_on_earlier_notes() -> None:
    corpus = SoundFont(SMALL, limit=24, workers=1, sample_rate=48_000, seed=1)
    for entry in corpus.scan():
        note = entry.note
        assert note is not None
        bank, program = (int(number) for number in note.instrument.split("-")[1:])
        alone = render_note(SMALL, bank, program, note.pitch, note.velocity, sample_rate=48_000)
        assert np.array_equal(alone.samples, note.sound.samples), note.name


@needs_fluidsynth
@needs_small
def test_limit_chooses_evenly_and_by_seed() -> None:
    def names(limit: int, seed: int) -> list[str]:
        corpus = SoundFont(SMALL, limit=limit, seed=seed)
        assert corpus._plan == sorted(corpus._plan)
        return [f"{number}:{pitch}:{velocity}" for number, pitch, velocity in corpus._plan]

    chosen = names(300, 0)
    assert len(set(chosen)) == 300
    assert names(300, 0) == chosen
    assert names(300, 1) != chosen
    assert set(names(100, 0)) < set(chosen)
    counts = Counter(name.split(":")[0] for name in chosen)
    assert len(counts) == 113
    assert max(counts.values()) - min(counts.values()) == 1


@needs_fluidsynth
@needs_small
def test_fluidsynth_sounds_exactly_where_coverage_says() -> None:
    partial = [
        preset
        for preset in SoundFontFile(SMALL).presets
        if preset.bank == 0 and not preset.coverage()[:, 100].all() and preset.regions
    ]
    assert partial
    with fluidsynth_renderer.FluidSynthRenderer(SMALL) as renderer:
        for preset in partial[:6]:
            covered = preset.coverage()[:, 100]
            edges = np.flatnonzero(np.diff(covered.astype(int)))
            for pitch in (int(edge) + side for edge in edges for side in (0, 1)):
                samples = renderer.render(
                    preset.bank, preset.program, pitch, 100, hold=9600, length=9600
                )
                assert bool(samples.any()) == bool(covered[pitch]), (preset.name, pitch)


@needs_fluidsynth
@needs_fluid
def test_notes_groups_and_peak_of_fluidr3() -> None:
    corpus = SoundFont(FLUID)
    assert (len(corpus.instruments), len(corpus)) == (138, 57_365)
    names = {number: f"fluidr3_gm-000-{number:03d}" for number in (0, 1, 3, 40, 110)}
    groups = [{name.split("_", 2)[2] for name in group} for group in corpus.groups()]
    assert {names[0], names[1], names[3]} in groups
    assert {names[40], names[110], "fluidr3_gm-008-040"} in groups
    assert max(map(len, groups)) == 21
    loudest = render_note(FLUID, 8, 26, 24, 127)  # of all presets at keys 24, 32, …, 104
    assert 0.7 < np.abs(loudest.samples).max() < MAX_PEAK


@needs_fluidsynth
def test_closing_a_scan_ends_its_threads(tiny: Path) -> None:
    scan = SoundFont(tiny, workers=2).scan()
    assert next(scan).index == 0
    scan.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("soundfont")]


def enable_control_c() -> None:
    """In a child: Ctrl-C works even where the tests run as a background job, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@needs_fluidsynth
def test_control_c_ends_a_scan_at_once(tiny: Path) -> None:
    script = (
        "import sys; from mechanical_ears.corpus.soundfont import SoundFont\n"
        "try:\n"
        "    for entry in SoundFont(sys.argv[1], workers=2).scan():\n"
        "        print(entry.index, flush=True)\n"
        "except KeyboardInterrupt: print('left')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tiny)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=enable_control_c,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert out.endswith("left\n")
    assert (process.returncode, err) == (0, "")


def test_general_midi_programs_cover_nsynths_vocabulary() -> None:
    assert len(PROGRAMS) == 128
    melodic = [labels for labels in PROGRAMS if labels is not None]
    assert {family for family, _ in melodic} == set(FAMILIES)
    assert {source for _, source in melodic} == set(SOURCES)
    assert [program for program, labels in enumerate(PROGRAMS) if labels is None] == [
        *(55, 113, 115, 116, 117, 118, 119),
        *range(120, 128),
    ]


@pytest.mark.parametrize(
    ("bank", "program", "name", "labels"),
    [
        (0, 0, "Grand", ("keyboard", "acoustic")),
        (0, 19, "Church Organ", ("organ", "acoustic")),
        (0, 108, "Kalimba", ("mallet", "acoustic")),
        (8, 30, "Feedback Guitar", ("guitar", "electronic")),
        (8, 24, "Ukulele", ("guitar", "acoustic")),
        (8, 48, "Orchestral Pad", ("synth_lead", "synthetic")),
        (8, 117, "Melo Tom 2", None),
        (17, 40, "Violin Expr.", None),
        (128, 0, "Standard", None),
    ],
)
def test_family_and_source_of_presets(
    bank: int, program: int, name: str, labels: tuple[str, str] | None
) -> None:
    assert family_and_source(bank, program, name) == labels
