"""The parts of a cost and how they are joined."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest

from coordbench.harness import measure
from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.selector import Selector
from coordbench.harness.measure.part import Part
from coordbench.harness.measure.subject import PHASES, build_subject

CELL = Cell.of("copy[batch=4, channels=6, size=8]", "stack[depth=2]", "conv")


@pytest.fixture(scope="module")
def record():
    return measure.measure(CELL, seconds=0.01)


def test_every_quantity_is_there(record):
    assert record.status == "ok", record.error
    layer = 6 * 6 * 9 + 6
    assert record.parameters == 2 * layer
    assert record.flops == 2 * (2 * 4 * 8 * 8 * 6 * 6 * 9)
    assert 0 < record.latency_forward_seconds < record.latency_step_seconds
    assert record.peak_memory_bytes >= 0
    assert {"forward", "forward_backward", "optimizer", "step", "step/conv"} <= set(record.latencies)


def test_details_are_plain_values(record):
    assert json.loads(json.dumps(record.details, allow_nan=False)).keys() == record.details.keys()
    assert pickle.loads(pickle.dumps(record)).flops == record.flops


def test_a_failed_part_keeps_the_others():
    good = Part({"trainable": 3}, parameters=3)
    record = measure.combine({"parameters": good, "flops": Part(status="crashed", reason="killed by SIGKILL")})
    assert (record.status, record.error) == ("crashed", "flops: killed by SIGKILL")
    assert (record.parameters, record.flops) == (3, None)
    assert record.details == {"parameters": {"trainable": 3}, "flops": {"reason": "killed by SIGKILL"}}


def test_weights_stay_as_built_while_steps_are_timed():
    subject = build_subject(CELL)
    before = [p.detach().clone() for p in subject.models["model"].parameters()]
    for name in PHASES:
        subject.phase(name)()
    after = subject.models["model"].parameters()
    assert all((old == new).all() for old, new in zip(before, after, strict=True))


def test_an_unknown_failure_inside_a_quantity_is_a_reason(monkeypatch):
    def broken(job, seconds):
        raise ZeroDivisionError("a layer\ndivides by zero")

    monkeypatch.setitem(measure.QUANTITIES, "latency", broken)
    record = measure.measure(CELL, seconds=0.01)
    assert record.error == "latency: ZeroDivisionError: a layer divides by zero"
    assert record.flops is not None
    assert record.latency_step_seconds is None


def test_probes_of_the_layer_are_kept_beside_its_costs(record):
    probes = record.details["probes"]
    assert probes["position_readout"] < 0.05
    assert max(error for _, error in probes["shift_error_interior"]) < 1e-12
    assert min(error for _, error in probes["shift_error_with_borders"]) > 0.1


@pytest.mark.parametrize(("y", "kept"), [("x.float()", "reason"), ("x * float('nan')", "position_readout")])
def test_a_layer_that_cannot_be_probed_has_a_reason_or_null(tmp_path, y, kept):
    file = tmp_path / f"odd_{kept}.py"
    file.write_text(
        "from torch import nn\nfrom coordbench import variant\n\n"
        f"@variant('odd_{kept}', source='none')\n"
        "class Odd(nn.Module):\n"
        "    def __init__(self, in_channels, out_channels, kernel_size, *, size, stride=1, bias=True):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(in_channels, out_channels, 1)\n"
        "    def forward(self, x):\n"
        f"        return self.conv({y})\n"
    )
    registry.load_plugin(file)
    details = measure.QUANTITIES["probes"](replace(CELL, variant=Selector.parse(f"odd_{kept}"))).details
    assert json.dumps(details, allow_nan=False)
    assert details["reason"].startswith("RuntimeError") if kept == "reason" else details[kept] is None
