"""Without the tricks results are the same, to the last bit."""

from __future__ import annotations

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.trial import CostJob
from coordbench.harness.process import tricks
from coordbench.harness.run.worker import Limits, measure_quantity


def _gradients() -> list[torch.Tensor]:
    torch.manual_seed(0)
    layer = registry.layer("conv")(4, 8, 3, size=(8, 8))
    layer(torch.randn(2, 4, 8, 8)).square().sum().backward()
    return [parameter.grad for parameter in layer.parameters() if parameter.grad is not None]


def test_results_are_equal_without_tricks(monkeypatch: pytest.MonkeyPatch) -> None:
    job = CostJob(Cell.of("copy[batch=2, channels=4, size=8]", "stack", "conv"))
    results = []
    for switch in ("", "off"):
        monkeypatch.setenv(tricks.VARIABLE, switch)
        assert measure_quantity("latency", job, (), Limits(cost_seconds=0.01)).status == "ok"
        results.append(_gradients())
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize(("switch", "enabled"), [("", True), ("off", False), ("-moved_code, -x", False), ("-x", True)])
def test_one_variable_switches_them_off(switch: str, enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tricks.VARIABLE, switch)
    assert tricks.enabled("moved_code") == enabled
