"""The driver, over real processes: what a preset may hold side by side, and records that no store takes."""

from __future__ import annotations

import math
import re
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from coordbench.harness.analysis.compare import compare_runs
from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import Record
from coordbench.harness.measure import QUANTITIES
from coordbench.harness.plan import planning as plan
from coordbench.harness.run import counts
from coordbench.harness.run.sweep import Driver
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store
from coordbench.reports.data.run import load
from coordbench.reports.pages.findings import findings

SWEEP: dict[str, Any] = {
    "tasks": ["toy"], "backbones": ["toy_net"], "variants": ["conv"], "steps": 5, "evaluations": 1, "costs": False,
}  # fmt: skip


class Quiet:
    """A listener that says nothing."""

    def begin(self, jobs: int) -> None:
        """Nothing."""

    def expect(self, stage: str, pending: int, reused: int) -> None:
        """Nothing."""

    def shared(self, job: object, status: str) -> None:
        """Nothing."""

    def done(self, job: object, record: object) -> None:
        """Nothing."""


def swept(store: Store, toy: Path, *sweeps: dict[str, Any], executor: Executor | None = None) -> str:
    """The run of a preset with these sweeps and two seeds."""
    registry.load_plugin(toy)
    made = plan.make_plan(plan.parse_preset({"run": {"seeds": 2}, "sweep": list(sweeps)}, "mine"))
    return Driver(store, Quiet(), executor=executor, plugins=(str(toy),)).run(made).run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'results.sqlite'}")


def test_a_tuned_cell_and_the_same_at_each_of_its_rates_stay_apart(store: Store, toy: Path) -> None:
    rates = [0.001, 0.01]
    sweeps = [SWEEP | {"learning_rates": rates}, *(SWEEP | {"learning_rate": rate} for rate in rates)]
    for _ in range(2):  # the second run finds one record for two of its items
        run = load(swept(store, toy, *sweeps), store=store)
        own = run.trials[run.trials["variant"].notna()]
        assert own.groupby("contest").size().tolist() == [2, 2, 2]
        tuned, *fixed = run.contests.values()
        assert math.isnan(tuned.learning_rate)
        assert [contest.learning_rate for contest in fixed] == rates
        chosen = run.rates[0, "conv"]
        assert set(rates) <= set(chosen.tried)
        assert chosen.widened == (len(chosen.tried) > 2)
        assert chosen.note.startswith("chosen out of ")
        assert run.rates[1, "conv"].note == "fixed by the preset"
        assert run.tables.scores.groupby(["trial", "split", "metric"]).size().max() == 1
        assert run.leaderboard["seeds"].tolist() == [2, 2, 2]


def test_a_cell_that_is_tuned_and_not_tuned_in_one_preset_is_told(store: Store, toy: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"conv in toy_net on toy is planned twice, with learning_rates=\[0.01\] .* and learning_rates=\[\]",
    ):
        swept(store, toy, SWEEP | {"learning_rates": [0.01]}, SWEEP)


def test_matched_widths_are_a_contest_of_their_own(store: Store, toy: Path) -> None:
    both = SWEEP | {"variants": ["conv", "coordconv"]}
    names = [swept(store, toy, both, both | {"match": "parameters", "costs": True}) for _ in range(2)]
    run = load(names[1], store=store)
    assert [contest.match for contest in run.contests.values()] == ["", "parameters"]
    assert run.leaderboard["seeds"].tolist() == [2, 2, 2, 2]
    found = compare_runs(store, *names)
    assert found.rows.loc[found.rows["quantity"] == "score", "pairs"].tolist() == [2, 2, 2, 2]
    assert not found.unmatched


def test_a_plugin_that_changes_during_a_run_leaves_no_record_to_reuse(store: Store, toy: Path) -> None:
    class Editor(Quiet):
        def done(self, job: object, record: object) -> None:
            toy.write_text(toy.read_text().replace("noise: float = 0.0", "noise: float = 1.0"))

    registry.load_plugin(toy)
    made = plan.make_plan(plan.parse_preset({"run": {"seeds": 4}, "sweep": [SWEEP]}, "mine"))
    run = Driver(store, Editor(), workers=1, plugins=(str(toy),)).run(made).run
    found = read_tables(store, run).trials
    assert found["status"].iloc[0] == "ok"
    assert found["status"].iloc[-1] == "error"
    assert "a plug-in was changed while the run went on" in found["error"].iloc[-1]


class _Odd(Executor):
    """Answers each job at once, the first by a score that is no number."""

    def __init__(self) -> None:
        self.scores: list[Any] = [None, 0.5, 0.7, 0.6, 0.4, 0.3, 0.2]

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        future: Future[Record] = Future()
        future.set_result(Record("ok", scores={"test": {"mse": self.scores.pop(0)}}))
        return future


def test_a_record_that_cannot_be_stored_is_an_error_and_the_others_are_kept(store: Store, toy: Path) -> None:
    found = read_tables(store, swept(store, toy, SWEEP, executor=_Odd())).trials
    assert sorted(found["status"]) == ["error"] + ["ok"] * (len(found) - 1)
    assert "its record cannot be stored: TypeError" in found.loc[found["status"] == "error", "error"].iloc[0]


RESTLESS = """
import os
import torch
from torch import nn
from coordbench.harness.core.registry import variant

@variant("restless", source="none")
class Restless(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)
    def forward(self, x):
        return super().forward(x) * (1 + 1e-3 * int.from_bytes(os.urandom(1), "big"))
"""


def test_a_layer_that_trains_otherwise_each_time_is_seen_in_one_trial_of_each_run(store: Store, toy: Path) -> None:
    plugin = toy.with_name("restless.py")
    plugin.write_text(RESTLESS)
    registry.load_plugin(plugin)
    registry.load_plugin(toy)
    sweep = SWEEP | {"variants": ["conv", "restless"], "steps": 500}
    made = plan.make_plan(plan.parse_preset({"run": {"seeds": 1}, "sweep": [sweep]}, "mine"))
    run = load(Driver(store, Quiet(), plugins=(str(toy), str(plugin))).run(made).run, store=store)
    assert findings(run, [])[0].startswith("Not deterministic, trained twice from one seed: restless (train/")
    query = sql.select(schema.items.c.job, schema.records.c.facts)
    rows = store.read(query.join(schema.records, schema.items.c.record == schema.records.c.id))
    notes = {row.job["variant"]: row.facts["repeat"] for row in rows if row.job["variant"]}
    assert notes["conv"] == {"steps": 10, "difference": ""}
    assert re.match(r"train/\S+ at step 5 was \S+, and then \S+$", notes["restless"]["difference"])


def test_parameters_and_flops_are_counted_where_no_cost_is_measured(store: Store, toy: Path) -> None:
    """Once for each cell, and equal to what a cost says; a run that uses the records again has them, too."""
    first, again = (swept(store, toy, SWEEP) for _ in range(2))
    [cell] = {trial.cell for trial in read_tables(store, first).trials.itertuples() if trial.variant == "conv"}
    measured = [QUANTITIES[name](cell, 0.0) for name in ("parameters", "flops")]
    for run in (first, again):
        table = read_tables(store, run)
        assert table.costs.empty
        trials = table.trials.set_index("variant")[["parameters", "flops"]]
        assert trials.loc["conv"].to_numpy().tolist() == [[measured[0].parameters, measured[1].flops]] * 2
        assert trials[trials.index.isna()].isna().all(axis=None)
    details = [row.facts for row in store.read(sql.select(schema.records.c.facts))]
    assert sum(counts.NOTE in one for one in details) == 1
