"""Why a difference decides nothing, however large: an arm that has not learned, or a verdict that still moves.

A verdict has settled where it is the same at half of the steps and at all of them, on validation data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coordbench.harness.analysis import series
from coordbench.harness.core.selector import Selector
from coordbench.harness.statistics.paired import FEWEST_PAIRS, judge
from coordbench.reports.claims.claims import Claim
from coordbench.reports.claims.equal_rates import unequal_rates
from coordbench.reports.claims.measures import compared, scores
from coordbench.reports.claims.speed import ALL_POINTS
from coordbench.reports.data.stored import Stored
from coordbench.reports.text import number

SPLITS = ("half", "validation")

FALLING = 0.2
"""A side has not converged where more than this share of its trials still fell at their end: of converged ones a few
seem to, by chance."""

MORE_STEPS = "more steps may decide"

Pair = Sequence[pd.DataFrame | None]


@dataclass(frozen=True)
class Doubt:
    """Why a difference decides nothing, "" where it may, and whether more seeds could help."""

    reason: str = ""
    seeds_help: bool = False

    def __bool__(self) -> bool:
        return bool(self.reason)


def doubt(run: Stored, claim: Claim, pair: Pair, seeds: int, margin: float) -> Doubt:
    """What speaks against a difference; losses tell only where scores at half-time do not."""
    left, right = pair
    if left is not None and (unequal := unequal_rates(run, claim, left, right)):
        return Doubt(unequal)
    if reason := _unable(run, claim, pair) or _not_beyond(run, claim, pair):
        return Doubt(reason)
    settled = _moving(run, claim, pair, margin)
    if settled:
        return settled
    for side in pair if settled is None else ():
        falling = 0 if side is None else int((side["converged"] == False).sum())  # noqa: E712  # nullable
        if side is not None and falling > FALLING * len(side):
            return Doubt(f"{falling} of {len(side)} trials of {side.iloc[0]['label']} had not converged; {MORE_STEPS}")
    return Doubt(f"{seeds} paired seeds; {FEWEST_PAIRS} are needed", True) if seeds < FEWEST_PAIRS else Doubt()


def _unable(run: Stored, claim: Claim, pair: Pair) -> str:
    """Which side does not do on average what the claim requires of both, such as to read letters at home."""
    for metric, least in claim.requires.items():
        for side in pair:
            reached = float("nan") if side is None else float(scores(run, side, "test", metric).mean())
            if side is not None and not reached >= least:
                label = side.iloc[0]["label"]
                return f"{label} reaches {number(reached)} of {metric}; {number(least)} is needed of both sides"
    return ""


def _not_beyond(run: Stored, claim: Claim, pair: Pair) -> str:
    """That neither side passes the reference that the claim names, such as a solver that only knows the blur."""
    if not claim.beyond:
        return ""
    sides = [side for side in pair if side is not None]
    task = str(sides[0].iloc[0]["full_task"])
    metric = run.facts.tasks[task].metrics[0]
    rows = run.trials[(run.trials["full_task"] == task) & (run.trials["reference"] == claim.beyond)]
    bound, *reached = (float(scores(run, rows, "test", metric.name).mean()) for rows in (rows, *sides))
    best = metric.sign * max(metric.sign * mean for mean in reached)
    if metric.sign * best > metric.sign * bound:
        return ""
    return f"the better side reaches {number(best)} of {metric.name}, {claim.beyond} {number(bound)}"


def _moving(run: Stored, claim: Claim, pair: Pair, margin: float) -> Doubt | None:
    """Whether a difference has not settled; None where half-time scores do not tell.

    Where it is open at half-time more seeds may show that it was the same there. Too few pairs give no verdict to
    compare, and neither do two tasks, such as two splits, whose validation data are others. A trial's scores hold the
    primary metric at half-time; the others stand in its curves.
    """
    left, right = pair
    if left is None or right is None or claim.measure not in ("difference", "decibels"):
        return None
    tasks = [str(side.iloc[0]["full_task"]) for side in (left, right)]
    if _data(tasks[0]) != _data(tasks[1]):
        return None
    primary = run.facts.tasks[tasks[0]].metrics[0]
    metric = claim.metric or primary.name
    towards = 1 if claim.relation == ">" else -1  # better is what the claim says
    verdicts = []
    for split in SPLITS:
        by_curve = split == "half" and metric != primary.name
        sides = [
            _at_half(run, side, metric) if by_curve else scores(run, side, split, metric) for side in (left, right)
        ]
        paired = pd.concat(sides, axis=1, join="inner").dropna()
        if len(paired) < FEWEST_PAIRS:
            return None
        first, second = (paired.iloc[:, i].to_numpy(float) for i in (0, 1))
        differences = np.nan_to_num(compared(claim.measure, first, second) - claim.value) * towards
        verdicts.append(judge([differences], [margin])[0].verdict)
    half, end = verdicts
    moved = f"still moving: {half} at half of the steps, {end} at the end; {MORE_STEPS}"
    return Doubt() if half == end else Doubt(moved, "open" in (half, end))


def _data(task: str) -> Selector:
    """What a task draws its validation data by: two sizes of a batch see the same."""
    selector = Selector.parse(task)
    return Selector(selector.name, tuple(pair for pair in selector.options if pair[0] != "batch"))


def _at_half(run: Stored, side: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Seed -> a validation score at half of the steps, from the curves."""
    seeds = side.dropna(subset="record").set_index("record")["seed"]
    points = series.curves(run.store, seeds.index.astype(int), {f"validation/{metric}"}, ALL_POINTS)
    half = points[points["step"] == int(side["steps_planned"].iloc[0]) // 2].drop_duplicates("record")
    return pd.Series(half["value"].to_numpy(float), index=seeds.loc[half["record"]].to_numpy())
