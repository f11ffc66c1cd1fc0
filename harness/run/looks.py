"""Train up to the next look, and give no further seeds to what is decided.

A preset without looks has one, at all of its seeds. Looks that were taken are noted with the run: a later run at the
same seeds pays for them, and is refused where its preset plans others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sql

from coordbench.harness.core.cell import Cell, describe
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.trial import Trial
from coordbench.harness.plan.looks import CellLooks
from coordbench.harness.plan.planning import Plan
from coordbench.harness.run import identity
from coordbench.harness.run.recorder import Noted
from coordbench.harness.statistics.spending import FEWEST
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store

FACT = "looks"
"""Under which name a run notes its looks."""


@dataclass(frozen=True)
class Standing:
    """A comparison after a look: the cells that it is between, and its p value by now; None once it is final."""

    cells: tuple[Cell, ...]
    p: float | None


Judge = Callable[[str], Sequence[Standing]]
"""A run -> its comparisons after the looks that were taken."""


@dataclass(frozen=True)
class Schedule:
    """The trials of a run by their looks; cells without planned ones, and references, run at once."""

    looks: tuple[CellLooks, ...]
    trials: Mapping[Cell, Sequence[Noted[Trial]]]
    """Cell with planned looks -> its trials in the order of its seeds."""
    at_once: Sequence[Noted[Trial]]

    @property
    def planned(self) -> list[CellLooks]:
        """The cells with planned looks."""
        return [one for one in self.looks if one.planned]

    @property
    def plain(self) -> list[dict[str, object]]:
        """The looks as plain values, as a run notes them."""
        return [one.plain for one in self.looks]

    def first(self) -> list[Noted[Trial]]:
        """What the first look needs: all cells with one seed before any with the next, as it may be interrupted."""
        planned = (noted for one in self.planned for noted in self.trials[one.cell][: one.looks[0]])
        return sorted([*self.at_once, *planned], key=lambda noted: noted[0].seed)

    def counts(self) -> list[int]:
        """The numbers of seeds of all later looks."""
        return sorted({count for one in self.planned for count in one.looks[1:]})

    def until(self, count: int, going: Mapping[Cell, float]) -> list[Noted[Trial]]:
        """What a look needs in addition for cells that go on, those nearest to a decision first."""
        due = [one for one in self.planned if count in one.looks[1:] and one.cell in going]
        more = [
            (going[one.cell], noted)
            for one in due
            for noted in self.trials[one.cell][one.looks[one.looks.index(count) - 1] : count]
        ]
        return [noted for _, noted in sorted(more, key=lambda item: (item[0], item[1][0].seed))]

    def taken(self, count: int, going: Iterable[Cell]) -> Schedule:
        """The schedule once a look is done."""
        cells = set(going)
        done = (
            replace(one, taken=one.looks.index(count) + 1) if count in one.looks and one.cell in cells else one
            for one in self.looks
        )
        return replace(self, looks=tuple(done))

    def began(self) -> Schedule:
        """The schedule once its first looks are done, which are the only ones of cells without planned looks."""
        done = (replace(one, taken=1 if one.planned else len(one.looks)) for one in self.looks)
        return replace(self, looks=tuple(done))


def schedule(plan: Plan, trials: Sequence[Noted[Trial]], store: Store) -> Schedule:
    """The looks of a plan, whose `trials` are its own as they are run; raise UsageError for looks at other bounds."""
    by_cell: dict[Cell, list[Noted[Trial]]] = {}
    at_once: list[Noted[Trial]] = []
    for asked, noted in zip(plan.trials, trials, strict=True):
        cell = replace(asked.cell, width=None)
        by_cell.setdefault(cell, []).append(noted)
        if cell not in plan.looks:
            at_once.append(noted)
    competing = {cell: listed for cell, listed in by_cell.items() if cell.variant is not None}
    before = list(_earlier(store))
    looks = [
        _looks(cell, plan.looks.get(cell, ()), listed, before)
        for cell, listed in competing.items()
        if cell in plan.looks or len(listed) >= FEWEST
    ]
    return Schedule(tuple(looks), {cell: competing[cell] for cell in plan.looks if cell in competing}, at_once)


def going_on(planned: Iterable[CellLooks], standings: Sequence[Standing]) -> dict[Cell, float]:
    """The cells of comparisons that are open, and how near each is to a decision; one of no comparison goes on."""
    nearest: dict[Cell, float] = {}
    compared = {cell for standing in standings for cell in standing.cells}
    for standing in standings:
        if standing.p is not None:
            nearest |= {cell: min(nearest.get(cell, 1.0), standing.p) for cell in standing.cells}
    return {one.cell: nearest.get(one.cell, 1.0) for one in planned if one.cell in nearest or one.cell not in compared}


def _looks(
    cell: Cell, planned: tuple[int, ...], listed: Sequence[Noted[Trial]], before: Sequence[tuple[str, CellLooks]]
) -> CellLooks:
    """The looks of one cell, those that were taken of the same records among them."""
    seeds = tuple(trial.seed for trial, _ in listed)
    ours = CellLooks(cell, seeds, planned or (len(seeds),), planned)
    known = identity.of_trial(replace(listed[0][0], seed=0)).digest
    same = [(run, one) for run, one in before if one.identity == known and set(one.seeds) & set(seeds)]
    for run, one in same:
        if one.planned and one.planned != planned:
            raise UsageError(
                f"looks = {list(ours.looks)}: run {run} looked at {describe(cell)} with looks = {list(one.planned)}; "
                "seeds cannot be looked at again with other bounds: take those looks, or seeds that no run has used"
            )
    last = ours.looks[-1]
    paid = {look for _, one in same for look in one.looks[: one.taken] if look < last}
    return replace(ours, looks=tuple(sorted({*ours.looks, *paid})), identity=known)


def _earlier(store: Store) -> Iterator[tuple[str, CellLooks]]:
    """The looks that runs of a store have taken."""
    query = sql.select(schema.runs.c.id, schema.runs.c.facts[FACT].label("looks")).order_by(schema.runs.c.number)
    for row in store.read(query):
        for plain in row.looks or ():
            one = CellLooks.read(plain)
            if one.taken:
                yield str(row.id), one
