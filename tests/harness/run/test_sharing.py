"""Several drivers of one plan on one store: each trial is trained once, also where a driver is killed or frozen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sql

from coordbench.harness.core import registry
from coordbench.harness.plan import planning
from coordbench.harness.run.sweep import Driver, Result
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store
from tests.harness.run.test_sweep import SWEEP, Quiet
from tests.postgres import BINARIES, Postgres

ROOT = Path(__file__).parents[3]


def _doubled(store: Store) -> list[str]:
    identities = Counter(row.identity for row in store.read(sql.select(schema.records.c.identity)))
    return [identity for identity, count in identities.items() if count > 1]


def test_three_drivers_train_each_trial_once_and_each_has_every_row(toy: Path, tmp_path: Path) -> None:
    registry.load_plugin(toy)
    plan = planning.make_plan(planning.parse_preset({"run": {"seeds": 8}, "sweep": [SWEEP]}, "mine"))
    url = f"sqlite:///{tmp_path / 'results.sqlite'}"

    def drive(_: int) -> Result:
        with Store(url) as store:
            return Driver(store, Quiet(), workers=1, plugins=(str(toy),)).run(plan)

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(drive, range(3)))
    assert [result.statuses for result in results] == [{"ok": 24}] * 3
    assert sum(24 - result.reused for result in results) == 24
    assert all(result.reused < 24 for result in results)
    with Store(url) as store:
        assert len(store.read(sql.select(schema.records.c.id))) == 24
        assert not _doubled(store)


@pytest.mark.slow
def test_a_command_that_is_killed_loses_its_leases(toy: Path, preset: Callable[..., str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    assert _share(url, signal.SIGKILL, toy, preset, tmp_path) == [-signal.SIGKILL, 0, 0]
    _each_once(url, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server is installed")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGSTOP, 0)])
def test_a_command_that_is_killed_or_frozen_loses_its_leases_on_a_server(
    number: signal.Signals, code: int, toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    with Postgres() as server:
        assert _share(server.url, number, toy, preset, tmp_path) == [code, 0, 0]
        _each_once(server.url, tmp_path)


def _share(url: str, number: signal.Signals, toy: Path, preset: Callable[..., str], home: Path) -> list[int]:
    """Run one plan by three commands, strike the first on its way; return their exit codes."""
    command = [sys.executable, "-m", "coordbench", "run", preset(["conv"], seeds=30, steps=20), "--no-report"]
    command += ["--workers", "1", "--store", url, "--plugin", str(toy), "--out"]
    drivers = []
    for i in range(3):
        with (home / f"log{i}").open("w") as log:
            drivers.append(
                subprocess.Popen(
                    [*command, str(home / f"out{i}")], stdout=log, stderr=log, cwd=home, start_new_session=True,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                )
            )  # fmt: skip
    while len(_trained(home, 0)) < 5:
        assert drivers[0].poll() is None, (home / "log0").read_text()
        time.sleep(0.05)
    os.kill(drivers[0].pid, number)
    codes = [driver.wait(400) for driver in drivers[1:]]
    os.kill(drivers[0].pid, signal.SIGCONT)
    return [drivers[0].wait(120), *codes]


def _trained(home: Path, driver: int) -> set[str]:
    """The trials that a driver trained itself."""
    return set(re.findall(r"\] (.*, seed \d+): mse", (home / f"log{driver}").read_text()))


def _each_once(url: str, home: Path) -> None:
    with Store(url) as store:
        assert not _doubled(store)
        assert [row.status for row in store.read(sql.select(schema.records.c.status))] == ["ok"] * 90
    assert _trained(home, 1)
    assert _trained(home, 2)
    assert not _trained(home, 1) & _trained(home, 2)


@pytest.mark.slow
@pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server is installed")
def test_a_command_whose_store_never_comes_back_ends_with_a_code_of_its_own(
    toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    path = Path(preset(["conv"], seeds=100, steps=20))
    path.write_text(path.read_text().replace("[run]", "[run]\nstore_patience_seconds = 5"))
    command = [sys.executable, "-m", "coordbench", "run", str(path), "--no-report", "--plugin", str(toy)]
    with Postgres() as server:
        with (tmp_path / "log0").open("w") as log:
            driver = subprocess.Popen(
                [*command, "--store", server.url, "--out", str(tmp_path / "out")], stdout=log, stderr=log,
                cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        while len(_trained(tmp_path, 0)) < 3:
            assert driver.poll() is None, (tmp_path / "log0").read_text()
            time.sleep(0.05)
        server.stop()
        assert driver.wait(120) == 7
        last = (tmp_path / "log0").read_text().splitlines()[-1]
        assert re.search(r"waited 5 s for it; the next run takes up \d+ finished records from ", last), last
        server.start()
        again = subprocess.run(
            [*command, "--store", server.url, "--out", str(tmp_path / "out"), "--seeds", "5"], cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, capture_output=True,
        )  # fmt: skip
        assert again.returncode == 0
        with Store(server.url) as store:
            assert not _doubled(store)
