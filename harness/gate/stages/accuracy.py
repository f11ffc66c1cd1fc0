"""Is a layer less accurate? The trials of a preset on both sides with the same seeds, compared seed by seed.

Both sides write into one store, so trials whose sources are equal are answered by one record. A loss counts from the
margin on that a metric declares (non-inferiority): regressed only if the whole interval lies beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from coordbench.harness.analysis.runs import run_facts
from coordbench.harness.analysis.tables import tables
from coordbench.harness.core.cell import Cell, describe, differing
from coordbench.harness.core.problem import Metric
from coordbench.harness.gate.rows import GateRow, Outcome
from coordbench.harness.gate.settings import Settings
from coordbench.harness.statistics.paired import FEWEST_PAIRS, LEVEL, Comparison, Evidence, decide, interval, measure
from coordbench.harness.store.store import Store


@dataclass(frozen=True)
class Difference:
    """What pairs of seeds say of one metric, positive where the candidate is better [unit of the metric]."""

    values: NDArray[np.float64]
    margin: float

    @cached_property
    def evidence(self) -> Evidence:
        """What the pairs show against a loss of the whole margin."""
        return measure(self.values, self.margin, null=-self.margin, sides="worse")

    @property
    def mean(self) -> float:
        """The mean difference."""
        return self.evidence.mean

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % t interval of the mean; seeds count as at least a quarter of the margin apart."""
        return interval(self.evidence)


@dataclass(frozen=True)
class Compared:
    """One metric of one cell: its difference, and the means of both sides."""

    cell: str
    metric: Metric
    difference: Difference
    base: float
    candidate: float

    @property
    def sign(self) -> float:
        """1 where higher is better, else -1."""
        return 1.0 if self.metric.better == "higher" else -1.0

    def row(self, outcome: Outcome) -> GateRow:
        """A row of the report, its change in the direction of the metric."""
        difference = self.difference
        bounds = difference.interval if len(difference.values) > 1 else (math.nan, math.nan)
        low, high = sorted(self.sign * bound for bound in bounds)
        return GateRow(
            self.cell, "accuracy", self.metric.name, outcome, self.base, self.candidate,
            self.sign * difference.mean, low, high, difference.margin, self.metric.unit,
            f"{len(difference.values)} seeds", tuple(self.sign * float(value) for value in difference.values),
        )  # fmt: skip


def judge(differences: Sequence[Difference]) -> list[Outcome]:
    """Outcomes of comparisons that are looked at together; fewer than five pairs are inconclusive."""
    enough = [difference for difference in differences if len(difference.values) >= FEWEST_PAIRS]
    comparisons = decide([difference.evidence for difference in enough])
    outcomes = {id(d): _outcome(d, comparison) for d, comparison in zip(enough, comparisons, strict=True)}
    return [outcomes.get(id(difference), "inconclusive") for difference in differences]


def _outcome(difference: Difference, comparison: Comparison) -> Outcome:
    low, _ = difference.interval
    if comparison.verdict == "worse":  # by more than the margin, as half of the 5 % lie on that side
        return "regressed"
    if low > difference.margin:
        return "improved"
    return "pass" if low > -difference.margin else "inconclusive"


def compare(store: Store, runs: tuple[str, str], settings: Settings) -> list[GateRow]:
    """Rows over two runs: one per cell and metric, in the order of the preset."""
    base, candidate = (_scores(store, run) for run in runs)
    metrics = _metrics(store, runs[1])
    rows: list[GateRow] = []
    compared: list[Compared] = []
    for key, cell, paired in _paired(base, candidate):
        rows += _failures(cell, paired)
        if not ((paired["status_base"] == "ok") & (paired["status_candidate"] == "ok")).any():
            note = f"no trial ended well on both sides; {paired['error_candidate'].iloc[0]}"
            rows.append(GateRow(cell, "accuracy", "trials", "not measured", note=note[:300]))
        compared += [
            item
            for metric in metrics[str(key.task)]
            if (item := _compared(cell, metric, paired, settings.margins.get(metric.name, metric.margin)))
        ]
    outcomes = judge([item.difference for item in compared])
    return rows + [item.row(outcome) for item, outcome in zip(compared, outcomes, strict=True)]


def _compared(cell: str, metric: Metric, paired: pd.DataFrame, margin: float) -> Compared | None:
    """A metric over the seeds that have it on both sides; None where there are none."""
    columns = [f"{metric.name}_base", f"{metric.name}_candidate"]
    if not set(columns) <= set(paired.columns):
        return None  # all its trials failed
    both = paired.dropna(subset=columns)[columns].to_numpy(float)
    if not len(both):
        return None
    sign = 1.0 if metric.better == "higher" else -1.0
    difference = Difference(sign * (both[:, 1] - both[:, 0]), margin)
    return Compared(cell, metric, difference, *(float(mean) for mean in both.mean(0)))


def _failures(cell: str, paired: pd.DataFrame) -> list[GateRow]:
    """A row where trials fail on the candidate side that end well on the base side."""
    well = paired["status_base"] == "ok"
    lost = int((well & (paired["status_candidate"] != "ok")).sum())
    won = int((~well & (paired["status_candidate"] == "ok")).sum())
    if not lost:
        return []
    sure = stats.binomtest(lost, lost + won, alternative="greater").pvalue <= LEVEL
    reason = str(paired.loc[well & (paired["status_candidate"] != "ok"), "error_candidate"].iloc[0])[:200]
    base, candidate = (int((paired[f"status_{side}"] != "ok").sum()) for side in ("base", "candidate"))
    note = f"{lost} of {len(paired)} trials fail that ended well: {reason}"
    outcome: Outcome = "regressed" if sure else "inconclusive"
    return [GateRow(cell, "accuracy", "failed trials", outcome, base, candidate, lost - won, note=note)]


def _scores(store: Store, run: str) -> pd.DataFrame:
    """The variants' trials of a run with one column per metric of the test split."""
    read = tables(store, run)
    test = read.scores[read.scores["split"] == "test"]
    wide = test.pivot(index="trial", columns="metric", values="value")
    trials = read.trials[read.trials["variant"].notna()]
    return trials[["cell", "seed", "status", "error"]].join(wide)


def _paired(base: pd.DataFrame, candidate: pd.DataFrame) -> list[tuple[Cell, str, pd.DataFrame]]:
    """A cell, its name, and both sides' trials of it side by side, one row per seed."""
    metrics = (set(base.columns) | set(candidate.columns)) - {"cell", "seed"}
    base, candidate = (side.reindex(columns=["cell", "seed", *sorted(metrics)]) for side in (base, candidate))
    both = base.merge(candidate, on=["cell", "seed"], suffixes=("_base", "_candidate"), validate="one_to_one")
    conditions = differing(both["cell"])
    return [(cell, describe(cell, conditions), both[both["cell"] == cell]) for cell in dict.fromkeys(both["cell"])]


def _metrics(store: Store, run: str) -> dict[str, list[Metric]]:
    tasks = run_facts(store, run)["tasks"]
    return {task: [Metric(**metric) for metric in facts["metrics"]] for task, facts in tasks.items()}
