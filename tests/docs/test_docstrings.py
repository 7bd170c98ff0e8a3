"""The examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import sys

import pytest

import mechanical_ears

PARSER = doctest.DocTestParser()


@pytest.mark.parametrize("name", ["mechanical_ears", *mechanical_ears.__all__])
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    documented = mechanical_ears if name == "mechanical_ears" else getattr(mechanical_ears, name)
    module = sys.modules[getattr(documented, "__module__", name)]
    example = PARSER.get_doctest(documented.__doc__ or "", dict(vars(module)), name, None, 0)
    assert example.examples, f"{name} has no example"
    report = []
    assert doctest.DocTestRunner().run(example, out=report.append).failed == 0, "".join(report)
