"""Who stands where: variants ranked in each contest, and judged against a baseline seed by seed.

Who never ended well in a contest has no rank there, no score and no verdict.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
from scipy import special

from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.statistics.paired import Comparison, judge
from coordbench.reports.data.stored import COSTS, Stored

Merits = dict[tuple[int, str], Floats]
"""(contest, variant) -> merits in the order of the run's seeds, nan where a seed is missing."""


def leaderboard(run: Stored) -> pd.DataFrame:
    """Rank the variants of every contest, best first: mean score, 95 % interval over seeds, failures, costs."""
    ranked = _summary(run).sort_values(["contest", "merit"], ascending=[True, False], kind="stable")
    ranked["rank"] = ranked.groupby("contest")["merit"].rank(ascending=False, method="min").astype("Int64")
    return ranked.drop(columns="merit").reset_index(drop=True)


def verdicts(run: Stored, baseline: str | None = None) -> pd.DataFrame:
    """Judge every variant of every contest against a baseline, paired by seed, Holm over all of them."""
    against = baseline or run.baseline or ""
    merits = merits_by_cell(run)
    cells = [cell for cell in merits if cell[1] != against and (cell[0], against) in merits]
    differences = [merits[cell] - merits[cell[0], against] for cell in cells]
    family = [d[np.isfinite(d)] for d in differences]
    judged = judge(family, [run.contests[contest].metric.margin for contest, _ in cells])
    frame = pd.DataFrame([vars(verdict) for verdict in judged], columns=[item.name for item in fields(Comparison)])
    named = pd.DataFrame(cells, columns=["contest", "variant"]).assign(baseline=against)
    return pd.concat([named, frame], axis=1)


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
