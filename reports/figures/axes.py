"""Axes as people read them: few ticks, in units, each of which reads differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, Formatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from coordbench.harness.statistics.arrays import Floats
from coordbench.reports import text


class PlainTicks(Formatter):
    """Numbers with as many digits as it takes to tell the ticks apart."""

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Write all ticks of an axis together."""
        return text.ticks(values)

    def __call__(self, value: float, pos: int | None = None) -> str:
        """Write one number."""
        return text.ticks([value])[0]


class ReadTicks(Formatter):
    """Numbers in a unit that a person reads, such as MiB or ms."""

    def __init__(self, read: text.Reader) -> None:
        self.read = read

    def __call__(self, value: float, pos: int | None = None) -> str:
        """Write one number."""
        return self.read(value)


class NamedTicks(Formatter):
    """A name for each whole number from 0 on."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def __call__(self, value: float, pos: int | None = None) -> str:
        """The name of a number."""
        return self.names[round(value)]


def plain_ticks(axis: Axis) -> None:
    """Write the ticks of an axis as plain numbers."""
    axis.set_major_formatter(PlainTicks())


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row per name, the first on top."""
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.yaxis.set_major_locator(FixedLocator(range(len(names))))
    axes.yaxis.set_major_formatter(NamedTicks(names))


def reach(values: ArrayLike) -> tuple[float, float]:
    """Ends of an axis around values, with some room; values that are not finite are left out."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 1.0)
    room = 0.04 * max(high - low, 1e-9 * max(abs(high), 1.0))
    return low - room, high + room


def cost_axis(axes: Axes, costs: Floats, cost: str) -> None:
    """Few ticks in the cost's unit; logarithmic where costs differ by much and are all positive."""
    costs = costs[np.isfinite(costs)]
    if len(costs) and costs.min() > 0 and costs.max() / costs.min() > 3:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, costs, text.cost_reader(cost))
        return
    low, high = reach(costs)
    axes.set_xlim(low, high)
    unit = _unit(costs, cost)
    ticks = [float(tick) * unit for tick in MaxNLocator(3).tick_values(low / unit, high / unit)]
    inside = [tick for tick in ticks if low <= tick <= high]
    edge = 0.08 * (high - low)  # a label there would run into that of the next panel
    axes.xaxis.set_major_locator(FixedLocator(_distinct([t for t in inside if t < high - edge] or inside, cost)))
    axes.xaxis.set_major_formatter(ReadTicks(text.cost_reader(cost)))


def _unit(costs: Floats, cost: str) -> float:
    """The size of the unit in which costs are read, so that ticks are round in it."""
    most = float(costs.max()) if len(costs) else 1.0
    if cost.endswith("_bytes"):
        return float(2.0 ** (10 * int(np.log2(max(most, 1.0)) // 10)))
    return float(10.0 ** (3 * np.floor(np.log10(max(most, 1e-9)) / 3)))


def _distinct(values: Sequence[float], cost: str) -> list[float]:
    """Values of which no two read the same."""
    return list({text.cost_reader(cost)(value): value for value in reversed(values)}.values())[::-1]


def ratio_axis(axes: Axes, values: Floats) -> None:
    """An axis of ratios around 1: logarithmic where they differ much."""
    known = np.append(values[np.isfinite(values) & (values > 0)], 1.0)
    if known.max() / known.min() > 3:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, known, lambda value: text.number(value, 2))
    else:
        axes.set_xlim(*reach(known))
        axes.xaxis.set_major_locator(MaxNLocator(5))


def log_ticks(axis: Axis, values: Floats, read: text.Reader) -> None:
    """Four round ticks at the most on a logarithmic axis around positive values."""
    known = values[np.isfinite(values) & (values > 0)]
    low, high = (known.min() / 1.3, known.max() * 1.3) if len(known) else (0.1, 10.0)
    base, steps = (2.0, (1.0,)) if read is text.size else (10.0, (1.0, 2.0, 5.0))
    ticks = np.asarray(LogLocator(base, steps, numticks=99).tick_values(low, high))
    inside = ticks[(ticks >= low) & (ticks <= high)]
    axis.set_view_interval(low, high, ignore=True)
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(FixedLocator(inside[:: max(1, -(-len(inside) // 4))].tolist()))
    axis.set_major_formatter(ReadTicks(read))
