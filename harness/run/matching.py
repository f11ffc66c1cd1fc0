"""Solve the width of a backbone so that a variant meets the baseline's budget of parameters or FLOPs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeVar

import sqlalchemy as sql

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.trial import CostJob, Job, Trial
from coordbench.harness.plan.planning import Plan
from coordbench.harness.process import isolate
from coordbench.harness.run.worker import run_quantity
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store
from coordbench.harness.training import PRELOAD

_HALVINGS = 14
J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Match:
    """The width that comes closest, what it costs, what was wanted, and the share by which it misses."""

    by: Literal["parameters", "flops"]
    width: float
    amount: int
    wanted: int

    @property
    def left_over(self) -> float:
        """Relative difference to the baseline's budget."""
        return self.amount / self.wanted - 1


def resolve(plan: Plan, plugins: Sequence[str] = ()) -> Plan:
    """Give every trial of a plan whose sweep asks for a match its width, and its row a note."""
    solved: dict[Cell, Match] = {}
    for cell in _matched(plan):
        arguments = cell, plan.preset.baseline, tuple(plugins)
        outcome = isolate.call(solve, *arguments, deadline=600.0, preload=PRELOAD)
        if outcome.value is None:
            raise UsageError(f"match={cell.match!r} of {cell.variant} in {cell.backbone}: {outcome.error}")
        solved[cell] = outcome.value
    fitted = _with_widths(plan, {cell: match.width for cell, match in solved.items()})
    matches = ((trial, solved.get(_unsolved(trial))) for trial in fitted.trials)
    notes = {trial: {"match": asdict(m) | {"left_over": m.left_over}} for trial, m in matches if m is not None}
    return replace(fitted, notes=dict(fitted.notes) | notes)


def recorded(plan: Plan, store: Store) -> Plan:
    """The plan with the widths that earlier runs found; a cell that none has matched stays without one."""
    wanted = _matched(plan)
    if not wanted:
        return plan
    query = sql.select(schema.items.c.job).where(schema.items.c.kind == "trial").order_by(schema.items.c.run)
    widths: dict[Cell, float] = {}
    for row in store.read(query):
        if row.job.get("match") and row.job.get("width") is not None:
            job = Trial.read(row.job)
            widths[_unsolved(job)] = row.job["width"]
    return _with_widths(plan, {cell: widths[cell] for cell in wanted if cell in widths})


def _matched(plan: Plan) -> list[Cell]:
    return list(dict.fromkeys(_unsolved(trial) for trial in plan.trials if trial.cell.match))


def _with_widths(plan: Plan, widths: Mapping[Cell, float]) -> Plan:
    """The plan with these widths in the cells that they were solved for."""
    return replace(
        plan,
        trials=tuple(_fitted(trial, widths) for trial in plan.trials),
        tuning=tuple(_fitted(trial, widths) for trial in plan.tuning),
        costs=tuple(_fitted(job, widths) for job in plan.costs),
        grids={_fitted(trial, widths): grid for trial, grid in plan.grids.items()},
        notes={_fitted(trial, widths): note for trial, note in plan.notes.items()},
    )


def solve(cell: Cell, baseline: str, plugins: Sequence[str]) -> Match:
    """Find the width for a cell by bisection; runs in its own process."""
    for plugin in plugins:
        registry.load_plugin(plugin)  # the backbone may be a user's
    by = cell.match or "parameters"

    def amount(candidate: Cell) -> int:
        return int(getattr(run_quantity(CostJob(candidate), plugins, (by, 0.0)), by))

    options = {option.name: option for option in registry.select("backbone", cell.network[0]).entry.options}
    if "width" not in options:
        raise UsageError(f"backbone {str(cell.backbone)!r} has no option width, so its budget cannot be matched")
    whole = options["width"].holds(int)
    start = registry.select("backbone", cell.network[0]).all_options["width"]
    wanted = amount(replace(cell, variant=registry.select("variant", baseline).selector))
    width, reached = bisect(
        lambda width: amount(replace(cell, width=width)), _number(float(str(start)), whole), wanted, whole=whole
    )
    return Match(by, width, reached, wanted)


def bisect(amount: Callable[[float], int], start: float, wanted: int, *, whole: bool) -> tuple[float, int]:
    """The width whose amount is nearest to `wanted`, for an amount that grows with the width in steps."""
    tried = {start: amount(start)}
    low, high = start, start
    while tried[low] > wanted and low > (1 if whole else start / 64):
        low = max(1, low // 2) if whole else low / 2
        tried[low] = amount(_number(low, whole))
    while tried[high] < wanted and high < 64 * start:
        high *= 2
        tried[high] = amount(_number(high, whole))
    for _ in range(_HALVINGS):
        middle = (low + high) // 2 if whole else (low + high) / 2
        if middle in (low, high):
            break
        if middle not in tried:
            tried[middle] = amount(_number(middle, whole))
        low, high = (middle, high) if tried[middle] < wanted else (low, middle)
    best = min(tried, key=lambda width: (abs(tried[width] - wanted), width))
    return _number(best, whole), tried[best]


def _number(width: float, whole: bool) -> float:
    return int(width) if whole else width


def _unsolved(job: Job) -> Cell:
    """What the width of a job depends on: its cell without budget and conditions."""
    cell = job.cell
    return Cell(cell.task, cell.backbone, cell.variant, match=cell.match)


def _fitted(job: J, widths: Mapping[Cell, float]) -> J:
    width = widths.get(_unsolved(job))
    return job if width is None else replace(job, cell=replace(job.cell, width=width))
