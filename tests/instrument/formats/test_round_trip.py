"""Round trips: any instrument that tiles the keyboard is the same after write, read, write."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechanical_ears.instrument.export import export
from mechanical_ears.instrument.opening import open_instrument
from mechanical_ears.instrument.sampled import Sample, SampledInstrument
from mechanical_ears.instrument.zones import (
    KEY_RANGE,
    Envelope,
    Loop,
    VelocityResponse,
    Zone,
    check_tiling,
    layer_ranges,
    tile_range,
)

pytestmark = pytest.mark.slow

FRAMES = 400
RATE = 44_100  # Hz

seconds = st.integers(10, 999).flatmap(
    lambda digits: st.sampled_from([digits / 1000, digits / 100])
)  # three digits, which both formats keep
envelopes = st.builds(
    Envelope,
    delay=st.just(0.0) | seconds,
    attack=st.just(0.0) | seconds,
    hold=st.just(0.0) | seconds,
    release=seconds,
)
loops = st.none() | st.tuples(st.integers(0, 150), st.integers(160, FRAMES)).map(
    lambda ends: Loop(*ends)
)
powers = st.integers(0, 2000).map(lambda steps: round(steps / 480, 4))


@st.composite
def instruments(draw):
    """Any roots and layers; each zone has its own sample, loop, envelope and response."""
    roots = sorted(draw(st.sets(st.integers(0, 127), min_size=1, max_size=5)))
    layers = layer_ranges(draw(st.integers(1, 4)))
    channels = draw(st.sampled_from([1, 2]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    zones, samples = [], {}
    for root, keys in zip(roots, tile_range(roots, KEY_RANGE), strict=True):
        for velocities in layers:
            name = f"{root:03d}_v{velocities[1]:03d}"
            audio = rng.integers(-(2**15), 2**15, (FRAMES, channels)) / 2**15
            samples[name] = Sample(audio.astype(np.float32), RATE)
            zones.append(
                Zone(
                    sample=name,
                    root=root,
                    keys=keys,
                    velocities=velocities,
                    cents=float(draw(st.integers(-49, 49))),
                    pan=draw(st.integers(-4, 4)) / 4 if channels == 1 else 0.0,
                    loop=draw(loops),
                    envelope=draw(envelopes),
                    velocity_response=VelocityResponse(power=draw(powers)),
                    key_tracking=float(draw(st.sampled_from([100, 50, 0]))),
                )
            )
    return SampledInstrument("Any", tuple(zones), samples, "organ", "CC0-1.0")


@pytest.mark.parametrize("suffix", [".sfz", ".sf2"])
@settings(max_examples=30, deadline=None)
@given(first=instruments())
def test_write_read_write(suffix, first):
    check_tiling(first.zones)
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "one", Path(folder) / "two"
        for each in (one, two):
            each.mkdir()
        second = open_instrument(export(first, one / f"x{suffix}").path)
        third = open_instrument(export(second, two / f"x{suffix}").path)
        assert second.zones == first.zones
        assert third.zones == first.zones
        for name, sample in first.samples.items():
            np.testing.assert_array_equal(second.samples[name].audio, sample.audio)
        files = sorted(file.relative_to(one) for file in one.rglob("*") if file.is_file())
        assert files == sorted(file.relative_to(two) for file in two.rglob("*") if file.is_file())
        for file in files:
            assert (one / file).read_bytes() == (two / file).read_bytes()
