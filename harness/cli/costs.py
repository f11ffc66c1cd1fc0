"""`coordbench costs`: what layers cost, measured by a sweep of costs alone, printed, and kept as a run if wanted."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.core.cell import MemoryFormat
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.trial import CostJob
from coordbench.harness.measure import SECONDS
from coordbench.harness.measure.table import SHAPES, cost_jobs, flatten, readable
from coordbench.harness.plan.planning import Plan
from coordbench.harness.plan.preset import Preset, Sweep
from coordbench.harness.run.progress import Progress
from coordbench.harness.run.sweep import Driver
from coordbench.harness.store.store import Store, open_store

NAME = "layers"
"""What a run of costs is called among the presets."""


@dataclass(frozen=True)
class Request:
    """What a user asks of `coordbench costs`."""

    variants: Sequence[str]
    shapes: Sequence[str]
    layouts: Sequence[MemoryFormat]
    task: str
    backbone: str
    device: str
    seconds: float | None
    plugins: Sequence[str]

    @property
    def plan(self) -> Plan:
        """A sweep of costs alone."""
        seconds = SECONDS if self.seconds is None else self.seconds
        if seconds <= 0:
            raise UsageError(f"seconds={seconds:g} must be positive")
        tasks = [SHAPES[shape] for shape in self.shapes] or [self.task]
        jobs: list[CostJob] = []
        for layout in self.layouts:
            jobs += cost_jobs(self.variants, tasks, self.backbone, device=self.device, memory_format=layout)
        labels = list(dict.fromkeys(job.cell.label for job in jobs))
        sweep = Sweep(tasks, [self.backbone], labels, steps=0)
        return Plan(Preset(NAME, (sweep,), cost_seconds=seconds), (), (), tuple(dict.fromkeys(jobs)))


def measure_costs(request: Request, out: Path | None, *, as_json: bool) -> tuple[str, ExitCode]:
    """Measure, one process at a time; return what to print and the exit code; without `out` nothing is kept."""
    plan = request.plan
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(None, out or Path(folder)) as store,
        Progress() as progress,
    ):
        driver = Driver(store, progress, 1, None, request.plugins, command=shlex.join(["coordbench", *sys.argv[1:]]))
        result = driver.run(plan)
        table = _table(store, result.run)
        text = table.to_json(orient="records", indent=1) if as_json else readable(table)
        page = "" if out is None else _report(store, result.run, out)
    if page:
        print(f"run {result.run}\nreport: {page}", file=sys.stderr)
    return text, ExitCode.TRIALS_FAILED if result.failed else ExitCode.OK


def _table(store: Store, run: str) -> pd.DataFrame:
    return flatten(read_tables(store, run).costs).sort_values(
        ["task", "memory_format", "ratio_forward_backward"], ignore_index=True
    )


def _report(store: Store, run: str, out: Path) -> str:
    from coordbench.reports.pages.page import write_report

    return str(write_report(store, run, out))
