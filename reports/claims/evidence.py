"""What a run measured about a claim: value, interval and p, before all claims are decided together.

A trial that failed counts as the worst that its contest saw, as in every verdict. Fewer than five paired seeds, a side
that has not converged (the verdict at half of the steps is another one; where that is unknown, its losses still fall),
and times of a machine decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from coordbench.harness.core.scores import State
from coordbench.harness.statistics.intervals import mean_interval
from coordbench.harness.statistics.paired import FEWEST_PAIRS, equivalence_t, paired_t
from coordbench.harness.statistics.survival import log_rank
from coordbench.reports.claims.claims import Claim, Finding, Measure
from coordbench.reports.claims.settled import moving
from coordbench.reports.claims.sides import contests
from coordbench.reports.claims.speed import PHASES, sped_up, timed
from coordbench.reports.data import survival
from coordbench.reports.data.stored import COSTS, Stored

EXACT = ("parameters", "flops")
"""Costs that are the same on every machine and need no seeds."""
Floats = NDArray[np.float64]

FALLING = 0.2
"""A side has not converged where more than this share of its trials still fell at their end: of converged ones a few
seem to, by chance."""


def measure(run: Stored, claim: Claim) -> Finding:
    """Draft a finding: measured and tested, not yet adjusted nor decided; open with a reason, or not run."""
    if claim.metric in PHASES and claim.measure == "ratio":
        return timed(run, claim)
    pair = next(contests(run, claim), None)
    if pair is None:
        return Finding(claim, "not run", reason="no contest of this run is about it")
    left, right = pair
    backbones = dict.fromkeys(side.iloc[0]["full_backbone"] for side in pair if side is not None)
    here = f"{left.iloc[0]['full_task']}, {' against '.join(backbones)}, {int(left.iloc[0]['steps_planned'])} steps"
    if claim.metric in COSTS:
        return _cost(claim, left, right, here)
    if claim.measure == "survival":
        return _survival(run, claim, left, right, here)
    if claim.measure == "speedup" and right is not None:
        return sped_up(run, claim, left, right, here)
    values = [_values(run, claim, side) for side in pair if side is not None]
    paired = pd.concat(values, axis=1, join="inner").dropna()
    draft = Finding(claim, "open", seeds=len(paired), here=here)
    if len(paired) == 0:
        return replace(draft, verdict="not run", reason="no seed was scored on all sides")
    sides = [paired.iloc[:, i].to_numpy(float) for i in range(paired.shape[1])]
    draft = _tested(draft, sides, _margin(run, claim, left))
    settled = moving(run, claim, pair, _margin(run, claim, left))
    return replace(draft, reason=draft.reason or _doubt(pair, len(paired), settled))


def shown(draft: Finding) -> Finding:
    """A published figure beside what was measured: its own p decides nothing, and its doubts are told."""
    verdict = "open" if np.isnan(draft.measured) and draft.verdict != "not run" else draft.verdict
    return replace(draft, verdict="measured" if not np.isnan(draft.measured) else verdict, p=None, p_tied=1.0)


def _doubt(pair: Sequence[pd.DataFrame | None], seeds: int, settled: str | None) -> str:
    """Why a difference decides nothing, whatever it is; losses tell only where scores at half-time do not."""
    if settled:
        return settled
    for side in pair if settled is None else ():
        falling = 0 if side is None else int((side["converged"] == False).sum())  # noqa: E712  # nullable
        if side is not None and falling > FALLING * len(side):
            return f"{falling} of {len(side)} trials of {side.iloc[0]['label']} had not converged"
    if seeds < FEWEST_PAIRS:
        return f"{seeds} paired seeds; {FEWEST_PAIRS} are needed"
    return ""


def _tested(draft: Finding, sides: Sequence[Floats], margin: float) -> Finding:
    """Fill in value, interval and p of a measure over paired seeds."""
    claim = draft.claim
    if claim.measure == "spread":
        return _spread(draft, *sides)
    with np.errstate(divide="ignore", invalid="ignore"):
        samples = _samples(claim.measure, *sides)
    scale = float(np.mean(np.abs(sides[-1]))) if claim.measure in ("reduction", "ratio") else 1.0
    if not np.isfinite(samples).all() or scale == 0:
        return replace(draft, reason="a side is zero, so their ratio means nothing")
    low, high = mean_interval(samples)
    draft = replace(draft, measured=float(samples.mean()), low=low, high=high)
    least = margin / 4 / scale
    p = paired_t(samples - claim.value, smallest_deviation=least)
    draft = replace(draft, p=p, deviation=max(float(np.std(samples, ddof=min(1, len(samples) - 1))), least))
    if claim.measure != "difference" or claim.value != 0:
        return draft
    return replace(draft, margin=margin, p_tied=equivalence_t(samples, margin, smallest_deviation=least))


def _samples(measure: Measure, left: Floats, right: Floats | None = None) -> Floats:
    if right is None:
        return left
    return {"difference": left - right, "reduction": 1 - left / right, "ratio": left / right}[measure]


def _spread(draft: Finding, left: Floats, right: Floats) -> Finding:
    """Ratio of standard deviations, right over left, with the interval of the F distribution."""
    n = len(left)
    if n < 2 or left.std() == 0 or right.std() == 0:
        return replace(draft, reason="no spread to compare")
    ratio = float(right.std(ddof=1) / left.std(ddof=1))
    edges = np.sqrt(special.fdtri(n - 1, n - 1, [0.975, 0.025]))
    tail = float(special.fdtrc(n - 1, n - 1, (ratio / draft.claim.value) ** 2))
    return replace(draft, measured=ratio, low=ratio / edges[0], high=ratio / edges[1], p=2 * min(tail, 1 - tail))


def _survival(run: Stored, claim: Claim, left: pd.DataFrame, right: pd.DataFrame | None, here: str) -> Finding:
    """Compare times to collapse; measured is the z of the log-rank test, positive where the left lives longer."""
    sides = [survival.ends(side).dropna() for side in (left, right) if side is not None]  # nan: never started
    seeds = min(map(len, sides))
    draft = Finding(claim, "open", seeds=seeds, here=here)
    if seeds < FEWEST_PAIRS:
        return replace(draft, reason=f"{seeds} seeds started on a side; {FEWEST_PAIRS} are needed")
    events = [argument for side in sides for argument in (side["epochs"], side["fate"] == State.COLLAPSED)]
    if not any(np.any(died) for died in events[1::2]):
        return replace(draft, reason="no trial collapsed")
    z, p = log_rank(*events)
    return replace(draft, measured=-z, p=p)


def _cost(claim: Claim, left: pd.DataFrame, right: pd.DataFrame | None, here: str) -> Finding:
    """Exact quantities of one machine: no seeds, no interval."""
    sides = [side[claim.metric].dropna() for side in (left, right) if side is not None]
    if any(side.empty for side in sides):
        return Finding(claim, "not run", here=here, reason=f"{claim.metric} was not measured")
    reason = "" if claim.metric in EXACT else "a time or memory of one machine, without seeds"
    values = [np.array([float(side.iloc[0])]) for side in sides]
    return Finding(claim, "open", measured=float(_samples(claim.measure, *values)[0]), here=here, reason=reason)


def _values(run: Stored, claim: Claim, side: pd.DataFrame) -> pd.Series[float]:
    """Seed -> the score that a claim is about; a failed trial has the worst that its contest saw."""
    metrics = {m.name: m for m in run.facts.tasks[side.iloc[0]["full_task"]].metrics}
    primary = next(iter(metrics))
    name = claim.metric or primary
    sign = metrics.get(name, metrics[primary]).sign
    if name == primary:
        return side.set_index("seed")["merit"].astype(float) * sign
    contest = run.trials[run.trials["contest"] == side["contest"].iloc[0]]
    worst = (_metric(run, contest, name) * sign).min() * sign
    scored = _metric(run, side, name).reindex(side["seed"])
    return scored.mask(side.set_index("seed")["failed"].astype(bool), worst)


def _metric(run: Stored, side: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Seed -> a test metric."""
    scores = run.tables.scores
    scored = scores[(scores["metric"] == metric) & (scores["split"] == "test") & scores["trial"].isin(side.index)]
    return pd.Series(scored["value"].to_numpy(float), index=side.loc[scored["trial"], "seed"].to_numpy())


def _margin(run: Stored, claim: Claim, side: pd.DataFrame) -> float:
    metrics = run.facts.tasks[side.iloc[0]["full_task"]].metrics
    return next((m.margin for m in metrics if m.name == claim.metric), metrics[0].margin)
