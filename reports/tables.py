"""The tables of a report, each a DataFrame: `leaderboard("latest-run")` works in a notebook as it does in the page.

A contest is what variants compete in: a task with its options, a backbone, a budget, a device and a number format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sql

from harness import compare, schema, statistics, summarize
from harness.spec import FAILED
from harness.store import Store, open_store

CONTEST = [
    *("suite", "full_task", "full_backbone", "steps_planned", "schedule", "learning_rate"),
    *("device", "dtype", "memory_format"),
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
        """The variants in the order of the profile, then of the trials."""
        named = [v for sweep in self.facts["profile"].get("sweeps", []) for v in sweep["variants"]]
        seen = list(dict.fromkeys(self._numbered.loc[self._numbered["contest"].notna(), "label"]))
        return sorted(seen, key=lambda v: (named.index(v) if v in named else len(named), seen.index(v)))

    @property
    def baseline(self) -> str | None:
        """The profile's baseline, or the first variant where the run does not hold it."""
        wanted = self.facts["profile"].get("baseline")
        return wanted if wanted in self.variants else next(iter(self.variants), None)

    @cached_property
    def _numbered(self) -> pd.DataFrame:
        frame = self.tables.trials
        frame = frame.assign(
            full_task=_selector(frame, "task"), full_backbone=_selector(frame, "backbone"), contest=np.nan
        )
        own = frame["reference"].isna()
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
    trials = pd.concat([read.trials, _budgets(store, name)], axis=1)
    return Run(name, summarize.run_facts(store, name), replace(read, trials=trials))


def leaderboard(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """Rank the variants of every contest, best first: mean score, 95 % interval over seeds, failures, costs."""
    run = _run(run, where)
    own = run.trials.dropna(subset="contest")
    ranked = _summary(own, run).sort_values(["contest", "merit"], ascending=[True, False], kind="stable")
    ranked["rank"] = ranked.groupby("contest")["merit"].rank(ascending=False, method="min").astype("Int64")
    return ranked.drop(columns="merit").reset_index(drop=True)


def references(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """The references of every task: floor, ceiling or anchor, with mean and 95 % interval over seeds."""
    run = _run(run, where)
    rows = run.trials[run.trials["reference"].notna()]
    groups = rows.groupby(["full_task", "reference"], sort=False)
    frame = groups["score"].agg(["count", "mean"]).rename(columns={"count": "seeds", "mean": "score"}).reset_index()
    facts = [run.facts["tasks"][task] for task in frame["full_task"]]
    frame["kind"] = [own["references"].get(name) for own, name in zip(facts, frame["reference"], strict=True)]
    frame["metric"] = [own["metrics"][0]["name"] for own in facts]
    return frame


def verdicts(run: Run | str | None = None, baseline: str | None = None, **where: Any) -> pd.DataFrame:
    """Judge every variant of every contest against a baseline, paired by seed, Holm over all of them."""
    run = _run(run, where)
    baseline = baseline or run.baseline
    merits = merits_by_cell(run)
    cells = [cell for cell in merits if cell[1] != baseline and (cell[0], baseline) in merits]
    differences = [merits[cell] - merits[cell[0], str(baseline)] for cell in cells]
    family = [d[np.isfinite(d)] for d in differences]
    margins = run.contests["margin"].to_dict()
    judged = compare.judge(family, [float(margins[contest]) for contest, _ in cells])
    frame = pd.DataFrame([vars(found) for found in judged], columns=list(compare.Comparison.__dataclass_fields__))
    named = pd.DataFrame(cells, columns=["contest", "variant"]).assign(baseline=baseline)
    return pd.concat([named, frame], axis=1)


def merits_by_cell(run: Run) -> dict[tuple[int, str], np.ndarray[Any, Any]]:
    """(contest, variant) -> merits in the order of the table's seeds, nan where a seed is missing."""
    table = merit_table(run)
    rows = table.to_numpy(float)
    return {(int(contest), str(variant)): row for (contest, variant), row in zip(table.index, rows, strict=True)}


def merit_table(run: Run) -> pd.DataFrame:
    """Merits, one row per (contest, variant) and one column per seed; failed trials count as their contest's worst."""
    own = run.trials.dropna(subset=["contest", "merit"])
    table = own.pivot_table(index=["contest", "label"], columns="seed", values="merit", aggfunc="first", sort=False)
    table.index = table.index.set_names(["contest", "variant"])
    return table


def coverage(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """How many trials of each suite were planned, and how they ended."""
    run = _run(run, where)
    counted = run.trials.groupby(["suite", "status"]).size().unstack(fill_value=0)
    order = [status for status in ("ok", *FAILED, "skipped") if status in counted]
    counted = counted[order].rename_axis(columns=None)
    counted.insert(0, "planned", counted.sum(axis=1))
    return counted.reset_index()


def failures(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """Trials that did not end well, alike ones together, with their reason and their seeds; cost measurements too."""
    run = _run(run, where)
    bad = run.trials[run.trials["status"] != "ok"]
    keys = ["full_task", "full_backbone", "label", "status", "error"]
    grouped = bad.groupby(keys, dropna=False, sort=False)["seed"]
    listed = grouped.agg(lambda seeds: ", ".join(str(int(seed)) for seed in seeds)).rename("seeds").reset_index()
    costs = run.tables.costs
    costs = costs[costs["status"] != "ok"]
    costs = costs.rename(columns={"task": "full_task", "backbone": "full_backbone", "variant": "label"})
    return pd.concat([listed, costs[keys].assign(seeds="costs")], ignore_index=True)


def aggregate(run: Run | str | None = None, baseline: str | None = None, **where: Any) -> pd.DataFrame:
    """Aggregate normalized scores: IQM with its stratified bootstrap interval, probability of improvement, failures.

    A variant is comparable (`complete`) where it took part in every contest that has a floor and a ceiling.
    """
    run = _run(run, where)
    baseline = baseline or run.baseline
    strata = normalized_strata(run)
    everything = set().union(*strata.values()) if strata else set()
    generator = np.random.default_rng(0)
    rows = []
    for variant, own in strata.items():
        arrays = list(own.values())
        low, high = (np.nan, np.nan)
        if max(map(len, arrays)) > 1:
            low, high = statistics.stratified_bootstrap(arrays, statistics.iqm, generator)
        rows.append((variant, len(own), len(everything), statistics.iqm(np.concatenate(arrays)), low, high))
    columns = ["variant", "contests", "of", "iqm", "low", "high"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["complete"] = frame["contests"] == frame["of"]
    frame = frame.merge(improvements(run, strata, [baseline]), on="variant", how="left").drop(columns="baseline")
    return frame.sort_values(["complete", "iqm"], ascending=False, kind="stable").reset_index(drop=True)


def improvements(
    run: Run, strata: dict[str, dict[int, np.ndarray[Any, Any]]], baselines: Iterable[str | None]
) -> pd.DataFrame:
    """The probability that a run of a variant beats one of a baseline, over the contests that both took part in."""
    rows = []
    generator = np.random.default_rng(1)
    for baseline in baselines:
        theirs = strata.get(baseline or "", {})
        for variant, ours in strata.items():
            shared = [contest for contest in ours if contest in theirs]
            if variant == baseline or not shared:
                continue
            pair = [ours[c] for c in shared], [theirs[c] for c in shared]
            chance = statistics.probability_of_improvement(*pair)
            low, high = statistics.improvement_interval(*pair, generator, repeats=200)
            if max(map(len, pair[0])) < 2:
                low = high = np.nan
            rows.append((variant, baseline, chance, low, high))
    columns = ["variant", "baseline", "improvement", "improvement_low", "improvement_high"]
    return pd.DataFrame(rows, columns=columns)


def normalized_strata(run: Run) -> dict[str, dict[int, np.ndarray[Any, Any]]]:
    """Variant -> contest -> normalized scores of its seeds, for the contests with floor and ceiling.

    A failed trial counts as the floor, or as the worst of its contest where that is lower.
    """
    own = run.trials.dropna(subset="contest")
    own = own[own["status"] != "skipped"]
    normal = own["normalized"].groupby(own["contest"]).transform("count") > 0
    own = own[normal]
    worst = own.groupby("contest")["normalized"].transform("min").clip(upper=0.0)
    value = own["normalized"].where(~own["failed"], worst)
    own = own.assign(value=value).dropna(subset="value")
    strata: dict[str, dict[int, np.ndarray[Any, Any]]] = {v: {} for v in run.variants}
    values = own["value"].to_numpy(float)
    cells: Any = own.groupby(["label", "contest"]).indices
    for (variant, contest), rows in cells.items():
        strata[variant][int(contest)] = values[rows]
    return {variant: found for variant, found in strata.items() if found}


def environment(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """What the records of a run were made on."""
    return _run(run, where).tables.environment


def _run(run: Run | str | None, where: dict[str, Any]) -> Run:
    return run if isinstance(run, Run) else load(run, **where)


def _budgets(store: Store, run: str) -> pd.DataFrame:
    """Record, budget and memory format of each trial, in the order of the trials' table.

    `learning_rate` is the one that the profile fixed, null where each variant tuned its own.
    """
    job, facts = schema.items.c.job, schema.items.c.facts
    fixed = facts["tuning", "rate"].as_float().is_(None)
    query = (
        sql.select(
            schema.items.c.record,
            job["budget", "steps"].as_integer(),
            job["budget", "schedule"].as_string(),
            sql.case((fixed, job["budget", "learning_rate"].as_float())),
            job["memory_format"].as_string(),
        )
        .where((schema.items.c.run == run) & (schema.items.c.kind == "trial") & (job["purpose"].as_string() == "test"))
        .order_by(schema.items.c.position)
    )
    columns = ["record", "steps_planned", "schedule", "learning_rate", "memory_format"]
    return pd.DataFrame([tuple(row) for row in store.read(query)], columns=columns)


def _selector(frame: pd.DataFrame, column: str) -> pd.Series[Any]:
    """Base name and options as one selector."""
    name, options = frame[column].fillna("").astype(str), frame[f"{column}_options"].fillna("").astype(str)
    return name + ("[" + options + "]").where(options != "", "")


def _with_merit(trials: pd.DataFrame, contests: pd.DataFrame) -> pd.DataFrame:
    sign = trials["contest"].map(contests["better"]).map({"higher": 1.0, "lower": -1.0})
    merit = trials["score"].astype(float) * sign
    floors = trials["contest"].map(contests["floor"]) * sign
    failed = trials["status"].isin(FAILED) | ((trials["status"] == "ok") & merit.isna() & trials["contest"].notna())
    worst = np.fmin(merit.groupby(trials["contest"]).transform("min"), floors)
    return trials.assign(failed=failed, merit=merit.where(~failed, worst))


def _summary(own: pd.DataFrame, run: Run) -> pd.DataFrame:
    groups = own.groupby(["contest", "label"], sort=False)
    frame = groups.agg(
        seeds=("score", "count"),
        failed=("failed", "sum"),
        score=("score", "mean"),
        deviation=("score", "std"),
        normalized=("normalized", "mean"),
        merit=("merit", "mean"),
        converged=("converged", "mean"),
        seconds=("seconds", "mean"),
        **{cost: (cost, "first") for cost in COSTS},
    ).reset_index()
    frame = frame.astype({"contest": int, "converged": float})
    half = _half_widths(frame["deviation"], frame["seeds"])
    frame.insert(5, "low", frame["score"] - half)
    frame.insert(6, "high", frame["score"] + half)
    told = run.contests[["suite", "full_task", "full_backbone", "steps_planned", "metric", "unit"]]
    named = frame.join(told, on="contest").rename(columns={"label": "variant"}).drop(columns="deviation")
    front = ["contest", *told.columns, "variant"]
    return named[[*front, *(column for column in named.columns if column not in front)]]


def _half_widths(deviation: pd.Series[Any], seeds: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Half the width of the t interval over seeds."""
    from scipy import stats

    n = seeds.to_numpy(float)
    quantile = stats.t.ppf(0.975, np.where(n > 1, n - 1, np.nan))
    return np.asarray(quantile * deviation.to_numpy(float) / np.sqrt(np.where(n > 0, n, np.nan)))
