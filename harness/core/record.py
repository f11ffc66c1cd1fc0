"""What a trial or a measurement left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from coordbench.harness.core.problem import Sample
from coordbench.harness.core.scores import Fate

Status = Literal["ok", "diverged", "out_of_memory", "timeout", "crashed", "error", "skipped"]

FAILED: tuple[Status, ...] = ("diverged", "out_of_memory", "timeout", "crashed", "error")


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve: after `step` steps and `seconds` of training."""

    step: int
    seconds: float
    metric: str
    value: float


@dataclass
class Record:
    """What a trial left behind; a failed trial is a record too."""

    status: Status
    error: str = ""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """split -> metric -> value; the split `half` holds the primary metric on validation data at half of the steps."""
    curves: list[CurvePoint] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    converged: bool | None = None
    fate: Fate | None = None
    epoch_steps: float | None = None
    """Training steps of an epoch, so that steps can be told in epochs."""
    seconds: float = 0.0
    steps: int = 0
    peak_memory_bytes: int | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass
class CostRecord:
    """The costs of one (task, backbone, variant, device); a quantity that could not be had is None with a reason."""

    status: Status
    error: str = ""
    parameters: int | None = None
    flops: int | None = None
    latency_forward_seconds: float | None = None
    latency_step_seconds: float | None = None
    peak_memory_bytes: int | None = None
    latencies: dict[str, list[float]] = field(default_factory=dict)
    """phase of the measurement (`forward`, `step`, ...) -> raw samples [s]."""
    details: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
