"""SFZ: conventions of the format, round trips, and playback by Polyphone and FluidSynth."""

import re
from dataclasses import replace

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument
from mechanical_ears.instrument.export import export
from mechanical_ears.instrument.formats.wav import SamplerMetadata, encode_wav
from mechanical_ears.instrument.opening import open_instrument
from mechanical_ears.instrument.zones import Envelope, Loop, VelocityResponse
from support.independent_players import Fluid, polyphone
from support.toy_instruments import RATE, Organ, sine_instrument

pytestmark = pytest.mark.fluidsynth


@pytest.fixture(scope="module")
def organ():
    return sample_instrument(Organ(), SamplingPlan(33, 93, 12, 3, 2.5))


@pytest.fixture(scope="module")
def converted(organ, tmp_path_factory):
    """The organ's SFZ as Polyphone understands it, in FluidSynth."""
    folder = tmp_path_factory.mktemp("sfz")
    return Fluid(polyphone(export(organ, folder / "organ.sfz").path, folder))


def test_polyphone_and_fluidsynth_play_every_key(converted):
    converted.every_key_sounds()


def test_polyphone_and_fluidsynth_play_in_tune(converted):
    converted.pitches()


def test_polyphone_and_fluidsynth_play_louder_with_velocity(converted):
    converted.louder_with_velocity()


def test_polyphone_and_fluidsynth_end_the_release(converted, organ):
    converted.release_ends(max(zone.envelope.release for zone in organ.zones))


def test_polyphone_and_fluidsynth_loop_without_a_click(converted, organ):
    for zone in organ.zones:
        if zone.velocities[0] <= 100 <= zone.velocities[1] and 36 <= zone.root <= 96:
            converted.no_click(zone, organ.samples[zone.sample].sample_rate)


def test_polyphone_applies_cents(tmp_path):
    sines = sine_instrument(2)
    assert any(abs(zone.cents) > 5 for zone in sines.zones)
    fluid = Fluid(polyphone(export(sines, tmp_path / "x.sfz").path, tmp_path))
    assert fluid.pitches() < 1


@pytest.mark.parametrize("flac", [False, True])
@pytest.mark.parametrize("bits", [16, 24])
def test_a_round_trip_changes_nothing(tmp_path, bits, flac):
    first = sine_instrument(3, channels=2)
    one = export(first, tmp_path / "one.sfz", bits=bits, flac=flac)
    second = open_instrument(one.path)
    assert second.zones == first.zones
    assert (second.name, second.licence, second.family) == ("Sines", "CC0-1.0", "organ")
    assert second.warnings == ()
    for name, sample in first.samples.items():
        read = second.samples[name].audio
        np.testing.assert_allclose(read, sample.audio, atol=0.51 / 2 ** (bits - 1))
    two = export(second, tmp_path / "two.sfz", bits=bits, flac=flac)
    assert two.path.read_text().replace("two_", "one_") == one.path.read_text()
    for file in one.folder.iterdir():
        assert file.read_bytes() == (two.folder / file.name).read_bytes()


def test_conventions_of_the_format(tmp_path):
    text = export(sine_instrument(2), tmp_path / "x.sfz").path.read_text()
    regions = text.split("<region>")[1:]
    assert len(regions) == 6
    for region in regions:
        assert "loop_mode=loop_continuous" in region
        assert "loop_start=4800" in region
        assert "loop_end=43199" in region  # the last frame that is played
        assert re.search(r"^tune=-?\d+$", region, re.MULTILINE)
    assert "ampeg_release=0.3" in text
    assert "amp_veltrack=100" in text
    assert "amp_velcurve_127=1\n" in text
    assert "amp_velcurve_64=0.180277" in text  # −14.88 dB
    assert text.startswith("// name: Sines\n// family: organ\n// licence: CC0-1.0\n")


def test_responses_and_envelopes_survive_a_round_trip(tmp_path):
    first = sine_instrument(1, (60,))
    for response in (
        VelocityResponse(),
        VelocityResponse(tracking=0.5),
        VelocityResponse(curve=((64, 0.25), (100, 0.75))),
    ):
        zone = replace(
            first.zones[0],
            velocity_response=response,
            envelope=Envelope(0.1, 0.5, 0.25, 2.0, -20.0, 1.5),
            loop=None,
            pan=0.25,
            gain=-3.5,
            key_tracking=50.0,
        )
        path = export(replace(first, zones=(zone,)), tmp_path / "x.sfz", force=True).path
        assert open_instrument(path).zones == (zone,)


def write(folder, text, *names, loop=None):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        metadata = SamplerMetadata(64, 25.0, loop)
        file.write_bytes(encode_wav(sine_instrument(1, (60,)).samples["60_64"], 16, metadata))
    (folder / "x.sfz").write_text(text)
    return folder / "x.sfz"


def test_opcodes_are_inherited_and_paths_may_have_spaces(tmp_path):
    text = """
    #define $KEY 62
    <control> default_path=my samples/  note_offset=12
    <global> ampeg_release=0.5 /* a comment
    over two lines */ volume=-6
    <group> lovel=1 hivel=63 tune=10 // soft
    <region> sample=Piano C4 soft.wav key=c4 pan=-50
    <region> sample=piano c4 SOFT.WAV lokey=61 hikey=$KEY pitch_keycenter=C#4 volume=0
    <group> lovel=64
    <region>
    sample=loud.wav
    key=62 loop_mode=no_loop cutoff=500 resonance=3
    <region> sample=*sine key=70
    <region> sample=loud.wav trigger=release
    """
    path = write(tmp_path, text, "my samples/Piano C4 soft.wav", "my samples/loud.wav")
    instrument = open_instrument(path)
    one, two, three = instrument.zones
    assert (one.keys, one.root, one.pan, one.cents, one.gain) == ((72, 72), 72, -0.5, -10, -6)
    assert (two.keys, two.root, two.gain, two.velocities) == ((73, 74), 73, 0, (1, 63))
    assert (three.keys, three.velocities, three.cents) == ((74, 74), (64, 127), 0)
    assert {zone.envelope.release for zone in instrument.zones} == {0.5}
    assert instrument.samples[one.sample].sample_rate == RATE
    assert instrument.warnings[0] == "opcodes that are ignored: cutoff, resonance"
    assert "1 regions skipped: generated sample (*sine)" in instrument.warnings
    assert "1 regions skipped: trigger=release" in instrument.warnings


def test_loop_and_key_of_a_wav_file_are_used(tmp_path):
    text = "<region> sample=a.wav pitch_keycenter=sample"
    path = write(tmp_path, text, "a.wav", loop=Loop(100, 200))
    (zone,) = open_instrument(path).zones
    assert zone.loop == Loop(100, 200)
    assert zone.root == 64
    path = write(tmp_path, text + " loop_mode=no_loop", "a.wav", loop=Loop(100, 200))
    assert open_instrument(path).zones[0].loop is None


def test_offset_and_end_cut_the_sample(tmp_path):
    text = "<region> sample=a.wav offset=1000 end=1999 loop_mode=loop_continuous loop_start=1500 "
    path = write(tmp_path, text + "loop_end=1799", "a.wav")
    instrument = open_instrument(path)
    assert len(instrument.samples[instrument.zones[0].sample].audio) == 1000
    assert instrument.zones[0].loop == Loop(500, 800)


def test_includes_are_resolved(tmp_path):
    (tmp_path / "part.sfz").write_text("<region> sample=a.wav key=60\n")
    path = write(tmp_path, '<group> hivel=50\n#include "part.sfz"\n', "a.wav")
    assert open_instrument(path).zones[0].velocities == (0, 50)
    (tmp_path / "part.sfz").write_text('#include "part.sfz"\n')
    with pytest.raises(EarsError, match="includes itself"):
        open_instrument(path)


def test_a_round_robin_plays_in_turn(tmp_path):
    text = "<group> seq_length=2 key=60 <region> sample=a.wav seq_position=1 "
    path = write(tmp_path, text + "<region> sample=b.wav seq_position=2", "a.wav", "b.wav")
    instrument = open_instrument(path)
    names = [[zone.sample for zone in instrument.zones_at(60, 100, number)] for number in range(3)]
    assert names == [["a"], ["b"], ["a"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no header"),
        ("hello world", "has no header"),
        ("<region> key=60", "has no region with a sample"),
        ("<region> sample=gone.wav", "gone.wav: no such sample file"),
        (
            "<region> sample=a.wav key=H4",
            'region of a.wav: "key" is "H4", neither a MIDI number nor a note',
        ),
        ("<region> sample=a.wav volume=loud", '"volume" is "loud", not a number'),
        ("<region> sample=a.wav tune=nan", '"tune" is nan'),
        ("<region> sample=a.wav lokey=300", "has no region with a sample"),
        ("<region> sample=a.wav offset=99999999", "leaves nothing of the sample"),
        ("<region> sample=b.wav", "is not a sound that can be read"),
    ],
)
def test_invalid_text_is_refused_in_one_line(tmp_path, text, message):
    path = write(tmp_path, text, "a.wav")
    (tmp_path / "b.wav").write_text("la la la")
    with pytest.raises(EarsError, match=re.escape(message)) as error:
        open_instrument(path)
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.sfz").write_bytes(b"RIFF\0\0\0\0")
    with pytest.raises(EarsError, match="is not a text file"):
        open_instrument(tmp_path / "x.sfz")
    with pytest.raises(EarsError, match="no such instrument"):
        open_instrument(tmp_path / "gone.sfz")
    (tmp_path / "x.nki").write_bytes(b"\0")
    with pytest.raises(EarsError, match="is not an instrument file"):
        open_instrument(tmp_path / "x.nki")
