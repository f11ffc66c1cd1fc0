"""What a run says of its course: stages by name, and one count that holds from the first line to the last."""

from __future__ import annotations

import pytest

from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.run.progress import Progress

CELL = Cell.of("coordinate_classification", "pixelwise", "conv", budget=Budget(5))
TRIALS = [Trial(CELL, seed) for seed in range(3)]


def test_costs_are_counted_from_the_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.begin(len(TRIALS) + 2)
    progress.expect("trials", pending=2, reused=1)
    for trial in TRIALS[1:]:
        progress.done(trial, Record("error", "it broke"))
    progress.expect("costs", pending=2, reused=0)
    for dtype in ("float32", "bfloat16"):
        progress.done(CostJob(Cell.of("coordinate_classification", "pixelwise", "conv", dtype=dtype)), CostRecord("ok"))
    said, *lines = capsys.readouterr().err.splitlines()
    assert said == "trials: 1 of 3 results are at hand already"
    assert [line.split()[0] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]


def test_jobs_beyond_the_plan_come_on_top(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.begin(1)
    progress.expect("learning rates", pending=1, reused=0)
    progress.done(TRIALS[0], Record("error", "it broke"))
    progress.expect("more learning rates", pending=1, reused=1)
    progress.done(TRIALS[1], Record("error", "it broke"))
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines() if line[0] == "["] == ["[1/1]", "[2/2]"]


def test_trials_that_no_verdict_needs_are_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.begin(1 + 2 + 1)  # a first look, seeds for a second one, a cost
    progress.expect("trials", pending=1, reused=0)
    progress.done(TRIALS[0], Record("error", "it broke"))
    progress.begin(1)
    progress.expect("costs", pending=1, reused=0)
    progress.done(CostJob(CELL), CostRecord("ok"))
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["[1/4]", "[2/2]"]
