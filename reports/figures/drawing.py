"""How figures are drawn: matplotlib axes in the looks of seaborn, as SVG inside a page or as files.

`inline` turns a figure into SVG for a page: colors become the page's own (light or dark), each variant's marks carry
its name, and nothing in it can collide with another SVG of the same page. `save` writes files.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from coordbench.reports import text
from coordbench.reports.data.stored import Run

INK, MUTED, LINE = "#1d2731", "#66727f", "#d7dde4"
PALETTE = ["#3565c4", "#d9622b", "#1f9a76", "#a64bb0", "#c8961a", "#2b9ec9", "#c73a5e", "#6b7d1f", "#7a5c48", "#6e7078"]
DASHES = ["solid", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1, 1, 1))]
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
    """The color of a variant, the same in all figures of a run; that of the last for one that only has costs."""
    return PALETTE[_place(run, variant) % len(PALETTE)]


def dash(run: Run, variant: str) -> Any:
    """The line style of a variant: the second ten variants share colors with the first, but not lines."""
    return DASHES[_place(run, variant) // len(PALETTE) % len(DASHES)]


def _place(run: Run, variant: str) -> int:
    return run.variants.index(variant) if variant in run.variants else len(PALETTE) - 1


def look(run: Run, variant: str) -> dict[str, Any]:
    """Color and name of a variant's marks."""
    return {"color": color(run, variant), "gid": f"variant:{variant}"}


def canvas(
    width: float,
    height: float,
    columns: int = 1,
    rows: int = 1,
    left: float = 0.74,
    right: float = 0.12,
    top: float = 0.1,
) -> tuple[Figure, Any]:
    """A figure with margins fixed in inches: laying out by measured text takes longer than all else."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(rows, columns, sharey=True, sharex=rows > 1)
        gap = 0.3 if rows > 1 else 0.0
        figure.subplots_adjust(left / width, 0.5 / height, 1 - right / width, 1 - top / height, 0.12, gap)
        for axes in np.ravel(panels):
            axes.yaxis.set_major_formatter(FuncFormatter(_tick))
            axes.xaxis.set_major_formatter(FuncFormatter(_tick))
        return figure, panels


def banded(axes: Axes, run: Run, variant: str, *columns: pd.Series[Any], **more: Any) -> None:
    """A line x, y and its band low..high, as two plain artists: axes.plot and fill_between take ten times as long."""
    x, y, low, high = (column.to_numpy(float) for column in columns)
    style = look(run, variant)
    axes.add_line(Line2D(x, y, linestyle=dash(run, variant), linewidth=1.8, **style, **more))
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        edge = np.concatenate([np.stack([x, low])[:, known], np.stack([x, high])[:, known][:, ::-1]], axis=1)
        axes.add_patch(Polygon(edge.T, alpha=0.14, linewidth=0, **style))


def dot(
    axes: Axes, run: Run, variant: str, x: float, y: float, low_high: tuple[float, float] | None,
    left_right: tuple[float, float] | None,
) -> None:  # fmt: skip
    """A dot with whiskers, all one line: three artists a dot would take most of a page's time."""
    (low, high), (left, right) = low_high or (np.nan, np.nan), left_right or (np.nan, np.nan)
    xs, ys = [x, np.nan, x, x, np.nan, left, right], [y, np.nan, low, high, np.nan, y, y]
    style: dict[str, Any] = {"linewidth": 1.3, "markeredgewidth": 0, "marker": "o", "markersize": 6, "markevery": [0]}
    axes.add_line(Line2D(xs, ys, **style, **look(run, variant)))


def reach(values: pd.Series[Any]) -> tuple[float, float]:
    """Ends of an axis around values, with some room."""
    low, high = float(values.min()), float(values.max())
    room = 0.04 * max(high - low, 1e-9 * max(abs(high), 1.0))
    return low - room, high + room


def cost_axis(axes: Axes, costs: np.ndarray[Any, Any], cost: str) -> None:
    """Few ticks as people read them; logarithmic where costs differ by much and are all positive."""
    if len(costs) and costs.min() > 0 and costs.max() / costs.min() > 3:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, costs, reader(cost))
        return
    if len(costs):
        axes.set_xlim(*reach(pd.Series(costs)))
    unit = 2.0 ** (10 * int(np.log2(max(costs.max(), 1.0)) // 10)) if len(costs) and cost.endswith("_bytes") else 1.0
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator(_round(low / unit, high / unit, unit)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: reader(cost)(value)))


def _round(low: float, high: float, unit: float) -> list[float]:
    """A few round multiples of a unit between two ends given in it."""
    return [float(tick) * unit for tick in MaxNLocator(3).tick_values(low, high) if low <= tick <= high]


def ratio_axis(axes: Axes, values: np.ndarray[Any, Any]) -> None:
    """An axis of ratios around 1: logarithmic where they differ much."""
    known = np.append(values[np.isfinite(values) & (values > 0)], 1.0)
    if known.max() / known.min() > 3:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, known, text.number)
    else:
        axes.set_xlim(*reach(pd.Series(known)))
        axes.xaxis.set_major_locator(MaxNLocator(5))


def log_ticks(axis: Any, values: np.ndarray[Any, Any], read: Callable[[Any], str]) -> None:
    """Four round ticks at the most on a logarithmic axis around positive values."""
    known = values[np.isfinite(values) & (values > 0)]
    low, high = (known.min() / 1.3, known.max() * 1.3) if len(known) else (0.1, 10.0)
    base, subs = (2.0, (1.0,)) if read is text.size else (10.0, (1.0, 2.0, 5.0))
    ticks = np.asarray(LogLocator(base, subs, numticks=99).tick_values(low, high))
    inside = ticks[(ticks >= low) & (ticks <= high)]
    axis.set_view_interval(low, high, ignore=True)
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(FixedLocator(inside[:: max(1, -(-len(inside) // 4))].tolist()))
    axis.set_major_formatter(FuncFormatter(lambda value, _: read(value)))


def reader(cost: str) -> Callable[[Any], str]:
    """How a cost is read: seconds, bytes, or a count."""
    return text.seconds if cost.endswith("_seconds") else text.size if cost.endswith("_bytes") else text.big


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
    opening = f'<svg viewBox="{head[0][9:-1]}" style="width:{width:.0f}pt" role="img" aria-label="{escape(title)}">'
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
        return f' data-variant="{escape(identifier.removeprefix("variant:"))}"'
    return f' id="{key}-{identifier}"' if identifier in used else ""


def _tick(value: float, _: int | None) -> str:
    return text.tick(value)
