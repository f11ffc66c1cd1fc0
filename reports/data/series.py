"""What a run holds many rows of: curves, latencies, samples. Read for the trials that a page draws, no others."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from coordbench.harness.analysis import series
from coordbench.harness.core.problem import Sample
from coordbench.reports.data.stored import Stored

MOST_POINTS = 40
"""Points of a curve that a figure shows; more cannot be told apart."""
MOST_CURVES = 12_000
"""Curves that a page reads; beyond it each variant shows as many of its seeds as fit."""
MOST_LOGS = 200
"""Failed trials whose logs a page carries."""
MEASURES = ("precision", "recall", "density", "coverage")
"""What is looked at over time beside the primary metric, in tasks that have at least two of them."""


def curves(run: Stored) -> pd.DataFrame:
    """Points of the validation curves of the primary metric, of the training loss where a contest has none.

    Columns: contest, variant, seed, metric, step, seconds, value.
    """
    chosen = _few(run)
    primary = {number: contest.metric.name for number, contest in run.contests.items()}
    points = _read(run, chosen, {f"validation/{metric}" for metric in primary.values()})
    points = points[points["metric"] == "validation/" + points["contest"].map(primary).astype(str)]
    bare = chosen[~chosen["contest"].isin(points["contest"])] if len(points) else chosen
    return pd.concat([points, _read(run, bare, {"train/loss"})], ignore_index=True)


def measures(run: Stored) -> pd.DataFrame:
    """Points of the validation curves of `MEASURES`, in their order and under their bare names; columns as `curves`."""
    tasks = run.facts.tasks.items()
    having = [task for task, facts in tasks if len({m.name for m in facts.metrics} & set(MEASURES)) > 1]
    chosen = _few(run)
    points = _read(run, chosen[chosen["full_task"].isin(having)], {f"validation/{name}" for name in MEASURES})
    points = points.assign(metric=points["metric"].str.removeprefix("validation/"))
    return points.sort_values("metric", key=lambda names: names.map(MEASURES.index), kind="stable")


def latencies(run: Stored) -> dict[tuple[str, str, str], tuple[float, float]]:
    """95 % intervals of the median step latency [s] by (task, backbone, variant)."""
    return series.step_latencies(run.store, run.name)


def logs(run: Stored) -> dict[int, str]:
    """The logs of the first failed trials, by record."""
    failed = run.trials[run.trials["failed"].astype(bool)].dropna(subset=["record"])
    return series.logs(run.store, failed["record"].astype(int).head(MOST_LOGS))


def samples(run: Stored, records: Iterable[int]) -> dict[int, list[Sample]]:
    """The samples of records."""
    return series.samples(run.store, records)


def _few(run: Stored) -> pd.DataFrame:
    """The trials of which curves are drawn: as many seeds of each variant as `MOST_CURVES` allow."""
    trials = run.trials.dropna(subset=["contest", "record"])
    seeds = max(3, MOST_CURVES // max(1, trials.groupby(["contest", "label"]).ngroups))
    return trials[trials.groupby(["contest", "label"]).cumcount() < seeds]


def _read(run: Stored, trials: pd.DataFrame, metrics: set[str]) -> pd.DataFrame:
    points = series.curves(run.store, trials["record"].astype(int), metrics, MOST_POINTS)
    named = trials[["record", "contest", "label", "seed"]].rename(columns={"label": "variant"})
    return named.merge(points, on="record").astype({"step": float, "seconds": float, "value": float})
