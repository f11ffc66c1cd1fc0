"""What a store holds: its runs, and what each noted about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sql

from coordbench.harness.analysis.frames import frame
from coordbench.harness.core.cell import Cell
from coordbench.harness.plan.looks import CellLooks
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store


def run_facts(store: Store, run: str) -> dict[str, Any]:
    """What a run noted about itself: preset, tasks with their metrics, variants with their sources, command, times."""
    row = store.read(sql.select(schema.runs).where(schema.runs.c.id == run))[0]
    return dict(row.facts) | {
        "run": row.id, "command": row.command, "started": row.started, "finished": row.finished, "commit": row.commit,
    }  # fmt: skip


def looks(facts: Mapping[str, Any]) -> dict[Cell, CellLooks]:
    """The looks that a run noted, by cell."""
    listed = [CellLooks.read(plain) for plain in facts.get("looks") or ()]
    return {one.cell: one for one in listed}


def runs(store: Store) -> pd.DataFrame:
    """One row per run of a store, oldest first, with the number of its trials that ended well and otherwise."""
    state = sql.func.coalesce(schema.records.c.status, "skipped")
    counted = (
        sql.select(schema.items.c.run, state.label("status"), sql.func.count().label("count"))
        .select_from(schema.items.outerjoin(schema.records, schema.items.c.record == schema.records.c.id))
        .group_by(schema.items.c.run, state)
    )
    counts = frame(store, counted, ["run", "status", "count"]).pivot_table(
        index="run", columns="status", values="count", fill_value=0, aggfunc="sum"
    )
    columns = ["id", "preset", "started", "finished", "commit", "command"]
    query = sql.select(*(schema.runs.c[name] for name in columns)).order_by(schema.runs.c.number)
    listed = frame(store, query, columns).rename(columns={"id": "run"})
    return listed.merge(counts.reset_index(), on="run", how="left")


def sources(store: Store, run: str) -> dict[str, frozenset[str]]:
    """What the records of a run depend on beside their trials: name of a file, setting or library -> its digests."""
    used = sql.select(schema.records.c.sources).join(schema.items, schema.items.c.record == schema.records.c.id)
    used = used.where(schema.items.c.run == run).distinct()
    digests: dict[str, set[str]] = {}
    for row in store.read(sql.select(schema.sources.c.parts).where(schema.sources.c.id.in_(used))):
        for name, digest in (row.parts or {}).items():
            digests.setdefault(str(name), set()).add(str(digest))
    return {name: frozenset(values) for name, values in digests.items()}
