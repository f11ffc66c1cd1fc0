"""Scores over training and over conditions of the test: means over seeds with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from scipy import special

from coordbench.harness.statistics.arrays import Floats
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.facts import MetricFacts
from coordbench.reports.figures.axes import plain_ticks, reach
from coordbench.reports.figures.style import INK, Slots, banded, canvas, dotted


def bands(points: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % t interval over seeds at each step: one row per (contest, metric, variant, step)."""
    points = points[np.isfinite(points["value"].astype(float))]
    groups = points.groupby(["contest", "metric", "variant", "step"], sort=False)["value"]
    band = groups.agg(["mean", "std", "count"]).reset_index().sort_values(["contest", "variant", "step"])
    count = band["count"].to_numpy(float)
    quantile = special.stdtrit(np.where(count > 1, count - 1, np.nan), 0.975)
    half = quantile * band["std"].to_numpy(float) / np.sqrt(count)
    return band.assign(low=band["mean"] - half, high=band["mean"] + half)


def curves(slots: Slots, contest: Contest, band: pd.DataFrame) -> Figure:
    """Learning curves of a contest out of its rows of `bands`: mean over seeds and its 95 % interval."""
    figure, [axes] = canvas(5.4, 3.1)
    for variant, rows in band.groupby("variant", sort=False):
        banded(axes, slots, str(variant), rows, "step")
    axes.set(xlim=reach(band["step"]), xlabel=contest.steps_label, ylabel=curve_label(contest, band))
    focus(axes, band["mean"].to_numpy(float), contest)
    return figure


def curve_label(contest: Contest, band: pd.DataFrame) -> str:
    """The name of what curves show: the metric on validation data with its unit, or the training loss."""
    name = str(band["metric"].iloc[0])
    return f"{contest.metric.label}, validation" if name.endswith(f"/{contest.metric.name}") else name.replace("/", " ")


def conditions(slots: Slots, values: pd.DataFrame, metric: str, condition: str) -> Figure:
    """A metric against a condition of the test, such as radius; `values` has variant, x, mean, low, high."""
    figure, [axes] = canvas(5.4, 3.1)
    for variant, rows in values.sort_values("x").groupby("variant", sort=False):
        banded(axes, slots, str(variant), rows, "x", marker="o")
    axes.autoscale_view()
    if values["x"].min() > 0 and values["x"].max() / values["x"].min() > 20:
        axes.set_xscale("log", base=2)
        plain_ticks(axes.xaxis)
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel=condition, ylabel=metric)
    return figure


def measures(slots: Slots, contest: Contest, band: pd.DataFrame, ceilings: Mapping[str, Mapping[str, float]]) -> Figure:
    """Small multiples of `bands`, one per metric; `ceilings`, reference -> metric -> value, are dotted lines.

    The common axis frames the later half: densities of the first steps can be many times those that matter.
    """
    names = list(band["metric"].unique())
    late = band.loc[band["step"] >= band["step"].median(), ["mean", "low", "high"]].to_numpy(float).ravel()
    bounds = [values[name] for values in ceilings.values() for name in names if name in values]
    most = max([1.0, *late[np.isfinite(late)].tolist(), *bounds])
    figure, panels = canvas(2.5 * len(names) + 0.4, 2.6, columns=len(names), top=0.28)
    for axes, name in zip(panels, names, strict=True):
        rows = band[band["metric"] == name]
        for variant, lines in rows.groupby("variant", sort=False):
            banded(axes, slots, str(variant), lines, "step")
        for reference, values in ceilings.items():
            if name in values:
                dotted(axes, values[name], reference, size=7)
        axes.set(xlim=reach(rows["step"]), ylim=(-0.03, 1.08 * most), xlabel=contest.steps_label)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_title(str(name), fontsize=8, loc="left", pad=3, color=INK)
    panels[0].set_ylabel("validation")
    return figure


def focus(axes: Axes, values: Floats, contest: Contest, *, named: bool = True) -> None:
    """Frame what matters: the values, with floor and ceiling where those do not flatten them."""
    low, high = frame(values, contest.metric)
    if low >= high:
        return
    bounds = {"floor": contest.floor, "ceiling": contest.ceiling}
    for name, bound in bounds.items():
        if np.isfinite(bound) and min(abs(bound - low), abs(bound - high)) <= 4 * (high - low):
            dotted(axes, bound, name if named else "")
            low, high = min(low, bound), max(high, bound)
    room = 0.06 * (high - low)
    axes.set_ylim(low - room, high + room)


def _without_outliers(values: Floats) -> tuple[float, float]:
    """The lowest and the highest, or nearly so where those lie far from all others."""
    low, high = float(np.quantile(values, 0.02)), float(np.quantile(values, 0.98))
    least, most, near = float(values.min()), float(values.max()), (high - low) / 2
    return least if low - least <= near else low, most if most - high <= near else high


def frame(values: Floats, metric: MetricFacts) -> tuple[float, float]:
    """The ends between which nearly all values lie, within what the metric can be; equal where there is no value."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 0.0
    low, high = _without_outliers(known)
    least = -np.inf if metric.least is None else metric.least
    most = np.inf if metric.most is None else metric.most
    low, high = max(low, least), min(high, most)
    if high > low:
        return low, high
    if np.isfinite(most - least):  # all the same: a magnified axis would show nothing but rounding
        return least, most
    spread = 0.1 * abs(high) or 1.0
    return low - spread / 2, low + spread / 2
