"""Without the tricks results are the same, to the last bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordbench.harness.process import tricks

PROGRAM = """
import json
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.run.worker import Limits, measure_quantity, work

cell = Cell.of("coordinate_classification", "pixelwise", "conv", budget=Budget(20))
record = work(Trial(cell, 0), (), Limits())
costs = [measure_quantity(name, CostJob(cell), (), Limits(cost_seconds=0.05)) for name in ("parameters", "flops")]
curves = [(point.step, point.metric, point.value) for point in record.curves]
latency = measure_quantity("latency", CostJob(cell), (), Limits(cost_seconds=0.05))
print(json.dumps([record.status, record.scores, curves, costs[0].parameters, costs[1].flops, latency.status]))
"""


def _results(switch: str) -> object:
    variables = os.environ | {tricks.VARIABLE: switch}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[4], env=variables, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    results: object = json.loads(done.stdout)
    return results


def test_results_are_equal_without_tricks() -> None:
    with_all = _results("")
    assert isinstance(with_all, list)
    assert with_all[0] == with_all[-1] == "ok"
    assert _results("off") == with_all


@pytest.mark.parametrize(
    ("switch", "enabled"),
    [("", [True, True]), ("off", [False, False]), ("-huge_pages", [False, True]), ("-moved_code, -x", [True, False])],
)
def test_one_variable_switches_them_off(switch: str, enabled: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tricks.VARIABLE, switch)
    assert [tricks.enabled("huge_pages"), tricks.enabled("moved_code")] == enabled
