"""The figures of a report, each a function that returns a matplotlib Figure.

`inline` turns one into SVG for a page: colors become the page's own (light or dark), each variant's marks carry its
name, and nothing in it can collide with another SVG of the same page. `save` writes files.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.statistics import performance_profile
from reports import tables, text
from reports.tables import Run

INK, MUTED, LINE = "#1d2731", "#66727f", "#d7dde4"
PALETTE = ["#3565c4", "#d9622b", "#1f9a76", "#a64bb0", "#c8961a", "#2b9ec9", "#c73a5e", "#6b7d1f", "#7a5c48", "#6e7078"]
DASHES = ["solid", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1, 1, 1))]
COSTS = {
    "parameters": "parameters",
    "flops": "FLOPs per batch, forward",
    "latency_step_seconds": "training step",
    "peak_memory_bytes": "peak memory",
}
_STYLE: Any = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def color(run: Run, variant: str) -> str:
    """The color of a variant, the same in all figures of a run."""
    return PALETTE[run.variants.index(variant) % len(PALETTE)]


def dash(run: Run, variant: str) -> Any:
    """The line style of a variant: the second ten variants share colors with the first, but not lines."""
    return DASHES[run.variants.index(variant) // len(PALETTE) % len(DASHES)]


def curves(run: Run, contest: int, points: pd.DataFrame) -> Figure:
    """Learning curves of a contest: mean over seeds and its 95 % interval; `points` has variant, seed, step, value."""
    figure, axes = _figure(5.4, 3.1)
    facts: Any = run.contests.loc[contest]
    for variant, own in points.groupby("variant", sort=False):
        band = _band(own)
        style = {"color": color(run, str(variant)), "gid": _gid(variant)}
        axes.plot(band.index, band["mean"], linestyle=dash(run, str(variant)), linewidth=1.8, **style)
        if band["half"].notna().any():
            edges = band["mean"] - band["half"], band["mean"] + band["half"]
            axes.fill_between(band.index, *edges, alpha=0.14, linewidth=0, **style)
    _focus(axes, points["value"].to_numpy(float), facts)
    name = points["metric"].iloc[0]
    axes.set(xlabel="training step", ylabel=_with_unit(name, facts["unit"] if facts["metric"] in name else ""))
    return figure


def tradeoffs(run: Run, contest: int, board: pd.DataFrame, latencies: Mapping[str, tuple[float, float]]) -> Figure:
    """Score against each cost, with intervals on both axes where there are any, and the Pareto front as a line."""
    facts: Any = run.contests.loc[contest]
    shown = [cost for cost in COSTS if board[cost].notna().any()]
    figure, panels = _figure(2.7 * max(len(shown), 1), 2.7, columns=max(len(shown), 1))
    for axes, cost in zip(np.atleast_1d(panels), shown, strict=False):
        known = board.dropna(subset=[cost, "score"])
        row: Any
        for row in known.itertuples():
            x, variant = float(getattr(row, cost)), str(row.variant)
            style = {"color": color(run, variant), "gid": _gid(variant)}
            axes.plot([x], [row.score], "o", markersize=6, markeredgewidth=0, **style)
            if row.low == row.low:
                axes.vlines(x, row.low, row.high, linewidth=1.3, **style)
            if cost == "latency_step_seconds" and variant in latencies:
                axes.hlines(row.score, *latencies[variant], linewidth=1.3, **style)
        front = pareto(known[cost].to_numpy(float), known["score"].to_numpy(float), facts["better"])
        line = known[front].sort_values(cost)
        axes.plot(
            line[cost].to_numpy(float), line["score"], color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=0
        )
        _focus(axes, known["score"].to_numpy(float), facts, named=False)
        _cost_axis(axes, known[cost].to_numpy(float), cost)
        axes.set_xlabel(COSTS[cost])
    np.atleast_1d(panels)[0].set_ylabel(_with_unit(facts["metric"], facts["unit"]))
    return figure


def conditions(run: Run, values: pd.DataFrame, metric: str, condition: str) -> Figure:
    """A metric against a condition of the test, such as radius; `values` has variant, x, value, low, high."""
    figure, axes = _figure(5.4, 3.1)
    for variant, own in values.groupby("variant", sort=False):
        own = own.sort_values("x")
        style = {"color": color(run, str(variant)), "gid": _gid(variant)}
        axes.plot(own["x"], own["value"], marker="o", markersize=3.5, linestyle=dash(run, str(variant)), **style)
        if own["low"].notna().any():
            axes.fill_between(own["x"], own["low"], own["high"], alpha=0.14, linewidth=0, **style)
    if values["x"].min() > 0 and values["x"].max() / values["x"].min() > 20:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(_tick))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel=condition, ylabel=metric)
    return figure


def profiles(run: Run) -> Figure:
    """Performance profile: the share of runs above each normalized score, averaged over contests."""
    figure, axes = _figure(5.4, 3.1)
    thresholds = np.linspace(0, 1, 101)
    strata = tables.normalized_strata(run)
    most = max(map(len, strata.values()), default=0)
    for variant, own in strata.items():
        if len(own) < most:
            continue
        share = performance_profile(list(own.values()), thresholds)
        style = {"color": color(run, variant), "gid": _gid(variant), "linestyle": dash(run, variant)}
        axes.step(thresholds, share, where="post", linewidth=1.8, **style)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="normalized score t (0 floor, 1 ceiling)", ylabel="runs above t")
    return figure


def pareto(costs: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], better: str) -> np.ndarray[Any, Any]:
    """Mark what nothing dominates: no other costs at most as much and scores at least as well, one of them strictly."""
    merits = scores if better == "higher" else -scores
    cheaper, finer = costs[None, :] <= costs[:, None], merits[None, :] >= merits[:, None]
    strictly = (costs[None, :] < costs[:, None]) | (merits[None, :] > merits[:, None])
    return np.asarray(~(cheaper & finer & strictly).any(axis=1))


def inline(figure: Figure, title: str) -> str:
    """Return a figure as SVG text that stands inside a page beside others; `title` is what a screen reader says."""
    svg = _svg(figure)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
    key = hashlib.sha256((title + svg).encode()).hexdigest()[:8]
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: _attribute(found[1], used, key), svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{key}-", svg)
    for i, shade in enumerate(PALETTE):
        svg = svg.replace(shade, f"var(--c{i})")
    for name, shade in (("ink", INK), ("muted", MUTED), ("line", LINE)):
        svg = svg.replace(shade, f"var(--{name})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r"(\d+\.\d\d)\d+", r"\1", svg)
    head = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert head is not None, "matplotlib writes a viewBox"
    width = float(head[1])
    opening = f'<svg viewBox="{head[0][9:-1]}" style="width:{width:.0f}pt" role="img" aria-label="{_escape(title)}">'
    return opening + svg[svg.index(">") + 1 :].strip()


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG or SVG, on white."""
    with mpl.rc_context(_STYLE):
        figure.savefig(path, dpi=160, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue()


def _attribute(identifier: str, used: set[str], key: str) -> str:
    if identifier.startswith("variant:"):
        return f' data-variant="{_escape(identifier.removeprefix("variant:"))}"'
    return f' id="{key}-{identifier}"' if identifier in used else ""


def _gid(variant: object) -> str:
    return f"variant:{variant}"


def _escape(text: str) -> str:
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return text


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """A figure with margins fixed in inches: laying out by measured text takes longer than all else."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(1, columns, sharey=True)
        figure.subplots_adjust(0.66 / width, 0.5 / height, 1 - 0.12 / width, 1 - 0.1 / height, wspace=0.12)
        for axes in np.atleast_1d(panels):
            axes.yaxis.set_major_formatter(FuncFormatter(_tick))
            axes.xaxis.set_major_formatter(FuncFormatter(_tick))
        return figure, panels


def _tick(value: float, _: int | None) -> str:
    return text.big(value) if abs(value) >= 1e4 else text.number(value)


def _band(points: pd.DataFrame) -> pd.DataFrame:
    """Mean and half width of the 95 % t interval over seeds at each step."""
    from scipy import stats

    band = points.groupby("step")["value"].agg(["mean", "std", "count"])
    quantile = stats.t.ppf(0.975, (band["count"] - 1).where(band["count"] > 1))
    return band.assign(half=quantile * band["std"] / np.sqrt(band["count"]))


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


def _cost_axis(axes: Axes, costs: np.ndarray[Any, Any], cost: str) -> None:
    """Few ticks as people read them; logarithmic where costs differ by much and are all positive."""
    if len(costs) and costs.min() > 0 and costs.max() / costs.min() > 3:
        axes.set_xscale("log")
        axes.set_xlim(costs.min() / 1.3, costs.max() * 1.3)
        axes.xaxis.set_minor_locator(NullLocator())
        ticks = LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(costs.min(), costs.max())
        inside = ticks[(ticks >= costs.min() / 1.3) & (ticks <= costs.max() * 1.3)]
        axes.xaxis.set_major_locator(FixedLocator(inside[:: max(1, -(-len(inside) // 4))]))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(3))
    read = {"latency_step_seconds": text.seconds, "peak_memory_bytes": text.size}.get(cost, text.big)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: read(value)))


def _with_unit(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name
