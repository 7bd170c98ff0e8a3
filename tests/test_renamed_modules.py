"""Import paths and names of version 0.1.0 still work, with a warning."""

import importlib
import json
import subprocess
import sys

import pytest

from support.paths import ROOT

RENAMED = json.loads((ROOT / "src" / "mechanical_ears" / "renamed.json").read_text())
LEARNING = ("training", "differentiable")


@pytest.mark.parametrize("module", sorted(RENAMED))
def test_every_entry_leads_somewhere(module):
    for name, target in RENAMED[module].items():
        path, _, new = target.partition(":")
        if any(part in path.split(".") for part in LEARNING):
            pytest.importorskip("torch")
        home = importlib.import_module(f"mechanical_ears.{path}")
        if name:
            old = importlib.import_module(f"mechanical_ears.{module}")
            with pytest.warns(DeprecationWarning, match="is now"):
                assert getattr(old, name) is getattr(home, new)


def test_classes_of_the_first_version():
    with pytest.warns(DeprecationWarning, match=r"is now mechanical_ears\.resynthesis"):
        from mechanical_ears.imagining.controls import SILENCE, Controls
    with pytest.warns(DeprecationWarning, match="ImaginedInstrument"):
        from mechanical_ears.imagining.imagined import Instrument
    from mechanical_ears import ControlMap, ImaginedInstrument

    assert (SILENCE, Controls, Instrument) == (-120.0, ControlMap, ImaginedInstrument)


def test_names_of_the_facade():
    import mechanical_ears

    for old, new in (("Controls", "ControlMap"), ("Instrument", "ImaginedInstrument")):
        with pytest.warns(DeprecationWarning, match=new):
            assert getattr(mechanical_ears, old) is getattr(mechanical_ears, new)


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mechanical_ears.imagining.nothing")
    with pytest.warns(DeprecationWarning, match="SILENCE"), pytest.raises(ImportError):
        from mechanical_ears.imagining.controls import SILENCE, nothing  # noqa: F401


def test_the_table_is_not_read_without_need():
    program = (
        "import sys, mechanical_ears, mechanical_ears.pitch; "
        "print(mechanical_ears.renamed_modules._renamed.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "0", done.stderr
