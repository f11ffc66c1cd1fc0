"""The tables of a report on records whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.store.store import Store
from coordbench.reports.data.ranking import merit_table, verdicts
from coordbench.reports.data.run import load
from coordbench.reports.data.series import curves
from coordbench.reports.pages.contests import time_to_target


def _failing(trial: Trial) -> Record:
    from_conftest = Record("crashed", "killed by signal 9")
    score = 0.2 if trial.cell.label == "conv" else 0.8
    ok = Record("ok", scores={"test": {"accuracy": score + 0.01 * trial.seed}})
    return from_conftest if trial.cell.label == "coordconv" and trial.seed == 1 else ok


def test_leaderboard_ranks_with_intervals(store: Store, fill: Any, tmp_path: Path) -> None:
    run = fill()
    board = load(run, out=tmp_path).leaderboard
    best = board[board["rank"] == 1].set_index("full_task")["variant"]
    assert best.to_dict() == {"alpha[canvas=8]": "coordconv", "beta": "coordconv"}
    row = board.set_index(["full_task", "variant"]).loc[("beta", "coordconv")]
    assert row["low"] < row["score"] < row["high"]
    assert row["score"] == pytest.approx(0.1, abs=0.01)
    assert row["parameters"] == 2000


def test_verdicts_against_any_baseline(store: Store, fill: Any) -> None:
    run = load(fill(), store=store)
    against = {base: verdicts(run, base).set_index(["contest", "variant"])["verdict"] for base in run.variants[:2]}
    assert against["conv"].loc[(0, "coordconv")] == "better"
    assert against["conv"].loc[(1, "coordconv")] == "better"  # a lower mse
    assert against["coordconv"].loc[(0, "conv")] == "worse"
    assert against["conv"].loc[(1, "geoconv")] == "tied"  # .01 apart, with a margin of .05


def test_a_failed_trial_counts_as_the_worst_and_is_told(store: Store, fill: Any) -> None:
    run = load(fill(["conv", "coordconv"], 3, ["alpha[canvas=8]"], _failing), store=store)
    merits = merit_table(run).droplevel("contest")
    assert merits.loc["coordconv"].tolist() == pytest.approx([0.8, 0.2, 0.82])
    board = run.leaderboard.set_index("variant")
    assert board.loc["coordconv", ["seeds", "failed"]].tolist() == [2, 1]
    failures = run.failures
    assert failures[["label", "error", "seeds"]].to_numpy().tolist() == [["coordconv", "killed by signal 9", "1"]]


def test_only_contests_with_floor_and_ceiling_are_aggregated(store: Store, fill: Any) -> None:
    run = load(fill(), store=store)
    total = run.aggregate.set_index("variant")
    assert set(total["of"]) == {1}
    assert total.loc["coordconv", "iqm"] == pytest.approx(0.9, abs=0.01)
    assert total.loc["coordconv", "improvement"] == 1
    assert total.index[0] == "coordconv"


def test_every_planned_trial_is_covered(store: Store, fill: Any) -> None:
    run = load(fill(record=lambda trial: None, seeds=2), store=store)
    covered = run.coverage
    assert covered["planned"].sum() == covered["skipped"].sum() == 2 * (3 + 8)
    assert isinstance(run.environment, pd.DataFrame)


def test_the_baseline_reaches_its_own_score_however_many_seeds_there_are(store: Store, fill: Any) -> None:
    """The middle of six seeds lies between two of them: three never reach it."""
    run = load(fill(seeds=6), store=store)
    times = time_to_target(run, curves(run))
    aimed = {contest for contest, _ in times}
    assert aimed
    assert all(np.isfinite(times[contest, "conv"]) for contest in aimed)


def test_a_baseline_that_ends_at_the_floor_sets_no_target(store: Store, fill: Any) -> None:
    run = load(fill(seeds=2), store=store)
    points = curves(run)
    floors = {number: contest.floor for number, contest in run.contests.items() if np.isfinite(contest.floor)}
    assert floors
    points = points[points["contest"].isin(floors)]
    above = {n: floor + run.contests[n].metric.sign for n, floor in floors.items()}
    assert {n for n, _ in time_to_target(run, points.assign(value=points["contest"].map(above)))} == floors.keys()
    assert not time_to_target(run, points.assign(value=points["contest"].map(floors)))
