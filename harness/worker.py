"""Do one job - a trial or a cost - in fresh processes; always return a record, never raise for what went wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import environment, isolate
from harness.isolate import Outcome
from harness.spec import CostJob, CostRecord, Record, Trial


@dataclass(frozen=True)
class Limits:
    """What a job may take: seconds, and bytes beyond its start."""

    deadline: float = 120.0
    memory_bytes: int | None = 4 << 30


def work(job: Trial | CostJob, plugins: Sequence[str], limits: Limits) -> Record | CostRecord:
    """Do a job under its limits; one whose process died is tried once more, since who killed it cannot be told."""
    os.environ.update(environment.WORKER)
    record = _trial(job, plugins, limits) if isinstance(job, Trial) else _cost(job, plugins, limits)
    record.environment = environment.describe(job.device)
    return record


def _trial(job: Trial, plugins: Sequence[str], limits: Limits) -> Record:
    outcome, attempts = _call(run_trial, job, plugins, limits)
    record: Record = outcome.value if outcome.status == "ok" else Record(outcome.status, outcome.error)
    if record.status == "ok" and not record.scores:
        record = Record("error", "the task gave no scores")
    if attempts > 1:
        record.notes["attempts"] = attempts
    if outcome.status != "ok":
        record.notes["log"] = outcome.log
        record.seconds = outcome.seconds
    return record


def _cost(job: CostJob, plugins: Sequence[str], limits: Limits) -> CostRecord:
    from harness import measure

    parts: dict[str, dict[str, Any]] = {}
    for quantity in measure.QUANTITIES:
        outcome, _ = _call(run_quantity, (job, quantity), plugins, limits)
        failed = {"status": outcome.status, "reason": outcome.error}
        parts[quantity] = outcome.value if outcome.status == "ok" else failed
    return measure.combine(parts)


def _call(function: Any, job: Any, plugins: Sequence[str], limits: Limits) -> tuple[Outcome, int]:
    outcome = isolate.call(function, job, tuple(plugins), deadline=limits.deadline, memory_bytes=_cap(job, limits))
    if outcome.status != "crashed" or isolate.stopping():
        return outcome, 1
    return isolate.call(function, job, tuple(plugins), deadline=limits.deadline, memory_bytes=_cap(job, limits)), 2


def _cap(job: Any, limits: Limits) -> int | None:
    """CUDA maps far more address space than it uses; there the device's own limit stands."""
    device = job.device if isinstance(job, Trial) else job[0].device
    return None if device.startswith("cuda") else limits.memory_bytes


def run_trial(trial: Trial, plugins: Sequence[str]) -> Record:
    """Train and evaluate a trial; runs in its own process."""
    from harness import train

    _load(plugins)
    return train.run(trial)


def run_quantity(request: tuple[CostJob, str], plugins: Sequence[str]) -> dict[str, Any]:
    """Measure one quantity of a cost; runs in its own process."""
    from harness import measure

    _load(plugins)
    job, quantity = request
    return measure.QUANTITIES[quantity](job)


def _load(plugins: Sequence[str]) -> None:
    from harness import registry

    registry.load()
    for plugin in plugins:
        registry.load_plugin(plugin)
