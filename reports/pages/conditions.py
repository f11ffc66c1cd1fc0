"""Scores under conditions of the test, over time, and against one another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from coordbench.harness.statistics.crossed import Crossed, crossed
from coordbench.harness.statistics.intervals import mean_interval
from coordbench.reports.data import series
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.run import Run
from coordbench.reports.data.things import THINGS, by_thing
from coordbench.reports.figures import curves, svg, tradeoffs

_FEWEST = 3
"""Fewer conditions are no course that a figure could show."""


def figures(run: Run, contest: Contest, variants: Collection[str]) -> list[Markup]:
    """One figure for each metric that was tested at several levels of an axis, in the words of its task."""
    rows = _swept(run, contest, variants)
    drawn = []
    for (metric, axis), levels in rows.groupby(["of", "axis"], sort=False):
        if levels["level"].nunique() >= _FEWEST:
            words = run.facts.tasks[contest.task].axes.get(str(axis))
            label = words.x if words and words.x else str(axis)
            figure = curves.conditions(run.slots, _summed(levels), str(metric), label)
            drawn.append(svg.inline(figure, f"{metric} by {axis}, contest {contest.number}"))
    return drawn


def _swept(run: Run, contest: Contest, variants: Collection[str]) -> pd.DataFrame:
    scores = run.tables.scores
    scores = scores[(scores["split"] == "test") & scores["level"].notna() & np.isfinite(scores["value"].astype(float))]
    trials = run.trials[(run.trials["contest"] == contest.number) & run.trials["label"].isin(variants)]
    return scores.join(trials["label"].rename("variant"), on="trial", how="inner")


def _summed(levels: pd.DataFrame) -> pd.DataFrame:
    """Mean and interval over seeds of each variant at each level."""
    rows = [
        (variant, level, float(values.mean()), *mean_interval(values.to_numpy(float)))
        for (variant, level), values in levels.groupby(["variant", "level"])["value"]
    ]
    return pd.DataFrame(rows, columns=["variant", "x", "mean", "low", "high"])


@dataclass(frozen=True)
class Drawn:
    """How far a variant leads the baseline over so many things of the test, which are drawn as seeds are."""

    variant: str
    things: str
    count: int
    seeds: int
    lead: Crossed


def drawn(run: Run, contest: Contest, variants: Collection[str]) -> list[Drawn]:
    """Leads over the baseline with intervals over seeds and over the scenes or lenses of the test, both drawn."""
    trials = run.trials[run.trials["contest"] == contest.number]
    tables = {str(label): by_thing(run, rows, contest.metric.name) for label, rows in trials.groupby("label")}
    baseline, leads = tables.pop(str(run.baseline), {}), []
    for variant in variants:
        for axis, scores in tables.get(variant, {}).items():
            if axis not in baseline:
                continue
            differences = ((scores - baseline[axis]) * contest.metric.sign).dropna()
            if min(differences.shape) > 1:
                seeds, things = differences.shape
                leads.append(Drawn(variant, THINGS[axis], things, seeds, crossed(differences.to_numpy(float))))
    return leads


def measures(run: Run, contest: Contest, bands: pd.DataFrame, variants: Collection[str]) -> Markup | None:
    """The measures of generated images over time, beside what real images reach on the same validation data."""
    band = bands[(bands["contest"] == contest.number) & bands["variant"].isin(variants)]
    if band["step"].nunique() < 2:
        return None
    band = band.sort_values("metric", key=lambda names: names.map(series.MEASURES.index), kind="stable")
    ceilings = _of_references(run, contest, "validation", ["ceiling"])
    return svg.inline(curves.measures(run.slots, contest, band, ceilings), f"Measures over time, {contest.title}")


def plane(run: Run, contest: Contest, variants: Collection[str]) -> Markup | None:
    """Density against coverage on test data: means and 95 % intervals over seeds, floor and ceiling beside them."""
    values = plane_values(run, contest, "coverage", "density")
    values = values[values["variant"].isin(variants)]
    if values.empty:
        return None
    bounds = _of_references(run, contest, "test", ["ceiling", "floor"])
    marks = {name: (v["coverage"], v["density"]) for name, v in bounds.items() if {"coverage", "density"} <= set(v)}
    figure = tradeoffs.plane(run.slots, values, marks, "coverage", "density")
    return svg.inline(figure, f"Density against coverage, {contest.title}")


def plane_values(run: Run, contest: Contest, x: str, y: str) -> pd.DataFrame:
    """Variant, then mean and interval over seeds of two test metrics: x, x_low, x_high, y, y_low, y_high."""
    trials = run.trials[run.trials["contest"] == contest.number]
    scores = run.tables.scores
    scores = scores[(scores["split"] == "test") & scores["metric"].isin([x, y])]
    scores = scores[np.isfinite(scores["value"].astype(float))].join(trials["label"], on="trial", how="inner")
    rows = []
    for variant, values in scores.groupby("label", sort=False):
        sides = [values.loc[values["metric"] == metric, "value"].to_numpy(float) for metric in (x, y)]
        if all(len(side) for side in sides):
            rows.append((variant, *(v for side in sides for v in (float(side.mean()), *mean_interval(side)))))
    return pd.DataFrame(rows, columns=["variant", "x", "x_low", "x_high", "y", "y_low", "y_high"])


def _of_references(run: Run, contest: Contest, split: str, kinds: Collection[str]) -> dict[str, dict[str, float]]:
    """Reference -> metric -> mean score, of the contest's references of these kinds."""
    named = [name for name, kind in run.facts.tasks[contest.task].references.items() if kind in kinds]
    trials = run.trials[(run.trials["full_task"] == contest.task) & run.trials["reference"].isin(named)]
    scores = run.tables.scores
    scores = scores[scores["split"] == split].join(trials["reference"], on="trial", how="inner")
    means: dict[str, dict[str, float]] = {}
    for (reference, metric), values in scores.groupby(["reference", "metric"])["value"]:
        mean = float(values.astype(float).mean())
        if np.isfinite(mean):
            means.setdefault(str(reference), {})[str(metric)] = mean
    return means
