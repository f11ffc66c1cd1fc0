"""What the store holds many rows of: curves, latencies, samples. Read for the trials that a page draws, no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sql

from coordbench.harness.core.problem import Sample
from coordbench.harness.statistics.intervals import median_interval
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store, unpack, unpack_sample
from coordbench.reports.data.stored import Run

MOST_POINTS = 40
"""Points of a curve that a figure shows; more cannot be told apart."""
MOST_CURVES = 12_000
"""Curves that a page reads; beyond it each variant shows as many of its seeds as fit."""
MEASURES = ("precision", "recall", "density", "coverage")
"""What is looked at over time beside the primary metric, in tasks that have at least two of them."""
_BATCH = 500


def curves(store: Store, run: Run) -> pd.DataFrame:
    """Points of the validation curves of the primary metric, of the training loss where a contest has none.

    Columns: contest, variant, seed, metric, step, seconds, value.
    """
    own = _few(run)
    found = _read_curves(store, own, {f"validation/{metric}" for metric in run.contests["metric"]})
    found = found[found["metric"] == "validation/" + found["contest"].map(run.contests["metric"]).astype(str)]
    bare = own[~own["contest"].isin(found["contest"])] if len(found) else own
    return pd.concat([found, _read_curves(store, bare, {"train/loss"})], ignore_index=True)


def measures(store: Store, run: Run) -> pd.DataFrame:
    """Points of the validation curves of `MEASURES`, in their order and under their bare names; columns as `curves`."""
    tasks = run.facts["tasks"].items()
    having = [task for task, facts in tasks if len({m["name"] for m in facts["metrics"]} & set(MEASURES)) > 1]
    own = _few(run)
    found = _read_curves(store, own[own["full_task"].isin(having)], {f"validation/{name}" for name in MEASURES})
    found = found.assign(metric=found["metric"].str.removeprefix("validation/"))
    return found.sort_values("metric", key=lambda names: names.map(MEASURES.index), kind="stable")


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


def samples(store: Store, records: Iterable[int]) -> dict[int, list[Sample]]:
    """The samples of records."""
    shown: dict[int, list[Sample]] = {}
    for numbers in _batches(sorted(set(records))):
        for row in store.read(sql.select(schema.samples).where(schema.samples.c.record.in_(numbers))):
            sample = Sample(row.group, row.role, row.kind, unpack_sample(row), row.step)
            shown.setdefault(row.record, []).append(sample)
    return shown


def _few(run: Run) -> pd.DataFrame:
    """The trials of which curves are drawn: as many seeds of each variant as `MOST_CURVES` allow."""
    own = run.trials.dropna(subset=["contest", "record"])
    seeds = max(3, MOST_CURVES // max(1, own.groupby(["contest", "label"]).ngroups))
    return own[own.groupby(["contest", "label"]).cumcount() < seeds]


def _read_curves(store: Store, trials: pd.DataFrame, metrics: set[str]) -> pd.DataFrame:
    series = schema.series.c
    rows: list[Any] = []
    for numbers in _batches([int(record) for record in trials["record"]]):
        query = sql.select(schema.series).where(series.record.in_(numbers) & series.metric.in_(metrics))
        rows += store.read(query)
    arrays = [_thinned(row) for row in rows]
    lengths = [array.shape[1] for array in arrays]
    flat = np.concatenate([*arrays, np.empty((3, 0))], axis=1).T
    points = pd.DataFrame(flat, columns=["step", "seconds", "value"])
    points["record"] = np.repeat(np.array([row.record for row in rows], dtype=int), lengths)
    points["metric"] = np.repeat(np.array([row.metric for row in rows], dtype=object), lengths)
    named = trials[["record", "contest", "label", "seed"]].rename(columns={"label": "variant"})
    return named.merge(points, on="record").astype({"step": float, "seconds": float, "value": float})


def _thinned(row: Any) -> np.ndarray[Any, Any]:
    """Steps, seconds and values (3, n) of a stored curve, thinned evenly, its last point kept."""
    array = np.stack([unpack(row.steps), unpack(row.seconds), unpack(row.values)])
    n = array.shape[1]
    return array if n <= MOST_POINTS else array[:, np.linspace(0, n - 1, MOST_POINTS).round().astype(int)]


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Few enough at a time for a database's limit on parameters."""
    return (numbers[i : i + _BATCH] for i in range(0, len(numbers), _BATCH))
