"""Where a metric's course over runs changes its level, by cell and machine, and what else changed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from coordbench.harness.statistics.changes import changes, exact_changes

EXACT = ("parameters", "flops")
"""Counts, which have no noise."""
SHIFT = ["change", "before", "since", "surroundings"]
"""The columns that are added."""


@dataclass(frozen=True)
class Shift:
    """A change of level: the row of the first point after it, its size, the level before it, the last run before it."""

    row: int
    relative: float
    before: float
    since: str


def with_shifts(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The points with the columns SHIFT: the step where a level begins, and what changed around it.

    A point that is made of the same records as one before it is no new measurement, and counts once.
    """
    table = points.reset_index(drop=True)
    table = table.assign(change=float("nan"), before=float("nan"), since="", surroundings="")
    for _, rows in table.groupby(["cell", "machine"], sort=False):
        _mark_surroundings(table, rows)
        for shift in _shifts(rows, exact=metric in EXACT):
            table.loc[shift.row, "change"] = shift.relative
            table.loc[shift.row, "before"] = shift.before
            table.loc[shift.row, "since"] = shift.since
    return table


def _mark_surroundings(table: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Note at each run what is not as it was at the one before it."""
    machines = rows["facts"].tolist()
    for row, before, after in zip(rows.index[1:], machines, machines[1:], strict=False):
        table.loc[row, "surroundings"] = "; ".join(after.changes(before))


def _shifts(rows: pd.DataFrame, *, exact: bool) -> list[Shift]:
    fresh = rows[~rows["records"].duplicated()]
    values = fresh["mean"].to_numpy(dtype=float)
    steps = exact_changes(values) if exact else changes(values)
    runs = fresh["run"].astype(str).tolist()
    return [Shift(int(fresh.index[step.index]), step.relative, step.before, runs[step.index - 1]) for step in steps]


def shifted(points: pd.DataFrame) -> pd.DataFrame:
    """The points at which a level begins."""
    return points[points["change"].notna()]
