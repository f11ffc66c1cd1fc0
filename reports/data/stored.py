"""A stored run: its facts, one row per trial, its contests. The tables that follow from them are those of `run.Run`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coordbench.harness.analysis.tables import Tables
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.record import FAILED
from coordbench.harness.store.store import Store
from coordbench.reports.data import colors, rates
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.facts import RunFacts

COSTS = ["parameters", "flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes"]


@dataclass(frozen=True)
class Stored:
    """A run as it lies in a store."""

    name: str
    facts: RunFacts
    tables: Tables
    store: Store

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The trials with `full_task`, `full_backbone`, `contest` (null for references), `merit` and `failed`.

        `merit` is the score with higher = better; a failed trial counts as the worst that its contest saw.
        """
        contests = self.contests.values()
        return _with_merit(
            self._numbered,
            {contest.number: contest.metric.sign for contest in contests},
            {contest.number: contest.floor * contest.metric.sign for contest in contests},
        )

    @cached_property
    def contests(self) -> dict[int, Contest]:
        """Number -> contest, in the order of the preset."""
        rows = self._numbered.dropna(subset="contest").drop_duplicates("contest").sort_values("contest")
        return {contest.number: contest for contest in self._contests(rows)}

    @cached_property
    def variants(self) -> list[str]:
        """The variants in the order of the preset, then of the trials."""
        named = self.facts.order
        seen = list(dict.fromkeys(self._numbered.loc[self._numbered["reference"].isna(), "label"].dropna().astype(str)))
        return sorted(seen, key=lambda v: (named.index(v) if v in named else len(named), seen.index(v)))

    @cached_property
    def slots(self) -> dict[str, int]:
        """Variant -> slot of its color."""
        return colors.slots([*self.variants, *self.tables.costs["variant"].dropna().astype(str)])

    def entrants(self, task: str, variant: str) -> pd.DataFrame:
        """The trials of a variant in the contests of a task (its base name), ok or failed."""
        places = self._entrants.get((task, variant))
        return self.trials.iloc[:0] if places is None else self.trials.iloc[places]

    @cached_property
    def _entrants(self) -> dict[tuple[str, str], NDArray[np.intp]]:
        """(base task, variant) -> places of its trials: one frame for each would take most of a large page's time."""
        competing = np.flatnonzero(self.trials["contest"].notna() & (self.trials["status"] != "skipped"))
        groups = self.trials.iloc[competing].groupby(["task", "label"], sort=False).indices
        return {
            (str(key[0]), str(key[1])): competing[places] for key, places in groups.items() if isinstance(key, tuple)
        }

    @cached_property
    def rates(self) -> dict[tuple[int, str], rates.Rate]:
        """The learning rate of each variant in each contest."""
        return rates.rates(self.contests.values(), self.variants, self.tables.tuning, self.facts.rates)

    def until(self, count: int) -> Stored:
        """The run as it was once each cell had this many of its seeds; the same at every later time."""
        if count not in self._earlier:
            trials = self.tables.trials
            place = [self._place(cell, seed) for cell, seed in zip(trials["cell"], trials["seed"], strict=True)]
            tables = replace(self.tables, trials=trials[np.array(place, dtype=int) < count])
            self._earlier[count] = Stored(self.name, self.facts, tables, self.store)
        return self._earlier[count]

    def tried(self, cell: Cell) -> int:
        """How many of a cell's first seeds have a record, of all those before the first that has none."""
        known = self.facts.looks[cell]
        seeds = self._tried.get(cell, frozenset())
        return next((i for i, seed in enumerate(known.seeds) if seed not in seeds), len(known.seeds))

    def trained(self, cell: Cell) -> int:
        """How many seeds of a cell have a record."""
        return len(self._tried.get(cell, ()))

    @cached_property
    def _tried(self) -> dict[Cell, frozenset[int]]:
        rows = self.tables.trials[self.tables.trials["status"] != "skipped"]
        seeds: dict[Cell, set[int]] = {}
        for cell, seed in zip(rows["cell"], rows["seed"], strict=True):
            seeds.setdefault(cell, set()).add(int(seed))
        return {cell: frozenset(values) for cell, values in seeds.items()}

    @cached_property
    def _earlier(self) -> dict[int, Stored]:
        return {}

    def _place(self, cell: Cell, seed: int) -> int:
        """The place of a seed among those of its cell; 0 where no look is known of it, as of references."""
        known = self.facts.looks.get(cell)
        return known.seeds.index(seed) if known is not None and seed in known.seeds else 0

    @property
    def baseline(self) -> str | None:
        """The preset's baseline, or the first variant where the run does not hold it."""
        return self.facts.baseline if self.facts.baseline in self.variants else next(iter(self.variants), None)

    @cached_property
    def never_ended(self) -> list[str]:
        """The variants of which no trial in any contest ended well, though some were tried."""
        competing = self.trials[self.trials["contest"].notna() & (self.trials["status"] != "skipped")]
        ended = (competing["status"] == "ok") & competing["score"].notna()
        alive = set(competing.loc[ended, "label"].astype(str))
        tried = set(competing["label"].astype(str))
        return [variant for variant in self.variants if variant in tried - alive]

    @cached_property
    def _numbered(self) -> pd.DataFrame:
        frame = self.tables.trials
        frame = frame.assign(
            full_task=pd.Series([str(cell.task) for cell in frame["cell"]], frame.index, dtype="str"),
            full_backbone=pd.Series([str(cell.backbone or "") for cell in frame["cell"]], frame.index, dtype="str"),
            steps_planned=[cell.budget.steps for cell in frame["cell"]],
            contest=np.nan,
            score=pd.to_numeric(frame["score"], errors="coerce").replace([np.inf, -np.inf], np.nan),
        )
        competing = frame["reference"].isna() & (
            frame["suite"] != "costs"
        )  # where only costs are wanted nobody competes
        arenas = frame.loc[competing, "cell"].map(_arena)
        frame.loc[competing, "contest"] = arenas.groupby(arenas, sort=False).ngroup()
        return frame

    def _contests(self, rows: pd.DataFrame) -> Iterator[Contest]:
        epochs = self._numbered["epoch_steps"].astype(float).groupby(self._numbered["contest"]).max()
        for number, task, backbone, cell in rows[["contest", "full_task", "full_backbone", "cell"]].itertuples(
            index=False
        ):
            about, budget = self.facts.tasks[task], cell.budget
            rate = float("nan") if budget.learning_rate is None else budget.learning_rate
            trained = budget.steps, budget.schedule or "", rate, cell.memory_format, cell.match or ""
            bounds = self._bound(task, "floor"), self._bound(task, "ceiling"), float(epochs[number])
            yield Contest(int(number), task, backbone, *trained, cell.device, cell.dtype, about, _arena(cell), *bounds)

    def _bound(self, task: str, kind: str) -> float:
        """The strongest mean score of the task's references of a kind; nan where none succeeded."""
        about = self.facts.tasks[task]
        names = [name for name, known in about.references.items() if known == kind]
        rows = self._numbered[(self._numbered["full_task"] == task) & self._numbered["reference"].isin(names)]
        means = rows.groupby("reference")["score"].mean().dropna()
        if means.empty:
            return float("nan")
        return float(means.max() if about.metric.better == "higher" else means.min())


def _with_merit(trials: pd.DataFrame, signs: dict[int, float], floors: dict[int, float]) -> pd.DataFrame:
    merit = trials["score"].astype(float) * trials["contest"].map(signs).astype(float)
    failed = trials["status"].isin(FAILED) | ((trials["status"] == "ok") & merit.isna() & trials["contest"].notna())
    worst = np.fmin(merit.groupby(trials["contest"]).transform("min"), trials["contest"].map(floors).astype(float))
    return trials.assign(failed=failed, merit=merit.where(~failed, worst))


def _arena(cell: Cell) -> Cell:
    """What the cells of a contest share: all but the variant."""
    return replace(cell, variant=None)
