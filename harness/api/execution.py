"""Execute a plan: what the command line and a notebook do alike, once they know what is wanted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from coordbench.harness.api.notebook import progress
from coordbench.harness.api.profiling import profile_networks
from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.plan.planning import Plan
from coordbench.harness.process import environment
from coordbench.harness.run import matching, patience
from coordbench.harness.run.looks import Judge
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
    command: str
    """The command line that does the same."""
    profile: bool = False
    """Whether each network whose costs are measured is profiled, too."""


def load_plugins(files: Sequence[Path | str]) -> tuple[str, ...]:
    """Register what plug-in files hold, and return their paths as workers need them."""
    for file in files:
        registry.load_plugin(file)
    return tuple(str(Path(file).resolve()) for file in files)


def execute(plan: Plan, store: Store, how: Execution, say: Callable[[str], None]) -> Result:
    """Run what the store does not hold yet, and profile the networks where that is wanted; `say` tells what failed."""
    plan = matching.resolve(plan, how.sources)
    checkpoints = how.out.resolve() / "checkpoints"
    workers = _workers(how.workers, environment.device(how.device))
    with progress() as listener, _executor(plan, how.cluster, listener.say) as executor:
        result = Driver(
            store, listener, workers, executor, how.sources, how.fresh, how.command, checkpoints,
            plan.preset.store_patience_seconds, how.out.resolve() / patience.FILE, listener.say, _judge(plan, store),
        ).run(plan)  # fmt: skip
    if how.profile:
        profile_networks([job.cell for job in plan.costs], plan.preset.baseline, how.sources, how.out, say)
    return result


def exit_code(result: Result) -> ExitCode:
    """What a run's end means to whoever called it."""
    if result.failed:
        return ExitCode.TRIALS_FAILED
    return ExitCode.OK if result.measured else ExitCode.NOTHING_MEASURED


def _judge(plan: Plan, store: Store) -> Judge | None:
    """What says after a look which comparisons are open; nothing is judged before the end without planned looks."""
    if not plan.looks:
        return None
    from coordbench.reports.standing import judge

    return judge(store, plan.preset.families)


def _workers(wanted: int | None, device: str) -> int:
    if wanted is not None and wanted < 1:
        raise UsageError(f"workers={wanted} must be at least 1")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted or (1 if device == "cuda" else cores)


def _executor(
    plan: Plan, cluster: str | None, say: Callable[[str], None]
) -> contextlib.AbstractContextManager[Executor | None]:
    if cluster is None:
        return contextlib.nullcontext()
    from coordbench.harness.run.cluster import connect

    return connect(cluster, plan.preset.scheduler_patience_seconds, say)
