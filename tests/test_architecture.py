"""The folders are a sentence; imports go only from right to left of it (docs/ARCHITECTURE.md)."""

from __future__ import annotations

import ast
from functools import cache
from itertools import pairwise

import pytest

from support.paths import ROOT

PACKAGE = ROOT / "src" / "mechanical_ears"
ROOMS = ("corpus", "listening", "resynthesis", "imagining", "instrument", "explore")
# Beside the sentence: what every room may use, and what may use every room.
GROUND_ROOMS = ("training",)
OUTER_ROOMS = ("evaluation", "cli")
RUNNING_ROOMS = ("listening", "resynthesis", "imagining", "instrument", "explore")
MAX_LINES = 400  # of a module
MAX_IMAGINING_MODULES = 14  # at its root
LEARNING = ("torch", "lightning")  # packages that root modules never import


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports(module):
    """Everything that a module imports, at any depth of its code: full names."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in MODULES else node.module)
    return names


def own_imports(module):
    return {name for name in imports(module) if name in MODULES and name != module}


def room(module):
    """The folder of a module in the sentence; None for the ground floor."""
    parts = module.split(".")
    if len(parts) == 2 and (PACKAGE / parts[1]).is_dir():
        return parts[1]
    return parts[1] if len(parts) > 2 else None


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_from_right_to_left(module):
    here = room(module)
    for name in own_imports(module) - {"mechanical_ears"}:
        there = room(name)
        if here in OUTER_ROOMS:
            assert there != "cli" or here == "cli", f"{module} imports {name}"
        elif here in ROOMS:
            allowed = {None, *GROUND_ROOMS, *ROOMS[: ROOMS.index(here) + 1]}
            assert there in allowed, f"{module} imports {name}"
        elif here in GROUND_ROOMS:
            assert there in {None, *GROUND_ROOMS, "corpus"}, f"{module} imports {name}"
        elif module != "mechanical_ears":  # the façade alone knows every room
            assert there is None, f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_root_modules_run_without_training(module):
    parts = module.split(".")
    if len(parts) > 3 or room(module) not in RUNNING_ROOMS:
        return
    for name in imports(module):
        assert name.split(".")[0] not in LEARNING, f"{module} imports {name}"
        assert "training" not in name.split("."), f"{module} imports {name}"


def test_no_circles():
    """No module imports itself through others, not even inside functions."""
    state: dict[str, int] = {}

    def visit(module, path):
        if state.get(module) == 2:
            return
        if state.get(module) == 1:
            circle = [*path[path.index(module) :], module]
            pytest.fail(" imports ".join(circle))
        state[module] = 1
        for name in sorted(own_imports(module) - {"mechanical_ears"}):
            visit(name, [*path, module])
        state[module] = 2

    for module in MODULES:
        visit(module, [])


def test_no_circles_between_folders():
    folders = {module.rpartition(".")[0] for module in MODULES}
    edges = {
        (here, there)
        for module in MODULES
        for name in own_imports(module) - {"mechanical_ears"}
        if (here := folder_of(module)) != (there := folder_of(name))
        and not there.startswith(f"{here}.")
        and not here.startswith(f"{there}.")
    }
    assert folders
    both = sorted(edge for edge in edges if edge[::-1] in edges)
    assert both == []


def folder_of(module):
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def test_the_ground_floor_is_no_room():
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"} == {
        *ROOMS,
        *GROUND_ROOMS,
        *OUTER_ROOMS,
    }


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_a_module_fits_a_reader(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text)), "a module says what it is"


def test_the_room_of_imagining_is_small():
    modules = [path for path in (PACKAGE / "imagining").glob("*.py") if path.stem != "__init__"]
    assert len(modules) <= MAX_IMAGINING_MODULES


def test_tests_mirror_modules():
    """Each folder of tests that has a room's name has a folder of that room to test."""
    for folder in sorted((ROOT / "tests").rglob("*/")):
        parts = folder.relative_to(ROOT / "tests").parts
        if (
            folder.name not in ("__pycache__", "data")
            and parts
            and parts[0] in {*ROOMS, *GROUND_ROOMS}
        ):
            assert PACKAGE.joinpath(*parts).is_dir(), folder


def test_pairs_of_the_sentence_are_as_documented():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    places = [text.index(f"**{name}") for name in ("corpus", "listening", "resynthesis")]
    assert all(first < second for first, second in pairwise(places))
