"""The notebook of the documentation works as it stands: a kernel of its own, progress in place, a grid, a figure."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries that talk to the kernel
def test_the_notebook_ends_with_a_verdict_a_figure_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # a kernel draws into its cells
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.read(ROOT / "docs" / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output["data"] for output in outputs if "data" in output]
    html = "".join(data.get("text/html", "") for data in shown)
    assert "row_scaled" in html
    assert 'class="coordbench"' in html  # the grid of verdicts
    assert "<progress" in html
    assert "done" in html
    assert any("image/png" in data for data in shown)
    assert not [output for output in outputs if output["output_type"] == "stream" and "[1/" in output["text"]]
    page = shown[-1]["text/plain"]
    assert os.path.basename(page.strip("')\"")).endswith(".html")
    assert len(list((tmp_path / "coordbench-results").glob("*-notebook-*.html"))) == 1
