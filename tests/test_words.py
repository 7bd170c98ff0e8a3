"""Names and texts are in plain standard English and the field's terms (docs/GLOSSARY.md).

Each word that the project once used as jargon has a standard one; the left column is kept out.
"""

from __future__ import annotations

import ast
import re

import pytest

from support.paths import ROOT

PACKAGE = ROOT / "src" / "mechanical_ears"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Words that no public name, parameter or attribute contains.
JARGON = {
    "told", "untold", "heard", "asked", "drawn", "lot", "lots", "anew", "outline", "outlines",
    "controls", "carried", "coded", "settling", "settled", "hiss", "glide", "impression",
    "audition", "longest", "bright", "noisy", "made", "played", "lessons", "players", "course",
}  # fmt: skip
# Words that no public name, parameter or attribute is.
WHOLE = {
    "code", "codes", "take", "draw", "amount", "series", "detail", "game", "sheets", "products",
    "Controls", "Outlines", "Players", "Asked", "Played", "Told", "Course", "StepLoss", "SILENCE",
}  # fmt: skip
# Names that others decided: of formats, of files on disk, of the field.
GIVEN = {
    "explore/run_server.py": {"connection_made"},  # asyncio's name
    "corpus/sf2_generators.py": {"amount"},  # the standard's word for a generator's value
    "listening/training/network.py": {"course"},  # in the names of saved weights
    "resynthesis/analysis/partial_frequencies.py": {"series"},  # the harmonic series
}
PHRASES = re.compile(
    r"\b(by lot|anew|told|gives way|in hand|taken apart|is no whole|what it lacks|untold)\b",
    re.IGNORECASE,
)
DOCUMENTS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
]


def words(name):
    """``HearingKeys`` and ``hearing_keys`` → hearing, keys."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    return {part.lower() for part in parts}


def public_names(tree):
    """Names of modules' and classes' members, parameters and attributes, without private ones."""

    def members(body):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name
                if node.name.startswith("_") and not node.name.startswith("__"):
                    continue
                if isinstance(node, ast.ClassDef):
                    yield from members(node.body)
                    continue
                arguments = node.args
                for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    yield each.arg
                for inner in ast.walk(node):
                    if (
                        isinstance(inner, ast.Attribute)
                        and isinstance(inner.ctx, ast.Store)
                        and isinstance(inner.value, ast.Name)
                        and inner.value.id == "self"
                    ):
                        yield inner.attr
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
            elif isinstance(node, ast.Assign):
                yield from (each.id for each in node.targets if isinstance(each, ast.Name))

    return {name for name in members(tree.body) if not name.startswith("_")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names(path):
    relative = str(path.relative_to(PACKAGE))
    names = public_names(ast.parse(path.read_text(encoding="utf-8"))) - GIVEN.get(relative, set())
    names.update(path.relative_to(PACKAGE).with_suffix("").parts)
    bad = sorted(name for name in names if name in WHOLE or words(name) & JARGON)
    assert bad == []


def test_the_test_finds_names():
    """A class, a method, a parameter, an attribute and a constant are all looked at."""
    tree = ast.parse(
        "LOTS = 1\nclass Told:\n    heard: int\n    def asked(self, drawn): self.carried = 1\n"
    )
    found = {name for name in public_names(tree) if name in WHOLE or words(name) & JARGON}
    assert found == {"LOTS", "Told", "heard", "asked", "drawn", "carried"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_messages_and_docstrings(path):
    """Texts in the code: docstrings, help, messages."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    found = [match[0] for text in texts for match in PHRASES.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents(path):
    text = path.read_text(encoding="utf-8")
    found = [match[0] for match in PHRASES.finditer(text)]
    assert found == []


def test_the_page():
    static = PACKAGE / "explore" / "static"
    texts = [*static.rglob("*.js"), *static.rglob("*.html")]
    assert texts
    for path in texts:
        assert [match[0] for match in PHRASES.finditer(path.read_text(encoding="utf-8"))] == []
