"""What the store holds many rows of: curves, latencies, samples. Read for the trials that a page draws, no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sql

from harness import schema
from harness.statistics import median_interval
from harness.store import Store, unpack, unpack_sample
from reports.tables import Run

MOST_POINTS = 40
"""Points of a curve that a figure shows; more cannot be told apart."""
MOST_CURVES = 12_000
"""Curves that a page reads; beyond it each variant shows as many of its seeds as fit."""
_BATCH = 500


def curves(store: Store, run: Run) -> pd.DataFrame:
    """Points of the validation curves of the primary metric, of the training loss where a contest has none.

    Columns: contest, variant, seed, metric, step, seconds, value.
    """
    own = run.trials.dropna(subset=["contest", "record"])
    seeds = max(3, MOST_CURVES // max(1, own.groupby(["contest", "label"]).ngroups))
    own = own[own.groupby(["contest", "label"]).cumcount() < seeds]
    wanted = {f"validation/{metric}" for metric in run.contests["metric"]}
    found = _read_curves(store, own, wanted)
    bare = own[~own["contest"].isin(found["contest"])] if len(found) else own
    return pd.concat([found, _read_curves(store, bare, {"train/loss"})], ignore_index=True)


def latencies(store: Store, run: Run) -> dict[tuple[str, str, str], tuple[float, float]]:
    """95 % intervals of the median step latency [s] by (task, backbone, variant)."""
    item, series = schema.items.c, schema.series.c
    query = (
        sql.select(item.job, series.seconds)
        .join(schema.series, item.record == series.record)
        .where((item.run == run.name) & (item.kind == "cost") & (series.metric == "step"))
    )
    raw = ((row.job, unpack(row.seconds)) for row in store.read(query))
    return {(job["task"], job["backbone"], job["variant"]): median_interval(t) for job, t in raw if len(t)}


def samples(store: Store, records: Iterable[int]) -> dict[int, list[tuple[str, str, str, np.ndarray[Any, Any]]]]:
    """The samples (group, role, kind, array) of records."""
    found: dict[int, list[tuple[str, str, str, np.ndarray[Any, Any]]]] = {}
    for numbers in _batches(sorted(set(records))):
        for row in store.read(sql.select(schema.samples).where(schema.samples.c.record.in_(numbers))):
            found.setdefault(row.record, []).append((row.group, row.role, row.kind, unpack_sample(row)))
    return found


def _read_curves(store: Store, trials: pd.DataFrame, metrics: set[str]) -> pd.DataFrame:
    series = schema.series.c
    parts = []
    for numbers in _batches([int(record) for record in trials["record"]]):
        query = sql.select(schema.series).where(series.record.in_(numbers) & series.metric.in_(metrics))
        parts += [_points(row) for row in store.read(query)]
    columns = ["record", "metric", "step", "seconds", "value"]
    points = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    named = trials[["record", "contest", "label", "seed", "metric"]].rename(
        columns={"label": "variant", "metric": "own"}
    )
    merged = named.merge(points, on="record")
    kept = merged["metric"].isin(["train/loss"]) | (merged["metric"] == "validation/" + merged["own"].astype(str))
    return merged[kept].drop(columns="own").astype({"step": float, "seconds": float, "value": float})


def _points(row: Any) -> pd.DataFrame:
    """The points of a stored curve, thinned evenly, its last one kept."""
    steps, seconds, values = unpack(row.steps), unpack(row.seconds), unpack(row.values)
    every = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_POINTS)).round().astype(int))
    return pd.DataFrame(
        {"record": row.record, "metric": row.metric, "step": steps[every], "seconds": seconds[every],
         "value": values[every]}
    )  # fmt: skip


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Few enough at a time for a database's limit on parameters."""
    return (numbers[i : i + _BATCH] for i in range(0, len(numbers), _BATCH))
