"""Which records are no longer what was stored: a number that was changed by hand is seen by its checksum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from coordbench.harness.store import checksum
from coordbench.harness.store.schema import records, samples, scores, series

R = TypeVar("R")
_BATCH = 500  # few enough at a time for a database's limit on parameters


def by_record(listed: Iterable[tuple[R, str, str, object]]) -> dict[R, list[checksum.Score]]:
    """Record -> its scores, out of rows of record, split, metric and value."""
    grouped: defaultdict[R, list[checksum.Score]] = defaultdict(list)
    for record, split, metric, value in listed:
        grouped[record].append((str(split), str(metric), value))
    return grouped


def altered_rows(
    rows: Iterable[tuple[R, object, Sequence[object]]], listed: Mapping[R, list[checksum.Score]]
) -> set[R]:
    """The records whose row or scores were altered, out of (record, checksum, the values of `checksum.FIELDS`)."""
    numbers, marks, values = list(zip(*rows, strict=True)) or ((), (), ())
    now = checksum.of_columns(list(zip(*values, strict=True)), (listed.get(number, ()) for number in numbers))
    return {number for number, mark, current in zip(numbers, marks, now, strict=True) if mark != current}


def altered_parts(rows: Iterable[Sequence[object]]) -> set[object]:
    """The records of which a row that hangs on them was altered, out of (record, parts .., checksum)."""
    return {record for record, *parts, mark in rows if checksum.of_parts(*parts) != mark}


def altered_records(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """The records, out of these, of which a row, a score, a curve or a sample was altered."""
    wrong: set[int] = set()
    for start in range(0, len(numbers), _BATCH):
        wrong |= _altered(connection, numbers[start : start + _BATCH])
    return wrong


def _altered(connection: Connection, numbers: Sequence[int]) -> set[int]:
    fields = [sql.cast(records.c[name], sql.Text) if name == "facts" else records.c[name] for name in checksum.FIELDS]
    rows = connection.execute(sql.select(records.c.id, records.c.checksum, *fields).where(records.c.id.in_(numbers)))
    columns = scores.c.record, scores.c.split, scores.c.metric, scores.c.value
    listed = connection.execute(sql.select(*columns).where(scores.c.record.in_(numbers)))
    scored = by_record((row.record, row.split, row.metric, row.value) for row in listed)
    wrong = altered_rows(((number, mark, tuple(values)) for number, mark, *values in rows), scored)
    for table, names in ((series, ("metric", "steps", "seconds", "values")), (samples, ("data",))):
        parts = sql.select(table.c.record, *(table.c[name] for name in names), table.c.checksum)
        hanging = connection.execute(parts.where(table.c.record.in_(numbers)))
        wrong |= {int(str(record)) for record in altered_parts(tuple(row) for row in hanging)}
    return wrong
