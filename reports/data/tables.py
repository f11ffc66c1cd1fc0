"""The tables of a report, each a DataFrame: `leaderboard("latest-run")` works in a notebook as it does in the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from coordbench.harness.core.record import FAILED
from coordbench.harness.statistics.aggregate import (
    improvement_interval,
    iqm,
    probability_of_improvement,
    stratified_bootstrap,
)
from coordbench.reports.data.choice import choose
from coordbench.reports.data.costs import costs
from coordbench.reports.data.probes import probes
from coordbench.reports.data.ranking import leaderboard, merit_table, merits_by_cell, verdicts
from coordbench.reports.data.stored import COSTS, Run, given, load

__all__ = [
    "COSTS",
    "Run",
    "aggregate",
    "choose",
    "costs",
    "coverage",
    "environment",
    "failures",
    "improvements",
    "leaderboard",
    "load",
    "merit_table",
    "merits_by_cell",
    "normalized_strata",
    "probes",
    "references",
    "verdicts",
]


def references(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """The references of every task: floor, ceiling or anchor, with mean and 95 % interval over seeds."""
    run = given(run, where)
    rows = run.trials[run.trials["reference"].notna()]
    groups = rows.groupby(["full_task", "reference"], sort=False)
    frame = groups["score"].agg(["count", "mean"]).rename(columns={"count": "seeds", "mean": "score"}).reset_index()
    facts = [run.facts["tasks"][task] for task in frame["full_task"]]
    frame["kind"] = [own["references"].get(name) for own, name in zip(facts, frame["reference"], strict=True)]
    frame["metric"] = [own["metrics"][0]["name"] for own in facts]
    return frame


def coverage(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """How many trials of each suite were planned, and how they ended."""
    run = given(run, where)
    counted = run.trials.groupby(["suite", "status"]).size().unstack(fill_value=0)
    order = [status for status in ("ok", *FAILED, "skipped") if status in counted]
    counted = counted[order].rename_axis(columns=None)
    counted.insert(0, "planned", counted.sum(axis=1))
    return counted.reset_index()


def failures(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """Trials that did not end well, alike ones together, with their reason and their seeds; cost measurements too."""
    run = given(run, where)
    bad = run.trials[run.trials["status"] != "ok"]
    keys = ["full_task", "full_backbone", "label", "status", "error"]
    grouped = bad.groupby(keys, dropna=False, sort=False)["seed"]
    listed = grouped.agg(lambda seeds: ", ".join(str(int(seed)) for seed in seeds)).rename("seeds").reset_index()
    measured = run.tables.costs
    missed = measured[measured["status"] != "ok"]
    missed = missed.rename(columns={"task": "full_task", "backbone": "full_backbone", "variant": "label"})
    return pd.concat([listed, missed[keys].assign(seeds="costs")], ignore_index=True)


def aggregate(run: Run | str | None = None, baseline: str | None = None, **where: Any) -> pd.DataFrame:
    """Aggregate normalized scores: IQM with its stratified bootstrap interval, probability of improvement, failures.

    A variant is comparable (`complete`) where it took part in every contest that has a floor and a ceiling.
    """
    run = given(run, where)
    baseline = baseline or run.baseline
    strata = normalized_strata(run)
    everything = set().union(*strata.values()) if strata else set()
    generator = np.random.default_rng(0)
    rows = []
    for variant, own in strata.items():
        arrays = list(own.values())
        low, high = (np.nan, np.nan)
        if max(map(len, arrays)) > 1:
            low, high = stratified_bootstrap(arrays, iqm, generator)
        rows.append(
            (
                variant,
                len(own),
                len(everything),
                float(iqm(np.concatenate(arrays))),
                low,
                high,
                max(map(len, arrays)),
            )
        )
    columns = ["variant", "contests", "of", "iqm", "low", "high", "seeds"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["complete"] = frame["contests"] == frame["of"]
    frame = frame.merge(improvements(run, strata, [baseline]), on="variant", how="left").drop(columns="baseline")
    return frame.sort_values(["complete", "iqm"], ascending=False, kind="stable").reset_index(drop=True)


def improvements(
    run: Run, strata: dict[str, dict[int, np.ndarray[Any, Any]]], baselines: Iterable[str | None]
) -> pd.DataFrame:
    """The probability that a run of a variant beats one of a baseline, over the contests that both took part in."""
    rows = []
    generator = np.random.default_rng(1)
    for baseline in baselines:
        theirs = strata.get(baseline or "", {})
        for variant, ours in strata.items():
            shared = [contest for contest in ours if contest in theirs]
            if variant == baseline or not shared:
                continue
            pair = [ours[c] for c in shared], [theirs[c] for c in shared]
            chance = probability_of_improvement(*pair)
            low, high = improvement_interval(*pair, generator, repeats=200)
            if max(map(len, pair[0])) < 2:
                low = high = np.nan
            rows.append((variant, baseline, chance, low, high))
    columns = ["variant", "baseline", "improvement", "improvement_low", "improvement_high"]
    return pd.DataFrame(rows, columns=columns)


def normalized_strata(run: Run) -> dict[str, dict[int, np.ndarray[Any, Any]]]:
    """Variant -> contest -> normalized scores of its seeds, for the contests with floor and ceiling.

    A failed trial counts as the floor, or as the worst of its contest where that is lower.
    """
    own = run.trials.dropna(subset="contest")
    own = own[own["status"] != "skipped"]
    normal = own["normalized"].groupby(own["contest"]).transform("count") > 0
    own = own[normal]
    worst = own.groupby("contest")["normalized"].transform("min").clip(upper=0.0)
    value = own["normalized"].where(~own["failed"], worst)
    own = own.assign(value=value).dropna(subset="value")
    strata: dict[str, dict[int, np.ndarray[Any, Any]]] = {v: {} for v in run.variants}
    values = own["value"].to_numpy(float)
    cells: Any = own.groupby(["label", "contest"]).indices
    for (variant, contest), rows in cells.items():
        strata[variant][int(contest)] = values[rows]
    return {variant: found for variant, found in strata.items() if found}


def environment(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """What the records of a run were made on."""
    return given(run, where).tables.environment
