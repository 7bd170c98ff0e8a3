"""The documents' links and the files that they mention exist. docs/LOG.md is history."""

from __future__ import annotations

import re
from functools import cache

import pytest

from support.paths import ROOT

FOLDERS = ("src", "tests", "docs", "benchmarks", "examples", "notebooks", "runs")
LOG = ROOT / "docs" / "LOG.md"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(ROOT / "examples").glob("*.md"),
    *(path for path in sorted((ROOT / "docs").glob("*.md")) if path != LOG),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
# A path with a folder and a suffix: corpus/store.py, `docs/pictures/x.png`, critics/base.py.
MENTION = re.compile(
    r"(?<![\w./~-])((?:[\w-]+/)+[\w{},-]+\.(?:py|md|sh|json|csv|png|onnx|safetensors|toml|txt))\b"
)
EXAMPLES = {"demo", "takes", "data", "STORE", "DIR", "RUN", "REPORT", "WORK", "work", "build"}


def anchors(text):
    """Anchors of the headings of a Markdown document, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@cache
def repository_files():
    """Paths of all files, relative to the repository."""
    return [
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.*")
    ]


def alternatives(path):
    """``weights/{a,b}.onnx`` → weights/a.onnx, weights/b.onnx."""
    match = re.fullmatch(r"(.*)\{(.*)\}(.*)", path)
    return [match[1] + each + match[3] for each in match[2].split(",")] if match else [path]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_resolve(document):
    text = document.read_text(encoding="utf-8")
    missing = []
    for groups in LINK.findall(text):
        link = groups[0] or groups[1]
        target, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        path = (document.parent / target) if target else document
        has_anchor = not (anchor and path.exists()) or anchor in anchors(
            path.read_text(encoding="utf-8")
        )
        if not (path.exists() and has_anchor):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_mentioned_files_exist(document):
    """A path is relative to the repository, the package, or the room that the text is about."""
    text = document.read_text(encoding="utf-8")
    missing = [
        path
        for mention in sorted(set(MENTION.findall(re.sub(r"\w+://\S+", "", text))))
        for path in alternatives(mention)
        if path.split("/")[0] not in EXAMPLES
        and "NAME" not in path
        and not any(file == path or file.endswith(f"/{path}") for file in repository_files())
    ]
    assert missing == []


def test_the_test_finds_missing_files():
    text = "`corpus/store.py`, (`imagining/weights/{mapper,encoder}.onnx`), https://a.b/c/d.py"
    assert MENTION.findall(re.sub(r"\w+://\S+", "", text)) == [
        "corpus/store.py",
        "imagining/weights/{mapper,encoder}.onnx",
    ]
    assert alternatives("weights/{mapper,encoder}.onnx") == [
        "weights/mapper.onnx",
        "weights/encoder.onnx",
    ]
    assert anchors("## The ears: accuracy\n") == {"the-ears-accuracy"}
