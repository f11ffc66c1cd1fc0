"""Train the first steps of a trial again, in another process: equal seeds must give equal losses, to the last bit.

Once for each layer of a run, and only where that takes at most one step in fifty of those that it trains.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.core.trial import Job, Trial

NOTE = "repeat"
"""Under which name a record notes what came of it."""

_FEWEST = 10
_SHARE = 0.02


class _EnoughError(Exception):
    """The first steps are over."""


def steps_of(trial: Trial) -> int:
    """How many steps are trained again: as many as end with a point of the curves, and at least ten."""
    from coordbench.harness.training.train import POINTS

    window = max(1, trial.cell.budget.steps // POINTS)
    return window * math.ceil(_FEWEST / window)


def chosen(jobs: Iterable[Job]) -> frozenset[Trial]:
    """The trials whose first steps are trained again: the shortest of each layer that trains for long enough."""
    layers: dict[str, list[Trial]] = {}
    for job in jobs:
        if isinstance(job, Trial) and job.cell.variant is not None:
            layers.setdefault(str(job.cell.variant), []).append(job)
    shortest = [(min(trials, key=steps_of), sum(t.cell.budget.steps for t in trials)) for trials in layers.values()]
    return frozenset(trial for trial, steps in shortest if steps_of(trial) <= _SHARE * steps)


def first_points(trial: Trial) -> list[CurvePoint]:
    """The points of a trial's curves over its first steps; to be called in a process of its own."""
    import torch

    from coordbench.harness.core.seeds import seed_of
    from coordbench.harness.training import train

    problem, steps, record = train.build(trial.cell, trial.seed), steps_of(trial), Record("ok")
    torch.manual_seed(seed_of(trial.seed, "train"))
    with contextlib.suppress(_EnoughError, train.Diverged):
        train.train(replace(problem, batches=_until(steps, problem.batches)), trial, record)
    return record.curves


def _until(steps: int, batches: Callable[[int], Any]) -> Callable[[int], Any]:
    def some(step: int) -> Any:
        if step >= steps:
            raise _EnoughError
        return batches(step)

    return some


def difference(first: Sequence[CurvePoint], again: Sequence[CurvePoint]) -> str:
    """Where the curves of the same steps part, in a line; nothing where they are equal."""
    before = {(point.step, point.metric): point.value for point in first}
    for point in again:
        value = before.get((point.step, point.metric), math.nan)
        if repr(value) != repr(point.value):
            return f"{point.metric} at step {point.step} was {value!r}, and then {point.value!r}"
    return ""
