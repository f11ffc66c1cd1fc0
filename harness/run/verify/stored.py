"""Rows of a store as they were planned and as they came out, to be trained again or asked whether they are stale."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sql

from coordbench.harness.core.cell import Cell, describe
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import CostJob, Job, Trial
from coordbench.harness.run import identity
from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.store.answers import REUSED
from coordbench.harness.store.encoding import unpack
from coordbench.harness.store.rows import child_rows
from coordbench.harness.store.schema import environments, items, records, runs, samples, scores, series, sources
from coordbench.harness.store.store import Store

_MACHINE = "machine"
"""The part of a cost's identity that names its machine: a cost stays true of it wherever it is read."""

_Row = Mapping[str, object]


@dataclass(frozen=True)
class StoredJob:
    """A job with the number of its record, what the record depends on, and what it was made on."""

    record: int
    identity: str
    job: Job
    status: str
    parts: Mapping[str, str]
    environment: Mapping[str, object]

    @property
    def label(self) -> str:
        """The job in words."""
        words = describe(self.job.cell)
        return f"{words}, seed {self.job.seed}" if isinstance(self.job, Trial) else f"costs of {words}"

    @property
    def changes(self) -> tuple[str, ...]:
        """What it depends on that has changed since, by names, or why nobody can tell; empty where nothing did."""
        try:
            today = identity.of_trial(self.job) if isinstance(self.job, Trial) else identity.of_cost(self.job)
        except UsageError as error:
            return (str(error).partition(";")[0],)
        machine = {_MACHINE: today.parts[_MACHINE]} if _MACHINE in today.parts else {}
        return tuple(today.changes({**self.parts, **machine}))


@dataclass(frozen=True)
class Score:
    """The value of a score, None for no number, and the metric that it is a value of."""

    value: float | None
    metric: str


@dataclass(frozen=True)
class Result:
    """What a trial came to, as a store keeps it: scores, curves and arrays to be shown, each under its name."""

    scores: Mapping[str, Score]
    curves: Mapping[str, tuple[Floats, Floats]]
    """Metric -> steps and values."""
    samples: Mapping[str, bytes]


def stored_jobs(store: Store, run: str | None = None) -> Iterator[StoredJob]:
    """The jobs that ended well, of a run or of all, each record once, in an order that is the same everywhere."""
    query = (
        sql.select(
            *(records.c.id, records.c.identity, records.c.kind, records.c.status, sources.c.parts),
            sql.cast(items.c.job, sql.Text).label("job"),
            environments.c.facts,
        )
        .join(items, items.c.record == records.c.id)
        .join(runs, runs.c.id == items.c.run)
        .join(sources, sources.c.id == records.c.sources)
        .join(environments, environments.c.id == records.c.environment)
        .where(records.c.status.in_(REUSED))
        .order_by(records.c.identity, records.c.created, records.c.id)
    )
    seen: set[int] = set()
    for row in store.read(query if run is None else query.where(items.c.run == run)):
        if row.id not in seen:
            seen.add(row.id)
            plain = json.loads(row.job)
            job = Trial.read(plain) if row.kind == "trial" else CostJob(Cell.read(plain))
            yield StoredJob(row.id, row.identity, job, row.status, row.parts, row.facts)


def stored_result(store: Store, record: int) -> Result:
    """What a stored record came to."""
    listed = [store.read(sql.select(table).where(table.c.record == record)) for table in (scores, series, samples)]
    return _result(*([dict(row._mapping) for row in rows] for rows in listed))


def seeds_scores(store: Store, numbers: Collection[int]) -> dict[str, list[float]]:
    """Split and name of each score -> its values over the records of a cell's seeds."""
    listed: dict[str, list[float]] = defaultdict(list)
    for row in store.read(sql.select(scores).where(scores.c.record.in_(numbers))):
        if (value := _number(row.value)) is not None:
            listed[_score_name(dict(row._mapping))].append(value)
    return listed


def result_of(record: Record) -> Result:
    """What a record came to, as a store would keep it."""
    tables = dict(child_rows([(0, record)]))
    return _result(*(tables.get(table, []) for table in (scores, series, samples)))


def _result(scored: Sequence[_Row], curves: Sequence[_Row], arrays: Sequence[_Row]) -> Result:
    return Result(
        {_score_name(row): Score(_number(row["value"]), str(row["of"])) for row in scored},
        {str(row["metric"]): (_points(row["steps"]), _points(row["values"])) for row in curves},
        {f"{place}: {_sample_name(row)}": _bytes(row["data"]) for place, row in enumerate(arrays, start=1)},
    )


def _score_name(row: _Row) -> str:
    return f"{row['split']} {row['metric']}"


def _sample_name(row: _Row) -> str:
    at = "" if row["step"] is None else f" at step {row['step']}"
    return f"{row['group']} {row['role']}{at}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, float | int) and np.isfinite(value) else None


def _points(value: object) -> Floats:
    return unpack(_bytes(value))


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else b""
