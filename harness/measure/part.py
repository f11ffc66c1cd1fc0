"""What measuring one quantity of a cell gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coordbench.harness.core.record import Status


@dataclass(frozen=True)
class Part:
    """Fields of a CostRecord that one quantity fills in, and `details` of its own as plain values.

    Of a quantity that failed only `status` and `reason` stand.
    """

    details: Mapping[str, object] = field(default_factory=dict)
    parameters: int | None = None
    flops: int | None = None
    latency_forward_seconds: float | None = None
    latency_step_seconds: float | None = None
    peak_memory_bytes: int | None = None
    latencies: Mapping[str, list[float]] = field(default_factory=dict)
    status: Status = "ok"
    reason: str = ""


FIELDS = ("parameters", "flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes")
"""The fields of a CostRecord that are numbers; each is filled in by one quantity."""
