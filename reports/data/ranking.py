"""Who stands where: variants ranked in each contest, and judged against a baseline seed by seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from coordbench.harness.statistics import paired
from coordbench.reports.data.stored import COSTS, Run, given


def leaderboard(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """Rank the variants of every contest, best first: mean score, 95 % interval over seeds, failures, costs."""
    run = given(run, where)
    own = run.trials.dropna(subset="contest")
    ranked = _summary(own, run).sort_values(["contest", "merit"], ascending=[True, False], kind="stable")
    ranked["rank"] = ranked.groupby("contest")["merit"].rank(ascending=False, method="min").astype("Int64")
    return ranked.drop(columns="merit").reset_index(drop=True)


def verdicts(run: Run | str | None = None, baseline: str | None = None, **where: Any) -> pd.DataFrame:
    """Judge every variant of every contest against a baseline, paired by seed, Holm over all of them.

    Fewer than `paired.FEWEST_PAIRS` pairs are open.
    """
    run = given(run, where)
    baseline = baseline or run.baseline
    merits = merits_by_cell(run)
    cells = [cell for cell in merits if cell[1] != baseline and (cell[0], baseline) in merits]
    differences = [merits[cell] - merits[cell[0], str(baseline)] for cell in cells]
    family = [d[np.isfinite(d)] for d in differences]
    margins = run.contests["margin"].to_dict()
    judged = paired.judge(family, [float(margins[contest]) for contest, _ in cells])
    frame = pd.DataFrame([vars(found) for found in judged], columns=list(paired.Comparison.__dataclass_fields__))
    named = pd.DataFrame(cells, columns=["contest", "variant"]).assign(baseline=baseline)
    return pd.concat([named, frame], axis=1)


def merits_by_cell(run: Run) -> dict[tuple[int, str], np.ndarray[Any, Any]]:
    """(contest, variant) -> merits in the order of the table's seeds, nan where a seed is missing."""
    table = merit_table(run)
    rows = table.to_numpy(float)
    return {(int(contest), str(variant)): row for (contest, variant), row in zip(table.index, rows, strict=True)}


def merit_table(run: Run) -> pd.DataFrame:
    """Merits, one row per (contest, variant) and one column per seed; failed trials count as their contest's worst."""
    own = run.trials.dropna(subset=["contest", "merit"])
    table = own.pivot_table(index=["contest", "label"], columns="seed", values="merit", aggfunc="first", sort=False)
    table.index = table.index.set_names(["contest", "variant"])
    return table


def _summary(own: pd.DataFrame, run: Run) -> pd.DataFrame:
    groups = own.groupby(["contest", "label"], sort=False)
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
    frame = frame.astype({"contest": int, "converged": float})
    half = _half_widths(frame["deviation"], frame["seeds"])
    frame.insert(5, "low", frame["score"] - half)
    frame.insert(6, "high", frame["score"] + half)
    told = run.contests[["suite", "full_task", "full_backbone", "steps_planned", "metric", "unit"]]
    named = frame.join(told, on="contest").rename(columns={"label": "variant"}).drop(columns="deviation")
    front = ["contest", *told.columns, "variant"]
    return named[[*front, *(column for column in named.columns if column not in front)]]


def _half_widths(deviation: pd.Series[Any], seeds: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Half the width of the t interval over seeds."""
    n = seeds.to_numpy(float)
    quantile = special.stdtrit(np.where(n > 1, n - 1, np.nan), 0.975)
    return np.asarray(quantile * deviation.to_numpy(float) / np.sqrt(np.where(n > 0, n, np.nan)))
