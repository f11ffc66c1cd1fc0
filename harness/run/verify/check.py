"""Train a sample of stored rows again and say whether the same comes out."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.process import environment
from coordbench.harness.run.verify.stored import (
    Result,
    StoredJob,
    result_of,
    seeds_scores,
    stored_jobs,
    stored_result,
)
from coordbench.harness.run.verify.tolerance import bound_of_seeds, is_rounding, tolerance
from coordbench.harness.run.worker import Limits, work
from coordbench.harness.store.altered import altered_records
from coordbench.harness.store.store import Store

Answer = Literal["verified", "within tolerance", "undecided", "differs", "altered", "stale", "failed"]
Spread = Mapping[str, Sequence[float]]
"""Split and name of a score -> its values over the stored seeds of the same cell."""
_PLATFORM = ("processor", "platform", "python", "versions")


@dataclass(frozen=True)
class Check:
    """One row that was trained again: what came of it, and the difference in words."""

    identity: str
    label: str
    answer: Answer
    detail: str = ""


@dataclass(frozen=True)
class Difference:
    """A part of a result that came out otherwise; `is_tolerated` says whether another platform explains it.

    It is None where that is not known. Curves and arrays go with the scores, so there it explains them.
    """

    words: str
    size: float = float("inf")
    is_tolerated: bool | None = None


def verify(
    store: Store, sample: int, seed: int, plugins: Sequence[str] = (), deadline: float = 600.0,
    say: Callable[[Check], None] = lambda check: None,
) -> list[Check]:  # fmt: skip
    """Draw `sample` rows by `seed`, train each again, and compare; raise UsageError where there is none to draw.

    Rows that were altered are named whether they are drawn or not, costs and tuning among them, and are never drawn.
    """
    if sample < 1:
        raise UsageError(f"--sample {sample} must be at least 1")
    listed = list(stored_jobs(store))
    with store.reading() as connection:
        altered = altered_records(connection, [row.record for row in listed])
    checks = [_altered(row) for row in listed if row.record in altered]
    for check in checks:
        say(check)
    rows = [row for row in listed if _is_tested(row) and row.record not in altered]
    if not rows and not checks:
        raise UsageError(f"{store.name} holds no finished trial to verify")
    seeds: dict[Cell, list[int]] = defaultdict(list)
    for row in rows:
        seeds[row.job.cell].append(row.record)
    for row in random.Random(seed).sample(rows, min(sample, len(rows))):
        before, spread = stored_result(store, row.record), seeds_scores(store, seeds[row.job.cell])
        checks.append(_check(row, before, spread, plugins, deadline))
        say(checks[-1])
    return checks


def _is_tested(row: StoredJob) -> bool:
    """Whether a row is a trial that is reported, not one that chose a learning rate nor a cost."""
    return isinstance(row.job, Trial) and row.job.purpose == "test"


def _altered(row: StoredJob) -> Check:
    words = "it is no longer what was stored: a score, curve or array was changed by hand"
    return Check(row.identity, row.label, "altered", words)


def _check(row: StoredJob, before: Result, spread: Spread, plugins: Sequence[str], deadline: float) -> Check:
    if changed := row.changes:
        return Check(row.identity, row.label, "stale", ", ".join(changed))
    record = work(row.job, plugins, Limits(deadline=deadline))
    if not isinstance(record, Record) or record.status != row.status:
        words = f"{record.status} instead of {row.status}: {record.error}"
        return Check(row.identity, row.label, "failed", words)
    return compared(row, before, result_of(record), spread)


def compared(row: StoredJob, before: Result, now: Result, spread: Spread) -> Check:
    """Equal bits on the same platform; on another one scores as near as seeds are, and as was measured of them."""
    differences = [*_scores(row, before, now, spread), *_curves(before, now), *_samples(before, now)]
    if not differences:
        return Check(row.identity, row.label, "verified")
    here = environment.describe(row.job.cell.device)
    other = [name for name in _PLATFORM if here.get(name) != row.environment.get(name)]
    first = max(differences, key=lambda difference: (difference.is_tolerated is not True, difference.size))
    more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
    place = f"another {', '.join(other)}" if other else "the platform is the same"
    return Check(row.identity, row.label, _answer(differences, other), f"{first.words}{more}; {place}")


def _answer(differences: Sequence[Difference], other: Sequence[str]) -> Answer:
    tolerated = {difference.is_tolerated for difference in differences}
    if not other or False in tolerated:
        return "differs"
    return "undecided" if None in tolerated else "within tolerance"


def _scores(row: StoredJob, before: Result, now: Result, spread: Spread) -> Iterator[Difference]:
    for name in sorted({*before.scores, *now.scores}):
        stored, today = before.scores.get(name), now.scores.get(name)
        if stored == today:
            continue
        if stored is None or today is None or stored.value is None or today.value is None:
            yield Difference(f"{name} was {stored and stored.value}, is {today and today.value}", is_tolerated=False)
            continue
        gap = abs(today.value - stored.value)
        bounds = bound_of_seeds(spread.get(name, ())), tolerance(row.job.cell, stored.metric)
        margin = min((bound for bound in bounds if bound is not None), default=None)
        words = f"{name} was {stored.value!r}, is {today.value!r}"
        if margin is None and is_rounding(gap, stored.value):
            yield Difference(f"{words} (numbers of 32 bits are rounded as coarsely)", gap, True)
        elif margin is None:
            yield Difference(f"{words} (how far {stored.metric} may differ was not measured)", gap)
        else:
            yield Difference(f"{words} ({gap:.2g} apart, {margin:.2g} may be)", gap, gap <= margin)


def _curves(before: Result, now: Result) -> Iterator[Difference]:
    """Curves at the steps that were stored, which may be few."""
    for metric, (steps, values) in before.curves.items():
        today_steps, today_values = now.curves.get(metric, (np.empty(0), np.empty(0)))
        today = dict(zip(today_steps.tolist(), today_values.tolist(), strict=True))
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            if not np.array_equal(value, today.get(step, np.inf), equal_nan=True):
                yield Difference(f"curve {metric} at step {step:g} was {value!r}, is {today.get(step)!r}", 0.0, True)
                break


def _samples(before: Result, now: Result) -> Iterator[Difference]:
    for name, data in before.samples.items():
        if data != now.samples.get(name):
            yield Difference(f"array {name} is another one", 0.0, True)
