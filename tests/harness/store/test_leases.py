"""Leases in a real database: taken by one, given back, lost by who is gone or silent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sql

from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import Record
from coordbench.harness.store import leases, schema
from coordbench.harness.store.leases import Leases
from coordbench.harness.store.store import Store
from tests.harness.store.filling import trial

WANTED = [(place, Identity(f"key{place}", {})) for place in range(6)]


@contextmanager
def _driver(url: str) -> Iterator[Leases]:
    """A driver of a run of six items."""
    with Store(url) as store:
        run = store.start_run("shared", "", {}, {})
        store.add_items(run, [(trial(place), known, {}) for place, known in WANTED])
        with Leases(store, run) as held:
            yield held


def _add(held: Leases, place: int, status: str = "ok") -> list[int]:
    return held.add_many([(place, WANTED[place][1], Record("ok" if status == "ok" else "error", "x"))])


def test_each_item_is_leased_by_one_and_its_record_answers_the_other(url: str) -> None:
    with _driver(url) as first, _driver(url) as second:
        assert first.take(WANTED, 2).ours == [0, 1]
        assert first.take(WANTED[:1], 2).ours == [0]  # asked again, since an answer was lost
        share = second.take(WANTED, 3)
        assert (share.ours, share.others) == ([2, 3, 4], [0, 1])
        [number] = _add(first, 0)
        _add(first, 1, "error")
        share = second.take(WANTED[:2], 2)
        assert share.answered == {0: (number, "ok"), 1: (number + 1, "error")}  # it was tried, here and now
        assert first.take(WANTED, 6).ours == [5]


def test_what_an_earlier_run_failed_at_is_done_again(url: str) -> None:
    with _driver(url) as first:
        _add(first, 0, "error")
        _add(first, 1)
    with _driver(url) as second:
        share = second.take(WANTED[:2], 2)
        assert (share.ours, list(share.answered)) == ([0], [1])


def test_who_ends_gives_all_back(url: str) -> None:
    with _driver(url) as second:
        with _driver(url) as first:
            first.take(WANTED, 6)
            assert second.take(WANTED, 6).ours == []
        assert second.take(WANTED, 6).ours == [0, 1, 2, 3, 4, 5]


KILLED = """
import os, signal, sys
from tests.harness.store.test_leases import WANTED, _driver
with _driver(sys.argv[1]) as held:
    assert len(held.take(WANTED, 6).ours) == 6
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_driver_of_this_machine_loses_its_leases_at_once(url: str) -> None:
    with _driver(url) as second:
        subprocess.run([sys.executable, "-c", KILLED, url], check=False)
        assert second.take(WANTED, 6).ours == [0, 1, 2, 3, 4, 5]


def test_a_silent_driver_loses_its_leases_and_its_late_record_is_not_stored_twice(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(leases, "monotonic", lambda: now[0])
    with _driver(url) as first, _driver(url) as second:
        assert first.take(WANTED[:2], 2).ours == [0, 1]
        for _ in range(3):
            assert second.take(WANTED[:2], 2).others == [0, 1]
            now[0] += 25
        assert second.take(WANTED[:2], 2).ours == [0, 1]
        [number] = _add(second, 0)
        assert _add(first, 0) == [number]
        assert len(second.store.read(sql.select(schema.records.c.id))) == 1


def test_a_driver_is_not_silent_while_the_store_is_away_or_it_counts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(leases, "monotonic", lambda: now[0])
    with _driver(url) as first, _driver(url) as second:
        first.take(WANTED[:2], 2)
        for _ in range(3):
            assert second.take(WANTED[:2], 2).others == [0, 1]
            now[0] += 1000  # we could not look
        for _ in range(5):
            assert second.take(WANTED[:2], 2).others == [0, 1]
            first.count()
            now[0] += 25


def test_a_driver_that_was_taken_for_dead_signs_up_again(url: str) -> None:
    with _driver(url) as first, _driver(url) as second:
        first.take(WANTED[:1], 1)
        with second.store.writing() as connection:
            leases._sign_off(connection, [first.name])
        first.count()
        assert first.take(WANTED[:1], 1).ours == [0]
        assert second.take(WANTED[:1], 1).others == [0]
