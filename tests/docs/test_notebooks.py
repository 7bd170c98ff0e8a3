"""The notebooks run from top to bottom, each in less than a minute on two cores."""

import nbformat
import pytest
from nbclient import NotebookClient

from support.paths import ROOT

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=180, kernel_name="python3", resources=resources)
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert {"text/html", "image/png"} & {
        kind for output in shown for kind in output.get("data", ())
    }
