"""Mechanical Ears: hears the pitch and timbre of musical notes, and imagines new instruments.

Public names are imported at their first use, so that ``import mechanical_ears`` is quick.

>>> import mechanical_ears
>>> tone = mechanical_ears.Sound.sine(440, seconds=1, sample_rate=48_000)
>>> tone.resample(16_000).samples.shape
(16000,)
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import TYPE_CHECKING, Any

from mechanical_ears.renamed_modules import RenamedModules

if TYPE_CHECKING:
    from mechanical_ears.corpus.corpus import Corpus
    from mechanical_ears.errors import EarsError
    from mechanical_ears.imagining.imagine import imagine
    from mechanical_ears.imagining.instrument import ImaginedInstrument
    from mechanical_ears.instrument.export import export
    from mechanical_ears.instrument.mapping import map_folder
    from mechanical_ears.instrument.opening import open_instrument
    from mechanical_ears.instrument.sampled import SampledInstrument
    from mechanical_ears.listening.ears import listen
    from mechanical_ears.listening.prediction import Hearing
    from mechanical_ears.note import Note
    from mechanical_ears.resynthesis.analysis.analyse import analyse
    from mechanical_ears.resynthesis.control_map import ControlMap
    from mechanical_ears.resynthesis.synthesis.render import render
    from mechanical_ears.sound import Sound

__all__ = [
    "ControlMap",
    "Corpus",
    "EarsError",
    "Hearing",
    "ImaginedInstrument",
    "Note",
    "SampledInstrument",
    "Sound",
    "analyse",
    "export",
    "imagine",
    "listen",
    "map_folder",
    "open_instrument",
    "render",
]
__version__ = "0.1.0"

_HOMES = {
    "ControlMap": "mechanical_ears.resynthesis.control_map",
    "Corpus": "mechanical_ears.corpus.corpus",
    "EarsError": "mechanical_ears.errors",
    "Hearing": "mechanical_ears.listening.prediction",
    "ImaginedInstrument": "mechanical_ears.imagining.instrument",
    "Note": "mechanical_ears.note",
    "SampledInstrument": "mechanical_ears.instrument.sampled",
    "Sound": "mechanical_ears.sound",
    "analyse": "mechanical_ears.resynthesis.analysis.analyse",
    "export": "mechanical_ears.instrument.export",
    "imagine": "mechanical_ears.imagining.imagine",
    "listen": "mechanical_ears.listening.ears",
    "map_folder": "mechanical_ears.instrument.mapping",
    "open_instrument": "mechanical_ears.instrument.opening",
    "render": "mechanical_ears.resynthesis.synthesis.render",
}


sys.meta_path.append(RenamedModules())

_RENAMED = {"Controls": "ControlMap", "Instrument": "ImaginedInstrument"}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name in _RENAMED:
        new = _RENAMED[name]
        message = f"mechanical_ears.{name} is now mechanical_ears.{new}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        name = new
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
