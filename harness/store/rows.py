"""Records as rows of the tables, typed; their JSON is text, their arrays are bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypedDict, cast

import numpy as np
import sqlalchemy as sql

from coordbench.harness.core.identity import Identity
from coordbench.harness.core.problem import Sample
from coordbench.harness.core.record import CostRecord, CurvePoint, Record
from coordbench.harness.core.scores import At
from coordbench.harness.core.trial import Job, Trial
from coordbench.harness.store import checksum
from coordbench.harness.store.bulk import Row
from coordbench.harness.store.encoding import JsonText, pack, text, to_json
from coordbench.harness.store.schema import samples, scores, series

Kind = Literal["trial", "cost"]


class ItemRow(TypedDict):
    """A planned job of a run; it has no record yet."""

    run: str
    position: int
    kind: Kind
    key: str
    job: JsonText
    facts: JsonText
    reused: bool


class RecordRow(TypedDict):
    """A record, but for its environment and sources, which it shares with others."""

    id: int
    kind: Kind
    key: str
    identity: str
    created: str
    status: str
    error: str
    converged: bool | None
    fate: str | None
    fate_start: float | None
    fate_time: float | None
    epoch_steps: float | None
    seconds: float | None
    steps: int | None
    peak_memory_bytes: int | None
    parameters: int | None
    flops: int | None
    latency_forward_seconds: float | None
    latency_step_seconds: float | None
    facts: JsonText
    checksum: str


class ScoreRow(TypedDict):
    """One score of a record: its name, and apart the metric and the condition axis = level, or axis = part."""

    record: int
    split: str
    metric: str
    of: str
    axis: str | None
    level: float | None
    part: str | None
    value: float


class SeriesRow(TypedDict):
    """One curve, or the latencies of one phase."""

    record: int
    metric: str
    steps: bytes
    seconds: bytes
    values: bytes
    checksum: str


class SampleRow(TypedDict):
    """One array to show."""

    record: int
    group: str
    role: str
    step: int | None
    kind: str
    shape: JsonText
    dtype: str
    data: bytes
    checksum: str


def item_row(run: str, position: int, job: Job, key: str, facts: Mapping[str, object]) -> ItemRow:
    """The row of an item."""
    return {
        "run": run,
        "position": position,
        "kind": "trial" if isinstance(job, Trial) else "cost",
        "key": key,
        "job": to_json(job.plain),
        "facts": to_json(facts),
        "reused": False,
    }


def record_rows(
    numbered: Sequence[tuple[int, Identity, Record | CostRecord]], created: str
) -> tuple[list[RecordRow], list[tuple[sql.Table, list[Row]]]]:
    """The rows of records with their checksums, and the rows that hang on them, by table."""
    listed = [_record_row(number, identity, record, created) for number, identity, record in numbered]
    children = child_rows((number, record) for number, _, record in numbered)
    own: dict[int, list[checksum.Score]] = {number: [] for number, _, _ in numbered}
    for score in children[scores]:
        own[cast(int, score["record"])].append((str(score["split"]), str(score["metric"]), score["value"]))
    marks = checksum.of_columns([[row[name] for row in listed] for name in checksum.FIELDS], own.values())  # type: ignore[literal-required]
    for row, mark in zip(listed, marks, strict=True):
        row["checksum"] = mark
    return listed, [(table, rows) for table, rows in children.items() if rows]


def _record_row(number: int, identity: Identity, record: Record | CostRecord, created: str) -> RecordRow:
    """The row of a record, but for its checksum."""
    trial = record if isinstance(record, Record) else None
    cost = record if isinstance(record, CostRecord) else None
    fate = trial.fate if trial else None
    return {
        "id": number,
        "kind": "trial" if trial else "cost",
        "key": identity.key,
        "identity": identity.digest,
        "created": created,
        "status": record.status,
        "error": text(record.error),
        "converged": trial.converged if trial else None,
        "fate": fate.state.value if fate else None,
        "fate_start": fate.start if fate else None,
        "fate_time": fate.time if fate else None,
        "epoch_steps": trial.epoch_steps if trial else None,
        "seconds": trial.seconds if trial else None,
        "steps": trial.steps if trial else None,
        "peak_memory_bytes": record.peak_memory_bytes,
        "parameters": cost.parameters if cost else None,
        "flops": cost.flops if cost else None,
        "latency_forward_seconds": cost.latency_forward_seconds if cost else None,
        "latency_step_seconds": cost.latency_step_seconds if cost else None,
        "facts": to_json(trial.notes if trial else cost.details if cost else {}),
        "checksum": "",
    }


def child_rows(numbered: Iterable[tuple[int, Record | CostRecord]]) -> dict[sql.Table, list[Row]]:
    """The rows that hang on records of these numbers, by table."""
    rows: dict[sql.Table, list[Row]] = {scores: [], series: [], samples: []}
    for number, record in numbered:
        rows[scores] += _score_rows(number, record)
        rows[series] += _latency_rows(number, record) if isinstance(record, CostRecord) else _curves(number, record)
        rows[samples] += [] if isinstance(record, CostRecord) else [_sample_row(number, s) for s in record.samples]
    return rows


def _score_rows(number: int, record: Record | CostRecord) -> list[ScoreRow]:
    return [
        _score_row(number, text(split), metric, float(value))
        for split, values in ({} if isinstance(record, CostRecord) else record.scores).items()
        for metric, value in values.items()
    ]


def _score_row(number: int, split: str, metric: str, value: float) -> ScoreRow:
    name, at = text(metric), metric if isinstance(metric, At) else None
    return {
        "record": number,
        "split": split,
        "metric": name,
        "of": text(at.metric) if at else name,
        "axis": text(at.axis) if at else None,
        "level": at.level if at else None,
        "part": text(at.value) if at and isinstance(at.value, str) else None,
        "value": value,
    }


def _curves(number: int, record: Record) -> Iterator[SeriesRow]:
    curves: dict[str, list[CurvePoint]] = {}
    for point in record.curves:
        curves.setdefault(point.metric, []).append(point)
    for metric, points in curves.items():
        steps = pack([point.step for point in points])
        seconds = pack([point.seconds for point in points])
        values = pack([point.value for point in points])
        yield _series_row(number, metric, steps, seconds, values)


def _latency_rows(number: int, record: CostRecord) -> Iterator[SeriesRow]:
    for phase, times in record.latencies.items():
        yield _series_row(number, phase, b"", pack(times), b"")


def _series_row(number: int, metric: str, steps: bytes, seconds: bytes, values: bytes) -> SeriesRow:
    name = text(metric)
    mark = checksum.of_parts(name, steps, seconds, values)
    return {
        "record": number, "metric": name, "steps": steps, "seconds": seconds, "values": values, "checksum": mark,
    }  # fmt: skip


def _sample_row(number: int, sample: Sample) -> SampleRow:
    array = np.ascontiguousarray(sample.array)
    if array.dtype == np.float64:
        array = array.astype(np.float32)  # drawn, never computed with
    data, shape = array.tobytes(), to_json(list(array.shape))
    return {
        "record": number,
        "group": text(sample.group),
        "role": text(sample.role),
        "step": sample.step,
        "kind": sample.kind,
        "shape": shape,
        "dtype": array.dtype.str,
        "data": data,
        "checksum": checksum.of_parts(data),
    }
