"""Do one job - a trial or a cost - in fresh processes; always return a record, never raise for what went wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from coordbench.harness.core.record import CostRecord, CurvePoint, Record
from coordbench.harness.core.registry.names import MOST, is_line
from coordbench.harness.core.trial import CostJob, Job, Trial
from coordbench.harness.measure import QUANTITIES, SECONDS, combine
from coordbench.harness.measure.part import Part
from coordbench.harness.process import environment, isolate
from coordbench.harness.process.isolate import Outcome
from coordbench.harness.run import counts, identity
from coordbench.harness.run.counts import Counts
from coordbench.harness.training import PRELOAD, repeat

J = TypeVar("J", Trial, CostJob)
A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What a job may take: seconds, and bytes beyond its start."""

    deadline: float = 120.0
    memory_bytes: int | None = 4 << 30
    checkpoint: Path | None = None
    """Where a long trial keeps its checkpoint; none is kept without it."""
    checkpoint_seconds: float = 300.0
    cost_seconds: float = SECONDS
    """How long each phase is timed; energy needs 5 s or more."""
    sources: str = ""
    """`identity.of_plugins` as the run began; "" where plug-ins may change."""
    repeat: bool = False
    """Whether the first steps are trained again, to see whether they come out the same."""
    count: bool = False
    """Whether parameters and FLOPs are counted, too, since no cost of this cell is measured."""


def work(job: Job, plugins: Sequence[str], limits: Limits) -> Record | CostRecord:
    """Do a job under its limits; one whose process died is tried once more, since who killed it cannot be told."""
    record = _trial(job, plugins, limits) if isinstance(job, Trial) else measure(job, plugins, limits)
    if limits.sources and identity.of_plugins(plugins) != limits.sources:
        record = type(record)("error", "result discarded: a plug-in was changed while the run went on; run it again")
    record.environment = _described(job.cell.device)
    return record


@functools.cache
def _described(device: str) -> dict[str, Any]:
    """What this process works on, asked once: its code stays what it was when it began, and git takes long."""
    return environment.describe(device)


def _trial(job: Trial, plugins: Sequence[str], limits: Limits) -> Record:
    outcome, attempts = _call(run_trial, job, plugins, limits, limits)
    record = Record(outcome.status, outcome.error) if outcome.value is None else outcome.value
    if record.status == "ok" and not record.scores:
        record = Record("error", "the task gave no scores")
    if odd := [name for scores in record.scores.values() for name in scores if not is_line(name)]:
        record = Record("error", f"the task named a score {odd[0]!r:.120}; write {MOST} printable characters at most")
    if attempts > 1:
        record.notes["attempts"] = attempts
    if outcome.value is None:
        record.notes["log"] = outcome.log
        record.seconds = outcome.seconds
    elif limits.repeat and record.status == "ok":
        record.notes[repeat.NOTE] = _repeated(job, record, plugins, limits)
    if limits.count and record.status == "ok":
        counted, _ = _call(run_count, job, plugins, limits, None)
        record.notes |= {counts.NOTE: counted.value.plain} if counted.value else {}
    return record


def _repeated(job: Trial, record: Record, plugins: Sequence[str], limits: Limits) -> dict[str, object]:
    """What came of training the first steps of a trial again."""
    outcome, _ = _call(run_again, job, plugins, limits, None)
    error = "" if outcome.value is not None else f"{outcome.status}: {outcome.error}"
    parted = repeat.difference(record.curves, outcome.value or [])
    return {"steps": repeat.steps_of(job), "difference": parted or error}


def run_again(trial: Trial, plugins: Sequence[str], _: None) -> list[CurvePoint]:
    """Train the first steps of a trial; runs in its own process."""
    _load(plugins)
    return repeat.first_points(trial)


def run_count(trial: Trial, plugins: Sequence[str], _: None) -> Counts:
    """Count the parameters and FLOPs of a trial's cell; runs in its own process."""
    _load(plugins)
    return counts.count(trial.cell)


def measure(job: CostJob, plugins: Sequence[str], limits: Limits) -> CostRecord:
    """Measure each quantity of a cost in a process of its own."""
    return combine({name: measure_quantity(name, job, plugins, limits) for name in QUANTITIES})


def measure_quantity(quantity: str, job: CostJob, plugins: Sequence[str], limits: Limits) -> Part:
    """One quantity of a cost, as `combine` takes it."""
    outcome, _ = _call(run_quantity, job, plugins, limits, (quantity, limits.cost_seconds))
    return outcome.value or Part(status=outcome.status, reason=outcome.error)


def _call(
    function: Callable[[J, Sequence[str], A], T], job: J, plugins: Sequence[str], limits: Limits, argument: A
) -> tuple[Outcome[T], int]:
    """Call in a fresh process, once more if that died; CUDA maps more address space than it uses, so no cap there."""
    memory = None if job.cell.device.startswith("cuda") else limits.memory_bytes
    attempts = 0
    for _ in range(2):
        outcome = isolate.call(
            function, job, tuple(plugins), argument,
            deadline=limits.deadline, memory_bytes=memory, preload=PRELOAD,
        )  # fmt: skip
        attempts += outcome.attempts
        if outcome.status != "crashed" or outcome.attempts > 1 or isolate.stopping():
            break
    return outcome, attempts


def run_trial(trial: Trial, plugins: Sequence[str], limits: Limits) -> Record:
    """Train and evaluate a trial; runs in its own process."""
    from coordbench.harness.training import train
    from coordbench.harness.training.checkpoint import Checkpoint

    _load(plugins)
    checkpoint = Checkpoint(limits.checkpoint, limits.checkpoint_seconds) if limits.checkpoint else None
    try:
        return train.run(trial, checkpoint)
    except Exception as error:
        if trial.cell.variant and (wrong := _wrong_shape(trial.cell.label)):
            error.add_note(f"; {trial.cell.label} breaks the law of shapes: {wrong}")
        raise


def _wrong_shape(variant: str) -> str:
    """What a layer gives in place of the shape of a convolution, if that is so: the likely cause of another error."""
    from coordbench.harness import laws
    from coordbench.harness.core import registry

    result = laws.try_law("shapes", registry.layer(variant))
    return "" if result.passed or " gave " not in result.detail else result.detail


def run_quantity(job: CostJob, plugins: Sequence[str], wanted: tuple[str, float]) -> Part:
    """Measure one quantity of a cost for some seconds; runs in its own process."""
    _load(plugins)
    quantity, seconds = wanted
    return QUANTITIES[quantity](job.cell, seconds)


def _load(plugins: Sequence[str]) -> None:
    from coordbench.harness.core import registry

    registry.load()
    for plugin in plugins:
        registry.load_plugin(plugin)
