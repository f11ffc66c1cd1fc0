"""The JSON of `nox -s layers` in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordbench.harness.analysis.summarize import tables
from coordbench.harness.cli.recorded import read_layers
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.trial import CostJob
from coordbench.harness.run import identity
from coordbench.harness.store.store import open_store

ROW: dict[str, Any] = {
    "variant": "coordconv[radius=false]", "shape": "small", "layout": "channels_last", "input": [32, 16, 32, 32, 16],
    "parameters": 2608, "flops": 7, "memory_ratio": 1.01, "textbook_ratio": None, "machine": {"processor": "a"},
    "step_ratio": 1.05, "step_low": 1.04, "step_high": 1.06, "step_noisy": [], "step_seconds": [0.21, 0.2, 0.22],
    "step_baseline_seconds": [0.2], "evaluation_ratio": 1.0, "evaluation_low": 0.9, "evaluation_high": 1.1,
    "evaluation_noisy": [], "evaluation_seconds": [0.1], "evaluation_baseline_seconds": [0.1],
}  # fmt: skip


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"benchmarks": [{"extra_info": row} for row in rows]}))
    return path


def test_each_layer_is_a_cost_of_a_run_of_its_own(tmp_path: Path) -> None:
    with open_store(None, tmp_path) as store:
        run = read_layers(store, written(tmp_path / "layers.json", [ROW, {**ROW, "variant": "geoconv"}]))
        costs = tables(store, run).costs
        assert store.resolve_run(None) == run
    assert costs["variant"].tolist() == ["coordconv", "geoconv"]
    assert set(costs["task"]) == {"copy[batch=32, channels=16]"}
    assert costs["parameters"].tolist() == [2608, 2608]
    assert costs["details"][0]["latency"]["ratios"]["forward_backward"]["high"] == 1.06


def test_a_sweep_does_not_take_it_for_its_own(tmp_path: Path) -> None:
    with open_store(None, tmp_path) as store:
        read_layers(store, written(tmp_path / "layers.json", [ROW]))
        job = CostJob(Cell.of("copy[batch=32, channels=16]", "stack", "coordconv", memory_format="channels_last"))
        assert store.find(identity.of_cost(job)) is None


@pytest.mark.parametrize("text", ["", "[]", '{"benchmarks": [{"extra_info": {"variant": "conv"}}]}', "\0"])
def test_another_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with open_store(None, tmp_path) as store, pytest.raises(UsageError, match=r"other\.json' holds no layers"):
        read_layers(store, path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with open_store(None, tmp_path) as store, pytest.raises(UsageError, match="cannot be read: No such file"):
        read_layers(store, tmp_path / "none.json")
