"""What was changed by hand in a store is marked; what is damaged is told in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sql

from coordbench.harness.analysis.tables import tables
from coordbench.harness.cli import main as cli
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.record import CostRecord
from coordbench.harness.core.trial import CostJob
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store, StoreError
from tests.harness.store.filling import fill, identity, record, trial

Change = Callable[[], sql.UpdateBase]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of three trials and one measurement of costs."""
    opened = Store(f"sqlite:///{tmp_path / 'results.sqlite'}")
    odd = record(float("nan"), peak_memory_bytes=2**40, notes={"a": [1, None, 0.1]}, seconds=2, converged=True)
    run = fill(opened, [(trial(0), record(1.0)), (trial(1), odd), (trial(2), record(0.5, status="diverged"))])
    job = CostJob(Cell.of("toy", "net", "conv"))
    cost = CostRecord("ok", parameters=7, flops=2**40, latencies={"forward": [0.1]}, details={"b": 1})
    [place] = opened.add_items(run, [(job, identity(job), {})])
    opened.add(run, place, identity(job), cost)
    return opened


def _change(store: Store, *statements: sql.UpdateBase) -> None:
    with store.engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def test_nothing_is_marked_that_nobody_touched(store: Store) -> None:
    read = tables(store, store.resolve_run(None))
    assert read.trials["altered"].tolist() == [False] * 3
    assert read.costs["altered"].tolist() == [False]


RECORDS, SCORES = schema.records.update(), schema.scores.update()
SERIES, SAMPLES = schema.series.update(), schema.samples.update()


@pytest.mark.parametrize(
    "change",
    [
        SCORES.where(schema.scores.c.record == 1).values(value=1.0000001),
        SCORES.where(schema.scores.c.record == 1).values(split="validation"),
        schema.scores.delete().where(schema.scores.c.record == 1),
        RECORDS.where(schema.records.c.id == 1).values(status="crashed"),
        RECORDS.where(schema.records.c.id == 1).values(seconds=0.1),
        RECORDS.where(schema.records.c.id == 1).values(facts={"notes": 1}),
        RECORDS.where(schema.records.c.id == 1).values(checksum=None),
        SERIES.where(schema.series.c.record == 1).values(values=np.ones(3).tobytes()),
        SAMPLES.where(schema.samples.c.record == 1).values(data=np.ones(6, np.float32).tobytes()),
    ],
)
def test_what_was_changed_by_hand_is_marked_and_nothing_else(store: Store, change: sql.UpdateBase) -> None:
    _change(store, change)
    assert tables(store, store.resolve_run(None)).trials["altered"].tolist() == [True, False, False]


def test_changed_costs_are_marked_and_export_shows_it(store: Store, tmp_path: Path) -> None:
    _change(store, RECORDS.where(schema.records.c.id == 4).values(parameters=6))
    read = tables(store, store.resolve_run(None))
    assert (read.costs["altered"].tolist(), read.trials["altered"].any()) == ([True], False)
    _change(store, SCORES.where(schema.scores.c.record == 3).values(value=0.0))
    assert cli.run(["export", "--format", "csv", "--out", str(tmp_path)]) == ExitCode.OK
    lines = next(tmp_path.rglob("trials.csv")).read_text().splitlines()
    assert lines[0].endswith(",altered")
    assert [line.rpartition(",")[2] for line in lines[1:]] == ["False", "False", "True"]


@pytest.mark.parametrize("column", ["job", "facts"])
def test_damaged_json_is_told_in_one_line(
    store: Store, tmp_path: Path, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _change(store, sql.text(f"UPDATE items SET {column} = '{{\"task\": ' WHERE position = 1"))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="is damaged: a row is no longer what was stored"):
        tables(store, store.resolve_run(None))
    for command in ("export", "report"):
        assert cli.run([command, "--out", str(tmp_path)]) == ExitCode.USAGE
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_damaged_curve_is_told_in_one_line(store: Store) -> None:
    _change(store, SERIES.where(schema.series.c.record == 1).values(values=b"123"))
    with pytest.raises(StoreError, match="is damaged"):
        tables(store, store.resolve_run(None))


def test_the_page_says_first_what_was_altered(store: Store, tmp_path: Path) -> None:
    assert cli.run(["report", "--out", str(tmp_path)]) == ExitCode.OK
    (page,) = (path for path in tmp_path.glob("*.html") if path.name != "index.html")
    assert "Altered" not in page.read_text()
    _change(store, SCORES.where(schema.scores.c.record == 1).values(value=9.0))
    assert cli.run(["report", "--out", str(tmp_path)]) == ExitCode.OK
    assert "Altered after it was stored, do not trust: 1 trial (conv, seed 0)." in page.read_text()
