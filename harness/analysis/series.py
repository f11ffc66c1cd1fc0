"""Curves, latencies and samples of chosen records: a page draws a few of the many that a store holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sql
from numpy.typing import NDArray
from sqlalchemy.engine import Row

from coordbench.harness.core.problem import Sample
from coordbench.harness.statistics.intervals import median_interval
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store, unpack, unpack_sample

_BATCH = 500


def curves(store: Store, records: Iterable[int], metrics: set[str], most: int) -> pd.DataFrame:
    """Points of these metrics' curves, each thinned to `most` points: record, metric, step, seconds, value."""
    columns = schema.series.c
    rows: list[Row[Any]] = []
    for numbers in _batches(list(records)):
        query = sql.select(schema.series).where(columns.record.in_(numbers) & columns.metric.in_(metrics))
        rows += store.read(query)
    arrays = [_thinned(row, most) for row in rows]
    lengths = [array.shape[1] for array in arrays]
    flat = np.concatenate([*arrays, np.empty((3, 0))], axis=1).T
    points = pd.DataFrame(flat, columns=["step", "seconds", "value"])
    points["record"] = np.repeat(np.array([row.record for row in rows], dtype=int), lengths)
    points["metric"] = np.repeat(np.array([row.metric for row in rows], dtype=object), lengths)
    return points


def step_latencies(store: Store, run: str) -> dict[tuple[str, str, str], tuple[float, float]]:
    """95 % intervals of the median step latency [s] by (task, backbone, variant) of a run."""
    item, columns = schema.items.c, schema.series.c
    query = (
        sql.select(item.job, columns.seconds)
        .join(schema.series, item.record == columns.record)
        .where((item.run == run) & (item.kind == "cost") & (columns.metric == "step"))
    )
    raw = ((row.job, unpack(row.seconds)) for row in store.read(query) if row.seconds)
    return {(job["task"], job["backbone"], job["variant"]): median_interval(t) for job, t in raw if len(t)}


def logs(store: Store, records: Iterable[int]) -> dict[int, str]:
    """The last of what the processes of records wrote before they failed; without those that wrote nothing."""
    columns = schema.records.c
    written: dict[int, str] = {}
    for numbers in _batches(sorted(set(records))):
        for row in store.read(sql.select(columns.id, columns.facts).where(columns.id.in_(numbers))):
            log = row.facts.get("log") if isinstance(row.facts, dict) else None
            if isinstance(log, str) and log.strip():
                written[row.id] = log
    return written


def samples(store: Store, records: Iterable[int]) -> dict[int, list[Sample]]:
    """The samples of records; one that does not hold what its shape says is left out."""
    by_record: dict[int, list[Sample]] = {}
    for numbers in _batches(sorted(set(records))):
        for row in store.read(sql.select(schema.samples).where(schema.samples.c.record.in_(numbers))):
            array = _array(row)
            if array is not None:
                sample = Sample(str(row.group or ""), str(row.role or ""), row.kind or "image", array, row.step)
                by_record.setdefault(row.record, []).append(sample)
    return by_record


def _array(row: Row[Any]) -> NDArray[Any] | None:
    try:
        return np.asarray(unpack_sample(row.data, row.dtype, row.shape))
    except (TypeError, ValueError):
        return None


def _thinned(row: Row[Any], most: int) -> NDArray[np.float64]:
    """Steps, seconds and values (3, n) of a stored curve, thinned evenly, its last point in it."""
    parts = [unpack(part or b"") for part in (row.steps, row.seconds, row.values)]
    n = min(map(len, parts))
    array = np.stack([np.asarray(part[:n], dtype=np.float64) for part in parts])
    return array if n <= most else array[:, np.linspace(0, n - 1, most).round().astype(int)]


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Few enough at a time for a database's limit on parameters."""
    return (numbers[i : i + _BATCH] for i in range(0, len(numbers), _BATCH))
