"""A stored run as a report needs it.

A contest is what variants compete in: a task with its options, a backbone, a budget, a device and a number format.
Tasks of the suite `costs` are none: there is nothing to learn from their scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from coordbench.harness.analysis import summarize
from coordbench.harness.core.record import FAILED
from coordbench.harness.store.store import Store, open_store

CONTEST = [
    *("suite", "full_task", "full_backbone", "device", "dtype"),
    *summarize.BUDGET,
]
COSTS = ["parameters", "flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes"]
DEFAULT_OUT = Path("coordbench-results")


@dataclass(frozen=True)
class Run:
    """A stored run as a report needs it: facts, one row per trial, one row per contest."""

    name: str
    facts: dict[str, Any]
    tables: summarize.Tables

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The trials with `full_task`, `full_backbone`, `contest` (null for references), `merit` and `failed`.

        `merit` is the score with higher = better; a failed trial counts as the worst that its contest saw.
        """
        return _with_merit(self._numbered, self.contests)

    @cached_property
    def contests(self) -> pd.DataFrame:
        """One row per contest with its metric, margin, floor and ceiling."""
        own = self._numbered.dropna(subset="contest").drop_duplicates("contest")
        frame = own[["contest", *CONTEST, "task", "backbone", "metric", "unit"]].sort_values("contest")
        first = frame["full_task"].map(lambda task: self.facts["tasks"][task]["metrics"][0])
        frame = frame.assign(better=[m["better"] for m in first], margin=[float(m["margin"]) for m in first])
        for kind in ("floor", "ceiling"):
            frame[kind] = [self._bound(task, kind) for task in frame["full_task"]]
        return frame.astype({"contest": int}).set_index("contest")

    @cached_property
    def variants(self) -> list[str]:
        """The variants in the order of the preset, then of the trials."""
        named = [v for sweep in self.facts["preset"].get("sweeps", []) for v in sweep["variants"]]
        seen = list(dict.fromkeys(self._numbered.loc[self._numbered["reference"].isna(), "label"]))
        return sorted(seen, key=lambda v: (named.index(v) if v in named else len(named), seen.index(v)))

    @cached_property
    def entrants(self) -> dict[tuple[str, str], pd.DataFrame]:
        """(base task, variant) -> its trials in contests, ok or failed."""
        own = self.trials[self.trials["contest"].notna() & (self.trials["status"] != "skipped")]
        return {(str(task), str(label)): rows for (task, label), rows in own.groupby(["task", "label"], sort=False)}

    @property
    def baseline(self) -> str | None:
        """The preset's baseline, or the first variant where the run does not hold it."""
        wanted = self.facts["preset"].get("baseline")
        return wanted if wanted in self.variants else next(iter(self.variants), None)

    @cached_property
    def _numbered(self) -> pd.DataFrame:
        frame = self.tables.trials
        frame = frame.assign(
            full_task=summarize.selector(frame, "task"),
            full_backbone=summarize.selector(frame, "backbone"),
            contest=np.nan,
        )
        own = frame["reference"].isna() & (frame["suite"] != "costs")  # nobody competes where only costs are wanted
        frame.loc[own, "contest"] = frame[own].groupby(CONTEST, dropna=False, sort=False).ngroup()
        return frame

    def _bound(self, task: str, kind: str) -> float:
        """The strongest mean score of the task's references of a kind; nan where none succeeded."""
        facts = self.facts["tasks"][task]
        names = [name for name, own in facts["references"].items() if own == kind]
        rows = self._numbered[(self._numbered["full_task"] == task) & self._numbered["reference"].isin(names)]
        means = rows.groupby("reference")["score"].mean()
        if means.isna().all():
            return float("nan")
        return float(means.max() if facts["metrics"][0]["better"] == "higher" else means.min())


def load(run: str | None = None, *, store: Store | str | None = None, out: Path | str = DEFAULT_OUT) -> Run:
    """Read a run, by default the latest, from a store, its URL, or the results in a folder."""
    if not isinstance(store, Store):
        with open_store(store, Path(out)) as opened:
            return load(run, store=opened)
    name = store.resolve_run(run)
    read = summarize.tables(store, name, series=False)
    trials = pd.concat([read.trials, summarize.budgets(store, name)], axis=1)
    return Run(name, summarize.run_facts(store, name), replace(read, trials=trials))


def given(run: Run | str | None, where: dict[str, Any]) -> Run:
    """The run itself, or the one of this name, read from `where`."""
    return run if isinstance(run, Run) else load(run, **where)


def _with_merit(trials: pd.DataFrame, contests: pd.DataFrame) -> pd.DataFrame:
    sign = trials["contest"].map(contests["better"]).map({"higher": 1.0, "lower": -1.0})
    merit = trials["score"].astype(float) * sign
    floors = trials["contest"].map(contests["floor"]) * sign
    failed = trials["status"].isin(FAILED) | ((trials["status"] == "ok") & merit.isna() & trials["contest"].notna())
    worst = np.fmin(merit.groupby(trials["contest"]).transform("min"), floors)
    return trials.assign(failed=failed, merit=merit.where(~failed, worst))
