"""Is a layer less accurate? The trials of a preset on both sides with the same seeds, compared seed by seed.

Both sides write into one store, so trials whose sources are equal are answered by one record. A loss counts from the
margin on that a metric declares (non-inferiority): regressed only if the whole interval lies beyond it.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from coordbench.harness.analysis import summarize
from coordbench.harness.analysis.summarize import CELL
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import Metric
from coordbench.harness.core.selector import Selector
from coordbench.harness.gate import probe
from coordbench.harness.gate.findings import Finding, Verdict
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.sides import Tree, end
from coordbench.harness.statistics.paired import (
    FEWEST_PAIRS,
    LEVEL,
    Comparison,
    Evidence,
    decide,
    interval,
    measure,
)
from coordbench.harness.store.store import Store


@dataclass(frozen=True)
class Difference:
    """What pairs of seeds say of one metric, positive where the candidate is better [unit of the metric]."""

    values: np.ndarray[Any, Any]
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


def judge(differences: Sequence[Difference]) -> list[Verdict]:
    """Verdicts of comparisons that are looked at together; fewer than five pairs are inconclusive."""
    enough = [difference for difference in differences if len(difference.values) >= FEWEST_PAIRS]
    comparisons = decide([difference.evidence for difference in enough])
    outcomes = {id(d): _verdict(d, comparison) for d, comparison in zip(enough, comparisons, strict=True)}
    return [outcomes.get(id(difference), "inconclusive") for difference in differences]


def _verdict(difference: Difference, comparison: Comparison) -> Verdict:
    low, _ = difference.interval
    if comparison.verdict == "worse":  # by more than the margin, as half of the 5 % lie on that side
        return "regressed"
    if low > difference.margin:
        return "improved"
    return "pass" if low > -difference.margin else "inconclusive"


def changed(base: Sequence[Mapping[str, Any]], candidate: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """The variants and the base names of the tasks among whose trials any depends on something else on each side."""
    before = {_trial(trial): trial["digest"] for trial in base}
    other = [trial for trial in candidate if before.get(_trial(trial)) != trial["digest"]]
    tasks = {Selector.parse(trial["task"]).name for trial in other}
    return sorted({trial["variant"] for trial in other}), sorted(tasks)


def check_seeds(trials: Sequence[Mapping[str, Any]], preset: str) -> None:
    """Raise UsageError if a preset has too few seeds for any verdict."""
    seeds: dict[tuple[Any, ...], int] = {}
    for trial in trials:
        cell = _trial(trial)[:-1]
        seeds[cell] = seeds.get(cell, 0) + 1
    if seeds and max(seeds.values()) < FEWEST_PAIRS:
        raise UsageError(
            f"preset {preset!r} has {max(seeds.values())} seeds; fewer than {FEWEST_PAIRS} pairs of seeds decide "
            "nothing, so the accuracy of no layer could pass or regress"
        )


def _trial(trial: Mapping[str, Any]) -> tuple[Any, ...]:
    return trial["task"], trial["backbone"], trial["variant"], trial.get("cell"), trial["seed"]


def run_trials(tree: Tree, preset: Path, choice: Sequence[str], plugins: Sequence[str], store: str) -> str:
    """Run a preset's trials with the code of a tree, into a store; return why that did not work, or nothing."""
    command = [
        *(sys.executable, "-m", "coordbench", "run", str(preset), "--device", "cpu", *choice),
        *(["--plugin", *plugins] if plugins else []),
        *("--no-report", "--store", store, "--out", str(tree.scratch / f"out-{tree.name}")),
    ]
    log = tree.scratch / f"trials-{tree.name}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=tree.folder, env=tree.environment, start_new_session=True, preexec_fn=probe.end_with_parent,
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            code = process.wait()
        finally:
            end(process)
    said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "" if code in (0, 5) else f"exited with code {code}: {said[-1][:300] if said else 'it said nothing'}"


def compare(store: Store, runs: tuple[str, str], settings: Settings) -> list[Finding]:
    """Findings over two runs: one row per cell and metric, in the order of the preset."""
    base, candidate = (_scores(store, run) for run in runs)
    metrics = _metrics(store, runs[1])
    rows: list[tuple[str, Metric, Difference, pd.DataFrame]] = []
    findings: list[Finding] = []
    for cell, paired in _paired(base, candidate):
        findings += _failures(cell, paired)
        if not ((paired["status_base"] == "ok") & (paired["status_candidate"] == "ok")).any():
            note = f"no trial ended well on both sides; {paired['error_candidate'].iloc[0]}"
            findings.append(Finding(cell, "accuracy", "trials", "not measured", note=note[:300]))
        for metric in metrics[paired["task"].iloc[0]]:
            columns = [f"{metric.name}_base", f"{metric.name}_candidate"]
            if not set(columns) <= set(paired.columns):
                continue  # all its trials failed
            both = paired.dropna(subset=columns)
            sign = 1.0 if metric.better == "higher" else -1.0
            values = sign * (both[f"{metric.name}_candidate"] - both[f"{metric.name}_base"]).to_numpy(float)
            margin = settings.margins.get(metric.name, metric.margin)
            if len(values):
                rows.append((cell, metric, Difference(values, margin), both))
    verdicts = judge([difference for _, _, difference, _ in rows])
    return findings + [_finding(*row, verdict) for row, verdict in zip(rows, verdicts, strict=True)]


def _finding(cell: str, metric: Metric, difference: Difference, both: pd.DataFrame, verdict: Verdict) -> Finding:
    sign = 1.0 if metric.better == "higher" else -1.0
    low, high = difference.interval if len(difference.values) > 1 else (math.nan, math.nan)
    low, high = sorted((sign * low, sign * high))
    base, candidate = (float(both[f"{metric.name}_{side}"].mean()) for side in ("base", "candidate"))
    note = f"{len(difference.values)} seeds, margin {difference.margin:g}"
    pairs = tuple(sign * float(value) for value in difference.values)
    change = sign * difference.mean
    return Finding(cell, "accuracy", metric.name, verdict, base, candidate, change, low, high, metric.unit, note, pairs)


def _failures(cell: str, paired: pd.DataFrame) -> list[Finding]:
    """A finding where trials fail on the candidate side that end well on the base side."""
    well = paired["status_base"] == "ok"
    lost = int((well & (paired["status_candidate"] != "ok")).sum())
    won = int((~well & (paired["status_candidate"] == "ok")).sum())
    if not lost:
        return []
    sure = stats.binomtest(lost, lost + won, alternative="greater").pvalue <= LEVEL
    reason = str(paired.loc[well & (paired["status_candidate"] != "ok"), "error_candidate"].iloc[0])[:200]
    base, candidate = (int((paired[f"status_{side}"] != "ok").sum()) for side in ("base", "candidate"))
    verdict: Verdict = "regressed" if sure else "inconclusive"
    note = f"{lost} of {len(paired)} trials fail that ended well: {reason}"
    return [Finding(cell, "accuracy", "failed trials", verdict, base, candidate, lost - won, note=note)]


def _scores(store: Store, run: str) -> pd.DataFrame:
    """The variants' trials of a run with one column per metric of the test split."""
    tables = summarize.tables(store, run)
    test = tables.scores[tables.scores["split"] == "test"]
    wide = test.pivot(index="trial", columns="metric", values="value")
    trials = summarize.cells(store, run, tables.trials)[tables.trials["variant"].notna()]
    return trials[[*CELL, "seed", "status", "error"]].join(wide)


def _paired(base: pd.DataFrame, candidate: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Name of a cell, and both sides' trials of it side by side, one row per seed."""
    metrics = (set(base.columns) | set(candidate.columns)) - {*CELL, "seed"}
    base, candidate = (side.reindex(columns=[*CELL, "seed", *sorted(metrics)]) for side in (base, candidate))
    both = base.merge(candidate, on=[*CELL, "seed"], suffixes=("_base", "_candidate"), validate="one_to_one")
    telling = summarize.telling(both)
    return [(_name(group.iloc[0], telling), group) for _, group in both.groupby(CELL, sort=False)]


def _name(row: Any, telling: Sequence[str]) -> str:
    return f"{row['variant']} in {row['backbone']} on {row['task']}{summarize.place(row, telling)}"


def _metrics(store: Store, run: str) -> dict[str, list[Metric]]:
    tasks = summarize.run_facts(store, run)["tasks"]
    return {task: [Metric(**metric) for metric in facts["metrics"]] for task, facts in tasks.items()}
