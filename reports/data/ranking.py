"""Who stands where: variants ranked in each contest, and judged against a baseline seed by seed.

Who never ended well in a contest has no rank there, no score and no verdict.
"""

from __future__ import annotations

import functools
from dataclasses import fields, replace

import numpy as np
import pandas as pd
from scipy import special

from coordbench.harness.core.selector import Selector
from coordbench.harness.plan.looks import shared
from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.statistics.paired import Comparison, measure
from coordbench.harness.statistics.sequential import History, take_looks
from coordbench.reports.data.stored import COSTS, Stored

Merits = dict[tuple[int, str], Floats]
"""(contest, variant) -> merits in the order of the run's seeds, nan where a seed is missing."""


def leaderboard(run: Stored) -> pd.DataFrame:
    """Rank the variants of every contest, best first: mean score, 95 % interval over seeds, failures, costs."""
    ranked = _summary(run).sort_values(["contest", "merit"], ascending=[True, False], kind="stable")
    ranked["rank"] = ranked.groupby("contest")["merit"].rank(ascending=False, method="min").astype("Int64")
    return ranked.drop(columns="merit").reset_index(drop=True)


def verdicts(run: Stored, baseline: str | None = None) -> pd.DataFrame:
    """Judge every variant of every contest against a baseline, paired by seed, Holm over all of them.

    `looks` holds what each came to at each look that was taken, and `final` whether that can change.
    """
    against = baseline or run.baseline or ""
    times = _Times(run)
    cells = [cell for cell in times.now if cell[1] != against and (cell[0], against) in times.now]
    judged = take_looks([times.history(contest, variant, against) for contest, variant in cells])
    judged = [replace(one, planned=against == run.baseline) for one in judged]  # no seeds are given for other baselines
    frame = pd.DataFrame([vars(one.comparison) for one in judged], columns=[item.name for item in fields(Comparison)])
    named = pd.DataFrame(cells, columns=["contest", "variant"]).assign(baseline=against)
    final = pd.Series([one.final for one in judged], dtype=bool)
    return pd.concat([named, frame], axis=1).assign(looks=pd.Series(judged, dtype=object), final=final)


class _Times:
    """The merits of a run now and at each of its looks."""

    def __init__(self, run: Stored) -> None:
        self.run, self.now = run, merits_by_cell(run)
        self.at = functools.cache(lambda look: merits_by_cell(run.until(look)))

    def history(self, contest: int, variant: str, against: str) -> History:
        """The evidence of one comparison at the looks that were taken."""
        cells = [replace(self.run.contests[contest].cell, variant=Selector.parse(name)) for name in (variant, against)]
        looks = shared(*(self.run.facts.looks.get(cell) for cell in cells))
        margin = self.run.contests[contest].metric.margin
        if looks is None:
            return History((measure(_differences(self.now, contest, variant, against), margin),))
        due = looks.due(min(self.run.tried(cell) for cell in cells))
        times = [self.at(looks.design.looks[place]) for place in due] or [self.now]
        evidence = tuple(measure(_differences(merits, contest, variant, against), margin) for merits in times)
        return History(evidence, looks.design, due[0] if due else 0, early=not due)


def _differences(merits: Merits, contest: int, variant: str, against: str) -> Floats:
    """Paired differences; none where an arm had not ended well by then."""
    ours, theirs = (merits.get((contest, name)) for name in (variant, against))
    if ours is None or theirs is None:
        return np.empty(0)
    return (ours - theirs)[np.isfinite(ours - theirs)]


def merits_by_cell(run: Stored) -> Merits:
    """The merits of every variant in every contest in which it ended well at least once."""
    table = merit_table(run)
    rows = table.to_numpy(float)
    return {(int(contest), str(variant)): row for (contest, variant), row in zip(table.index, rows, strict=True)}


def merit_table(run: Stored) -> pd.DataFrame:
    """Merits, one row per (contest, variant) and one column per seed; failed trials count as their contest's worst."""
    rows = run.trials.dropna(subset=["contest", "merit", "seed"])
    ended = (~rows["failed"]).groupby([rows["contest"], rows["label"]]).transform("any")
    rows = rows[ended]
    table = rows.pivot_table(index=["contest", "label"], columns="seed", values="merit", aggfunc="first", sort=False)
    table.index = table.index.set_names(["contest", "variant"])
    return table


def _summary(run: Stored) -> pd.DataFrame:
    rows = run.trials.dropna(subset="contest")
    groups = rows.groupby(["contest", "label"], sort=False)
    frame = groups.agg(
        seeds=("score", "count"),
        failed=("failed", "sum"),
        score=("score", "mean"),
        deviation=("score", "std"),
        normalized=("normalized", "mean"),
        merit=("merit", "mean"),
        converged=("converged", "mean"),
        seconds=("seconds", "mean"),
        **{cost: (cost, "first") for cost in COSTS},
    ).reset_index()
    frame = frame.astype({"contest": int, "converged": float, "merit": float})
    frame.loc[frame["seeds"] == 0, ["merit", "normalized"]] = np.nan
    low, high = _interval(run, frame)
    frame.insert(5, "low", low)
    frame.insert(6, "high", high)
    named = _about(run, frame["contest"]).join(frame.drop(columns=["contest", "deviation"]))
    return named.rename(columns={"label": "variant"})


def _about(run: Stored, numbers: pd.Series[int]) -> pd.DataFrame:
    """What is told of a contest in front of each row of its leaderboard."""
    contests = [run.contests[number] for number in numbers]
    columns = ["contest", "suite", "full_task", "full_backbone", "steps_planned", "metric", "unit"]
    rows = [(c.number, c.suite, c.task, c.backbone, c.steps, c.metric.name, c.metric.unit) for c in contests]
    return pd.DataFrame(rows, columns=columns)


def _interval(run: Stored, frame: pd.DataFrame) -> tuple[Floats, Floats]:
    """The ends of the 95 % t interval over seeds, held within what the metric can be."""
    n = frame["seeds"].to_numpy(float)
    quantile = special.stdtrit(np.where(n > 1, n - 1, np.nan), 0.975)
    half = np.asarray(quantile * frame["deviation"].to_numpy(float) / np.sqrt(np.where(n > 0, n, np.nan)))
    metrics = [run.contests[number].metric for number in frame["contest"]]
    least = np.array([-np.inf if m.least is None else m.least for m in metrics])
    most = np.array([np.inf if m.most is None else m.most for m in metrics])
    score = frame["score"].to_numpy(float)
    return np.maximum(score - half, least), np.minimum(score + half, most)
