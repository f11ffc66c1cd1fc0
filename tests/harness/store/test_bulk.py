"""Going around SQLAlchemy stores the same rows as going through it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sql

from coordbench.harness.core.record import CostRecord, Record
from coordbench.harness.store import bulk
from coordbench.harness.store.bulk import without_collection
from coordbench.harness.store.schema import metadata
from coordbench.harness.store.store import Store
from tests.harness.store.filling import fill, identity, record, trial

Rows = dict[str, list[str]]


def _contents(store: Store) -> Rows:
    """All rows but for times and the names of runs, which differ from one to the next."""
    skipped = {"created", "started", "finished", "run"}
    tables = [table for table in metadata.sorted_tables if table.name != "runs"]
    columns = {table.name: [c for c in table.c if c.name not in skipped] for table in tables}
    return {name: [repr(tuple(row)) for row in store.read(sql.select(*listed))] for name, listed in columns.items()}


def test_stored_rows_are_equal_with_and_without_it(new_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    odd = record(float("nan"), notes={"a": [1, None, "\u2603"]}, error="x\0", converged=True, peak_memory_bytes=2**40)
    contents = []
    for switch in ("0", "1"):
        monkeypatch.setenv(bulk.SWITCH, switch)
        with Store(new_url()) as store:
            run = fill(store, [(trial(0), record(0.1)), (trial(1), odd), (trial(2), Record("crashed", "killed"))])
            cost = CostRecord("ok", flops=7, latencies={"forward": [0.1]}, details={"b": {"c": 1.5}})
            [place] = store.add_items(run, [(trial(3), identity(trial(3)), {"tuning": {"rate": 0.1}})])
            store.add(run, place, identity(trial(3)), cost)
            contents.append(_contents(store))
    assert contents[0] == contents[1]
    assert len(contents[0]["records"]) == 4
    assert len(contents[0]["series"]) == 3


def test_the_switch_goes_through_sqlalchemy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: dict[str, list[str]] = {}
    for switch in ("0", "1"):
        monkeypatch.setenv(bulk.SWITCH, switch)
        with Store(f"sqlite:///{tmp_path / switch}") as store:
            calls = statements.setdefault(switch, [])
            sql.event.listen(
                store.engine, "before_execute", lambda _, clause, *__, calls=calls: calls.append(str(clause))
            )
            fill(store, [(trial(0), record(0.1))])
    inserts = {switch: [call for call in calls if "INTO records" in call] for switch, calls in statements.items()}
    assert (len(inserts["0"]), len(inserts["1"])) == (0, 1)


@pytest.mark.parametrize("running", [True, False])
def test_garbage_is_looked_for_again_after_a_failure_as_before(running: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if running else gc.disable)()
        with contextlib.suppress(ValueError), without_collection():
            assert not gc.isenabled()
            raise ValueError
        assert gc.isenabled() == running
    finally:
        (gc.enable if before else gc.disable)()
