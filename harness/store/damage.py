"""What a damaged store still holds."""

from __future__ import annotations

import sqlalchemy as sql

from coordbench.harness.store.schema import metadata


def readable(engine: sql.Engine) -> str:
    """How many rows of each table can be read before the damage, and how to copy them."""
    counts = {table.name: _count(engine, table) for table in metadata.sorted_tables}
    rows = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{rows}; `sqlite3 FILE .recover` copies them" if rows else "nothing"


def _count(engine: sql.Engine, table: sql.Table) -> int:
    count = 0
    try:
        with engine.connect() as connection:
            for _ in connection.execute(sql.select(table)):
                count += 1
    except (sql.exc.DBAPIError, ValueError):  # ValueError: bytes that are no JSON
        return count
    return count
