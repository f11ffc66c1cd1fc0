"""Whatever is stored, the page and the files are written: any column of any record may be null, infinite or empty."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from coordbench.harness.store import schema
from coordbench.harness.store.store import Store
from coordbench.reports.data.run import load
from coordbench.reports.files.exports import export_report
from coordbench.reports.files.terminal import grid
from coordbench.reports.pages.page import write_report
from tests.reports.pages.test_page import read

TABLES = (schema.records, schema.scores, schema.series, schema.samples)
STRUCTURE = {"id", "record", "kind", "environment", "sources", "key", "identity", "created"}
"""What makes a row a row: without these nothing would be found at all. A sample's `kind` is fuzzed apart."""
COLUMNS = [(table, name) for table in TABLES for name in table.c.keys() if name not in STRUCTURE]  # noqa: SIM118
COLUMNS.append((schema.samples, "kind"))


def _nothing(column: sql.Column[Any]) -> list[object]:
    """What a column of its type may hold instead of a value."""
    kinds: dict[type, list[object]] = {
        sql.Float: [None, float("inf"), float("-inf")], sql.String: [None, ""], sql.LargeBinary: [None, b""],
        sql.JSON: [None, "null", "{}"],
    }  # fmt: skip
    return next((values for kind, values in kinds.items() if isinstance(column.type, kind)), [None])


PART = (None, float("nan"), float("inf"), "", [], {})


def _spoil(store: Store, table: sql.Table, name: str, values: list[object], share: random.Random | None) -> None:
    """Put a value into a column of all rows, or of a random third of them."""
    path = str(store.url).removeprefix("sqlite:///")
    engine = sql.create_engine(f"sqlite:///{path}")
    raw = sql.table(table.name, sql.column("rowid"), sql.column(name))
    with engine.begin() as connection:
        for (row,) in connection.execute(sql.select(raw.c.rowid)).fetchall():
            if share is None or share.random() < 0.33:
                value = values[row % len(values)]
                connection.execute(raw.update().where(raw.c.rowid == row).values({name: value}))
    engine.dispose()


def _whole(store: Store, run: str, out: Path) -> None:
    """Page and files are there, and the page is well formed."""
    text = " ".join(read(write_report(store, run, out)).text)
    assert "All trials" in text
    assert "nan" not in text.lower().split()
    assert len(export_report(store, run, out / "files")) > 30
    assert isinstance(grid(load(run, store=store)), str)


@pytest.mark.parametrize(("table", "name"), COLUMNS, ids=lambda value: getattr(value, "name", value))
def test_any_column_may_hold_nothing(store: Store, fill: Any, tmp_path: Path, table: sql.Table, name: str) -> None:
    run = fill(["conv", "coordconv"], 2, ["alpha[canvas=8]"])
    _spoil(store, table, name, _nothing(table.c[name]), None)
    page = read(write_report(store, run, tmp_path))
    assert "All trials" in " ".join(page.text)


@pytest.mark.parametrize("seed", range(4))
def test_many_columns_may_hold_nothing_at_once(store: Store, fill: Any, tmp_path: Path, seed: int) -> None:
    run = fill(["conv", "coordconv", "geoconv"], 3)
    chance = random.Random(seed)
    for table, name in chance.sample(COLUMNS, len(COLUMNS) // 3):
        _spoil(store, table, name, _nothing(table.c[name]), chance)
    _whole(store, run, tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_any_part_of_what_a_measurement_says_may_be_missing(store: Store, fill: Any, tmp_path: Path, seed: int) -> None:
    """Costs keep details such as ratios, probes and reasons; a layer that gives NaN leaves holes in them."""
    run = fill(["conv", "coordconv", "geoconv"], 2, ["alpha[canvas=8]"])
    chance = random.Random(seed)
    path = str(store.url).removeprefix("sqlite:///")
    engine = sql.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        rows = connection.execute(sql.text("SELECT id, facts FROM records WHERE kind = 'cost'")).fetchall()
        for number, facts in rows:
            holed = json.dumps(_holed(json.loads(facts), chance))
            connection.execute(
                sql.text("UPDATE records SET facts = :facts WHERE id = :id"), {"facts": holed, "id": number}
            )
    engine.dispose()
    _whole(store, run, tmp_path)


def _holed(value: object, chance: random.Random) -> object:
    """The value with some of its parts replaced by nothing."""
    if chance.random() < 0.15:
        return chance.choice(PART)
    if isinstance(value, dict):
        return {name: _holed(part, chance) for name, part in value.items()}
    if isinstance(value, list):
        return [_holed(part, chance) for part in value]
    return value
