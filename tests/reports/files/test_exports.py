"""Files beside the page: every table reads back, every figure is a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from coordbench.harness.store.store import Store
from coordbench.reports.data.run import load
from coordbench.reports.files.exports import export_report


def test_every_table_and_figure_is_a_file(store: Store, fill: Any, tmp_path: Path) -> None:
    name = fill(["conv", "coordconv"], 5, ["alpha[canvas=8]"])
    written = {path.name: path for path in export_report(store, name, tmp_path / "files")}
    board = load(name, store=store).leaderboard
    back = pd.read_parquet(written["leaderboard.parquet"])
    assert back["score"].tolist() == pytest.approx(board["score"].tolist())
    assert len(pd.read_csv(written["trials.csv"])) == 20
    assert r"alpha[canvas=8]" in written["leaderboard.tex"].read_text()
    assert r"\textbackslash" not in written["failures.tex"].read_text()
    assert "▲" in written["summary.md"].read_text()
    assert written["performance-profile.png"].read_bytes().startswith(b"\x89PNG")
    assert sum(path.suffix == ".svg" for path in written.values()) == 5
