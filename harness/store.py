"""Runs and records in a database: SQLite by default, PostgreSQL by URL.

A record is committed as it arrives. A run lists its items (trials and costs) when it starts, so that each planned one
has exactly one row whatever happens, and points each to the record that answers it, its own or an earlier one with the
same identity.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from harness.environment import digest
from harness.identity import Identity
from harness.migrations import migrate
from harness.schema import SCHEMA_VERSION, environments, items, meta, metadata, records, runs, samples, scores, series
from harness.spec import CostJob, CostRecord, Record, Sample, Trial, UsageError

REUSED = ("ok", "diverged")
"""Records of these states answer a later run of the same identity; the others are tried again."""


_LOCK = 0x636F6F7264  # any number that is the same for all of us


class StoreError(UsageError):
    """A store that cannot be opened, read or written; the message says which and why."""


class Store:
    """A database of runs and records; use it as a context manager."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self.writer = self.engine.execution_options(immediate=True)
        try:
            with self._begin() as connection:
                _prepare(connection, url)
        except StoreError:
            self.engine.dispose()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.engine.dispose()

    def start_run(self, profile: str, command: str, environment: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
        """Open a run and return its name, which sorts by time."""
        now = _now()
        name = f"{now[:19].replace(':', '').replace('-', '')}-{profile}-{uuid.uuid4().hex[:4]}"
        with self._begin() as connection:
            key = _environment(connection, environment)
            commit = (environment.get("revision") or {}).get("commit")
            number = (connection.scalar(sql.select(sql.func.max(runs.c.number))) or 0) + 1
            row = {
                "id": name,
                "number": number,
                "profile": profile,
                "command": command,
                "started": now,
                "commit": commit,
            }
            connection.execute(runs.insert().values(**row, environment=key, facts=dict(facts)))
        return name

    def finish_run(self, run: str) -> None:
        """Note that a run came to its end."""
        with self._begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run).values(finished=_now()))

    def add_items(self, run: str, jobs: Sequence[tuple[Trial | CostJob, Identity, Mapping[str, Any]]]) -> list[int]:
        """List jobs as items of a run, each with facts for its row; return their positions."""
        with self._begin() as connection:
            count = connection.scalar(sql.select(sql.func.count()).select_from(items).where(items.c.run == run)) or 0
            rows = [
                {
                    "run": run,
                    "position": count + i,
                    "kind": _kind(job),
                    "key": identity.key,
                    "job": asdict(job),
                    "facts": facts,
                }
                for i, (job, identity, facts) in enumerate(jobs)
            ]
            if rows:
                connection.execute(items.insert(), rows)
        return list(range(count, count + len(jobs)))

    def find(self, identity: Identity) -> int | None:
        """The newest record of this identity that may be used again."""
        wanted = (records.c.identity == identity.digest) & records.c.status.in_(REUSED)
        with self._reading() as connection:
            found: int | None = connection.scalar(sql.select(sql.func.max(records.c.id)).where(wanted))
        return found

    def earlier_parts(self, identity: Identity) -> dict[str, str] | None:
        """What the newest record of the same trial, whatever its sources, depended on."""
        query = sql.select(records.c.parts).where(records.c.key == identity.key).order_by(records.c.id.desc()).limit(1)
        with self._reading() as connection:
            return connection.scalar(query)

    def reuse(self, run: str, position: int, record: int) -> None:
        """Answer an item of a run by an earlier record."""
        with self._begin() as connection:
            connection.execute(_item(run, position).values(record=record, reused=True))

    def add(self, run: str, position: int, identity: Identity, record: Record | CostRecord) -> int:
        """Commit a record, all of it or nothing, as the answer to an item; return its number."""
        with self._begin() as connection:
            number = _insert(connection, identity, record)
            connection.execute(_item(run, position).values(record=number, reused=False))
        return number

    def status(self, record: int) -> str:
        """The status of a stored record."""
        with self._reading() as connection:
            return str(connection.scalar(sql.select(records.c.status).where(records.c.id == record)))

    def score(self, record: int, split: str, metric: str) -> float | None:
        """One score of a stored record, or None where it has none."""
        wanted = (scores.c.record == record) & (scores.c.split == split) & (scores.c.metric == metric)
        with self._reading() as connection:
            value: float | None = connection.scalar(sql.select(scores.c.value).where(wanted))
        return value

    def read(self, query: sql.Select[Any]) -> list[Row[Any]]:
        """The rows of a query."""
        with self._reading() as connection:
            return list(connection.execute(query).all())

    def latest_run(self, profile: str | None = None) -> str | None:
        """The newest run, or the newest of one profile."""
        query = sql.select(runs.c.id).order_by(runs.c.number.desc(), runs.c.started.desc()).limit(1)
        if profile:
            query = query.where(runs.c.profile == profile)
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

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._errors(), self.writer.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sql.exc.DBAPIError as error:
            raise StoreError(f"store {self.url}: {' '.join(str(error.orig or error).split())}") from error


def open_store(url: str | None, out: Path) -> Store:
    """Open the store at a URL, by default the SQLite file `results.sqlite` in the folder `out`."""
    if url is None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"output folder {str(out)!r} cannot be made: {error.strerror}") from error
        url = f"sqlite:///{out / 'results.sqlite'}"
    return Store(url)


def unpack(array: bytes | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The numbers of a stored series."""
    return np.frombuffer(array or b"", dtype="<f8")


def unpack_sample(row: Any) -> np.ndarray[Any, Any]:
    """The array of a stored sample."""
    return np.frombuffer(row.data, dtype=np.dtype(row.dtype)).reshape(row.shape)


def _engine(url: str) -> sql.Engine:
    try:
        engine = sql.create_engine(url, connect_args={"timeout": 60} if url.startswith("sqlite") else {})
    except (sql.exc.ArgumentError, sql.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"store {url!r} cannot be opened: {error}; write sqlite:///FILE or postgresql+psycopg://.."
        ) from error
    if engine.dialect.name == "sqlite":

        @sql.event.listens_for(engine, "connect")
        def _configure(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # the driver would otherwise begin late, and never for CREATE TABLE
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):  # a record reported as done survives a power cut
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @sql.event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # a writer waits for its turn at once: one that has read before it writes would be refused instead
            immediate = connection.get_execution_options().get("immediate", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _prepare(connection: Connection, url: str) -> None:
    """Create the tables, or check that this version can read them."""
    if connection.dialect.name == "postgresql":
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))  # two runs may be the first at once
    if not sql.inspect(connection).has_table("meta"):
        metadata.create_all(connection, checkfirst=True)
        connection.execute(meta.insert().values(name="schema_version", value=str(SCHEMA_VERSION)))
        return
    found = int(connection.scalar(sql.select(meta.c.value).where(meta.c.name == "schema_version")) or 0)
    if found > SCHEMA_VERSION:
        raise StoreError(f"store {url} has schema version {found}, newer than {SCHEMA_VERSION}; update coordbench")
    if found < SCHEMA_VERSION:
        migrate(connection, found)


def _insert(connection: Connection, identity: Identity, record: Record | CostRecord) -> int:
    own: dict[str, Any] = {
        "kind": "trial" if isinstance(record, Record) else "cost",
        "key": identity.key,
        "identity": identity.digest,
        "parts": dict(identity.parts),
        "created": _now(),
        "environment": _environment(connection, record.environment),
    }
    common = ("status", "error", "peak_memory_bytes")
    if isinstance(record, Record):
        fields: tuple[str, ...] = (*common, "converged", "seconds", "steps")
        own["facts"] = _plain(record.notes)
    else:
        fields = (*common, "parameters", "flops", "latency_forward_seconds", "latency_step_seconds")
        own["facts"] = _plain(record.details)
    own |= {name: getattr(record, name) for name in fields}
    own["error"] = own["error"].replace("\0", "")  # PostgreSQL takes no NUL in text
    inserted = connection.execute(records.insert().values(**own))
    number = int(inserted.inserted_primary_key[0])  # type: ignore[index]
    for table, rows in _children(number, record):
        if rows:
            connection.execute(table.insert(), rows)
    return number


def _children(number: int, record: Record | CostRecord) -> Iterator[tuple[sql.Table, list[dict[str, Any]]]]:
    if isinstance(record, CostRecord):
        empty = _pack(())
        yield (
            series,
            [
                {"record": number, "metric": phase, "steps": empty, "seconds": _pack(times), "values": empty}
                for phase, times in record.latencies.items()
            ],
        )
        return
    yield (
        scores,
        [
            {"record": number, "split": split, "metric": metric, "value": value}
            for split, values in record.scores.items()
            for metric, value in values.items()
        ],
    )
    curves: dict[str, list[Any]] = {}
    for point in record.curves:
        curves.setdefault(point.metric, []).append((point.step, point.seconds, point.value))
    yield (
        series,
        [
            dict(
                zip(
                    ("record", "metric", "steps", "seconds", "values"),
                    (number, name, *map(_pack, zip(*points, strict=True))),
                    strict=True,
                )
            )
            for name, points in curves.items()
        ],
    )
    yield samples, [_sample_row(number, sample) for sample in record.samples]


def _sample_row(number: int, sample: Sample) -> dict[str, Any]:
    array = np.ascontiguousarray(sample.array)
    if array.dtype == np.float64:
        array = array.astype(np.float32)  # drawn, never computed with
    row = {"record": number, "group": sample.group, "role": sample.role, "kind": sample.kind}
    return row | {"shape": list(array.shape), "dtype": array.dtype.str, "data": array.tobytes()}


def _pack(values: Any) -> bytes:
    return np.asarray(values, dtype="<f8").tobytes()


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _environment(connection: Connection, facts: Mapping[str, Any]) -> str:
    key = digest(facts)[:16]
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(environments).values(id=key, facts=_plain(facts))
    connection.execute(insert.on_conflict_do_nothing())
    return key


def _item(run: str, position: int) -> sql.Update:
    return items.update().where((items.c.run == run) & (items.c.position == position))


def _kind(job: Trial | CostJob) -> Literal["trial", "cost"]:
    return "trial" if isinstance(job, Trial) else "cost"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
