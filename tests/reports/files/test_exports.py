"""Files beside the page: every table reads back, every figure is a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.store.store import Store
from coordbench.reports.data.run import load
from coordbench.reports.files.exports import export_report
from coordbench.reports.files.terminal import grid
from tests.reports.conftest import MEANS, outcome


def test_every_table_and_figure_is_a_file(store: Store, fill: Any, tmp_path: Path) -> None:
    name = fill(["conv", "coordconv"], 5, ["alpha[canvas=8]"])
    written = {path.name: path for path in export_report(store, name, tmp_path / "files")}
    board = load(name, store=store).leaderboard
    back = pd.read_parquet(written["leaderboard.parquet"])
    assert back["score"].tolist() == pytest.approx(board["score"].tolist())
    assert len(pd.read_csv(written["trials.csv"])) == 20
    assert written["leaderboard.tex"].read_text().splitlines()[2].count("&") == 8  # the columns of a paper
    assert r"alpha[canvas=8]" in written["leaderboard.tex"].read_text()
    assert r"\textbackslash" not in written["failures.tex"].read_text()
    assert "▲" in written["summary.md"].read_text()
    assert written["performance-profile.png"].read_bytes().startswith(b"\x89PNG")
    assert sum(path.suffix == ".svg" for path in written.values()) == 5


def test_the_terminal_ends_with_the_grid(store: Store, fill: Any) -> None:
    """Two contests of six seeds: coordconv is better in both; one never ends well."""

    def record(trial: Trial) -> Record | None:
        return Record("error", "no") if trial.cell.label == "dead" else outcome(trial)

    lines = grid(load(fill([*MEANS, "dead"], 6, record=record), store=store)).splitlines()
    assert lines[0] == "against conv, by 6 seeds:"
    assert lines[1] == "  coordconv: better 2 of 2; 2 x conv's step"
    assert lines[-1] == "  dead: no score, all 12 trials failed"
