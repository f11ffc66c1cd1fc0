"""Stores that are really away: locked, restarted, full; no record is lost, none is stored twice."""

from __future__ import annotations

import os
import pickle
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from coordbench.harness.core import registry
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.problem import Sample
from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.core.scores import At, Fate, State
from coordbench.harness.plan import planning
from coordbench.harness.run import patience
from coordbench.harness.run.patience import StoreLostError
from coordbench.harness.run.recorder import Result
from coordbench.harness.run.sweep import Driver
from coordbench.harness.store import engine, schema
from coordbench.harness.store.store import Store, StoreError
from tests.postgres import BINARIES, Postgres

SWEEP: dict[str, Any] = {
    "tasks": ["toy"], "backbones": ["toy_net"], "variants": ["conv"], "steps": 5, "evaluations": 1, "costs": False,
}  # fmt: skip


class Listener:
    """Does something when the first record is stored."""

    def __init__(self, first: Callable[[], object] = lambda: None) -> None:
        self.first: Callable[[], object] = first
        self.lines: list[str] = []

    def begin(self, jobs: int) -> None:
        """Nothing."""

    def expect(self, stage: str, pending: int, reused: int) -> None:
        """Nothing."""

    def shared(self, job: object, status: str) -> None:
        """Nothing."""

    def done(self, job: object, record: object) -> None:
        """The first record is there."""
        self.first()
        self.first = lambda: None


def _run(store: Store, toy: Path, out: Path, listener: Listener, seconds: float, seeds: int = 6) -> Result:
    registry.load_plugin(toy)
    plan = planning.make_plan(planning.parse_preset({"run": {"seeds": seeds}, "sweep": [SWEEP]}, "mine"))
    driver = Driver(store, listener, plugins=(str(toy),), patience_seconds=seconds, unstored=out / patience.FILE)
    return replace(driver, say=listener.lines.append).run(plan)


def _identities(store: Store) -> list[str]:
    return [row.identity for row in store.read(sql.select(schema.records.c.identity))]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(patience, "_LONGEST_PAUSE", 0.5)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server that runs as each test begins."""
    with Postgres() as running:
        yield running


def _lock(path: Path, seconds: float, released: threading.Event | None = None) -> threading.Thread:
    """Hold SQLite's lock for writing for a while, or until it is released."""
    held = threading.Event()

    def hold() -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        held.set()
        (released or threading.Event()).wait(seconds)
        connection.rollback()
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    return thread


def test_a_store_that_is_locked_for_longer_than_it_waits_ends_no_run(toy: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with Store(f"sqlite:///{path}") as store:
        listener = Listener(lambda: _lock(path, 4))
        result = _run(store, toy, tmp_path, listener, 120)
        assert result.statuses == {"ok": 18}
        assert len(_identities(store)) == len(set(_identities(store))) == 18
    assert any("locked; training goes on, the store is tried again" in line for line in listener.lines)
    assert not (tmp_path / patience.FILE).exists()


def test_a_run_that_waited_in_vain_leaves_its_records_to_the_next(toy: Path, tmp_path: Path) -> None:
    path, locks, given_up = tmp_path / "results.sqlite", list[threading.Thread](), threading.Event()
    with Store(f"sqlite:///{path}") as store:
        with pytest.raises(StoreLostError, match=r"locked.*; waited 2 s for it; the next run takes up \d+ finished"):
            _run(store, toy, tmp_path, Listener(lambda: locks.append(_lock(path, 120, given_up))), 2)
        waiting = len(patience._read(tmp_path / patience.FILE))
        assert waiting >= 1
        given_up.set()
        locks[0].join()
        stored = len(_identities(store))
        result = _run(store, toy, tmp_path, Listener(), 2)
        assert (result.statuses, result.reused) == ({"ok": 18}, stored)
        assert len(_identities(store)) == len(set(_identities(store))) == 18
    assert not (tmp_path / patience.FILE).exists()


def test_a_lost_store_has_an_exit_code_of_its_own() -> None:
    assert StoreLostError("x").code == ExitCode.STORE_LOST == 7


@pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server is installed")
def test_a_server_that_is_restarted_costs_no_record(server: Postgres, toy: Path, tmp_path: Path) -> None:
    with Store(server.url) as store:

        def restart() -> None:
            server.stop()
            threading.Timer(2, server.start).start()

        listener = Listener(restart)
        assert _run(store, toy, tmp_path, listener, 120).statuses == {"ok": 18}
        assert len(_identities(store)) == len(set(_identities(store))) == 18
    assert listener.lines


@pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server is installed")
def test_a_server_that_is_away_as_a_run_begins_is_waited_for_and_said_once(
    server: Postgres, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    server.stop()
    with pytest.raises(StoreLostError, match="waited 1 s for it"):
        patience.open_patiently(server.url, tmp_path, 1)
    start = threading.Timer(1, server.start)
    start.start()
    with patience.open_patiently(server.url, tmp_path, 120):
        start.join()
    first, second = capsys.readouterr().out.splitlines()
    assert "; nothing runs yet, the store is tried again for 1 s" in first
    assert "; nothing runs yet, the store is tried again for 120 s" in second


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/x.sqlite", "postgresql+psycopg://user@nowhere.invalid/x"])
def test_a_name_that_leads_nowhere_is_told_at_once(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as error:
        patience.open_patiently(url, tmp_path, 120)
    assert not isinstance(error.value, StoreLostError)


def test_records_come_back_from_their_file_as_they_were_and_code_does_not(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / patience.FILE
    record = Record(
        "ok", scores={"test": {At("mse", "m", 8): float("nan")}}, curves=[CurvePoint(1, 0.5, "train/loss", 2.0)],
        samples=[Sample("g", "r", "line", np.arange(4.0))], fate=Fate(State.CENSORED, 1.0),
        notes={"a": np.float64(1)},
    )  # fmt: skip
    identities = [Identity("a", {"x": "1"}), Identity("b", {})]
    for identity in identities:
        patience.put_aside(path, [(identity, record)])
    again = patience.take_up(path, identities[:1])
    assert list(again) == [identities[0].digest]
    other = again[identities[0].digest]
    assert isinstance(other, Record)
    assert repr(other) == repr(record)
    assert [name.level for name in other.scores["test"] if isinstance(name, At)] == [8.0]
    patience.forget(path, identities[:1])
    assert list(patience.take_up(path, identities)) == [identities[1].digest]
    path.write_bytes(pickle.dumps([os.getcwd]))
    with pytest.raises(Exception, match="getcwd is no part of a record"):
        patience.take_up(path, identities)
