"""Whether a verdict has settled: it is the same at half of the steps and at all of them, on validation data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from coordbench.harness.analysis import series
from coordbench.harness.statistics.paired import FEWEST_PAIRS, judge
from coordbench.reports.claims.claims import Claim
from coordbench.reports.claims.speed import ALL_POINTS
from coordbench.reports.data.stored import Stored

SPLITS = ("half", "validation")


def moving(run: Stored, claim: Claim, pair: Sequence[pd.DataFrame | None], margin: float) -> str | None:
    """Why a difference has not settled, "" where it has, None where half-time scores do not tell.

    Too few pairs give no verdict to compare. A trial's scores hold the primary metric at half-time; the others stand in
    its curves.
    """
    left, right = pair
    if left is None or right is None or claim.measure not in ("difference", "decibels"):
        return None
    primary = run.facts.tasks[left.iloc[0]["full_task"]].metrics[0]
    metric = claim.metric or primary.name
    verdicts = []
    for split in SPLITS:
        by_curve = split == "half" and metric != primary.name
        sides = [
            _at_half(run, side, metric) if by_curve else _scores(run, side, split, metric) for side in (left, right)
        ]
        paired = pd.concat(sides, axis=1, join="inner").dropna()
        if len(paired) < FEWEST_PAIRS:
            return None
        first, second = (paired.iloc[:, i].to_numpy(float) for i in (0, 1))
        apart = decibels(first, second) if claim.measure == "decibels" else first - second
        differences = np.nan_to_num(apart - claim.value)
        verdicts.append(judge([differences], [margin])[0].verdict)
    half, end = verdicts
    return "" if half == end else f"still moving: {half} at half of the steps, {end} at the end"


def decibels(left: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    """The ratio of two errors [dB], below 0 where the left one is smaller; not finite where one is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result: NDArray[np.float64] = 10 * (np.log10(left) - np.log10(right))
    return result


def _scores(run: Stored, side: pd.DataFrame, split: str, metric: str) -> pd.Series[float]:
    """Seed -> a score of a side's trials."""
    scores = run.tables.scores
    chosen = scores[(scores["split"] == split) & (scores["metric"] == metric) & scores["trial"].isin(side.index)]
    return pd.Series(chosen["value"].to_numpy(float), index=side.loc[chosen["trial"], "seed"].to_numpy())


def _at_half(run: Stored, side: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Seed -> a validation score at half of the steps, from the curves."""
    seeds = side.dropna(subset="record").set_index("record")["seed"]
    points = series.curves(run.store, seeds.index.astype(int), {f"validation/{metric}"}, ALL_POINTS)
    half = points[points["step"] == int(side["steps_planned"].iloc[0]) // 2].drop_duplicates("record")
    return pd.Series(half["value"].to_numpy(float), index=seeds.loc[half["record"]].to_numpy())
