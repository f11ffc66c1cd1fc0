"""Records that answer the items of a run: appended, found again, pointed to."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.store import rows, shared
from coordbench.harness.store.bulk import execute_all, insert_all, without_collection
from coordbench.harness.store.encoding import now
from coordbench.harness.store.schema import environments, items, records, sources

Answer = tuple[int, Identity, Record | CostRecord]
"""The position of an item in its run, what its record depends on, and the record."""
REUSED = ("ok", "diverged")
"""Records of these states answer a later run of the same identity; the others are tried again."""

_POINT = (
    items.update()
    .where((items.c.run == sql.bindparam("item_run")) & (items.c.position == sql.bindparam("place")))
    .values(record=sql.bindparam("number"), reused=sql.bindparam("again"))
)
_BATCH = 500  # few enough at a time for a database's limit on parameters


@without_collection()
def append(connection: Connection, answers: Sequence[Answer]) -> list[int]:
    """Insert records with all that hangs on them; return their numbers."""
    numbers = numbers_for(connection, len(answers))
    places, surroundings = shared.keys_of_environments([record.environment for _, _, record in answers])
    origins, parts = shared.keys_of_sources(identity.parts for _, identity, _ in answers)
    shared.note(connection, environments, surroundings)
    shared.note(connection, sources, parts)
    numbered = [(number, known, record) for number, (_, known, record) in zip(numbers, answers, strict=True)]
    listed, children = rows.record_rows(numbered, now())
    shares = ({"environment": place, "sources": origin} for place, origin in zip(places, origins, strict=True))
    insert_all(connection, records, [row | share for row, share in zip(listed, shares, strict=True)])
    for table, hanging in children:
        insert_all(connection, table, hanging)
    return numbers


def newest(connection: Connection, wanted: Sequence[Identity], since: int | None = None) -> dict[str, tuple[int, str]]:
    """Identity -> number and status of its newest record that may be used again, or has a number above `since`."""
    known: dict[str, tuple[int, str]] = {}
    digests = {identity.digest for identity in wanted}
    query = sql.select(records.c.identity, records.c.id, records.c.status).order_by(records.c.id)
    usable = records.c.status.in_(REUSED) | (sql.false() if since is None else records.c.id > since)
    for i in range(0, len(wanted), _BATCH):
        batch = records.c.key.in_([identity.key for identity in wanted[i : i + _BATCH]])
        for row in connection.execute(query.where(batch & usable)):
            if row.identity in digests:
                known[row.identity] = row.id, row.status
    return known


def point(connection: Connection, run: str, pairs: Sequence[tuple[int, int]], *, reused: bool) -> None:
    """Point items of a run, by their positions, to the records that answer them."""
    common = {"item_run": run, "again": reused}
    listed = [{"place": place, "number": record, **common} for place, record in pairs]
    if listed:
        execute_all(connection, _POINT, listed)


def numbers_for(connection: Connection, count: int) -> list[int]:
    """Numbers for new records: PostgreSQL counts for all of us, and SQLite lets one write at a time."""
    if connection.dialect.name == "postgresql":
        drawn = sql.func.nextval("records_id_seq").label("number")
        return list(connection.scalars(sql.select(drawn).select_from(sql.func.generate_series(1, count))))
    last = last_number(connection)
    return list(range(last + 1, last + 1 + count))


def last_number(connection: Connection) -> int:
    """The number of the newest record."""
    return connection.scalar(sql.select(sql.func.max(records.c.id))) or 0
