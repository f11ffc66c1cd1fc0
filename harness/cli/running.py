"""Execute a plan, and say on the terminal what came of it."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.plan.planning import Plan
from coordbench.harness.run import patience
from coordbench.harness.run.looks import Judge
from coordbench.harness.run.progress import Progress
from coordbench.harness.run.recorder import Result
from coordbench.harness.run.sweep import Driver
from coordbench.harness.store.store import Store


@dataclass(frozen=True)
class Execution:
    """How a plan is executed: where, by how many workers, with which plug-ins, with or without earlier records."""

    device: str
    workers: int | None
    cluster: str | None
    sources: tuple[str, ...]
    fresh: bool
    out: Path


def execute(plan: Plan, store: Store, how: Execution) -> Result:
    """Run what the store does not hold yet."""
    checkpoints = how.out.resolve() / "checkpoints"
    invoked = shlex.join(["coordbench", *sys.argv[1:]])
    workers = _workers(how.workers, how.device)
    with Progress() as progress, _executor(how.cluster) as executor:
        return Driver(
            store, progress, workers, executor, how.sources, how.fresh, invoked, checkpoints,
            plan.preset.store_patience_seconds, how.out.resolve() / patience.FILE, progress.say, _judge(plan, store),
        ).run(plan)  # fmt: skip


def _judge(plan: Plan, store: Store) -> Judge | None:
    """What says after a look which comparisons are open; nothing is judged before the end without planned looks."""
    if not plan.looks:
        return None
    from coordbench.reports.standing import judge

    return judge(store, plan.preset.families)


def check_families(plan: Plan) -> None:
    """Raise UsageError where a preset names a family that nobody knows, or families without looks."""
    if plan.preset.families is None:
        return
    from coordbench.reports.standing import check_families

    check_families(plan.preset.families)


def show_result(result: Result, store: Store, pages: Path | None) -> None:
    """Print how a run ended, and the path of its page where `pages` is the folder of pages."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.statuses.items()))
    print(f"run {result.run}: {counts or 'nothing planned'} ({result.reused} reused)")
    if pages is not None:
        from coordbench.reports.data.run import load
        from coordbench.reports.files.terminal import grid
        from coordbench.reports.pages.page import write_page

        run = load(result.run, store=store)
        print("\n".join(filter(None, [grid(run), f"report: {write_page(run, pages)}"])))


def exit_code(result: Result) -> ExitCode:
    """What a run's end means to whoever called it."""
    if result.failed:
        return ExitCode.TRIALS_FAILED
    return ExitCode.OK if result.measured else ExitCode.NOTHING_MEASURED


def _workers(wanted: int | None, device: str) -> int:
    if wanted is not None and wanted < 1:
        raise UsageError(f"workers={wanted} must be at least 1")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted or (1 if device == "cuda" else cores)


def _executor(cluster: str | None) -> contextlib.AbstractContextManager[Executor | None]:
    if cluster is None:
        return contextlib.nullcontext()
    from coordbench.harness.run.cluster import connect

    return connect(cluster)
