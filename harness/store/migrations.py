"""Bring a store of an earlier version up to date; each step runs in the transaction that opens the store."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from coordbench.harness.store import rows, schema


def _number_runs(connection: Connection) -> None:
    """1 -> 2: runs have numbers, in the order of their start."""
    connection.execute(sql.text("ALTER TABLE runs ADD COLUMN number INTEGER"))
    listed = connection.execute(sql.select(schema.runs.c.id).order_by(schema.runs.c.started)).all()
    for number, row in enumerate(listed, start=1):
        connection.execute(schema.runs.update().where(schema.runs.c.id == row.id).values(number=number))


def _share_sources(connection: Connection) -> None:
    """2 -> 3: records share their sources; indices that only cost time are gone."""
    schema.sources.create(connection, checkfirst=True)
    connection.execute(sql.text("ALTER TABLE records ADD COLUMN sources VARCHAR"))
    old = sql.table("records", sql.column("id"), sql.column("parts", sql.JSON), sql.column("sources"))
    listed = connection.execute(sql.select(old.c.id, old.c.parts)).all()
    kept = [{name: part for name, part in (row.parts or {}).items() if name != "job"} for row in listed]
    keys, found = rows.keys_of_sources(kept)
    for row, key in zip(listed, keys, strict=True):
        connection.execute(old.update().where(old.c.id == row.id).values(sources=key))
    for key, parts in found.items():
        connection.execute(schema.sources.insert().values(id=key, parts=parts))
    for index in ("ix_records_identity", "ix_items_key"):
        connection.execute(sql.text(f"DROP INDEX IF EXISTS {index}"))
    connection.execute(sql.text("ALTER TABLE records DROP COLUMN parts"))


def _type_conditions(connection: Connection) -> None:
    """3 -> 4: conditions, steps of samples and fates have columns; what old records wrote into names stays there."""
    added = {
        "records": ("fate VARCHAR", "fate_start FLOAT", "fate_time FLOAT", "epoch_steps FLOAT"),
        "scores": ('"of" VARCHAR', "axis VARCHAR", "level FLOAT", "part VARCHAR"),
        "samples": ("step INTEGER",),
    }
    for table, columns in added.items():
        for column in columns:
            connection.execute(sql.text(f"ALTER TABLE {table} ADD COLUMN {column}"))
    connection.execute(sql.text('UPDATE scores SET "of" = metric'))


STEPS: dict[int, Callable[[Connection], None]] = {1: _number_runs, 2: _share_sources, 3: _type_conditions}
"""Version -> the step to the next one."""


def migrate(connection: Connection, found: int) -> None:
    """Take all steps from version `found` to the present one and note it."""
    for version in range(found, schema.SCHEMA_VERSION):
        STEPS[version](connection)
    latest = schema.meta.update().where(schema.meta.c.name == "schema_version")
    connection.execute(latest.values(value=str(schema.SCHEMA_VERSION)))
