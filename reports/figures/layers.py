"""Figures of layers apart from their scores: ratios of time, growth of costs, errors against shift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from coordbench.reports import text
from coordbench.reports.data.probes import Points, Probe
from coordbench.reports.figures.axes import log_ticks, name_rows, ratio_axis
from coordbench.reports.figures.style import INK, Dash, Slots, canvas, dash, dot, dotted, look

NAMES = {
    "flops": "FLOPs, forward",
    "latency_forward_seconds": "forward pass",
    "latency_step_seconds": "training step",
    "peak_memory_bytes": "peak memory",
}
_LETTER = 0.072
"""The width of a letter beside an axis [inch]."""


def ratios(slots: Slots, costs: pd.DataFrame) -> Figure:
    """Forward and step time of one task's variants as multiples of the plain convolution's, with their intervals."""
    variants = list(dict.fromkeys(costs["variant"].astype(str)))
    names = [_shortened(variant, 46) for variant in variants]
    left = 0.25 + _LETTER * max(map(len, names))
    figure, panels = canvas(left + 6.3, 0.7 + 0.23 * len(names), columns=2, left=left)
    for axes, phase, title in zip(panels, ("forward", "step"), ("forward pass", "training step"), strict=True):
        columns = [f"ratio_{phase}{side}" for side in ("", "_low", "_high")]
        known = costs.dropna(subset=columns).drop_duplicates("variant")
        for variant, x, low, high in known[["variant", *columns]].itertuples(index=False):
            dot(axes, slots, str(variant), x, variants.index(str(variant)), None, (low, high))
        ratio_axis(axes, known[columns].to_numpy(float).ravel())
        dotted(axes, 1.0, upright=True)
        axes.set_xlabel(f"{title}, multiple of conv")
        name_rows(axes, names)
    return figure


def scaling(slots: Slots, points: pd.DataFrame, laws: pd.DataFrame) -> Figure:
    """One quantity against one axis, both logarithmic; the legend gives each variant's exponent and its interval."""
    quantity, axis = str(points["quantity"].iloc[0]), str(points["axis"].iloc[0])
    exponents = {str(row.variant): row for row in laws.itertuples()}
    labels = {v: f"{_shortened(v, 34)}{_exponent(exponents.get(v))}" for v in points["variant"].astype(str).unique()}
    right = 0.5 + 0.066 * max(map(len, labels.values()), default=0)
    figure, [axes] = canvas(3.6 + right, max(2.7, 0.6 + 0.17 * len(labels)), left=0.85, right=right)
    for variant, rows in points.groupby("variant", sort=False):
        x, y = (rows[name].to_numpy(float) for name in ("value", "amount"))
        line = Line2D(x, y, marker="o", markersize=3.5, linewidth=1.4, label=labels[str(variant)])
        line.set(linestyle=dash(slots, str(variant)), **look(slots, str(variant)))
        axes.add_line(line)
    axes.set(xscale="log", yscale="log")
    log_ticks(axes.xaxis, points["value"].to_numpy(float), text.number)
    log_ticks(axes.yaxis, points["amount"].to_numpy(float), text.cost_reader(quantity))
    axes.set(xlabel=axis, ylabel=NAMES.get(quantity, quantity))
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=7.5, handlelength=1.6, labelcolor=INK
    )
    return figure


def _exponent(law: object) -> str:
    """Exponent and interval of a fitted power law, a row of `analysis.scaling.exponents`."""
    exponent, low, high = (text.finite(getattr(law, name, None)) for name in ("exponent", "low", "high"))
    if exponent is None:
        return ""
    return f": {exponent:.2f}" + (f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else "")


def shift_errors(slots: Slots, probes: Mapping[str, Probe]) -> Figure:
    """Small multiples, one per variant: error against shift, solid inside the border, dashed with it."""
    columns = min(6, max(1, len(probes)))
    rows = -(-len(probes) // columns)
    figure, panels = canvas(1.7 * columns + 0.5, 1.4 * rows + 0.5, columns=columns, rows=rows, top=0.25)
    dashed: Dash = (0, (2, 1.5))
    for axes, (variant, probe) in zip(panels, probes.items(), strict=False):
        lines: list[tuple[Points, Dash]] = [(probe.inside, "solid"), (probe.borders, dashed)]
        for points, style in lines:
            shifts, errors = [shift for shift, _ in points], [error for _, error in points]
            line = Line2D(shifts, np.clip(errors, 0, 1.5), linewidth=1.6, clip_on=False)
            line.set(linestyle=style, **look(slots, variant))
            axes.add_line(line)
        axes.set(xlim=(1, 4), ylim=(-0.05, 1.5))
        axes.set_title(_shortened(variant, 24), fontsize=7.5, loc="left", pad=3, color=INK)
        axes.xaxis.set_major_locator(FixedLocator([1, 2, 3, 4]))
        axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1, 1.5]))
    for axes in panels[len(probes) :]:
        axes.set_axis_off()
    return figure


def _shortened(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
