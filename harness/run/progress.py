"""Show how far a run is: a live bar on a terminal, one plain line per finished trial elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

from coordbench.harness.core import cell, registry
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.trial import CostJob, Job, Trial


class Listener(Protocol):
    """What a sweep tells about its course."""

    def begin(self, jobs: int) -> None:
        """Say how many jobs the stages to come hold, costs among them; said again where they turn out to be fewer."""

    def expect(self, stage: str, pending: int, reused: int) -> None:
        """Say that a stage begins with this many jobs to do and this many already answered."""

    def done(self, job: Job, record: Record | CostRecord) -> None:
        """Say that a job has left its record in the store."""

    def shared(self, job: Job, status: str) -> None:
        """Say that another driver of this store has answered a job."""


class Progress:
    """A listener that writes to standard error; use it as a context manager."""

    def __init__(self) -> None:
        self.total = self.finished = self.later = 0
        self.stage = ""
        self.bar, self.row = None, None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import MofNCompleteColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(*Bar.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True))
            self.row = self.bar.add_task("looking up what is at hand", total=None)

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def begin(self, jobs: int) -> None:
        """Take the jobs of stages to come into the total: the time that is left counts costs from the start."""
        self.total += jobs - self.later
        self.later = jobs

    def expect(self, stage: str, pending: int, reused: int) -> None:
        """Take what need not be done out of the total; jobs beyond those announced come on top."""
        self.stage = stage
        announced = min(pending + reused, self.later)
        self.later -= announced
        self.total += pending - announced
        if reused:
            self.say(f"{stage}: {reused} of {pending + reused} results are at hand already")
        if self.bar is not None and self.row is not None:
            self.bar.update(self.row, total=self.total, description=stage)

    def done(self, job: Job, record: Record | CostRecord) -> None:
        """Move the bar, or print the line; failures are told in both cases."""
        self.finished += 1
        line = f"[{self.finished}/{self.total}] {describe(job)}: {summary(job, record)}"
        if self.bar is None or self.row is None:
            print(line, file=sys.stderr, flush=True)
            return
        self.bar.update(self.row, completed=self.finished, description=f"{self.stage}: {_short(job)}")
        if record.status != "ok":
            self.say(line)

    def shared(self, job: Job, status: str) -> None:
        """Count what another driver did."""
        self.finished += 1
        if self.bar is None or self.row is None:
            self.say(f"[{self.finished}/{self.total}] {describe(job)}: {status}, by another driver of this store")
        else:
            self.bar.update(self.row, completed=self.finished)

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self.bar is not None:
            self.bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)


def describe(job: Job) -> str:
    """Name a job in one line."""
    if isinstance(job, CostJob):
        return f"cost of {cell.describe(job.cell)}"
    rate = job.cell.budget.learning_rate
    tuning = f" (tuning, rate {rate:g})" if job.purpose == "tune" and rate else ""
    return f"{cell.describe(job.cell)}, seed {job.seed}{tuning}"


def summary(job: Job, record: Record | CostRecord) -> str:
    """Say in one line how a job ended."""
    if record.status != "ok":
        return f"{record.status}: {record.error}"
    if isinstance(record, CostRecord):
        flops = "unknown" if record.flops is None else f"{record.flops:,}"
        return f"{record.parameters} parameters, {flops} FLOPs"
    metric = registry.select("task", job.cell.task).entry.metrics[0]
    split = "validation" if isinstance(job, Trial) and job.purpose == "tune" else "test"
    value = record.scores.get(split, {}).get(metric.name, float("nan"))
    return f"{metric.name} {value:.4g} {metric.unit}".rstrip() + f" after {record.steps} steps, {record.seconds:.1f} s"


def _short(job: Job) -> str:
    variant = job.cell.variant
    return f"{job.cell.task.name} {variant.name if variant else job.cell.label}"
