"""How a database is opened: SQLite in write-ahead mode and synchronous, so that what was reported done survives a cut.

A writer waits for its turn from the start of its transaction, and what is read is read in one.
"""

from __future__ import annotations

import sqlite3
import time

import sqlalchemy as sql
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection

from coordbench.harness.store.address import StoreError, mask, show
from coordbench.harness.store.encoding import to_json

WAIT_SECONDS = 60.0
"""For another run's turn to write."""
_CACHE_KIB = 1 << 16  # SQLite's own 2 MiB hold no index of 100,000 records
_LOG_PAGES = 8192  # of 4 KiB: by default each commit of many records would copy its pages twice


def open_engine(url: sql.URL) -> sql.Engine:
    """Make the engine of a URL; raise StoreError where no database is meant by it."""
    arguments = {"timeout": WAIT_SECONDS} if url.get_backend_name() == "sqlite" else {}
    try:
        engine = sql.create_engine(url, json_serializer=to_json, connect_args=arguments)
    except (sql.exc.ArgumentError, sql.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        reason = mask(" ".join(str(error).split()))
        raise StoreError(
            f"store {show(url)!r} cannot be opened: {reason}; write sqlite:///FILE or postgresql+psycopg://.."
        ) from error
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", _configure)
        sql.event.listen(engine, "begin", _take_turns)
    elif engine.dialect.name == "postgresql":
        sql.event.listen(engine, "connect", _limit_waiting)
    return engine


def _limit_waiting(connection: DBAPIConnection, _: object) -> None:
    """Have the server end the transaction of a driver that is frozen in its midst, and every wait for a lock."""
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{WAIT_SECONDS / 2:g}s'")
    cursor.execute(f"SET lock_timeout = '{WAIT_SECONDS:g}s'")
    connection.commit()
    cursor.close()


def _configure(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the driver would otherwise begin late, and never for CREATE TABLE
    cursor = connection.cursor()
    _write_ahead(cursor)
    for setting in ("synchronous=FULL", f"cache_size=-{_CACHE_KIB}", f"wal_autocheckpoint={_LOG_PAGES}"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Switch to write-ahead mode; where another run switches at this moment, SQLite refuses instead of waiting."""
    until = time.monotonic() + WAIT_SECONDS
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
