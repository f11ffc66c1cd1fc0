"""Two stored runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from coordbench.harness.analysis.compare import _with_failed, compare_runs
from coordbench.harness.cli.main import run
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.process.environment import describe
from coordbench.harness.store.store import Store


def test_a_failed_seed_counts_as_the_worst_that_either_side_saw() -> None:
    pair = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.nan], "b": [np.nan, 2.5, 3.5, np.nan]})
    assert _with_failed(pair, 1.0).to_numpy().tolist() == [[1.0, 1.0], [2.0, 2.5], [3.0, 3.5]]
    assert _with_failed(pair, -1.0).to_numpy().tolist() == [[1.0, 3.5], [2.0, 2.5], [3.0, 3.5]]


def _fill(store: Store, shift: float, environment: dict[str, Any], *, parameters: int = 10, done: int = 6) -> str:
    metric = {"name": "accuracy", "unit": "", "better": "higher", "margin": 0.02}
    task = {"suite": "s", "metrics": [metric], "references": {}}
    facts = {"preset": {"name": "p"}, "tasks": {"toy": task}, "variants": {}}
    run = store.start_run("p", "coordbench run p", environment, facts)
    trials = [Trial(Cell.of("toy", "net", "conv", budget=Budget(3)), seed) for seed in range(6)]
    jobs = [*trials, CostJob(Cell.of("toy", "net", "conv"))]
    identity = [Identity(f"{run}{i}", {}) for i in range(len(jobs))]
    positions = store.add_items(run, [(job, key, {}) for job, key in zip(jobs, identity, strict=True)])
    for trial, position, key in zip(trials[:done], positions, identity, strict=False):
        score = {"accuracy": 0.5 + shift + 0.001 * (trial.seed % 3)}
        store.add(run, position, key, Record("ok", scores={"test": score}, environment=environment))
    cost = CostRecord("ok", "", parameters, 99, 0.5, 0.7, 1000, environment=environment)
    store.add(run, positions[-1], identity[-1], cost)
    store.finish_run(run)
    return run


def test_what_an_interrupted_run_did_not_reach_is_no_failure(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path / 'results.sqlite'}") as store:
        whole, half = _fill(store, 0.0, describe()), _fill(store, 0.0, describe(), done=5)
        [score] = compare_runs(store, whole, half).rows.query("quantity == 'score'").to_dict("records")
    assert (score["pairs"], score["change"], score["note"].count("failed")) == (5, 0, 0)


def test_runs_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = describe()
    with Store(f"sqlite:///{tmp_path / 'results.sqlite'}") as store:
        first, worse, same = (_fill(store, shift, here) for shift in (0.0, -0.1, 0.0))
        other = _fill(store, 0.1, here | {"processor": "another"}, parameters=11)
        rows = compare_runs(store, first, worse).rows.set_index("quantity")
        assert rows.loc["score", ["verdict", "pairs"]].tolist() == ["worse", 6]
        assert rows.loc["score", "change"] == pytest.approx(-0.1)
        assert rows.loc["parameters", "verdict"] == "equal"
        assert rows.loc["latency_step_seconds", "verdict"] == "trend"
        moved = compare_runs(store, first, other)
        changed = moved.rows.set_index("quantity")
        assert changed.loc["parameters", ["a", "b", "verdict"]].tolist() == [10, 11, "changed"]
        assert changed.loc["latency_step_seconds", "verdict"] == "refused"
        assert changed.loc["score", "verdict"] == "better"
        assert moved.differences == [f"processor: {here['processor']} in {first}, another in {other}"]
    codes = [run(["compare", first, b, "--out", str(tmp_path)]) for b in (worse, same, other)]
    assert codes == [1, 0, 6]
    assert "another" in capsys.readouterr().out
    assert run(["compare", first, "nonsense", "--out", str(tmp_path)]) == 2
