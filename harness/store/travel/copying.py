"""Rows of a store as they are, JSON as text, so that they can be written into another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from coordbench.harness.store.encoding import JsonText
from coordbench.harness.store.schema import records, samples, scores, series

Row = dict[str, object]
CHILDREN = (scores, series, samples)
"""The tables whose rows hang on a record."""
_BATCH = 500  # few enough at a time for a database's limit on parameters


def read_rows(connection: Connection, table: sql.Table, where: sql.ColumnElement[bool] | None = None) -> list[Row]:
    """The rows of a table in the order in which they were written."""
    query = sql.select(
        *(sql.cast(c, sql.Text).label(c.name) if isinstance(c.type, sql.JSON) else c.label(c.name) for c in table.c)
    )
    query = query if where is None else query.where(where)
    texts = {column.name for column in table.c if isinstance(column.type, sql.JSON)}
    return [
        {
            name: JsonText(value) if name in texts and value is not None else value
            for name, value in row._mapping.items()
        }
        for row in connection.execute(query)
    ]


def children(connection: Connection, table: sql.Table, numbers: Sequence[int]) -> list[Row]:
    """The rows of one table that hang on records, or the records themselves."""
    number = table.c.id if table is records else table.c.record
    listed: list[Row] = []
    for batch in batches(numbers):
        listed += read_rows(connection, table, number.in_(batch))
    return listed


def batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """A few at a time."""
    for i in range(0, len(numbers), _BATCH):
        yield numbers[i : i + _BATCH]
