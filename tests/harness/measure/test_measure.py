"""The parts of a cost and how they are joined."""

from __future__ import annotations

import json
import pickle

import pytest

from harness import measure
from harness.measure import subject as subjects
from harness.spec import CostJob

JOB = CostJob("copy[batch=4, channels=6, size=8]", "stack[depth=2]", "conv")


@pytest.fixture(scope="module")
def record():
    return measure.measure(JOB, seconds=0.01)


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
    good = {"parameters": 3, "details": {"trainable": 3}}
    record = measure.combine({"parameters": good, "flops": {"status": "crashed", "reason": "killed by SIGKILL"}})
    assert (record.status, record.error) == ("crashed", "flops: killed by SIGKILL")
    assert (record.parameters, record.flops) == (3, None)
    assert record.details == {"parameters": {"trainable": 3}, "flops": {"reason": "killed by SIGKILL"}}


def test_weights_stay_as_built_while_steps_are_timed():
    made = subjects.subject(JOB)
    before = [p.detach().clone() for p in made.models["model"].parameters()]
    for name in subjects.PHASES:
        made.phase(name)()
    after = made.models["model"].parameters()
    assert all((old == new).all() for old, new in zip(before, after, strict=True))


def test_an_unknown_failure_inside_a_quantity_is_a_reason(monkeypatch):
    def broken(job, seconds):
        raise ZeroDivisionError("a layer\ndivides by zero")

    monkeypatch.setitem(measure.QUANTITIES, "latency", broken)
    record = measure.measure(JOB, seconds=0.01)
    assert record.error == "latency: ZeroDivisionError: a layer divides by zero"
    assert record.flops is not None
    assert record.latency_step_seconds is None
