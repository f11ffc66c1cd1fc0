"""The middle of three measurements: one process that is off does not tell, and all are kept."""

from __future__ import annotations

from typing import Any

import pytest

from harness import registry, worker
from harness.measure import repeats
from harness.spec import CostJob


def _part(ratio: float, seconds: float) -> dict[str, Any]:
    return {
        "latency_forward_seconds": seconds,
        "latency_step_seconds": None,
        "latencies": {"forward": [seconds], "forward/conv": [seconds / ratio]},
        "details": {
            "mode": "eager",
            "samples_per_second": {"forward": 1 / seconds},
            "ratios": {"forward": {"ratio": ratio, "low": ratio, "high": ratio}, "step": {"reason": "nothing trains"}},
            "noisy": {"forward": ["spread"]} if ratio > 2 else {},
        },
    }


def test_each_phase_comes_whole_from_the_process_in_the_middle() -> None:
    found = repeats.middle([_part(2.5, 5.0), _part(1.2, 3.0), _part(1.1, 4.0)])
    assert found["latency_forward_seconds"] == 3.0
    assert found["latencies"] == {"forward": [3.0], "forward/conv": [3.0 / 1.2]}
    details = found["details"]
    assert details["samples_per_second"] == {"forward": 1 / 3.0}
    assert details["ratios"]["forward"] == {"ratio": 1.2, "low": 1.2, "high": 1.2, "processes": [1.1, 1.2, 2.5]}
    assert details["ratios"]["step"] == {"reason": "nothing trains"}
    assert details["noisy"] == {"forward": ["processes are 127% apart"]}


def test_processes_that_agree_are_not_noisy_and_nothing_given_is_changed() -> None:
    parts = [_part(1.2, 3.0), _part(1.21, 3.0), _part(1.19, 3.0)]
    assert repeats.middle(parts)["details"]["noisy"] == {}
    assert parts == [_part(1.2, 3.0), _part(1.21, 3.0), _part(1.19, 3.0)]


@pytest.mark.parametrize(("patience", "processes"), [(60.0, 3), (0.0, None)])
def test_a_quick_measurement_is_made_in_three_processes(
    monkeypatch: pytest.MonkeyPatch, patience: float, processes: int | None
) -> None:
    registry.load()
    monkeypatch.setattr(repeats, "PATIENCE", patience)
    found = worker.measure_latency(CostJob("copy[size=8]", "stack", "conv"), (), worker.Limits(cost_seconds=0.03))
    ratio = found["details"]["ratios"]["forward"]
    assert (len(ratio["processes"]) if "processes" in ratio else None) == processes
