"""How a metric went over stored runs, by commit: a trend to look at, never a verdict.

Runs of other machines, versions and days stand side by side here, so a difference between two points proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from coordbench.harness.analysis import cells
from coordbench.harness.analysis.runs import runs
from coordbench.harness.analysis.tables import Tables, tables
from coordbench.harness.core.errors import UsageError
from coordbench.harness.statistics.intervals import mean_interval
from coordbench.harness.store.store import Store

COLUMNS = [
    *("run", "started", "commit", "cell", "label", *(name for name in cells.CELL if name != "variant")),
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
    listed = runs(store).tail(last)
    if listed.empty:
        raise UsageError(f"the store {store.name} holds no run yet; start one by `coordbench run`")
    known = set(COSTS)
    frames = [pd.DataFrame(columns=COLUMNS)]
    for run, started, commit in listed[["run", "started", "commit"]].astype(str).to_numpy().tolist():
        read = tables(store, run)
        known |= set(read.scores["metric"])
        points = _costs(read, metric) if metric in COSTS else _scores(read, metric)
        frames.append(_named(points, tasks).assign(run=run, started=started, commit=commit, metric=metric))
    if metric not in known:
        raise UsageError(f"no run holds a metric {metric!r}; valid: {', '.join(sorted(known))}")
    return pd.concat([frame for frame in frames if not frame.empty] or frames, ignore_index=True)[COLUMNS]


def _named(points: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """The points of these tasks, their cells in columns too."""
    if tasks:
        chosen = np.array([cell.task.name in tasks for cell in points["cell"]], dtype=bool)
        points = points[chosen].reset_index(drop=True)
    return pd.concat([points, cells.columns(points["cell"]).rename(columns={"variant": "label"})], axis=1)


def _costs(read: Tables, metric: str) -> pd.DataFrame:
    costs = read.costs.dropna(subset=[metric]).reset_index(drop=True)
    frame = costs[["cell"]].assign(unit=COSTS[metric], count=1, mean=costs[metric].astype(float))
    return frame.assign(low=float("nan"), high=float("nan"))


def _scores(read: Tables, metric: str) -> pd.DataFrame:
    test = read.scores[(read.scores["split"] == "test") & (read.scores["metric"] == metric)]
    trials = read.trials[read.trials["variant"].notna()]
    joined = trials[["cell"]].join(test.set_index("trial")["value"], how="inner")
    rows = [
        (cell, len(group), float(group["value"].mean()), *mean_interval(group["value"]))
        for cell, group in joined.groupby("cell", sort=False)
    ]
    return pd.DataFrame(rows, columns=["cell", "count", "mean", "low", "high"]).assign(unit="")


def show(points: pd.DataFrame) -> str:
    """One line per row, with short commits."""
    table = points.assign(commit=points["commit"].astype(str).str[:10], started=points["started"].astype(str).str[:16])
    alike = [name for name in cells.PLACE if points[name].nunique() < 2]
    shown = table.drop(columns=["metric", "unit", "cell", *alike])
    return str(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


def plain(points: pd.DataFrame) -> str:
    """The rows as JSON, an array of objects."""
    return str(points.drop(columns="cell").to_json(orient="records"))
