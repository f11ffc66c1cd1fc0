"""A run as a notebook sees it: its tables with documented columns, its figures, its grid of verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from coordbench.harness.analysis.tables import tables
from coordbench.harness.api import columns
from coordbench.harness.api.notebook import show_figures
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.options import valid
from coordbench.reports.claims import ledger
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.run import Run as StoredRun
from coordbench.reports.files.drawings import Drawings
from coordbench.reports.files.exports import contests_table
from coordbench.reports.files.fragment import grid_html
from coordbench.reports.files.terminal import grid


class Run:
    """A stored run. In a notebook it shows its grid of verdicts; `columns(table)` documents each of its tables."""

    def __init__(self, stored: StoredRun, page: Path | None = None) -> None:
        self._stored = stored
        self.page = page
        """The page of this run; None where none was written."""

    @property
    def name(self) -> str:
        """The run's name, which sorts by time."""
        return self._stored.name

    @property
    def variants(self) -> list[str]:
        """The layers in the order of the preset."""
        return list(self._stored.variants)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per planned trial, references among them: how it ended, its score, its costs."""
        return columns.described(self._stored.trials.astype({"contest": "Int64"}), columns.TRIALS)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per trial, split and metric."""
        trials = self._stored.trials[["contest", "full_task", "full_backbone", "label", "seed"]].reset_index(drop=True)
        rows = self._stored.tables.scores.join(trials, on="trial")
        return columns.described(rows.astype({"contest": "Int64"}), columns.SCORES)

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """One row per contest and layer: better, tied, worse or open against the baseline, and what that came from."""
        return self._with_places(self._stored.verdicts)

    def against(self, baseline: str) -> pd.DataFrame:
        """The same against any layer of the run."""
        if baseline not in self.variants:
            raise UsageError(f"run {self.name!r} holds no layer {baseline!r}; {valid(baseline, self.variants)}")
        return self._with_places(self._stored.against(baseline))

    @cached_property
    def costs(self) -> pd.DataFrame:
        """One row per network and layer: size, operations, time, memory, beside the plain convolution."""
        return columns.described(self._stored.costs, columns.COSTS)

    @cached_property
    def claims(self) -> pd.DataFrame:
        """One row per claim of the papers, and what this run says to it."""
        return columns.described(ledger.table(self._stored), columns.CLAIMS)

    @cached_property
    def contests(self) -> pd.DataFrame:
        """One row per contest: what layers are compared in."""
        return columns.described(contests_table(self._stored), columns.CONTESTS)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per point of a learning curve: trial (row of `trials`), step, seconds [s], metric, value."""
        return tables(self._stored.store, self.name).curves

    def columns(self, table: str) -> pd.DataFrame:
        """What the columns of a table mean, and their units."""
        if table not in columns.TABLES:
            raise UsageError(f"unknown table {table!r}; {valid(table, columns.TABLES)}")
        return columns.listed(columns.TABLES[table])

    def figure(self, kind: str, contest: int | str | None = None) -> Figure:
        """Draw `curves` or `tradeoffs` of a contest, `performance_profile` or `shift_errors` of the whole run.

        A contest is named by its number or by its task; raise UsageError where the run holds nothing to draw.
        """
        of_contests: Mapping[str, Callable[[Contest], Figure | None]] = {
            "curves": self._drawings.curves, "tradeoffs": self._drawings.tradeoffs,
        }  # fmt: skip
        of_run: Mapping[str, Callable[[], Figure | None]] = {
            "performance_profile": self._drawings.performance_profile, "shift_errors": self._drawings.shift_errors,
        }  # fmt: skip
        if kind not in (*of_contests, *of_run):
            raise UsageError(f"unknown figure {kind!r}; {valid(kind, [*of_contests, *of_run])}")
        figure = of_run[kind]() if kind in of_run else of_contests[kind](self._contest(contest))
        if figure is None:
            where = "" if contest is None else f" of contest {contest!r}"
            raise UsageError(f"run {self.name!r} holds nothing to draw {kind!r}{where} from")
        show_figures()
        return figure

    def _contest(self, wanted: int | str | None) -> Contest:
        """A contest by its number or its task; the only one where none is named."""
        contests = list(self._stored.contests.values())
        chosen = [each for each in contests if wanted in (None, each.number, each.task, each.title)]
        if len(chosen) != 1:
            names = "; ".join(f"{each.number}: {each.title}" for each in contests)
            raise UsageError(f"contest {wanted!r} names {len(chosen)} contests of this run; valid: {names or 'none'}")
        return chosen[0]

    @cached_property
    def _drawings(self) -> Drawings:
        return Drawings(self._stored)

    def _with_places(self, verdicts: pd.DataFrame) -> pd.DataFrame:
        contests = self._stored.contests
        places = [contests[int(number)] for number in verdicts["contest"]]
        named = verdicts.assign(
            full_task=[each.task for each in places], full_backbone=[each.backbone for each in places]
        )
        return columns.described(named, columns.VERDICTS)

    def _repr_html_(self) -> str:
        return grid_html(self._stored)

    def __repr__(self) -> str:
        return "\n".join(filter(None, [f"run {self.name}", grid(self._stored)]))
