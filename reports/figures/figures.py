"""The figures of a report, each a function that returns a matplotlib Figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from scipy import special

from coordbench.harness.core.scores import State
from coordbench.harness.statistics.aggregate import performance_profile
from coordbench.harness.statistics.survival import kaplan_meier
from coordbench.reports import text
from coordbench.reports.data import tables
from coordbench.reports.data.stored import Run
from coordbench.reports.figures.drawing import (
    INK,
    MUTED,
    banded,
    canvas,
    cost_axis,
    dash,
    dot,
    log_ticks,
    look,
    ratio_axis,
    reach,
    reader,
)

NAMES = {
    "flops": "FLOPs, forward",
    "latency_forward_seconds": "forward pass",
    "latency_step_seconds": "training step",
    "peak_memory_bytes": "peak memory",
}
COSTS = {
    "parameters": "parameters",
    "flops": "FLOPs per batch, forward",
    "latency_step_seconds": "training step",
    "peak_memory_bytes": "peak memory",
}


def bands(points: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % t interval over seeds at each step: one row per (contest, metric, variant, step)."""
    groups = points.groupby(["contest", "metric", "variant", "step"], sort=False)["value"]
    band = groups.agg(["mean", "std", "count"]).reset_index().sort_values(["contest", "variant", "step"])
    count = band["count"].to_numpy(float)
    quantile = special.stdtrit(np.where(count > 1, count - 1, np.nan), 0.975)
    half = quantile * band["std"].to_numpy(float) / np.sqrt(count)
    return band.assign(low=band["mean"] - half, high=band["mean"] + half)


def curves(run: Run, contest: int, band: pd.DataFrame) -> Figure:
    """Learning curves of a contest out of its rows of `bands`: mean over seeds and its 95 % interval."""
    figure, axes = canvas(5.4, 3.1)
    facts: Any = run.contests.loc[contest]
    for variant, own in band.groupby("variant", sort=False):
        banded(axes, run, str(variant), own["step"], own["mean"], own["low"], own["high"])
    name = str(band["metric"].iloc[0])
    axes.set(xlim=reach(band["step"]), xlabel="training step")
    axes.set_ylabel(_with_unit(name, facts["unit"] if facts["metric"] in name else ""))
    _focus(axes, band["mean"].to_numpy(float), facts)
    return figure


def tradeoffs(run: Run, contest: int, board: pd.DataFrame, latencies: Mapping[str, tuple[float, float]]) -> Figure:
    """Score against each cost, with intervals on both axes where there are any, and the Pareto front as a line."""
    facts: Any = run.contests.loc[contest]
    shown = [cost for cost in COSTS if board[cost].notna().any()]
    figure, panels = canvas(2.7 * max(len(shown), 1), 2.7, columns=max(len(shown), 1))
    for axes, cost in zip(np.atleast_1d(panels), shown, strict=False):
        known = board.dropna(subset=[cost, "score"])
        timed = latencies if cost == "latency_step_seconds" else {}
        columns = (known[name].to_numpy(float).tolist() for name in (cost, "score", "low", "high"))
        for variant, x, score, low, high in zip(known["variant"], *columns, strict=True):
            dot(axes, run, variant, x, score, (low, high), timed.get(variant))
        front = pareto(known[cost].to_numpy(float), known["score"].to_numpy(float), facts["better"])
        line = known[front].sort_values(cost)
        style: dict[str, Any] = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (3, 2)), "zorder": 0}
        axes.add_line(Line2D(line[cost].to_numpy(float), line["score"].to_numpy(float), **style))
        _focus(axes, known[["score", "low", "high"]].to_numpy(float).ravel(), facts, named=False)
        cost_axis(axes, known[cost].to_numpy(float), cost)
        axes.set_xlabel(COSTS[cost])
    np.atleast_1d(panels)[0].set_ylabel(_with_unit(facts["metric"], facts["unit"]))
    return figure


def conditions(run: Run, values: pd.DataFrame, metric: str, condition: str) -> Figure:
    """A metric against a condition of the test, such as radius; `values` has variant, x, value, low, high."""
    figure, axes = canvas(5.4, 3.1)
    for variant, own in values.sort_values("x").groupby("variant", sort=False):
        banded(axes, run, str(variant), own["x"], own["value"], own["low"], own["high"], marker="o", markersize=3.5)
    axes.autoscale_view()
    if values["x"].min() > 0 and values["x"].max() / values["x"].min() > 20:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text.tick(value)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel=condition, ylabel=metric)
    return figure


def ratios(run: Run, costs: pd.DataFrame) -> Figure:
    """Forward and step time of one task's variants as multiples of the plain convolution's, with their intervals."""
    names = list(dict.fromkeys(costs["variant"].astype(str)))
    figure, panels = canvas(8.2, 0.7 + 0.23 * len(names), columns=2, left=1.9)
    for axes, phase, title in zip(panels, ("forward", "step"), ("forward pass", "training step"), strict=True):
        columns = [f"ratio_{phase}{side}" for side in ("", "_low", "_high")]
        known = costs.dropna(subset=columns).drop_duplicates("variant")
        for variant, x, low, high in known[["variant", *columns]].itertuples(index=False):
            dot(axes, run, str(variant), x, names.index(variant), None, (low, high))
        ratio_axis(axes, known[columns].to_numpy(float))
        axes.axvline(1.0, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
        axes.set(xlabel=f"{title}, multiple of conv", ylim=(len(names) - 0.4, -0.6))
        axes.yaxis.set_major_locator(FixedLocator(range(len(names))))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: names[round(value)]))
    return figure


def scaling(run: Run, points: pd.DataFrame, laws: pd.DataFrame) -> Figure:
    """One quantity against one axis, both logarithmic; the legend gives each variant's exponent and its interval."""
    figure, axes = canvas(6.1, 2.7, left=0.8, right=2.55)
    quantity, axis = str(points["quantity"].iloc[0]), str(points["axis"].iloc[0])
    exponents = laws.set_index("variant")
    for variant, own in points.groupby("variant", sort=False):
        x, y = (own[name].to_numpy(float) for name in ("value", "amount"))
        style: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linewidth": 1.4} | look(run, str(variant))
        label = f"{variant}{_exponent(exponents, variant)}"
        axes.add_line(Line2D(x, y, linestyle=dash(run, str(variant)), label=label, **style))
    axes.set(xscale="log", yscale="log")
    for side, values, name in ((axes.xaxis, points["value"], ""), (axes.yaxis, points["amount"], quantity)):
        log_ticks(side, values.to_numpy(float), reader(name))
    axes.set(xlabel=axis, ylabel=NAMES.get(quantity, quantity))
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=7.5, handlelength=1.6, labelcolor=INK
    )
    return figure


def _exponent(laws: pd.DataFrame, variant: object) -> str:
    if variant not in laws.index:
        return ""
    law: Any = laws.loc[str(variant)]
    interval = f" [{law['low']:.2f}, {law['high']:.2f}]" if law["low"] == law["low"] else ""
    return f": {law['exponent']:.2f}{interval}"


def shift_errors(run: Run, errors: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Small multiples, one per variant: error against shift, solid inside the border, dashed with it."""
    columns = min(6, max(1, len(errors)))
    rows = -(-len(errors) // columns)
    figure, panels = canvas(1.7 * columns + 0.5, 1.4 * rows + 0.5, columns=columns, rows=rows, top=0.25)
    flat = list(np.ravel(panels))
    for axes, (variant, found) in zip(flat, errors.items(), strict=False):
        style = look(run, variant) | {"clip_on": False}
        lines: dict[str, Any] = {"shift_error_interior": "solid", "shift_error_with_borders": (0, (2, 1.5))}
        for name, line in lines.items():
            if found.get(name):
                shifts, values = zip(*found[name], strict=True)
                axes.add_line(Line2D(shifts, np.clip(values, 0, 1.5), linestyle=line, linewidth=1.6, **style))
        axes.set(xlim=(1, 4), ylim=(-0.05, 1.5))
        axes.set_title(_shortened(variant), fontsize=8, loc="left", pad=3, color=INK)
        axes.xaxis.set_major_locator(FixedLocator([1, 2, 3, 4]))
        axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1, 1.5]))
    for axes in flat[len(errors) :]:
        axes.set_axis_off()
    return figure


def profiles(run: Run) -> Figure:
    """Performance profile: the share of runs above each normalized score, averaged over contests."""
    figure, axes = canvas(5.4, 3.1)
    thresholds = np.linspace(0, 1, 101)
    strata = tables.normalized_strata(run)
    most = max(map(len, strata.values()), default=0)
    for variant, own in strata.items():
        if len(own) < most:
            continue
        share = performance_profile(list(own.values()), thresholds)
        style: dict[str, Any] = {"drawstyle": "steps-post", "linewidth": 1.8, "linestyle": dash(run, variant)}
        axes.add_line(Line2D(thresholds, share, **style, **look(run, variant)))
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="normalized score t (0 floor, 1 ceiling)", ylabel="runs above t")
    return figure


def survival(run: Run, started: pd.DataFrame) -> Figure:
    """Kaplan-Meier curves of `survival.lives` that started; a tick marks where a seed was censored."""
    figure, axes = canvas(5.4, 2.6)
    for variant, own in started.groupby("variant", sort=False):
        times, state = own["epochs"].to_numpy(float), own["fate"].to_numpy(object)
        curve = kaplan_meier(times, state == State.COLLAPSED)
        moments = np.append(0.0, np.unique(times))
        shares = np.append(1.0, curve.shares)[np.searchsorted(curve.times, moments, side="right")]
        ticks = np.flatnonzero(np.isin(moments, times[state == State.CENSORED])).tolist()
        style: dict[str, Any] = {"drawstyle": "steps-post", "linewidth": 1.8, "linestyle": dash(run, str(variant))}
        marks: dict[str, Any] = {"marker": "|", "markersize": 9, "markeredgewidth": 1.4, "markevery": ticks}
        axes.add_line(Line2D(moments, shares, **style, **marks, **look(run, str(variant))))
    axes.set(xlim=reach(pd.Series([0.0, float(started["epochs"].max())])), ylim=(-0.03, 1.06))
    axes.set(xlabel="epochs since the start", ylabel="share not collapsed")
    return figure


def measures(run: Run, band: pd.DataFrame, ceilings: Mapping[str, Mapping[str, float]]) -> Figure:
    """Small multiples of `bands`, one per metric; `ceilings`, reference -> metric -> value, are dotted lines.

    The common axis frames the later half: densities of the first steps can be many times those that matter.
    """
    names = list(band["metric"].unique())
    late = band.loc[band["step"] >= band["step"].median(), ["mean", "low", "high"]].to_numpy(float)
    most = max(
        [1.0, float(np.nanmax(late)), *(own[name] for own in ceilings.values() for name in names if name in own)]
    )
    figure, panels = canvas(2.5 * len(names) + 0.4, 2.6, columns=len(names), top=0.28)
    for axes, name in zip(np.atleast_1d(panels), names, strict=True):
        rows = band[band["metric"] == name]
        for variant, own in rows.groupby("variant", sort=False):
            banded(axes, run, str(variant), own["step"], own["mean"], own["low"], own["high"])
        for reference, values in ceilings.items():
            if name in values:
                axes.axhline(values[name], color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
                axes.annotate(reference, (1, values[name]), xycoords=("axes fraction", "data"), ha="right",
                              va="bottom", color=MUTED, fontsize=7)  # fmt: skip
        axes.set(xlim=reach(rows["step"]), ylim=(-0.03, 1.08 * most))
        axes.set_xlabel("training step")
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_title(name, fontsize=8, loc="left", pad=3, color=INK)
    np.atleast_1d(panels)[0].set_ylabel("validation")
    return figure


def plane(run: Run, values: pd.DataFrame, references: Mapping[str, tuple[float, float]], x: str, y: str) -> Figure:
    """One metric against another: a mark per variant with both intervals, and hollow ones for named references.

    `values` has variant, then mean, low and high of either metric as x, x_low, x_high, y, y_low, y_high.
    """
    figure, axes = canvas(5.4, 3.1)
    columns = [values[name].to_numpy(float).tolist() for name in ("x", "y", "y_low", "y_high", "x_low", "x_high")]
    for variant, a, b, low, high, left, right in zip(values["variant"], *columns, strict=True):
        dot(axes, run, variant, a, b, (low, high), (left, right))
    hollow: dict[str, Any] = {"marker": "D", "markersize": 5, "color": MUTED, "markerfacecolor": "none"}
    for name, (a, b) in references.items():
        axes.add_line(Line2D([a], [b], linestyle="none", **hollow))
        axes.annotate(name, (a, b), (0, 6), textcoords="offset points", ha="center", color=MUTED, fontsize=8)
    axes.margins(0.1, 0.14)
    axes.autoscale_view()
    axes.set(xlabel=x, ylabel=y)
    return figure


def pareto(costs: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], better: str) -> np.ndarray[Any, Any]:
    """Mark what nothing dominates: no other costs at most as much and scores at least as well, one of them strictly."""
    merits = scores if better == "higher" else -scores
    cheaper, finer = costs[None, :] <= costs[:, None], merits[None, :] >= merits[:, None]
    strictly = (costs[None, :] < costs[:, None]) | (merits[None, :] > merits[:, None])
    return np.asarray(~(cheaper & finer & strictly).any(axis=1))


def _focus(axes: Axes, values: np.ndarray[Any, Any], facts: pd.Series[Any], *, named: bool = True) -> None:
    """Frame what matters: the values, with floor and ceiling where those do not flatten them."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    low, high = np.quantile(finite, 0.02), np.quantile(finite, 0.98)
    for name in ("floor", "ceiling"):
        bound = float(facts[name])
        if np.isfinite(bound) and min(abs(bound - low), abs(bound - high)) <= 4 * max(high - low, 1e-9):
            axes.axhline(bound, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
            if named:
                axes.annotate(name, (1, bound), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                              color=MUTED, fontsize=8)  # fmt: skip
            low, high = min(low, bound), max(high, bound)
    room = 0.06 * max(high - low, 1e-6 * max(abs(high), 1e-6))
    axes.set_ylim(low - room, high + room)


def _with_unit(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


def _shortened(name: str, most: int = 22) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
