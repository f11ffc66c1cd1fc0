"""Whether a verdict has settled: it is the same at half of the steps and at all of them, on validation data."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from coordbench.harness.statistics.paired import FEWEST_PAIRS, judge
from coordbench.reports.claims.claims import Claim
from coordbench.reports.data.stored import Stored

SPLITS = ("half", "validation")


def moving(run: Stored, claim: Claim, pair: Sequence[pd.DataFrame | None], margin: float) -> str | None:
    """Why a difference has not settled, "" where it has, None where half-time scores do not tell.

    A trial keeps its half-time score of the primary metric alone, and too few pairs give no verdict to compare.
    """
    left, right = pair
    if left is None or right is None or claim.measure != "difference":
        return None
    primary = run.facts.tasks[left.iloc[0]["full_task"]].metrics[0]
    if claim.metric not in ("", None, primary.name):
        return None
    verdicts = []
    for split in SPLITS:
        sides = [_scores(run, side, split, primary.name) for side in (left, right)]
        paired = pd.concat(sides, axis=1, join="inner").dropna()
        if len(paired) < FEWEST_PAIRS:
            return None
        differences = paired.iloc[:, 0].to_numpy(float) - paired.iloc[:, 1].to_numpy(float) - claim.value
        verdicts.append(judge([differences], [margin])[0].verdict)
    half, end = verdicts
    return "" if half == end else f"still moving: {half} at half of the steps, {end} at the end"


def _scores(run: Stored, side: pd.DataFrame, split: str, metric: str) -> pd.Series[float]:
    """Seed -> a score of a side's trials."""
    scores = run.tables.scores
    chosen = scores[(scores["split"] == split) & (scores["metric"] == metric) & scores["trial"].isin(side.index)]
    return pd.Series(chosen["value"].to_numpy(float), index=side.loc[chosen["trial"], "seed"].to_numpy())
