"""All contests together: aggregated scores, and how likely a run of one variant beats one of another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from coordbench.harness.statistics.aggregate import (
    improvement_interval,
    iqm,
    probability_of_improvement,
    stratified_bootstrap,
)
from coordbench.harness.statistics.arrays import Floats
from coordbench.reports.data.stored import Stored

Strata = dict[str, dict[int, Floats]]
"""Variant -> contest -> normalized scores of its seeds."""


def aggregate(run: Stored, strata: Strata, baseline: str | None = None) -> pd.DataFrame:
    """Aggregate normalized scores: IQM with its stratified bootstrap interval, probability of improvement.

    A variant is comparable (`complete`) where it ended well in every contest that has a floor and a ceiling.
    """
    everything = set().union(*strata.values()) if strata else set()
    generator = np.random.default_rng(0)
    rows = []
    for variant, scores in strata.items():
        arrays = list(scores.values())
        seeds = max(map(len, arrays))
        low, high = (np.nan, np.nan)
        if seeds > 1:
            low, high = stratified_bootstrap(arrays, iqm, generator)
        center = float(iqm(np.concatenate(arrays)))
        rows.append((variant, len(scores), len(everything), center, low, high, seeds))
    frame = pd.DataFrame(rows, columns=["variant", "contests", "of", "iqm", "low", "high", "seeds"])
    frame["complete"] = frame["contests"] == frame["of"]
    against = improvements(strata, [baseline or run.baseline])
    frame = frame.merge(against, on="variant", how="left").drop(columns="baseline")
    return frame.sort_values(["complete", "iqm"], ascending=False, kind="stable").reset_index(drop=True)


def improvements(strata: Strata, baselines: Iterable[str | None]) -> pd.DataFrame:
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


def normalized_strata(run: Stored) -> Strata:
    """The normalized scores of each variant, of the contests with floor and ceiling in which it ended well.

    A failed trial counts as the floor, or as the worst of its contest where that is lower.
    """
    rows = run.trials.dropna(subset="contest")
    rows = rows[rows["status"] != "skipped"]
    rows = rows.assign(normalized=rows["normalized"].astype(float).where(np.isfinite(rows["normalized"].astype(float))))
    ended = rows["normalized"].groupby([rows["contest"], rows["label"]]).transform("count") > 0
    rows = rows[ended]
    worst = rows.groupby("contest")["normalized"].transform("min").clip(upper=0.0)
    rows = rows.assign(value=rows["normalized"].where(~rows["failed"], worst)).dropna(subset="value")
    strata: Strata = {variant: {} for variant in run.variants}
    for (variant, contest), values in rows.groupby(["label", "contest"], sort=False)["value"]:
        strata[str(variant)][int(str(contest).removesuffix(".0"))] = values.to_numpy(float)
    return {variant: scores for variant, scores in strata.items() if scores}
