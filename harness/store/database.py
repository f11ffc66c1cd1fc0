"""A database of any kind: opened, brought up to date, its transactions, its errors in one line.

SQLite by default, in write-ahead mode and synchronous, so that what was reported done survives a power cut;
PostgreSQL by URL.
"""

from __future__ import annotations

import functools
import json
import operator
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Row
from sqlalchemy.sql.elements import ClauseElement

from coordbench.harness.core.errors import UsageError
from coordbench.harness.store.rows import to_json
from coordbench.harness.store.schema import SCHEMA_VERSION, meta, metadata

_LOCK = 0x636F6F7264  # any number that is the same for all of us
_WAIT_SECONDS = 60  # for another run's turn to write
_CACHE_KIB = 1 << 16  # SQLite's own 2 MiB hold no index of 100,000 records
_LOG_PAGES = 8192  # of 4 KiB: by default each commit of many records would copy its pages twice


class StoreError(UsageError):
    """A store that cannot be opened, read or written; the message says which and why."""


class Database:
    """A store's database; use it as a context manager."""

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.engine.dispose()

    def read(self, query: sql.Select[Any]) -> list[Row[Any]]:
        """The rows of a query."""
        with self._reading() as connection:
            return list(connection.execute(query).all())

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
        except sql.exc.StatementError as error:
            told = " ".join(str(error.orig or error).split())
            left = f"; still readable: {_left(self.engine)}" if "malformed" in told else ""
            raise StoreError(f"store {self.url}: {told}{left}") from error
        except json.JSONDecodeError as error:
            raise StoreError(f"store {self.url} is damaged: a row holds no JSON; {_left(self.engine)}") from error


def insert_all(connection: Connection, table: sql.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of equal columns."""
    if rows:
        execute_all(connection, _insertion(table, tuple(rows[0])), rows)


def execute_all(connection: Connection, statement: ClauseElement, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute a statement with the values of each row, JSON as text; SQLAlchemy's own care costs more than that."""
    text, arguments = _compiled(connection.dialect, statement)
    connection.exec_driver_sql(text, list(map(arguments, rows)))


@functools.lru_cache(maxsize=64)
def _insertion(table: sql.Table, names: tuple[str, ...]) -> ClauseElement:
    return table.insert().values({name: sql.bindparam(name) for name in names})


@functools.lru_cache(maxsize=64)
def _compiled(dialect: sql.Dialect, statement: ClauseElement) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
    """A statement as the driver takes it, and what makes its arguments out of a row: names or places."""
    compiled: Any = statement.compile(dialect=dialect)
    return str(compiled), operator.itemgetter(*compiled.positiontup) if compiled.positional else dict


def _left(engine: sql.Engine) -> str:
    """What a damaged store still holds."""
    counts = {table.name: _readable(engine, table) for table in metadata.sorted_tables}
    found = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{found}; `sqlite3 FILE .recover` copies them" if found else "nothing"


def _readable(engine: sql.Engine, table: sql.Table) -> int:
    """How many rows of a table can be read before the damage."""
    count = 0
    try:
        with engine.connect() as connection:
            for _ in connection.execute(sql.select(table)):
                count += 1
    except (sql.exc.DBAPIError, ValueError):  # ValueError: bytes that are no JSON
        return count
    return count


def _engine(url: str) -> sql.Engine:
    options: dict[str, Any] = {"json_serializer": to_json}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": _WAIT_SECONDS}
    try:
        engine = sql.create_engine(url, **options)
    except (sql.exc.ArgumentError, sql.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"store {url!r} cannot be opened: {error}; write sqlite:///FILE or postgresql+psycopg://.."
        ) from error
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", _configure)
        sql.event.listen(engine, "begin", _take_turns)
    return engine


def _configure(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver would otherwise begin late, and never for CREATE TABLE
    cursor = connection.cursor()
    _write_ahead(cursor)
    for setting in ("synchronous=FULL", f"cache_size=-{_CACHE_KIB}", f"wal_autocheckpoint={_LOG_PAGES}"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Switch to write-ahead mode; where another run switches at this moment, SQLite refuses instead of waiting."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _take_turns(connection: Connection) -> None:
    """Let a writer wait for its turn at once: one that has read before it writes would be refused instead."""
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _prepare(connection: Connection, url: str) -> None:
    """Create the tables, or check that this version can read them."""
    if connection.dialect.name == "postgresql":
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))  # two runs may be the first at once
    if not sql.inspect(connection).has_table("meta"):
        metadata.create_all(connection, checkfirst=True)
        connection.execute(meta.insert().values(name="schema_version", value=str(SCHEMA_VERSION)))
        return
    version = int(connection.scalar(sql.select(meta.c.value).where(meta.c.name == "schema_version")) or 0)
    if version > SCHEMA_VERSION:
        raise StoreError(f"store {url} has schema version {version}, newer than {SCHEMA_VERSION}; update coordbench")
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"store {url} has schema version {version}, older than {SCHEMA_VERSION}; delete it or name another --store"
        )
