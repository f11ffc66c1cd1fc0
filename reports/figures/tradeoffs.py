"""One quantity against another, a dot per variant: scores against costs, densities against coverage."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from coordbench.harness.statistics.arrays import Floats
from coordbench.reports.data.contest import Contest
from coordbench.reports.figures.axes import cost_axis
from coordbench.reports.figures.curves import focus
from coordbench.reports.figures.style import MUTED, Slots, canvas, dot

COSTS = {
    "parameters": "parameters",
    "flops": "FLOPs per batch, forward",
    "latency_step_seconds": "training step",
    "peak_memory_bytes": "peak memory",
}


def tradeoffs(
    slots: Slots, contest: Contest, board: pd.DataFrame, latencies: Mapping[str, tuple[float, float]]
) -> Figure:
    """Score against each cost, with intervals on both axes where there are any, and the Pareto front as a line."""
    shown = [cost for cost in COSTS if board[cost].notna().any()]
    figure, panels = canvas(2.7 * max(len(shown), 1), 2.7, columns=max(len(shown), 1))
    for axes, cost in zip(panels, shown, strict=False):
        known = board.dropna(subset=[cost, "score"])
        timed = latencies if cost == "latency_step_seconds" else {}
        columns = (known[name].to_numpy(float).tolist() for name in (cost, "score", "low", "high"))
        for variant, x, score, low, high in zip(known["variant"].astype(str), *columns, strict=True):
            dot(axes, slots, variant, x, score, (low, high), timed.get(variant))
        front = pareto(known[cost].to_numpy(float), known["score"].to_numpy(float), contest.metric.better)
        line = known[front].sort_values(cost)
        edge = Line2D(line[cost].to_numpy(float), line["score"].to_numpy(float), color=MUTED, linewidth=0.9, zorder=0)
        edge.set_linestyle((0, (3, 2)))
        axes.add_line(edge)
        focus(axes, known[["score", "low", "high"]].to_numpy(float).ravel(), contest, named=False)
        cost_axis(axes, known[cost].to_numpy(float), cost)
        axes.set_xlabel(COSTS[cost])
    panels[0].set_ylabel(contest.metric.label)
    return figure


def pareto(costs: Floats, scores: Floats, better: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Mark what nothing dominates: no other costs at most as much and scores at least as well, one of them strictly."""
    merits = scores if better == "higher" else -scores
    cheaper, finer = costs[None, :] <= costs[:, None], merits[None, :] >= merits[:, None]
    strictly = (costs[None, :] < costs[:, None]) | (merits[None, :] > merits[:, None])
    return np.asarray(~(cheaper & finer & strictly).any(axis=1))


def plane(slots: Slots, values: pd.DataFrame, references: Mapping[str, tuple[float, float]], x: str, y: str) -> Figure:
    """One metric against another: a mark per variant with both intervals, and hollow ones for named references.

    `values` has variant, then mean, low and high of either metric as x, x_low, x_high, y, y_low, y_high.
    """
    figure, [axes] = canvas(5.4, 3.1)
    columns = [values[name].to_numpy(float).tolist() for name in ("x", "y", "y_low", "y_high", "x_low", "x_high")]
    for variant, across, up, low, high, left, right in zip(values["variant"].astype(str), *columns, strict=True):
        dot(axes, slots, variant, across, up, (low, high), (left, right))
    for name, (across, up) in references.items():
        hollow = Line2D([across], [up], linestyle="none", marker="D", markersize=5, color=MUTED, markerfacecolor="none")
        axes.add_line(hollow)
        axes.annotate(name, (across, up), (0, 6), textcoords="offset points", ha="center", color=MUTED, fontsize=8)
    axes.margins(0.1, 0.14)
    axes.autoscale_view()
    axes.set(xlabel=x, ylabel=y)
    return figure
