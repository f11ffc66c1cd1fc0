"""Rows of the store as columns of pandas tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sql

from coordbench.harness.core.selector import Selector
from coordbench.harness.statistics.arrays import Floats
from coordbench.harness.store import schema
from coordbench.harness.store.encoding import unpack
from coordbench.harness.store.store import Store

MEASURED = ["metric", "of", "axis", "level", "part"]
"""The name of a score, and apart: its metric, and its condition, axis = level or axis = part, null where none."""


def frame(store: Store, query: sql.Select[Any], columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a query under these names."""
    return pd.DataFrame(dict(zip(columns, read_columns(store, query, len(columns)), strict=True)))


def base_names(selectors: pd.Series) -> pd.Series:
    """The names of selectors such as `unet[depth=3]` without their options; null where there is none."""
    return selectors.map(lambda text: Selector.parse(text).name, na_action="ignore")


def read_columns(store: Store, query: sql.Select[Any], count: int) -> list[Sequence[Any]]:
    """The columns of a query; pandas takes them faster than rows."""
    columns: list[Sequence[Any]] = [list(column) for column in zip(*store.read(query), strict=True)]
    return columns or [[] for _ in range(count)]


def decode(store: Store, texts: Iterable[str | None]) -> list[Any]:
    """The values of JSON texts, in one pass over all of them; raise StoreError where one is damaged."""
    with store.errors():
        values: list[Any] = json.loads(f"[{','.join(text or 'null' for text in texts)}]")
    return values


def children(store: Store, run: str, table: sql.Table, columns: Sequence[str], kind: str = "trial") -> pd.DataFrame:
    """Rows that hang on the records of a run's items of one kind, once where items share a record."""
    items = schema.items.c
    used = sql.select(items.record).where((items.run == run) & (items.kind == kind)).distinct().subquery()
    query = sql.select(table.c.record, *(table.c[name] for name in columns)).join(used, used.c.record == table.c.record)
    return frame(store, query, ["record", *columns]).astype({"record": "Int64"})


def scores(store: Store, run: str) -> pd.DataFrame:
    """The scores of a run's records: record, split, MEASURED, value."""
    return children(store, run, schema.scores, ["split", *MEASURED, "value"])


def samples(store: Store, run: str) -> pd.DataFrame:
    """The samples of a run's records."""
    return children(store, run, schema.samples, ["group", "role", "step", "kind", "shape", "dtype", "data"])


def curves(store: Store, run: str) -> pd.DataFrame:
    """The points of a run's curves: record, metric, step, seconds, value."""
    rows, arrays = _series(store, run, "trial")
    points = _repeated(rows, arrays["seconds"])
    flat = {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in arrays.items()}
    return points.assign(step=flat["steps"].astype(np.int64), seconds=flat["seconds"], value=flat["values"])


def times(store: Store, run: str) -> pd.DataFrame:
    """The latencies of a run's costs: record, phase, turn, seconds."""
    rows, arrays = _series(store, run, "cost")
    seconds = np.concatenate(arrays["seconds"]) if arrays["seconds"] else np.empty(0)
    table = _repeated(rows, arrays["seconds"]).rename(columns={"metric": "phase"}).assign(seconds=seconds)
    return table.assign(turn=table.groupby(["record", "phase"]).cumcount())


def _series(store: Store, run: str, kind: str) -> tuple[pd.DataFrame, dict[str, list[Floats]]]:
    rows = children(store, run, schema.series, ["metric", "steps", "seconds", "values"], kind)
    with store.errors():
        return rows, {name: [unpack(cell) for cell in rows[name]] for name in ("steps", "seconds", "values")}


def _repeated(rows: pd.DataFrame, arrays: Sequence[Floats]) -> pd.DataFrame:
    """Record and metric of a series beside each of its points."""
    lengths = [len(array) for array in arrays]
    return pd.DataFrame({name: np.repeat(rows[name].to_numpy(), lengths) for name in ("record", "metric")})
