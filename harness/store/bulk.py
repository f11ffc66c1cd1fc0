"""The one place that goes around SQLAlchemy: many rows go to the driver as they are.

SQLAlchemy's care for each value (types, compilation, names) costs more than the database itself. On one core
of a busy machine 100,000 records took 4.9 s to append with it and 7.4 s without; with a curve of ten points each 6.3 s
and 13.6 s (`python -m tests.benchmarks.throughput records`).
`COORDBENCH_PLAIN_SQL=1` switches this off; a test holds that the stored rows are equal without it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import sqlalchemy as sql
from sqlalchemy.engine import Connection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase

Row = Mapping[str, object]
SWITCH = "COORDBENCH_PLAIN_SQL"


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Look for no garbage while many objects come to be that all are used: a fifth of what appending takes, and a
    third of what reading does, went into that.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def insert_all(connection: Connection, table: sql.Table, rows: Sequence[Row]) -> None:
    """Insert rows of equal columns; their JSON is text."""
    if rows:
        execute_all(connection, _insertion(table, tuple(rows[0])), rows)


def execute_all(connection: Connection, statement: UpdateBase, rows: Sequence[Row]) -> None:
    """Execute a statement with the values of each row."""
    if os.environ.get(SWITCH) == "1":
        connection.execute(statement, list(map(dict, rows)))
        return
    text, arguments = _compiled(connection.dialect, statement)
    connection.exec_driver_sql(text, list(map(arguments, rows)))


@functools.lru_cache(maxsize=64)
def _insertion(table: sql.Table, names: tuple[str, ...]) -> UpdateBase:
    return table.insert().values({name: sql.bindparam(name) for name in names})


@functools.lru_cache(maxsize=64)
def _compiled(dialect: sql.Dialect, statement: UpdateBase) -> tuple[str, Callable[[Row], object]]:
    """A statement as the driver takes it, and what makes its arguments out of a row: places, or names."""
    compiled = statement.compile(dialect=dialect)
    if isinstance(compiled, SQLCompiler) and compiled.positiontup:
        return str(compiled), operator.itemgetter(*compiled.positiontup)
    return str(compiled), dict
