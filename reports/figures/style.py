"""How figures look: colors and line styles of variants, margins, and the artists that all figures share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from coordbench.reports.data.colors import COUNT
from coordbench.reports.figures.axes import plain_ticks

INK, MUTED, LINE = "#1d2731", "#66727f", "#d7dde4"
PALETTE = ["#3565c4", "#d9622b", "#1f9a76", "#a64bb0", "#c8961a", "#2b9ec9", "#c73a5e", "#6b7d1f", "#7a5c48", "#6e7078"]
Dash = str | tuple[int, tuple[float, ...]]
DASHES: list[Dash] = ["solid", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1, 1, 1))]
DOTTED: Dash = (0, (1, 2))
Slots = Mapping[str, int]
"""Variant -> slot, see `data.colors`."""
STYLE: Any = {  # matplotlib types the names of its settings one by one
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
    "text.parse_math": False,  # anybody's `$` is a `$`
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def dash(slots: Slots, variant: str) -> Dash:
    """The line style of a variant: the second ten variants share colors with the first, but not lines."""
    return DASHES[slots.get(variant, 0) // COUNT % len(DASHES)]


def look(slots: Slots, variant: str) -> dict[str, str]:
    """Color and name of a variant's marks."""
    return {"color": PALETTE[slots.get(variant, COUNT - 1) % COUNT], "gid": f"variant:{variant}"}


def canvas(
    width: float, height: float, columns: int = 1, rows: int = 1, *, left: float = 0.74, right: float = 0.12,
    top: float = 0.1,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """A figure and its panels, with margins fixed in inches: laying out by measured text takes longer than all else."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(rows, columns, sharey=True, sharex=rows > 1, squeeze=False)
        gap = 0.3 if rows > 1 else 0.0
        figure.subplots_adjust(left / width, 0.5 / height, 1 - right / width, 1 - top / height, 0.12, gap)
        flat: list[Axes] = list(panels.ravel())
        for axes in flat:
            plain_ticks(axes.yaxis)
            plain_ticks(axes.xaxis)
        return figure, flat


def banded(axes: Axes, slots: Slots, variant: str, band: pd.DataFrame, x: str, marker: str | None = None) -> None:
    """A line mean over x and its band low..high, as two plain artists: plot and fill_between take ten times as long."""
    across, mean, low, high = (band[name].to_numpy(float) for name in (x, "mean", "low", "high"))
    style = look(slots, variant)
    line = Line2D(across, mean, linestyle=dash(slots, variant), linewidth=1.8, markersize=3.5, **style)  # type: ignore[arg-type]
    line.set_marker(marker or "none")
    axes.add_line(line)
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        edge = np.concatenate([np.stack([across, low])[:, known], np.stack([across, high])[:, known][:, ::-1]], axis=1)
        axes.add_patch(Polygon(edge.T, alpha=0.14, linewidth=0, **style))  # type: ignore[arg-type]


def dot(
    axes: Axes, slots: Slots, variant: str, x: float, y: float, low_high: tuple[float, float] | None,
    left_right: tuple[float, float] | None,
) -> None:  # fmt: skip
    """A dot with whiskers, all one line: three artists a dot would take most of a page's time."""
    (low, high), (left, right) = low_high or (np.nan, np.nan), left_right or (np.nan, np.nan)
    xs, ys = [x, np.nan, x, x, np.nan, left, right], [y, np.nan, low, high, np.nan, y, y]
    line = Line2D(xs, ys, linewidth=1.3, markeredgewidth=0, marker="o", markersize=6, markevery=[0])
    line.set(**look(slots, variant))
    axes.add_line(line)


def dotted(axes: Axes, value: float, name: str = "", *, size: float = 8, upright: bool = False) -> None:
    """A thin dotted line across the axes (from bottom to top if `upright`), with its name at the right end."""
    draw = axes.axvline if upright else axes.axhline
    draw(value, color=MUTED, linewidth=0.9, linestyle=DOTTED, zorder=0)
    if name:
        axes.annotate(name, (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=MUTED,
                      fontsize=size)  # fmt: skip
