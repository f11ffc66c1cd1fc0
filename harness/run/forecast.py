"""Say what a plan would do: how many trials, which are at hand already and why not, and about how long."""

from __future__ import annotations

import sqlalchemy as sql

from coordbench.harness.core.cell import Cell, describe, differing
from coordbench.harness.core.trial import Trial
from coordbench.harness.plan.planning import Plan
from coordbench.harness.run import identity
from coordbench.harness.run.progress import describe as describe_job
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store


def forecast(plan: Plan, store: Store, *, fresh: bool = False, explain: bool = False) -> str:
    """The plan in a few lines; with `explain`, one line per trial on why it is run or reused."""
    lines: list[str] = []
    pending: list[Trial] = []
    for trial in (*plan.tuning, *plan.trials):
        why = _why(trial, store, fresh)
        if why != "reused":
            pending.append(trial)
        lines.append(f"{describe_job(trial)}: {why}")
    seconds = _seconds(store)
    known = [seconds[key] for trial in pending if (key := _kind(trial.cell)) in seconds]
    estimate = "no estimate of the time yet: none of these has been run here"
    if pending and known:
        estimate = f"about {len(pending) * sum(known) / len(known) / 60:.1f} minutes of one core for the trials"
    total = len(plan.trials) + len(plan.tuning)
    head = f"preset {plan.preset.name}: {total} trials, {len(pending)} to run; {len(plan.costs)} cost measurements"
    tuned = ["tuned trials are looked up after their learning rates are chosen"] if plan.tuning else []
    details = [*lines, *_untracked(plan)] if explain else _cells(plan)
    return "\n".join([head, estimate if pending else "nothing to train", *tuned, *details])


def _why(trial: Trial, store: Store, fresh: bool) -> str:
    if fresh:
        return "run: --fresh"
    identified = identity.of_trial(trial)
    if store.find(identified) is not None:
        return "reused"
    before = store.earlier_parts(identified)
    if before is None:
        return "run: never run before"
    changes = identified.explain(before)
    return f"run: {changes}" if changes != "nothing changed" else "run: the earlier trial failed"


def _untracked(plan: Plan) -> list[str]:
    """What the plug-ins of a plan do that no record's identity follows."""
    lines = (line for trial in (*plan.tuning, *plan.trials) for line in identity.of_trial(trial).untracked)
    return [f"not tracked, so a change in it re-runs nothing: {line}" for line in dict.fromkeys(lines)]


def _kind(cell: Cell) -> tuple[str, str]:
    return str(cell.task), cell.label


def _seconds(store: Store) -> dict[tuple[str, str], float]:
    """Mean training time [s] of earlier trials by task and variant or reference."""
    query = sql.select(schema.items.c.job, schema.records.c.seconds).join(
        schema.records, schema.items.c.record == schema.records.c.id
    )
    known: dict[tuple[str, str], list[float]] = {}
    for row in store.read(query.where(schema.items.c.kind == "trial").limit(5000)):
        known.setdefault(_kind(Cell.read(row.job)), []).append(row.seconds or 0.0)
    return {cell: sum(values) / len(values) for cell, values in known.items()}


def _cells(plan: Plan) -> list[str]:
    cells = dict.fromkeys(trial.cell for trial in plan.trials)
    conditions = ("steps", *(name for name in differing(cells) if name != "steps"))
    return [f"  {describe(cell, conditions)}" for cell in cells]
