"""`coordbench costs`: a table to print, and a run of its own that reports and exports know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordbench.harness.analysis.tables import tables
from coordbench.harness.cli import main as cli
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.store.store import open_store

TASK = "copy[batch=2, channels=4, size=8]"


def costs(*arguments: str) -> int:
    return cli.run(["costs", "conv", "coordconv", "--task", TASK, "--seconds", "0.01", *arguments])


def test_costs_are_kept_as_a_run_with_its_page(tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert costs("--layout", "contiguous", "channels_last", "--store", "--json") == ExitCode.OK
    printed = capfd.readouterr()
    rows = json.loads(printed.out)
    layouts = {(row["variant"], row["memory_format"]) for row in rows}
    assert layouts == {(name, layout) for name in ("conv", "coordconv") for layout in ("contiguous", "channels_last")}
    assert all(row["status"] == "ok" and row["ratio_forward_backward"] > 0 for row in rows)
    with open_store(None, tmp_path / "coordbench-results") as store:
        run = store.resolve_run(None)
        assert len(tables(store, run).costs) == 4
    assert f"run {run}" in printed.err
    page = (tmp_path / "coordbench-results" / f"{run}.html").read_text()
    assert "coordconv" in page


def test_costs_that_are_only_printed_leave_nothing(tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert costs() == ExitCode.OK
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"{TASK}, stack, contiguous"
    assert max(map(len, lines)) <= 80
    assert list(tmp_path.iterdir()) == []


def test_a_layer_of_a_shape_is_billed_with_its_input_gradient() -> None:
    from coordbench.harness.core.cell import Cell
    from coordbench.harness.measure.quantities.flops import measure_flops

    part = measure_flops(Cell.of(TASK, "stack", "conv"))
    assert part.details["forward_backward"] == 3 * (part.flops or 0) > 0


def test_no_time_at_all_is_refused(capfd: Any) -> None:
    assert costs("--seconds", "0") == ExitCode.USAGE
    assert "seconds=0 must be positive" in capfd.readouterr().err
