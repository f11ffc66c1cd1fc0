"""Choose the learning rates of tuned cells by the validation scores of their tuning trials, as the store holds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.trial import Job, Trial
from coordbench.harness.plan.planning import Plan, tuning_trials
from coordbench.harness.plan.tuning import Choice, choose, extend
from coordbench.harness.store.store import Store

Grids = Mapping[Cell, tuple[float, ...]]
"""Cell -> the learning rates among which it chooses."""
Numbers = Mapping[Job, int]
"""Job -> the number of its record."""


@dataclass(frozen=True)
class Tuner:
    """The cells of a plan that choose their rates, and the store that holds what they are chosen by."""

    store: Store
    grids: Grids

    @classmethod
    def of(cls, plan: Plan, store: Store) -> Tuner:
        """The tuner of a plan."""
        return cls(store, {trial.cell: rates for trial, rates in plan.rates.items()})

    def extensions(self, numbers: Numbers) -> dict[Cell, tuple[float, ...]]:
        """The rates to try in addition, the same for all cells that differ only in their variant or width."""
        peers: dict[tuple[Selector, str, tuple[float, ...]], list[Cell]] = defaultdict(list)
        for cell, rates in self.grids.items():
            peers[cell.task, cell.network[0].name, rates].append(cell)
        more: dict[Cell, tuple[float, ...]] = {}
        for (_, _, rates), cells in peers.items():
            more |= dict.fromkeys(cells, extend(rates, [self.choose(cell, rates, numbers) for cell in cells]))
        return more

    def choices(self, more: Grids, numbers: Numbers) -> dict[Cell, Choice]:
        """The choice of each cell among its grid and the rates tried in addition."""
        return {cell: self.choose(cell, (*rates, *more[cell]), numbers) for cell, rates in self.grids.items()}

    def choose(self, cell: Cell, rates: Sequence[float], numbers: Numbers) -> Choice:
        """The best of some rates for one cell."""
        metric = registry.select("task", cell.task).entry.metrics[0]
        scores: dict[float, list[float | None]] = {rate: [] for rate in rates}
        for trial in tuning_trials(cell, rates):
            rate = trial.cell.budget.learning_rate
            if rate is not None:
                scores[rate].append(self.store.score(numbers[trial], "validation", metric.name))
        return choose(scores, metric.better)


def extra_trials(more: Grids) -> list[Trial]:
    """The tuning trials of the rates tried in addition."""
    return [trial for cell, rates in more.items() for trial in tuning_trials(cell, rates)]
