"""Claims of speed: times of layers, and steps until a network has learned its task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from coordbench.harness.analysis import series
from coordbench.reports.claims.claims import Claim, Finding
from coordbench.reports.claims.sides import of_task
from coordbench.reports.data.costs import costs
from coordbench.reports.data.stored import Stored

PHASES = {"latency_forward_seconds": "forward", "latency_step_seconds": "step"}
"""Times, of which each layer's multiple of the plain convolution's was measured in turns, with an interval."""
ALL_POINTS = 1_000_000


def timed(run: Stored, claim: Claim) -> Finding:
    """The ratio of two layers' times by their multiples of the plain convolution's; both intervals widen it."""
    draft = Finding(claim, "open", here=f"{claim.task}, one layer", reason="a time of one machine, without seeds")
    ratio = f"ratio_{PHASES[claim.metric]}"
    timed = costs(run).dropna(subset=ratio)
    timed = timed[of_task(timed["task"], claim)]
    sides = [timed[timed["variant"] == side.variant] for side in claim.sides]
    places = [set(zip(rows["task"], rows["backbone"], strict=True)) for rows in sides]
    common = sorted(set.intersection(*places))
    if not common:
        return replace(draft, verdict="not run", reason=f"{claim.metric} was not measured")
    left, right = (rows[(rows["task"] == common[0][0]) & (rows["backbone"] == common[0][1])].iloc[0] for rows in sides)
    low, high = left[f"{ratio}_low"] / right[f"{ratio}_high"], left[f"{ratio}_high"] / right[f"{ratio}_low"]
    measured = float(left[ratio] / right[ratio])
    return replace(draft, measured=measured, low=float(low), high=float(high), here=", ".join(common[0]))


def sped_up(run: Stored, claim: Claim, left: pd.DataFrame, right: pd.DataFrame, here: str) -> Finding:
    """How many times more steps the right side takes until it has learned: medians over seeds.

    A side that never gets there within its steps takes at least so many.
    """
    draft = Finding(claim, "open", seeds=min(len(left), len(right)), here=here)
    quick, slow = (_steps_to(run, side, claim) for side in (left, right))
    if not np.isfinite(quick):
        return replace(draft, reason=f"most trials of {claim.left.variant} never reached {claim.threshold:g}")
    planned = float(right["steps_planned"].iloc[0])
    bound = "" if np.isfinite(slow) else f"at least: most of the other side never reached {claim.threshold:g}"
    return replace(draft, measured=(slow if np.isfinite(slow) else planned) / quick, reason=bound)


def _steps_to(run: Stored, side: pd.DataFrame, claim: Claim) -> float:
    """The median step at which the validation score reaches the claim's threshold; infinite where most never do."""
    records = side["record"].dropna().astype(int)
    metric = claim.metric or str(side["metric"].dropna().iloc[0])
    points = series.curves(run.store, records, {f"validation/{metric}"}, ALL_POINTS)
    first = points[points["value"] >= claim.threshold].groupby("record")["step"].min()
    return float(np.median(first.reindex(records).fillna(np.inf).to_numpy(float)))
