"""How a metric went over stored runs, by commit, and where its level changed.

Values of unlike machines stand side by side here and are never compared; what else changed between runs is marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from coordbench.harness.analysis import cells
from coordbench.harness.analysis.machines import Machine, joint, machines
from coordbench.harness.analysis.runs import runs
from coordbench.harness.analysis.shifts import SHIFT, shifted, with_shifts
from coordbench.harness.analysis.tables import Tables, tables
from coordbench.harness.core.errors import UsageError
from coordbench.harness.statistics.intervals import mean_interval
from coordbench.harness.store.store import Store

COLUMNS = [
    *("run", "started", "commit", "cell", "label", *(name for name in cells.CELL if name != "variant")),
    *("metric", "unit", "count", "mean", "low", "high", "machine"),
]
_BESIDE = ["records", "facts"]
"""What stands behind a point: its records by number, and all facts of their surroundings."""
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
    frames = [pd.DataFrame(columns=[*COLUMNS, *_BESIDE])]
    for run, started, commit in listed[["run", "started", "commit"]].astype(str).to_numpy().tolist():
        read = tables(store, run)
        known |= set(read.scores["metric"])
        points = _costs(read, metric) if metric in COSTS else _scores(read, metric)
        points = _on_machines(points, machines(store, run))
        frames.append(_named(points, tasks).assign(run=run, started=started, commit=commit, metric=metric))
    if metric not in known:
        raise UsageError(f"no run holds a metric {metric!r}; valid: {', '.join(sorted(known))}")
    points = pd.concat([frame for frame in frames if not frame.empty] or frames, ignore_index=True)
    return with_shifts(points[[*COLUMNS, *_BESIDE]], metric)


def _on_machines(points: pd.DataFrame, known: Mapping[int, Machine]) -> pd.DataFrame:
    """The points with what their records were measured on."""
    behind = [joint(known[record] for record in records if record in known) for records in points["records"]]
    names = pd.Series([machine.name for machine in behind], dtype=object, index=points.index)
    return points.assign(machine=names, facts=pd.Series(behind, dtype=object, index=points.index))


def _named(points: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """The points of these tasks, their cells in columns too."""
    if tasks:
        chosen = np.array([cell.task.name in tasks for cell in points["cell"]], dtype=bool)
        points = points[chosen].reset_index(drop=True)
    return pd.concat([points, cells.columns(points["cell"]).rename(columns={"variant": "label"})], axis=1)


def _costs(read: Tables, metric: str) -> pd.DataFrame:
    costs = read.costs.dropna(subset=[metric]).reset_index(drop=True)
    frame = costs[["cell"]].assign(unit=COSTS[metric], count=1, mean=costs[metric].astype(float))
    frame["records"] = [(int(record),) for record in costs["record"]]
    return frame.assign(low=float("nan"), high=float("nan"))


def _scores(read: Tables, metric: str) -> pd.DataFrame:
    test = read.scores[(read.scores["split"] == "test") & (read.scores["metric"] == metric)]
    trials = read.trials[read.trials["variant"].notna()]
    joined = trials[["cell", "record"]].join(test.set_index("trial")["value"], how="inner")
    rows = [
        (
            cell,
            len(group),
            float(group["value"].mean()),
            *mean_interval(group["value"]),
            tuple(group["record"].astype(int)),
        )
        for cell, group in joined.groupby("cell", sort=False)
    ]
    return pd.DataFrame(rows, columns=["cell", "count", "mean", "low", "high", "records"]).assign(unit="")


def show(points: pd.DataFrame) -> str:
    """One line per row, with short commits."""
    table = points.assign(commit=points["commit"].astype(str).str[:10], started=points["started"].astype(str).str[:16])
    alike = [name for name in (*cells.PLACE, "machine") if points[name].nunique() < 2]
    shown = table.drop(columns=["metric", "unit", "cell", *_BESIDE, *SHIFT, *alike])
    lines = [str(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}"))]
    return "\n".join([*lines, *(_line(row) for _, row in shifted(points).iterrows())])


def _line(row: pd.Series) -> str:
    """A change of level in one line, with what else changed."""
    where = ", ".join(str(row[name]) for name in ("task", "backbone", "label", "machine") if row[name])
    also = f"; surroundings: {row['surroundings']}" if row["surroundings"] else ""
    return f"changed {row['change']:+.1%} in run {row['run']} since {row['since']}: {where}{also}"


def plain(points: pd.DataFrame) -> str:
    """The rows as JSON, an array of objects."""
    return str(points.drop(columns=["cell", *_BESIDE]).to_json(orient="records"))
