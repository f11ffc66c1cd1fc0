"""Bring the records and runs of one store into another: the same record once, a conflict kept and told.

What a record depends on decides whether it is there already. Where the same identity has another result, both stay and
the conflict is returned: nothing is averaged away. Costs carry their machine in their identity, so those of unlike
machines never meet. Interrupted or repeated, a merge comes to the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.registry.names import is_line
from coordbench.harness.core.sources import digest
from coordbench.harness.store import shared
from coordbench.harness.store.altered import altered_records
from coordbench.harness.store.answers import REUSED, numbers_for
from coordbench.harness.store.bulk import insert_all
from coordbench.harness.store.database import Database
from coordbench.harness.store.schema import environments, items, records, runs, scores, sources
from coordbench.harness.store.travel.copying import CHILDREN, Row, batches, children, read_rows

_LONGEST_NAME = 200
_Known = dict[str, dict[str, int]]
"""Identity -> result -> number of the record."""


@dataclass(frozen=True)
class Conflict:
    """The same identity with two results: where each was measured, and its scores."""

    identity: str
    job: str
    here: str
    there: str


@dataclass
class Merged:
    """What a merge came to."""

    records: int = 0
    equal: int = 0
    runs: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    """The jobs of records that are no longer what was stored."""


def merge(source: Database, target: Database, *, with_runs: bool = True) -> Merged:
    """Copy what `target` lacks; without `with_runs` the sound records alone, for a later run to find.

    With their runs records that were altered come too, and stay marked by their wrong checksum.
    """
    merged = Merged()
    with source.reading() as reading:
        _copy_shared(reading, target)
        places = _copy_records(reading, target, merged, with_altered=with_runs)
        if with_runs:
            _copy_runs(reading, target, places, merged)
    return merged


def results(connection: Connection, numbers: Sequence[int] | None = None) -> dict[int, str]:
    """Record -> a digest of how it ended and of its scores; times are none of it, since they differ by the machine."""
    listed: dict[int, list[tuple[str, str, float | None]]] = defaultdict(list)
    states: dict[int, tuple[str, object, object]] = {}
    wanted = [None] if numbers is None else list(batches(numbers))
    for batch in wanted:
        state = sql.select(records.c.id, records.c.status, records.c.parameters, records.c.flops)
        score = sql.select(scores.c.record, scores.c.split, scores.c.metric, scores.c.value)
        if batch is not None:
            state, score = state.where(records.c.id.in_(batch)), score.where(scores.c.record.in_(batch))
        states |= {row.id: (row.status, row.parameters, row.flops) for row in connection.execute(state)}
        for row in connection.execute(score):
            listed[row.record].append((row.split, row.metric, row.value))
    return {number: digest([state, sorted(listed[number], key=str)])[:16] for number, state in states.items()}


def _copy_shared(reading: Connection, target: Database) -> None:
    with target.writing() as writing:
        for table, column in ((environments, "facts"), (sources, "parts")):
            rows = reading.execute(sql.select(table))
            shared.note(writing, table, {row.id: getattr(row, column) for row in rows})


def _copy_records(reading: Connection, target: Database, merged: Merged, *, with_altered: bool) -> dict[int, int]:
    """Copy records in batches, each one whole or not at all; return number there -> number here."""
    incoming = read_rows(reading, records)
    ends = results(reading)
    known = _known(target)
    places: dict[int, int] = {}
    jobs = _jobs(reading)
    for start in range(0, len(incoming), 500):
        fresh: list[Row] = []
        for row in incoming[start : start + 500]:
            number, identity = _number(row["id"]), str(row["identity"])
            same = known.setdefault(identity, {})
            if ends[number] in same:
                places[number] = same[ends[number]]
                merged.equal += 1
                continue
            fresh.append(row)
        altered = altered_records(reading, [_number(row["id"]) for row in fresh])
        merged.altered += [jobs.get(number, "") for number in sorted(altered)]
        fresh = [row for row in fresh if with_altered or row["id"] not in altered]
        places |= _append(reading, target, fresh)
        for row in fresh:
            number, identity = _number(row["id"]), str(row["identity"])
            rival = next(iter(known[identity].values()), None)
            if rival is not None and row["status"] in REUSED:
                merged.conflicts.append(_conflict(reading, target, number, rival, jobs.get(number, "")))
            known[identity][ends[number]] = places[number]
        merged.records += len(fresh)
    return places


def _known(target: Database) -> _Known:
    known: _Known = {}
    with target.reading() as connection:
        ends = results(connection)
        for row in connection.execute(sql.select(records.c.id, records.c.identity).order_by(records.c.id)):
            known.setdefault(row.identity, {})[ends[row.id]] = row.id
    return known


def _append(reading: Connection, target: Database, rows: Sequence[Row]) -> dict[int, int]:
    if not rows:
        return {}
    source_numbers = [_number(row["id"]) for row in rows]
    with target.writing() as writing:
        target_numbers = numbers_for(writing, len(rows))
        places = dict(zip(source_numbers, target_numbers, strict=True))
        insert_all(writing, records, [row | {"id": places[_number(row["id"])]} for row in rows])
        for table in CHILDREN:
            hanging = children(reading, table, source_numbers)
            insert_all(writing, table, [row | {"record": places[_number(row["record"])]} for row in hanging])
    return places


def _copy_runs(reading: Connection, target: Database, places: Mapping[int, int], merged: Merged) -> None:
    with target.writing() as writing:
        present = set(writing.scalars(sql.select(runs.c.id)))
        last = writing.scalar(sql.select(sql.func.max(runs.c.number))) or 0
        fresh = [row for row in read_rows(reading, runs) if row["id"] not in present]
        for row in fresh:
            _check_name(str(row["id"]))
        fresh.sort(key=lambda row: _number(row["number"]))
        insert_all(writing, runs, [row | {"number": last + i} for i, row in enumerate(fresh, start=1)])
        for run in fresh:
            listed = read_rows(reading, items, items.c.run == run["id"])
            insert_all(writing, items, [row | {"record": _place(row["record"], places)} for row in listed])
        merged.runs += len(fresh)


def _check_name(run: str) -> None:
    """Refuse a run whose page would lie elsewhere than beside the others."""
    if not is_line(run, _LONGEST_NAME) or "/" in run or run.startswith("."):
        raise UsageError(f"a run of that store is called {run[:_LONGEST_NAME]!r}, which is no name of a file")


def _place(record: object, places: Mapping[int, int]) -> int | None:
    return None if record is None else places.get(_number(record))


def _jobs(connection: Connection) -> dict[int, str]:
    """Record -> its job as text."""
    query = sql.select(items.c.record, sql.cast(items.c.job, sql.Text).label("job")).where(items.c.record.is_not(None))
    return {row.record: row.job for row in connection.execute(query)}


def _conflict(reading: Connection, target: Database, there: int, here: int, job: str) -> Conflict:
    with target.reading() as connection:
        ours = _described(connection, here)
        identity = connection.scalar(sql.select(records.c.identity).where(records.c.id == here))
    return Conflict(str(identity), job, ours, _described(reading, there))


def _described(connection: Connection, number: int) -> str:
    """A record in one line: its state, its scores, and what it was measured on."""
    query = sql.select(records.c.status, records.c.created, environments.c.facts)
    query = query.join(environments, environments.c.id == records.c.environment, isouter=True)
    row = connection.execute(query.where(records.c.id == number)).one()
    listed = connection.execute(sql.select(scores).where(scores.c.record == number))
    values = ", ".join(f"{score.split} {score.metric} {score.value:g}" for score in listed if score.value is not None)
    machine = (row.facts or {}).get("processor", "an unknown machine")
    return f"{row.status}, {values or 'no scores'} ({machine}, {row.created[:10]})"


def _number(value: object) -> int:
    assert isinstance(value, int), value
    return value
