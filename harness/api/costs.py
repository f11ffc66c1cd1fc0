"""What layers cost: measured by a sweep of costs alone, and kept as a run where that is wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.api.notebook import progress
from coordbench.harness.core.cell import MemoryFormat
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.trial import CostJob
from coordbench.harness.measure import SECONDS
from coordbench.harness.measure.table import SHAPES, cost_jobs, flatten
from coordbench.harness.plan.planning import Plan
from coordbench.harness.plan.preset import Preset, Sweep
from coordbench.harness.process import environment
from coordbench.harness.run.recorder import Result
from coordbench.harness.run.sweep import Driver
from coordbench.harness.store.store import Store, open_store

NAME = "layers"
"""What a run of costs is called among the presets."""


@dataclass(frozen=True)
class Request:
    """Which layers are measured, in which shapes or network, and how long."""

    variants: Sequence[str]
    shapes: Sequence[str]
    layouts: Sequence[MemoryFormat]
    task: str
    backbone: str
    device: str
    seconds: float | None
    plugins: Sequence[str]
    command: str
    """The command line that does the same."""

    @property
    def plan(self) -> Plan:
        """A sweep of costs alone."""
        seconds = SECONDS if self.seconds is None else self.seconds
        if seconds <= 0:
            raise UsageError(f"seconds={seconds:g} must be positive")
        if unknown := [shape for shape in self.shapes if shape not in SHAPES]:
            raise UsageError(f"unknown shape {unknown[0]!r}; valid: {', '.join(SHAPES)}")
        tasks = [SHAPES[shape] for shape in self.shapes] or [self.task]
        device = environment.device(self.device)
        jobs: list[CostJob] = []
        for layout in self.layouts:
            jobs += cost_jobs(self.variants, tasks, self.backbone, device=device, memory_format=layout)
        labels = list(dict.fromkeys(job.cell.label for job in jobs))
        sweep = Sweep(tasks, [self.backbone], labels, steps=0)
        return Plan(Preset(NAME, (sweep,), cost_seconds=seconds), (), (), tuple(dict.fromkeys(jobs)))


@dataclass(frozen=True)
class Measured:
    """The table of costs, how the measuring ended, and the run's page where it is kept."""

    table: pd.DataFrame
    result: Result
    page: Path | None


def measure_costs(request: Request, out: Path | None) -> Measured:
    """Measure, one process at a time; without `out` nothing is kept."""
    plan = request.plan
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(None, out or Path(folder)) as store,
        progress() as listener,
    ):
        driver = Driver(store, listener, 1, None, request.plugins, command=request.command)
        result = driver.run(plan)
        return Measured(_table(store, result.run), result, None if out is None else _report(store, result.run, out))


def _table(store: Store, run: str) -> pd.DataFrame:
    return flatten(read_tables(store, run).costs).sort_values(
        ["task", "memory_format", "ratio_forward_backward"], ignore_index=True
    )


def _report(store: Store, run: str, out: Path) -> Path:
    from coordbench.reports.pages.page import write_report

    return Path(write_report(store, run, out))
