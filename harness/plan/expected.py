"""How long a plan with looks takes: at the shortest, at the longest, and as simulated over effects of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.trial import Trial
from coordbench.harness.plan.planning import Plan
from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.statistics.multiple import holm
from coordbench.harness.statistics.paired import LEVEL
from coordbench.harness.statistics.sequential import t_tests
from coordbench.harness.statistics.spending import Design

SPREAD = 2.0
"""Standard deviation of the effects that are expected, in standard deviations of a paired difference: in records they
reach from 0 to far above 3."""
_RUNS = 200

Stops = NDArray[np.int64]
"""The number of seeds that a cell takes in each simulated run (runs,)."""


@dataclass(frozen=True)
class Length:
    """A quantity, such as seconds, of a whole plan."""

    shortest: float
    expected: float
    longest: float


def length(plan: Plan, trials: Sequence[Trial], amount: Callable[[Trial], float]) -> Length:
    """What a plan costs whose `trials`, in its order, cost an amount each; 0 for those that are at hand."""
    stops = simulated(plan.looks, plan.preset.baseline)
    shortest = expected = longest = 0.0
    by_cell: dict[Cell, list[float]] = {}
    for asked, trial in zip(plan.trials, trials, strict=True):
        by_cell.setdefault(replace(asked.cell, width=None), []).append(amount(trial))
    for cell, amounts in by_cell.items():
        total = np.cumsum(amounts)
        looks = plan.looks.get(cell, (len(amounts),))
        shortest += total[looks[0] - 1]
        longest += total[-1]
        expected += float(total[stops[cell] - 1].mean()) if cell in stops else total[-1]
    return Length(float(shortest), float(expected), float(longest))


def simulated(looks: Mapping[Cell, tuple[int, ...]], baseline: str) -> dict[Cell, Stops]:
    """How many seeds each cell takes, where all variants are compared with the baseline of their contest.

    Left out are ties, which depend on margins and end comparisons too, and cells that claims alone compare: they count
    as taking all of their seeds.
    """
    contests: dict[Cell, list[Cell]] = {}
    for cell in looks:
        contests.setdefault(replace(cell, variant=None), []).append(cell)
    compared = [
        cell
        for arms in contests.values()
        if any(str(arm.variant) == baseline for arm in arms)
        for cell in arms
        if str(cell.variant) != baseline
    ]
    if not compared:
        return {}
    stops = dict(zip(compared, _stops([Design(looks[cell]) for cell in compared]).T, strict=True))
    for arms in contests.values():
        for cell in arms:
            if str(cell.variant) == baseline and len(arms) > 1:
                stops[cell] = np.max([stops[arm] for arm in arms if arm != cell], axis=0)
    return stops


def _stops(designs: Sequence[Design]) -> Stops:
    """The pairs that each comparison of one family takes (runs, comparisons)."""
    generator = np.random.default_rng(0)
    shape = (_RUNS, len(designs))
    last = max(design.looks[-1] for design in designs)
    values = generator.normal(size=(*shape, last)) + generator.normal(0, SPREAD, size=(*shape, 1))
    worth, pairs = np.ones(shape), np.zeros(shape, dtype=np.int64)
    going = np.ones(shape, dtype=bool)
    for look in range(max(len(design.looks) for design in designs)):
        for i, design in enumerate(designs):
            if look < len(design.looks):
                count, on = design.looks[look], going[:, i]
                worth[on, i] = _worth(values[on, i, :count], design, look)
                pairs[on, i] = count
        going = holm(worth) >= LEVEL
    return pairs


def _worth(values: Floats, design: Design, look: int) -> Floats:
    return design.total(t_tests(values), look) if len(values) else np.empty(0)
