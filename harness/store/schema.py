"""The tables of the store."""

from __future__ import annotations

import sqlalchemy as sql
from sqlalchemy.schema import SchemaItem

SCHEMA_VERSION = 6

metadata = sql.MetaData()


def _table(name: str, *columns: SchemaItem) -> sql.Table:
    return sql.Table(name, metadata, *columns)


def _record_key(name: str) -> sql.Column[int]:
    return sql.Column(name, sql.Integer, index=True, nullable=False)


meta = _table("meta", sql.Column("name", sql.String, primary_key=True), sql.Column("value", sql.String))
environments = _table("environments", sql.Column("id", sql.String, primary_key=True), sql.Column("facts", sql.JSON))
runs = _table(
    "runs",
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("number", sql.Integer),  # the order of runs; clocks may go backwards
    sql.Column("preset", sql.String),
    sql.Column("command", sql.String),
    sql.Column("started", sql.String),
    sql.Column("finished", sql.String),
    sql.Column("commit", sql.String),
    sql.Column("environment", sql.String),
    sql.Column("facts", sql.JSON),
)
items = _table(
    "items",
    sql.Column("run", sql.String, primary_key=True),
    sql.Column("position", sql.Integer, primary_key=True),
    sql.Column("kind", sql.String),
    sql.Column("key", sql.String),
    sql.Column("job", sql.JSON),
    sql.Column("facts", sql.JSON),
    sql.Column("record", sql.Integer),
    sql.Column("reused", sql.Boolean, default=False),
)
sources = _table(  # what the records of a cell depend on beside their trial: the same for all its seeds
    "sources",
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("parts", sql.JSON),
)
records = _table(
    "records",
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("kind", sql.String),
    sql.Column("key", sql.String, index=True),
    sql.Column("identity", sql.String),  # found by its key: few records share one
    sql.Column("sources", sql.String),
    sql.Column("created", sql.String),
    sql.Column("status", sql.String),
    sql.Column("error", sql.String),
    sql.Column("converged", sql.Boolean),
    sql.Column("fate", sql.String),
    sql.Column("fate_start", sql.Float),  # epochs, as is the next
    sql.Column("fate_time", sql.Float),
    sql.Column("epoch_steps", sql.Float),
    sql.Column("seconds", sql.Float),
    sql.Column("steps", sql.Integer),
    sql.Column("peak_memory_bytes", sql.BigInteger),
    sql.Column("parameters", sql.BigInteger),
    sql.Column("flops", sql.BigInteger),
    sql.Column("latency_forward_seconds", sql.Float),
    sql.Column("latency_step_seconds", sql.Float),
    sql.Column("facts", sql.JSON),
    sql.Column("environment", sql.String),
    sql.Column("checksum", sql.String),  # over the columns that `checksum` names, and the scores
)
scores = _table(
    "scores",
    _record_key("record"),
    sql.Column("split", sql.String),
    sql.Column("metric", sql.String),
    sql.Column("of", sql.String),  # the metric without its condition, which is axis = level, or axis = part
    sql.Column("axis", sql.String),
    sql.Column("level", sql.Float),
    sql.Column("part", sql.String),
    sql.Column("value", sql.Float),
)
series = _table(  # curves and latencies: one row each, as arrays, since a row per point would be the whole store
    "series",
    _record_key("record"),
    sql.Column("metric", sql.String),
    sql.Column("steps", sql.LargeBinary),
    sql.Column("seconds", sql.LargeBinary),
    sql.Column("values", sql.LargeBinary),
    sql.Column("checksum", sql.String),
)
samples = _table(
    "samples",
    _record_key("record"),
    sql.Column("group", sql.String),
    sql.Column("role", sql.String),
    sql.Column("step", sql.Integer),  # null for what a trial ended with
    sql.Column("kind", sql.String),
    sql.Column("shape", sql.JSON),
    sql.Column("dtype", sql.String),
    sql.Column("data", sql.LargeBinary),
    sql.Column("checksum", sql.String),
)
