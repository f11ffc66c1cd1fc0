"""Choose the learning rates of tuned cells by the validation scores of their tuning trials, as the store holds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.trial import Job, Trial
from coordbench.harness.plan.planning import Grid, Plan
from coordbench.harness.plan.tuning import Choice, choose, extend
from coordbench.harness.store.store import Store

Rates = Mapping[Cell, tuple[float, ...]]
"""Cell -> learning rates to try in addition."""
Peers = tuple[Selector, str, Grid]
"""What cells share that try the same rates: all but the variant and the width."""
Numbers = Mapping[Job, int]
"""Job -> the number of its record."""


@dataclass(frozen=True)
class Tuner:
    """The cells of a plan that choose their rates, and the store that holds what they are chosen by."""

    store: Store
    grids: Mapping[Cell, Grid]

    @classmethod
    def of(cls, plan: Plan, store: Store) -> Tuner:
        """The tuner of a plan."""
        return cls(store, {trial.cell: grid for trial, grid in plan.grids.items()})

    def ready(self, numbers: Numbers, more: Rates | None = None) -> Tuner:
        """The tuner of those cells whose tuning trials are all at hand, and those of the cells that widen with them."""
        waiting = {
            self._peers(cell)
            for cell, grid in self.grids.items()
            if any(trial not in numbers for trial in grid.trials(cell, (*grid.rates, *(more or {}).get(cell, ()))))
        }
        return replace(
            self, grids={cell: grid for cell, grid in self.grids.items() if self._peers(cell) not in waiting}
        )

    def extensions(self, numbers: Numbers) -> dict[Cell, tuple[float, ...]]:
        """The rates to try in addition, the same for all cells that differ only in their variant or width."""
        peers: dict[Peers, list[Cell]] = defaultdict(list)
        for cell in self.grids:
            peers[self._peers(cell)].append(cell)
        more: dict[Cell, tuple[float, ...]] = {}
        for (_, _, grid), cells in peers.items():
            choices = [self.choose(cell, grid.rates, numbers) for cell in cells]
            more |= dict.fromkeys(cells, extend(grid.rates, choices))
        return more

    def trials(self, more: Rates) -> list[Trial]:
        """The tuning trials of the rates tried in addition."""
        return [trial for cell, rates in more.items() for trial in self.grids[cell].trials(cell, rates)]

    def choices(self, more: Rates, numbers: Numbers) -> dict[Cell, Choice]:
        """The choice of each cell among its grid and the rates tried in addition."""
        return {cell: self.choose(cell, (*grid.rates, *more[cell]), numbers) for cell, grid in self.grids.items()}

    def choose(self, cell: Cell, rates: Sequence[float], numbers: Numbers) -> Choice:
        """The best of some rates for one cell."""
        metric = registry.select("task", cell.task).entry.metrics[0]
        scores: dict[float, list[float | None]] = {rate: [] for rate in rates}
        for trial in self.grids[cell].trials(cell, rates):
            rate = trial.cell.budget.learning_rate
            if rate is not None:
                scores[rate].append(self.store.score(numbers[trial], "validation", metric.name))
        return choose(scores, metric.better)

    def _peers(self, cell: Cell) -> Peers:
        return cell.task, cell.network[0].name, self.grids[cell]
