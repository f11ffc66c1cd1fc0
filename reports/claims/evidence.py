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
from scipy import special

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.scores import State
from coordbench.harness.statistics import paired
from coordbench.harness.statistics.crossed import crossed
from coordbench.harness.statistics.paired import FEWEST_PAIRS, LEVEL, Evidence
from coordbench.harness.statistics.survival import log_rank
from coordbench.reports.claims.claims import DECIBELS, Claim, Finding
from coordbench.reports.claims.floors import refusal
from coordbench.reports.claims.measures import Floats, compared, scores
from coordbench.reports.claims.settled import Pair, doubt
from coordbench.reports.claims.sides import contests
from coordbench.reports.claims.speed import PHASES, sped_up, timed
from coordbench.reports.data import survival
from coordbench.reports.data.stored import COSTS, Stored
from coordbench.reports.data.things import THINGS, by_thing
from coordbench.reports.text import with_interval

EXACT = ("parameters", "flops")
"""Costs that are the same on every machine and need no seeds."""

UNTESTED = "no contest of this run is about it"


def arms(run: Stored, claim: Claim) -> tuple[Cell, ...]:
    """The cells that a claim compares; () where the run holds no contest about it."""
    pair = next(contests(run, claim), ())
    return tuple(side["cell"].iloc[0] for side in pair if side is not None)


def measure(run: Stored, claim: Claim) -> Finding:
    """Draft a finding: measured and tested, not yet adjusted nor decided; open with a reason, or not run."""
    if claim.metric in PHASES and claim.measure == "ratio":
        return timed(run, claim)
    pair = next(contests(run, claim), None)
    if pair is None:
        return Finding(claim, "not run", reason=UNTESTED)
    return _measured(run, claim, *pair)


def _measured(run: Stored, claim: Claim, left: pd.DataFrame, right: pd.DataFrame | None) -> Finding:
    if reason := _inside_floor(run, claim, str(left.iloc[0]["full_task"])):
        return Finding(claim, "not run", reason=f"refused: {reason}")
    pair = left, right
    tasks, backbones, steps = (
        " against ".join(dict.fromkeys(str(side.iloc[0][name]) for side in pair if side is not None))
        for name in ("full_task", "full_backbone", "steps_planned")
    )
    here = f"{tasks}, {backbones}, {steps} steps{_rates(run, pair)}"
    if claim.metric in COSTS:
        return _cost(claim, left, right, here)
    if claim.measure == "survival":
        return _survival(claim, left, right, here)
    if claim.measure == "starts" and right is not None:
        return _starts(claim, left, right, here)
    if claim.measure == "speedup" and right is not None:
        return sped_up(run, claim, left, right, here)
    if claim.measure == "solves" and right is not None:
        return _undoubted(run, _solves(run, claim, left, right, here), pair, 0.0)
    values = [_values(run, claim, side) for side in pair if side is not None]
    pairs = pd.concat(values, axis=1, join="inner").dropna()
    draft = Finding(claim, "open", seeds=len(pairs), here=here)
    if len(pairs) == 0:
        return replace(draft, verdict="not run", reason="no seed was scored on all sides")
    sides = [pairs.iloc[:, i].to_numpy(float) for i in range(pairs.shape[1])]
    margin = _margin(run, claim, left)
    return _undoubted(run, _over_things(run, _tested(draft, sides, margin), *pair), pair, margin)


def _rates(run: Stored, pair: Pair) -> str:
    """The learning rates of both sides, in words: who tunes worse may only lack a rate that was not tried."""
    listed = []
    for side in pair:
        rate = None if side is None else run.rates.get((int(side.iloc[0]["contest"]), str(side.iloc[0]["label"])))
        if rate is not None:
            listed.append(f"{rate.rate:g}{' (the outermost tried)' if rate.at_edge else ''}")
    return f", {'rates' if len(listed) > 1 else 'rate'} {' and '.join(listed)}" if listed else ""


def _undoubted(run: Stored, draft: Finding, pair: Pair, margin: float) -> Finding:
    """The draft with what speaks against it as its reason, unless it is open for too few scenes of the test."""
    if draft.limit and draft.p is not None and min(draft.p, draft.p_tied) >= LEVEL:
        return draft
    doubted = doubt(run, draft.claim, pair, draft.seeds, margin)
    return replace(draft, reason=draft.reason or doubted.reason, stuck=bool(doubted) and not doubted.seeds_help)


def _inside_floor(run: Stored, claim: Claim, task: str) -> str:
    """Why the claim could tell nothing at this task, by the floors that the run scored."""
    about = run.facts.tasks[task]
    names = [name for name, kind in about.references.items() if kind == "floor"]
    rows = run.trials[(run.trials["full_task"] == task) & run.trials["reference"].isin(names)]
    metric = claim.metric or about.metrics[0].name
    means = {str(name): scores(run, group, "test", metric).mean() for name, group in rows.groupby("reference")}
    scored = {name: float(score) for name, score in means.items() if not np.isnan(score)}
    return refusal(claim, about.metrics, task, scored)


def shown(draft: Finding) -> Finding:
    """A published figure beside what was measured: its own p decides nothing, and its doubts are told."""
    verdict = "open" if np.isnan(draft.measured) and draft.verdict != "not run" else draft.verdict
    return replace(draft, verdict="measured" if not np.isnan(draft.measured) else verdict, p=None, p_tied=1.0)


def _tested(draft: Finding, sides: Sequence[Floats], margin: float) -> Finding:
    """Fill in value, interval and p of a measure over paired seeds."""
    claim = draft.claim
    if claim.measure == "spread":
        return _spread(draft, *sides)
    samples = compared(claim.measure, *sides)
    least = margin / 4
    scale = float(np.mean(np.abs(sides[-1]))) if claim.measure in ("reduction", "ratio") else 1.0
    if not np.isfinite(samples).all() or scale == 0:
        return replace(draft, reason="a side is zero, so their ratio means nothing")
    least /= scale
    margin = margin if claim.measure in ("difference", "decibels") and claim.value == 0 else 0.0
    squares = np.square(samples - np.mean(samples))
    draft = replace(draft, lone=bool(squares.max() > squares.sum() / 2))
    return _filled(draft, paired.measure(samples, margin, null=claim.value, least_deviation=least), margin)


def _over_things(run: Stored, draft: Finding, left: pd.DataFrame, right: pd.DataFrame | None) -> Finding:
    """A difference must also hold where scenes, or lenses, of the test are drawn as seeds are.

    The larger p counts, and with it its error and its interval.
    """
    claim = draft.claim
    if right is None or claim.measure != "difference" or draft.p is None:
        return draft
    metric = claim.metric or run.facts.tasks[left.iloc[0]["full_task"]].metrics[0].name
    sides = [by_thing(run, side, metric) for side in (left, right)]
    for axis in sides[0].keys() & sides[1].keys():
        differences = (sides[0][axis] - sides[1][axis]).dropna()
        if min(differences.shape) < 2:
            continue
        lead = crossed(differences.to_numpy(float))
        interval = with_interval(lead.mean, *lead.both)
        draft = replace(
            draft,
            p_tied=max(draft.p_tied, lead.p_tied(draft.margin)),
            here=f"{draft.here}; over seeds and {differences.shape[1]} {THINGS[axis]}: {interval}",
        )
        if (p := lead.p(claim.value)) > (draft.p or 0.0):
            limit = THINGS[axis] if lead.of_things > 0.5 else ""
            low, high = lead.both
            draft = replace(draft, p=p, low=low, high=high, error=lead.error, degrees=lead.degrees, limit=limit)
    return draft


def _filled(draft: Finding, evidence: Evidence, margin: float = 0.0) -> Finding:
    """A finding with what its seeds show."""
    return replace(
        draft, measured=evidence.mean, low=evidence.low, high=evidence.high, p=evidence.p, p_tied=evidence.p_tied,
        deviation=evidence.deviation, error=evidence.error, degrees=evidence.pairs - 1, margin=margin,
    )  # fmt: skip


def _spread(draft: Finding, left: Floats, right: Floats) -> Finding:
    """Ratio of standard deviations, right over left, with the interval of the F distribution."""
    n = len(left)
    if n < 2 or left.std() == 0 or right.std() == 0:
        return replace(draft, reason="no spread to compare")
    ratio = float(right.std(ddof=1) / left.std(ddof=1))
    edges = np.sqrt(special.fdtri(n - 1, n - 1, [0.975, 0.025]))
    tail = float(special.fdtrc(n - 1, n - 1, (ratio / draft.claim.value) ** 2))
    return replace(draft, measured=ratio, low=ratio / edges[0], high=ratio / edges[1], p=2 * min(tail, 1 - tail))


def _survival(claim: Claim, left: pd.DataFrame, right: pd.DataFrame | None, here: str) -> Finding:
    """Compare times to collapse; measured is the z of the log-rank test, positive where the left lives longer."""
    sides = [survival.ends(side).dropna() for side in (left, right) if side is not None]  # nan: never started
    seeds = min(map(len, sides))
    draft = Finding(claim, "open", seeds=seeds, here=here)
    if seeds < FEWEST_PAIRS:
        return replace(draft, reason=f"{seeds} seeds started on a side; {FEWEST_PAIRS} are needed")
    events = [argument for side in sides for argument in (side["epochs"], side["fate"] == State.COLLAPSED)]
    if not any(np.any(died) for died in events[1::2]):
        n, label = len(sides[-1]), "" if right is None else str(right.iloc[0]["label"])
        most = 1 - LEVEL ** (1 / n)  # were it more, so many without a collapse would be rarer than LEVEL
        return replace(
            draft,
            reason=f"no trial collapsed: of {n} trials of {label} none, so at most {most:.0%} of them do (95 %); "
            "a game that collapses would decide",
        )
    z, p = log_rank(*events)
    return replace(draft, measured=-z, p=p)


def _starts(claim: Claim, left: pd.DataFrame, right: pd.DataFrame, here: str) -> Finding:
    """Compare shares of seeds that start, by the exact test of pairs of which one alone does; a crash is no start."""
    known = [side[side["fate"].notna() | side["failed"].astype(bool)].set_index("seed") for side in (left, right)]
    starts = [side["fate"].notna() & (side["fate"] != State.NEVER_STARTED) for side in known]
    return _shares(claim, starts, here)


def _solves(run: Stored, claim: Claim, left: pd.DataFrame, right: pd.DataFrame, here: str) -> Finding:
    """Compare shares of seeds whose primary score passes the claim's threshold; a trial that failed solves nothing."""
    solved = []
    for side in (left, right):
        sign = run.facts.tasks[side.iloc[0]["full_task"]].metrics[0].sign
        passes = (side["merit"] > sign * claim.threshold) & ~side["failed"].astype(bool)
        solved.append(passes.set_axis(side["seed"]))
    counts = " against ".join(f"{int(passes.sum())} of {len(passes)}" for passes in solved)
    return _shares(claim, solved, f"{here}; solved by {counts} seeds")


def _shares(claim: Claim, sides: Sequence[pd.Series[bool]], here: str) -> Finding:
    """Compare two shares of seeds by the exact test of pairs, of which only those count that differ."""
    known = pd.concat(sides, axis=1, join="inner").astype(float)
    draft = Finding(claim, "open", seeds=len(known), here=here)
    if len(known) < FEWEST_PAIRS:
        return replace(draft, reason=f"{len(known)} paired seeds; {FEWEST_PAIRS} are needed")
    evidence = paired.measure(known.iloc[:, 0].to_numpy() - known.iloc[:, 1].to_numpy(), shares=True)
    return replace(draft, measured=evidence.mean, p=evidence.p)  # an interval of t could contradict the exact test


def _cost(claim: Claim, left: pd.DataFrame, right: pd.DataFrame | None, here: str) -> Finding:
    """Exact quantities of one machine: no seeds, no interval."""
    sides = [side[claim.metric].dropna() for side in (left, right) if side is not None]
    if any(side.empty for side in sides):
        return Finding(claim, "not run", here=here, reason=f"{claim.metric} was not measured")
    reason = "" if claim.metric in EXACT else "a time or memory of one machine, without seeds"
    values = [np.array([float(side.iloc[0])]) for side in sides]
    return Finding(claim, "open", measured=float(compared(claim.measure, *values)[0]), here=here, reason=reason)


def _values(run: Stored, claim: Claim, side: pd.DataFrame) -> pd.Series[float]:
    """Seed -> the score that a claim is about; a failed trial has the worst that its contest saw."""
    metrics = {m.name: m for m in run.facts.tasks[side.iloc[0]["full_task"]].metrics}
    primary = next(iter(metrics))
    name = claim.metric or primary
    sign = metrics.get(name, metrics[primary]).sign
    if name == primary:
        return side.set_index("seed")["merit"].astype(float) * sign
    contest = run.trials[run.trials["contest"] == side["contest"].iloc[0]]
    worst = (scores(run, contest, "test", name) * sign).min() * sign
    scored = scores(run, side, "test", name).reindex(side["seed"])
    return scored.mask(side.set_index("seed")["failed"].astype(bool), worst)


def _margin(run: Stored, claim: Claim, side: pd.DataFrame) -> float:
    if claim.measure == "decibels":
        return DECIBELS
    metrics = run.facts.tasks[side.iloc[0]["full_task"]].metrics
    return next((m.margin for m in metrics if m.name == claim.metric), metrics[0].margin)
