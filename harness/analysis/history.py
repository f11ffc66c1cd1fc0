"""How a metric went over stored runs, by commit: a trend to look at, never a verdict.

Runs of other machines, versions and days stand side by side here, so a difference between two points proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from coordbench.harness.analysis import summarize
from coordbench.harness.analysis.summarize import PLACE
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.statistics.intervals import mean_interval
from coordbench.harness.store.store import Store

COLUMNS = [
    *("run", "started", "commit", "task", "backbone", "label", *PLACE),
    *("metric", "unit", "count", "mean", "low", "high"),
]
COSTS = {
    "parameters": "",
    "flops": "FLOPs",
    "latency_forward_seconds": "s",
    "latency_step_seconds": "s",
    "peak_memory_bytes": "bytes",
}


def history(store: Store, metric: str, *, tasks: Sequence[str] = (), last: int = 50) -> pd.DataFrame:
    """One row per run, task, backbone and layer that has this metric, oldest run first; over seeds the mean.

    `metric` is a score's name or a cost; `tasks` are base names; raises UsageError listing the metrics that exist.
    """
    runs = summarize.runs(store).tail(last)
    if runs.empty:
        raise UsageError(f"the store {store.name} holds no run yet; start one by `coordbench run`")
    known = set(COSTS)
    frames = [pd.DataFrame(columns=COLUMNS)]
    for run, started, commit in runs[["run", "started", "commit"]].astype(str).to_numpy().tolist():
        tables = summarize.tables(store, run)
        known |= set(tables.scores["metric"])
        found = _costs(tables, metric) if metric in COSTS else _scores(store, run, tables, metric)
        frames.append(found.assign(run=run, started=started, commit=commit).reindex(columns=COLUMNS))
    if metric not in known:
        raise UsageError(f"no run holds a metric {metric!r}; valid: {', '.join(sorted(known))}")
    whole = pd.concat([frame for frame in frames if not frame.empty] or frames, ignore_index=True)
    base = whole["task"].map(lambda task: Selector.parse(str(task)).name)
    return whole[base.isin(tasks)].reset_index(drop=True) if tasks else whole


def _costs(tables: summarize.Tables, metric: str) -> pd.DataFrame:
    costs = tables.costs.dropna(subset=[metric]).rename(columns={"variant": "label"})
    values = costs[metric].astype(float)
    return costs.assign(metric=metric, unit=COSTS[metric], count=1, mean=values, low=float("nan"), high=float("nan"))


def _scores(store: Store, run: str, tables: summarize.Tables, metric: str) -> pd.DataFrame:
    test = tables.scores[(tables.scores["split"] == "test") & (tables.scores["metric"] == metric)]
    trials = summarize.cells(store, run, tables.trials)[tables.trials["variant"].notna()]
    joined = trials.join(test.set_index("trial")["value"], how="inner")
    rows = [
        dict(zip(summarize.CELL, cell, strict=True)) | _summed(group["value"])
        for cell, group in joined.groupby(summarize.CELL, sort=False)
    ]
    frame = pd.DataFrame(rows, columns=[*summarize.CELL, "count", "mean", "low", "high"])
    return frame.rename(columns={"variant": "label"}).assign(metric=metric, unit="")


def _summed(values: pd.Series[Any]) -> dict[str, Any]:
    low, high = mean_interval(values)
    return {"count": len(values), "mean": float(values.mean()), "low": low, "high": high}


def show(found: pd.DataFrame) -> str:
    """One line per row, with short commits."""
    table = found.assign(commit=found["commit"].astype(str).str[:10], started=found["started"].astype(str).str[:16])
    alike = set(PLACE) - set(summarize.telling(found))
    return str(
        table.drop(columns=["metric", "unit", *alike]).to_string(index=False, float_format=lambda value: f"{value:.4g}")
    )
