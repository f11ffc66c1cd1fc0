"""A run and its tables: `load("latest").leaderboard` works in a notebook as it does in the page."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pandas as pd

from coordbench.harness.analysis.runs import run_facts
from coordbench.harness.analysis.tables import tables
from coordbench.harness.store.store import Store, open_store
from coordbench.reports.data import accounts, costs, overall, probes, ranking
from coordbench.reports.data.facts import RunFacts
from coordbench.reports.data.stored import Stored

DEFAULT_OUT = Path("coordbench-results")


class Run(Stored):
    """A stored run; each of its tables is made once."""

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """The variants of every contest, best first."""
        return ranking.leaderboard(self)

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Every variant of every contest against the baseline."""
        return self.against(self.baseline or "")

    def against(self, baseline: str) -> pd.DataFrame:
        """Every variant of every contest against any of them."""
        if baseline not in self._against:
            self._against[baseline] = ranking.verdicts(self, baseline)
        return self._against[baseline]

    @cached_property
    def _against(self) -> dict[str, pd.DataFrame]:
        return {}

    @cached_property
    def merits(self) -> ranking.Merits:
        """The merits of every variant in every contest, seed by seed."""
        return ranking.merits_by_cell(self)

    @cached_property
    def strata(self) -> overall.Strata:
        """Normalized scores by variant and contest."""
        return overall.normalized_strata(self)

    @cached_property
    def aggregate(self) -> pd.DataFrame:
        """All contests together, one row per variant."""
        return overall.aggregate(self, self.strata)

    @cached_property
    def references(self) -> pd.DataFrame:
        """The references of every task."""
        return accounts.references(self)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """How the trials of each suite ended."""
        return accounts.coverage(self)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """What did not end well, and why."""
        return accounts.failures(self)

    @cached_property
    def environment(self) -> pd.DataFrame:
        """What the records of a run depend on beside their code."""
        return self.tables.environment

    @cached_property
    def costs(self) -> pd.DataFrame:
        """What each layer costs, beside the plain convolution."""
        return costs.costs(self)

    @cached_property
    def probes(self) -> pd.DataFrame:
        """How each layer treats place before any training."""
        return probes.probes(self)

    @cached_property
    def step_ratios(self) -> dict[tuple[int, str], float]:
        """(contest, variant) -> its training step as a multiple of the baseline's, both measured in turns."""
        return costs.step_ratios(self)


def load(run: str | None = None, *, store: Store | str | None = None, out: Path | str = DEFAULT_OUT) -> Run:
    """Read a run, by default the latest, from a store, its URL, or the results in a folder."""
    if not isinstance(store, Store):
        with open_store(store, Path(out), existing=True) as opened:
            return load(run, store=opened)
    name = store.resolve_run(run)
    return Run(name, RunFacts.read(run_facts(store, name)), tables(store, name, series=False), store)
