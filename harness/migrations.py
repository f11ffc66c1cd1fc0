"""Bring a store of an earlier version up to date; each step runs in the transaction that opens the store."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from harness import schema


def _number_runs(connection: Connection) -> None:
    """1 -> 2: runs have numbers, in the order of their start."""
    connection.execute(sql.text("ALTER TABLE runs ADD COLUMN number INTEGER"))
    listed = connection.execute(sql.select(schema.runs.c.id).order_by(schema.runs.c.started)).all()
    for number, row in enumerate(listed, start=1):
        connection.execute(schema.runs.update().where(schema.runs.c.id == row.id).values(number=number))


STEPS: dict[int, Callable[[Connection], None]] = {1: _number_runs}
"""Version -> the step to the next one."""


def migrate(connection: Connection, found: int) -> None:
    """Take all steps from version `found` to the present one and note it."""
    for version in range(found, schema.SCHEMA_VERSION):
        STEPS[version](connection)
    latest = schema.meta.update().where(schema.meta.c.name == "schema_version")
    connection.execute(latest.values(value=str(schema.SCHEMA_VERSION)))
