"""Imports within resynthesis: from its root, never between analysis and synthesis."""

from __future__ import annotations

import re
from pathlib import Path

import mechanical_ears.resynthesis

FOLDER = Path(mechanical_ears.resynthesis.__file__).parent
IMPORT = re.compile(r"^from mechanical_ears\.resynthesis\.([\w.]+) import", re.MULTILINE)


def imported_by(folder):
    """Modules of resynthesis that a folder's modules import, without its own."""
    texts = (path.read_text(encoding="utf-8") for path in (FOLDER / folder).glob("*.py"))
    modules = {module for text in texts for module in IMPORT.findall(text)}
    return {module for module in modules if not module.startswith(f"{folder}.")}


def test_analysis_and_synthesis_import_only_the_root():
    for folder in ("analysis", "synthesis"):
        assert not [module for module in imported_by(folder) if "." in module]


def test_differentiable_imports_the_root_and_synthesis():
    packages = {module.split(".")[0] for module in imported_by("differentiable") if "." in module}
    assert packages <= {"synthesis"}


def test_bricks_of_the_root_import_no_package():
    bricks = ("control_map", "control_grid", "interpolation", "time_warp", "window_functions")
    for brick in bricks:
        text = (FOLDER / f"{brick}.py").read_text(encoding="utf-8")
        assert not [module for module in IMPORT.findall(text) if "." in module]
