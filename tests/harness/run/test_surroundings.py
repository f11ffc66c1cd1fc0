"""A run whose surroundings are odd: all of it is stopped for a while, clocks jump, nothing can be written beside it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sql

from coordbench.harness.store import schema
from coordbench.harness.store.store import Store
from tests.postgres import BINARIES, Postgres

ROOT = Path(__file__).parents[3]
PATIENT = """
import time
from torch import nn
from coordbench.harness.core.registry import variant

@variant("patient_conv", source="none")
class Patient(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)
    def forward(self, x):
        time.sleep(0.1)
        return super().forward(x)
"""
CLOCK = """
import os, time
_real = time.time
_calls = [0]


def _jumping():
    _calls[0] += 1
    return _real() + (-3e8, 3e8, 0.0)[_calls[0] % 3]


time.time = _jumping
"""


def _statuses(out: Path) -> Counter[str]:
    """How many trials ended how; no identity has two records."""
    with Store(f"sqlite:///{out / 'results.sqlite'}") as store:
        rows = store.read(sql.select(schema.records.c.identity, schema.records.c.status))
    assert len({row.identity for row in rows}) == len(rows)
    return Counter(row.status for row in rows)


def _begin(command: list[str], home: Path, **variables: str) -> subprocess.Popen[bytes]:
    with (home / "log").open("w") as log:
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
        return subprocess.Popen(
            [sys.executable, "-m", "coordbench", *command], stdout=log, stderr=log, cwd=home, env=environment,
            start_new_session=True,
        )  # fmt: skip


def _family(pid: int) -> list[int]:
    """A process and all below it, it first."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")  # a thread may have started it
    children = [child for thread in threads for child in thread.read_text().split()]
    return [pid, *(below for child in children for below in _family(int(child)))]


@pytest.mark.slow
@pytest.mark.parametrize("everything", [False, True])
def test_a_run_that_was_stopped_for_longer_than_a_deadline_goes_on_as_if_nothing_was(
    everything: bool, toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    layer = toy.with_name("patient.py")
    layer.write_text(PATIENT)
    path = preset(["patient_conv"], seeds=8, steps=25, deadline=12)
    driver = _begin(
        ["run", path, "--no-report", "--workers", "2", "--plugin", str(toy), str(layer), "--out", "out"], tmp_path
    )
    while not re.search(r"patient_conv.*seed \d", (tmp_path / "log").read_text()):
        assert driver.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.05)
    time.sleep(1)  # trials are under way
    stopped = _family(driver.pid) if everything else [driver.pid]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(14)  # longer than a deadline
    for pid in reversed(stopped):
        os.kill(pid, signal.SIGCONT)
    assert driver.wait(300) == 0, (tmp_path / "log").read_text()
    assert _statuses(tmp_path / "out") == {"ok": 8 + 16}


@pytest.mark.slow
def test_clocks_that_jump_by_ten_years_change_nothing(toy: Path, preset: Callable[..., str], tmp_path: Path) -> None:
    """In the driver, its fork server and every trial: deadlines, leases and pauses are counted by another clock."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    command = ["run", preset(["conv"], seeds=8, steps=20), "--plugin", str(toy), "--out", "out"]
    driver = _begin(command, tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert driver.wait(300) == 0, (tmp_path / "log").read_text()
    assert _statuses(tmp_path / "out") == {"ok": 24}
    with Store(f"sqlite:///{tmp_path / 'out' / 'results.sqlite'}") as store:
        seconds = [row.seconds for row in store.read(sql.select(schema.records.c.seconds))]
    assert all(0 <= value < 1e6 for value in seconds)


@pytest.mark.slow
@pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server is installed")
def test_clocks_that_jump_take_no_lease_from_a_driver_that_lives(
    toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    """Two drivers of one plan whose clocks jump by ten years at each call share it on a server: none trains twice."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    patient = toy.with_name("patient_layer.py")
    patient.write_text(PATIENT)
    small = preset(["patient_conv"], seeds=10, steps=20)
    homes = [tmp_path / name for name in ("first", "second")]
    with Postgres() as server:
        drivers = []
        for home in homes:
            home.mkdir()
            command = ["run", small, "--plugin", str(toy), str(patient), "--store", server.url, "--no-report"]
            drivers.append(_begin(command, home, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)])))
        codes = [driver.wait(300) for driver in drivers]
        assert codes == [0, 0], [(home / "log").read_text() for home in homes]
        with Store(server.url) as store:
            rows = store.read(sql.select(schema.records.c.identity, schema.records.c.status))
    trained = [len(re.findall(r": mse \S+ after", (home / "log").read_text())) for home in homes]
    assert len({row.identity for row in rows}) == len(rows) == sum(trained) == 30
    assert {row.status for row in rows} == {"ok"}
    assert min(trained) > 0


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run as another user")
def test_an_installation_that_cannot_be_written_runs(toy: Path, preset: Callable[..., str], tmp_path: Path) -> None:
    """As another user, who may write into one folder alone; Python may not store its bytecode, either."""
    package = tmp_path / "installed" / "coordbench"
    shutil.copytree(ROOT / "coordbench", package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.is_relative_to(tmp_path.parents[2]):
            folder.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    path = Path(preset(["conv"], seeds=2))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(package.parent), "HOME": "/nonexistent", "TMPDIR": str(home)}
    done = subprocess.run(
        ["runuser", "-u", "nobody", "--", sys.executable, "-m", "coordbench", "run", str(path), "--plugin", str(toy),
         "--out", str(home / "out")],
        cwd=home, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert _statuses(home / "out") == {"ok": 2 + 4}
    assert (home / "out" / "index.html").is_file()
    assert not list(package.rglob("__pycache__"))
