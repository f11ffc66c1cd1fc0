"""The items of a run: what was planned, and the record that answers it, read by one query."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
import sqlalchemy as sql
from numpy.typing import NDArray

from coordbench.harness.analysis.frames import decode, read_columns
from coordbench.harness.core.cell import Cell
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store

Value = TypeVar("Value")
_SEED = re.compile(r'"seed": (-?\d+), ')
"""A seed as the store writes it; the purpose of a trial comes after it."""
WHOLE = ("steps", "parameters", "flops", "peak_memory_bytes")
_SECONDS = ("seconds", "latency_forward_seconds", "latency_step_seconds")
_RECORD = [column.name for column in schema.records.c if column.name not in ("id", "facts")]
_TEXTS = {  # as text: decoding them all at once is several times faster
    "job": sql.cast(schema.items.c.job, sql.Text),
    "notes": sql.cast(schema.items.c.facts, sql.Text),
    "details": sql.cast(schema.records.c.facts, sql.Text),
}


@dataclass(frozen=True)
class Items:
    """One row of `frame` per item, with the columns of its record; `codes` are the places of its cell in `cells`."""

    frame: pd.DataFrame
    cells: list[Cell]
    codes: NDArray[np.int64]
    stored: Mapping[str, Sequence[object]]
    """The columns of the records as they are in the store."""

    def spread(self, function: Callable[[Cell], Value]) -> list[Value]:
        """A value of each item's cell, found once per cell."""
        values = [function(cell) for cell in self.cells]
        return [values[code] for code in self.codes]

    def where(self, rows: pd.Series[bool]) -> Items:
        """Some of the items, numbered anew."""
        chosen = rows.to_numpy(dtype=bool)
        return Items(self.frame[rows].reset_index(drop=True), self.cells, self.codes[chosen], self.stored)


def read_items(store: Store, run: str, kind: Literal["trial", "cost"]) -> Items:
    """The items of one kind in the order of the run; one without a record is skipped."""
    joined = schema.items.outerjoin(schema.records, schema.items.c.record == schema.records.c.id)
    query = (
        sql.select(schema.items.c.record, *(schema.records.c[name] for name in _RECORD), *_TEXTS.values())
        .select_from(joined)
        .where((schema.items.c.run == run) & (schema.items.c.kind == kind))
        .order_by(schema.items.c.position)
    )
    names = ["record", *_RECORD, *_TEXTS]
    rows = dict(zip(names, read_columns(store, query, len(names)), strict=True))
    notes, details = (decode(store, rows[name]) for name in ("notes", "details"))
    seeds, codes, texts = _by_seed(store, rows["job"])
    jobs = decode(store, texts)
    purposes = [job.get("purpose") for job in jobs]
    frame = pd.DataFrame({name: rows[name] for name in ("record", *_RECORD)})
    frame = frame.assign(seed=seeds, purpose=[purposes[code] for code in codes])
    frame = frame.assign(notes=_objects(notes), details=_objects(details))
    cells = [Cell.read(job) for job in jobs]
    return Items(_typed(frame), cells, np.array(codes, dtype=np.int64), rows | {"facts": rows["details"]})


def _by_seed(store: Store, jobs: Sequence[str]) -> tuple[list[Any], list[int], list[str]]:
    """The seed of each job (JSON), and the place of its text among the different ones that seeds of a cell share.

    There are far fewer cells than trials, and decoding each job would take longer than all else of reading a run.
    """
    places: dict[str, int] = {}
    seeds: list[Any] = []
    codes: list[int] = []
    for job in jobs:
        before, *rest = _SEED.split(job, maxsplit=1)
        seeds.append(int(rest[0]) if rest else decode(store, [job])[0].get("seed"))
        codes.append(places.setdefault(before + rest[1] if rest else before, len(places)))
    return seeds, codes, list(places)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns that hold what their names say, in a run without any item too."""
    missing = frame["record"].isna()
    frame = frame.assign(
        record=frame["record"].astype("Int64"),
        status=frame["status"].astype("str").mask(missing, "skipped"),
        error=frame["error"].astype("str").mask(missing, "not run: the run ended before it"),
    )
    frame = frame.assign(**{name: _finite(frame[name]) for name in (*WHOLE, *_SECONDS)})
    return frame.assign(**{name: frame[name].round().astype("Int64") for name in WHOLE})


def _finite(column: pd.Series[Any]) -> pd.Series[float]:
    """The numbers of a column; null where a record holds none, or one that is not finite."""
    return pd.to_numeric(column, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)


def _objects(values: Sequence[object]) -> NDArray[np.object_]:
    """Values as they are: pandas would make columns of dictionaries."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
