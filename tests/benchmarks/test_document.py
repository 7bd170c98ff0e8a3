"""docs/BENCHMARKS.md has the words of the programs that write its sections."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("torch")

import control_maps
import export_steps
import harness
import hearing
import instrument
import like
import realism

DOCUMENT = harness.DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("control-maps", control_maps.EXPLANATION),
        ("hearing", hearing.EXPLANATION),
        ("export-steps", export_steps.MEASURES),
        ("instrument", instrument.MEASURES),
        ("like", like.METHODS),
        ("realism", realism.EXPLANATION),
    ],
)
def test_explanations_are_those_of_the_programs(section, text):
    (body,) = re.findall(rf"<!-- {section}: begin -->(.*?)<!-- {section}: end -->", DOCUMENT, re.S)
    assert text in body


def test_each_section_has_a_program():
    programs = "".join(path.read_text() for path in (harness.ROOT / "benchmarks").glob("*.py"))
    for name in re.findall(r"<!-- ([\w-]+): begin -->", DOCUMENT):
        part = name.removeprefix("listener-")
        assert f'"{part}"' in programs, name
        assert f"<!-- {name}: end -->" in DOCUMENT
