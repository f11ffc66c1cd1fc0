"""Records as rows of the tables: text that every database takes, JSON that all of them read, arrays as bytes."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sql

from coordbench.harness.core.identity import Identity
from coordbench.harness.core.problem import Sample
from coordbench.harness.core.record import CostRecord, CurvePoint, Record
from coordbench.harness.core.scores import At
from coordbench.harness.core.sources import digest
from coordbench.harness.core.trial import Job, Trial
from coordbench.harness.store.schema import samples, scores, series

Answer = tuple[int, Identity, Record | CostRecord]
"""The position of an item in its run, what its record depends on, and the record."""

_ENCODER = json.JSONEncoder(default=str, allow_nan=False)
_ONLY_TRIALS = ("converged", "seconds", "steps", "epoch_steps")
_ONLY_COSTS = ("parameters", "flops", "latency_forward_seconds", "latency_step_seconds")


def item_row(run: str, position: int, job: Job, key: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The row of an item that has no record yet."""
    kind = "trial" if isinstance(job, Trial) else "cost"
    described = {"kind": kind, "key": key, "job": to_json(job.plain), "facts": to_json(facts)}
    return {"run": run, "position": position, **described, "reused": False}


def record_row(number: int, identity: Identity, record: Record | CostRecord, created: str) -> dict[str, Any]:
    """The row of a record, but for its environment and sources, which it shares with others."""
    return {
        "id": number,
        "kind": "trial" if isinstance(record, Record) else "cost",
        "key": identity.key,
        "identity": identity.digest,
        "created": created,
        "status": record.status,
        "error": text(record.error),
        "peak_memory_bytes": record.peak_memory_bytes,
        "facts": to_json(record.notes if isinstance(record, Record) else record.details),
        **_fate(record),
        **{name: getattr(record, name, None) for name in (*_ONLY_TRIALS, *_ONLY_COSTS)},
    }


def child_rows(numbered: Iterable[tuple[int, Record | CostRecord]]) -> list[tuple[sql.Table, list[dict[str, Any]]]]:
    """The rows that hang on records of these numbers, by table; only tables that get some."""
    rows: dict[sql.Table, list[dict[str, Any]]] = {scores: [], series: [], samples: []}
    for number, record in numbered:
        if isinstance(record, CostRecord):
            rows[series] += _latency_rows(number, record)
            continue
        rows[scores] += _score_rows(number, record)
        rows[series] += _curve_rows(number, record.curves)
        rows[samples] += [_sample_row(number, sample) for sample in record.samples]
    return [(table, listed) for table, listed in rows.items() if listed]


def keys_of_environments(described: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """The key of each environment, and what the keys stand for; most are equal to the one before."""
    keys: list[str] = []
    found: dict[str, Any] = {}
    for i, facts in enumerate(described):
        if i and facts == described[i - 1]:  # far cheaper than a digest
            keys.append(keys[-1])
            continue
        keys.append(digest(facts)[:16])
        found[keys[-1]] = facts
    return keys, found


def keys_of_sources(described: Iterable[Mapping[str, str]]) -> tuple[list[str], dict[str, Any]]:
    """The key of the parts of each identity, which all seeds of a cell share, and what the keys stand for."""
    seen: dict[Any, str] = {}
    keys: list[str] = []
    found: dict[str, Any] = {}
    for parts in described:
        whole = tuple(parts), tuple(parts.values())
        if whole not in seen:
            seen[whole] = digest(dict(parts))[:32]
            found[seen[whole]] = dict(parts)
        keys.append(seen[whole])
    return keys, found


def text(value: str) -> str:
    """Text as every database takes it: PostgreSQL knows no NUL, and neither knows half a surrogate pair."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "").encode(errors="replace").decode()


def to_json(value: Any) -> str:
    """JSON as every database takes it: what is no number is null, what JSON does not know is its text."""
    try:
        return _ENCODER.encode(value) if value != {} else "{}"
    except ValueError:
        return json.dumps(_without_nan(json.loads(json.dumps(value, default=str))))


def now() -> str:
    """The time, in UTC, as text that sorts."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def unpack(array: bytes | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The numbers of a stored series."""
    return np.frombuffer(array or b"", dtype="<f8")


def unpack_sample(row: Any) -> np.ndarray[Any, Any]:
    """The array of a stored sample."""
    return np.frombuffer(row.data, dtype=np.dtype(row.dtype)).reshape(row.shape)


def _fate(record: Record | CostRecord) -> dict[str, Any]:
    fate = record.fate if isinstance(record, Record) else None
    columns = ("fate", "fate_start", "fate_time")
    values = (None, None, None) if fate is None else (fate.state.value, fate.start, fate.time)
    return dict(zip(columns, values, strict=True))


def _score_rows(number: int, record: Record) -> list[dict[str, Any]]:
    return [
        {"record": number, "split": text(split), **_measured(metric), "value": float(value)}
        for split, values in record.scores.items()
        for metric, value in values.items()
    ]


def _measured(metric: str) -> dict[str, Any]:
    """The name of a score and, apart, its metric and condition."""
    if not isinstance(metric, At):
        return {"metric": text(metric), "of": text(metric), "axis": None, "level": None, "part": None}
    part = text(metric.value) if isinstance(metric.value, str) else None
    condition = {"axis": text(metric.axis), "level": metric.level, "part": part}
    return {"metric": text(metric), "of": text(metric.metric), **condition}


def _curve_rows(number: int, points: Iterable[CurvePoint]) -> Iterator[dict[str, Any]]:
    curves: dict[str, list[CurvePoint]] = {}
    for point in points:
        curves.setdefault(point.metric, []).append(point)
    for metric, own in curves.items():
        yield {
            "record": number,
            "metric": text(metric),
            "steps": _pack([point.step for point in own]),
            "seconds": _pack([point.seconds for point in own]),
            "values": _pack([point.value for point in own]),
        }


def _latency_rows(number: int, record: CostRecord) -> Iterator[dict[str, Any]]:
    for phase, times in record.latencies.items():
        yield {"record": number, "metric": text(phase), "steps": b"", "seconds": _pack(times), "values": b""}


def _sample_row(number: int, sample: Sample) -> dict[str, Any]:
    array = np.ascontiguousarray(sample.array)
    if array.dtype == np.float64:
        array = array.astype(np.float32)  # drawn, never computed with
    row = {"record": number, "group": text(sample.group), "role": text(sample.role), "kind": sample.kind}
    row |= {"step": sample.step, "shape": to_json(list(array.shape)), "dtype": array.dtype.str}
    return row | {"data": array.tobytes()}


def _pack(values: Sequence[float]) -> bytes:
    return np.asarray(values, dtype="<f8").tobytes()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
