"""Runs and records in a database: SQLite by default, PostgreSQL by URL.

A record is committed as it arrives. A run lists its items (trials and costs) when it starts, so that each planned one
has exactly one row whatever happens, and points each to the record that answers it, its own or an earlier one with the
same identity.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.core.trial import Job
from coordbench.harness.store import rows
from coordbench.harness.store.database import Database, execute_all, insert_all
from coordbench.harness.store.database import StoreError as StoreError
from coordbench.harness.store.rows import Answer
from coordbench.harness.store.rows import unpack as unpack
from coordbench.harness.store.rows import unpack_sample as unpack_sample
from coordbench.harness.store.schema import environments, items, records, runs, samples, scores, series, sources

FILE = "results.sqlite"
"""The store in a folder of results."""
REUSED = ("ok", "diverged")
"""Records of these states answer a later run of the same identity; the others are tried again."""

_ANSWER = (
    items.update()
    .where((items.c.run == sql.bindparam("item_run")) & (items.c.position == sql.bindparam("place")))
    .values(record=sql.bindparam("number"), reused=sql.bindparam("again"))
)
_BATCH = 500  # few enough at a time for a database's limit on parameters


class Store(Database):
    """A database of runs and records; use it as a context manager."""

    def start_run(self, preset: str, command: str, environment: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
        """Open a run and return its name, which sorts by time."""
        now = rows.now()
        name = f"{now[:19].replace(':', '').replace('-', '')}-{preset}-{uuid.uuid4().hex[:4]}"
        with self._begin() as connection:
            [key] = _share(connection, environments, rows.keys_of_environments([environment]))
            commit = (environment.get("revision") or {}).get("commit")
            number = (connection.scalar(sql.select(sql.func.max(runs.c.number))) or 0) + 1
            row = {
                "id": name,
                "number": number,
                "preset": preset,
                "command": rows.text(command),
                "started": now,
                "commit": commit,
            }
            connection.execute(runs.insert().values(**row, environment=key, facts=dict(facts)))
        return name

    def finish_run(self, run: str) -> None:
        """Note that a run came to its end."""
        with self._begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run).values(finished=rows.now()))

    def add_items(self, run: str, jobs: Sequence[tuple[Job, Identity, Mapping[str, Any]]]) -> list[int]:
        """List jobs as items of a run, each with facts for its row; return their positions."""
        with self._begin() as connection:
            count = connection.scalar(sql.select(sql.func.count()).select_from(items).where(items.c.run == run)) or 0
            numbered = enumerate(jobs, start=count)
            listed = [rows.item_row(run, place, job, known.key, facts) for place, (job, known, facts) in numbered]
            insert_all(connection, items, listed)
        return list(range(count, count + len(jobs)))

    def find(self, identity: Identity) -> int | None:
        """The newest record of this identity that may be used again."""
        with self._reading() as connection:
            found = _newest(connection, [identity])
        return found[identity.digest][0] if found else None

    def earlier_parts(self, identity: Identity) -> dict[str, str] | None:
        """What the newest record of the same trial, whatever its sources, depended on."""
        query = sql.select(sources.c.parts).join(records, records.c.sources == sources.c.id)
        query = query.where(records.c.key == identity.key).order_by(records.c.id.desc()).limit(1)
        with self._reading() as connection:
            parts: dict[str, str] | None = connection.scalar(query)
        return parts

    def reuse(self, run: str, wanted: Sequence[tuple[int, Identity]]) -> dict[int, tuple[int, str]]:
        """Answer items of a run by the newest records of their identities; return position -> (record, status).

        Found and noted in one transaction, so that nobody deletes a record in between.
        """
        with self._begin() as connection:
            found = _newest(connection, [identity for _, identity in wanted])
            answers = {place: found[identity.digest] for place, identity in wanted if identity.digest in found}
            _answer(connection, run, [(place, record) for place, (record, _) in answers.items()], reused=True)
        return answers

    def add(self, run: str, position: int, identity: Identity, record: Record | CostRecord) -> int:
        """Commit a record as the answer to an item; return its number."""
        return self.add_many(run, [(position, identity, record)])[0]

    def add_many(self, run: str, answers: Sequence[Answer]) -> list[int]:
        """Commit records, all of them or none, as the answers to items of a run; return their numbers."""
        if not answers:
            return []
        with self._begin() as connection:
            numbers = _numbers(connection, len(answers))
            listed = _record_rows(connection, numbers, answers)
            insert_all(connection, records, listed)
            for table, own in rows.child_rows(zip(numbers, (record for _, _, record in answers), strict=True)):
                insert_all(connection, table, own)
            places = (position for position, _, _ in answers)
            _answer(connection, run, list(zip(places, numbers, strict=True)), reused=False)
        return numbers

    def score(self, record: int, split: str, metric: str) -> float | None:
        """One score of a stored record, or None where it has none."""
        wanted = (scores.c.record == record) & (scores.c.split == split) & (scores.c.metric == metric)
        with self._reading() as connection:
            value: float | None = connection.scalar(sql.select(scores.c.value).where(wanted))
        return value

    def latest_run(self, preset: str | None = None) -> str | None:
        """The newest run, or the newest of one preset."""
        query = sql.select(runs.c.id).order_by(runs.c.number.desc(), runs.c.started.desc()).limit(1)
        if preset:
            query = query.where(runs.c.preset == preset)
        with self._reading() as connection:
            return connection.scalar(query)

    def resolve_run(self, wanted: str | None) -> str:
        """A run by its name or an unambiguous beginning of it, the latest by default; raise UsageError otherwise."""
        if wanted is None:
            latest = self.latest_run()
            if latest is None:
                raise UsageError(f"the store {self.url} holds no run yet; start one by `coordbench run`")
            return latest
        names = [row.id for row in self.read(sql.select(runs.c.id).order_by(runs.c.number))]
        found = [name for name in names if name == wanted] or [name for name in names if name.startswith(wanted)]
        if len(found) != 1:
            known = ", ".join(names[-5:]) or "none"
            raise UsageError(f"{'no' if not found else 'more than one'} run named {wanted!r}; newest runs: {known}")
        return str(found[0])

    def delete_run(self, run: str) -> int:
        """Delete a run and the records that no other run points to; return how many records went."""
        with self._begin() as connection:
            connection.execute(items.delete().where(items.c.run == run))
            connection.execute(runs.delete().where(runs.c.id == run))
            kept = sql.select(items.c.record).where(items.c.record.is_not(None))
            gone = [row.id for row in connection.execute(sql.select(records.c.id).where(records.c.id.not_in(kept)))]
            for table, column in ((scores, "record"), (series, "record"), (samples, "record"), (records, "id")):
                connection.execute(table.delete().where(table.c[column].not_in(kept)))
        return len(gone)


def open_store(url: str | None, out: Path) -> Store:
    """Open the store at a URL, by default the SQLite file FILE in the folder `out`."""
    if url is None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"output folder {str(out)!r} cannot be made: {error.strerror}") from error
        url = f"sqlite:///{out / FILE}"
    return Store(url)


def _record_rows(connection: Connection, numbers: Sequence[int], answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """The rows of records, after what they share was noted once."""
    places = _share(
        connection, environments, rows.keys_of_environments([record.environment for _, _, record in answers])
    )
    origins = _share(connection, sources, rows.keys_of_sources(identity.parts for _, identity, _ in answers))
    now = rows.now()
    return [
        rows.record_row(number, identity, record, now) | {"environment": place, "sources": origin}
        for number, (_, identity, record), place, origin in zip(numbers, answers, places, origins, strict=True)
    ]


def _share(connection: Connection, table: sql.Table, keyed: tuple[list[str], dict[str, Any]]) -> list[str]:
    """Note what keys stand for, unless it is known; return the keys."""
    keys, found = keyed
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    column = next(name for name in table.c.keys() if name != "id")  # noqa: SIM118
    if found:  # in order, so that two runs never wait for each other
        listed = [{"id": key, column: found[key]} for key in sorted(found)]
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), listed)
    return keys


def _numbers(connection: Connection, count: int) -> list[int]:
    """Numbers for new records: PostgreSQL counts for all of us, and SQLite lets one write at a time."""
    if connection.dialect.name == "postgresql":
        drawn = sql.func.nextval("records_id_seq").label("number")
        return list(connection.scalars(sql.select(drawn).select_from(sql.func.generate_series(1, count))))
    last = connection.scalar(sql.select(sql.func.max(records.c.id))) or 0
    return list(range(last + 1, last + 1 + count))


def _newest(connection: Connection, wanted: Sequence[Identity]) -> dict[str, tuple[int, str]]:
    """Identity -> number and status of its newest record that may be used again."""
    found: dict[str, tuple[int, str]] = {}
    digests = {identity.digest for identity in wanted}
    query = sql.select(records.c.identity, records.c.id, records.c.status).order_by(records.c.id)
    for i in range(0, len(wanted), _BATCH):
        known = records.c.key.in_([identity.key for identity in wanted[i : i + _BATCH]])
        for row in connection.execute(query.where(known & records.c.status.in_(REUSED))):
            if row.identity in digests:
                found[row.identity] = row.id, row.status
    return found


def _answer(connection: Connection, run: str, pairs: Sequence[tuple[int, int]], *, reused: bool) -> None:
    """Point items of a run, by their positions, to the records that answer them."""
    if pairs:
        shared = {"item_run": run, "again": reused}
        execute_all(connection, _ANSWER, [{"place": place, "number": record, **shared} for place, record in pairs])
