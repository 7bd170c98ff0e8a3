"""Old names of arguments and attributes still work, with a warning."""

from __future__ import annotations

import numpy as np
import pytest

from mechanical_ears import export, imagine
from mechanical_ears.deprecation import renamed_arguments, renamed_attributes
from mechanical_ears.imagining.instrument import ImaginedInstrument
from mechanical_ears.instrument.autosampler import SamplingPlan
from mechanical_ears.instrument.sampled import SampledInstrument


@renamed_arguments(colour="color")
def paint(wall, *, color=None):
    """Return the arguments."""
    return wall, color


@renamed_attributes(colour="color")
class Wall:
    """An object with a renamed attribute."""

    color = "white"


def test_an_old_argument_warns_at_its_caller():
    with pytest.warns(DeprecationWarning, match='"colour" of paint is now "color"') as caught:
        assert paint("north", colour="red") == ("north", "red")
    assert caught[0].filename == __file__
    with pytest.raises(TypeError, match="given twice"):
        paint("north", colour="red", color="blue")


def test_an_old_attribute_warns_at_its_reader():
    with pytest.warns(DeprecationWarning, match=r"Wall\.colour is now Wall\.color") as caught:
        assert Wall().colour == "white"
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match="'Wall' object has no attribute 'height'"):
        Wall().height  # noqa: B018


@pytest.mark.filterwarnings("always::DeprecationWarning")
def test_old_arguments_of_imagine():
    old = {"amount": 0.25, "bright": 1.0, "noisy": -1.0}
    new = {"mix": 0.25, "brightness": 1.0, "noisiness": -1.0}
    ends = [imagine(seed, family="organ", candidate=0) for seed in (1, 2)]
    with pytest.warns(DeprecationWarning, match="imagine is now"):
        before = imagine(morph=tuple(ends), **old)
    after = imagine(morph=tuple(ends), **new)
    np.testing.assert_array_equal(before.timbre, after.timbre)
    with pytest.warns(DeprecationWarning, match="candidate"):
        assert imagine(1, family="organ", draw=1).origin["draw"] == 1


def test_old_names_of_an_imagined_instrument():
    instrument = imagine(1, family="organ", candidate=0)
    for old, new in (("imagination", "model"), ("carried", "residual"), ("impression", "hearing")):
        with pytest.warns(DeprecationWarning, match=f"{old} is now"):
            assert getattr(instrument, old) is getattr(instrument, new)
    with pytest.warns(DeprecationWarning, match="control_grid"):
        assert len(instrument.outlines([60], [100])) == 1
    with pytest.warns(DeprecationWarning, match="round_robin"):
        note = instrument.note(60, seconds=0.2, take=1)
    np.testing.assert_array_equal(
        note.samples, instrument.note(60, seconds=0.2, round_robin=1).samples
    )


def test_the_old_doors_to_samplers(tmp_path):
    instrument = imagine(1, family="organ", candidate=0)
    plan = SamplingPlan(60, 60, 12, 1, 1.0)
    with pytest.warns(DeprecationWarning, match=r"mechanical_ears\.export"):
        written = instrument.export(tmp_path / "old.sfz", plan=plan)
    assert written.zones == export(instrument, tmp_path / "new.sfz", plan=plan).zones
    with pytest.warns(DeprecationWarning, match=r"mechanical_ears\.open_instrument"):
        loaded = ImaginedInstrument.load(written.path)
    assert isinstance(loaded, SampledInstrument)
