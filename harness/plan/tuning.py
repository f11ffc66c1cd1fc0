"""Choose a learning rate for each variant with equal effort: the same grid and the same seeds for all."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Choice:
    """The chosen rate, the grid it was chosen from, whether it lies at the grid's edge, and what the search cost."""

    rate: float
    rates: tuple[float, ...]
    at_edge: bool
    trials: int


def choose(scores: Mapping[float, Sequence[float | None]], better: Literal["higher", "lower"]) -> Choice:
    """Choose the rate of the best mean validation score over the tuning seeds, as means are judged.

    A median would like a rate at which one seed in three never starts. A failed trial counts as the worst.
    """
    sign = 1 if better == "higher" else -1
    merit = {
        rate: statistics.fmean(float("-inf") if value is None else sign * value for value in values)
        for rate, values in scores.items()
    }
    rates = tuple(sorted(scores))
    best = max(rates, key=lambda rate: merit[rate])
    edges = [rate for rate in (rates[0], rates[-1]) if len(rates) > 1 and merit[rate] == merit[best]]
    tied_inside = any(merit[rate] == merit[best] for rate in rates[1:-1])
    return Choice(best, rates, bool(edges) and not tied_inside, sum(len(values) for values in scores.values()))


def extend(rates: Sequence[float], choices: Sequence[Choice]) -> tuple[float, ...]:
    """The rates to add for all when an optimum lies at the edge of the grid: one step further on that side."""
    grid = sorted(rates)
    if len(grid) < 2:
        return ()
    step = (grid[-1] / grid[0]) ** (1 / (len(grid) - 1))
    low = any(choice.at_edge and choice.rate == grid[0] for choice in choices)
    high = any(choice.at_edge and choice.rate == grid[-1] for choice in choices)
    return tuple(float(f"{rate:.3g}") for wanted, rate in ((low, grid[0] / step), (high, grid[-1] * step)) if wanted)
