"""A real scheduler and real workers, as processes of this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.store.store import Store

pytest.importorskip("distributed", reason="the extra coordbench[cluster] is not installed")
ROOT = Path(__file__).parents[3]
Start = Callable[..., subprocess.Popen[str]]

SLOW = """
import time
from torch import nn
from coordbench.harness.core.registry import variant

@variant("slow_conv", source="none")
class Slow(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True, pause: float = 0.3):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)
        self.pause = pause
    def forward(self, x):
        time.sleep(self.pause)
        return super().forward(x)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start processes that end with the test."""
    running: list[subprocess.Popen[str]] = []

    def begin(*command: str, path: Path = ROOT) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(path), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
        with (tmp_path / f"log{len(running)}").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=tmp_path, stdout=log, stderr=log, text=True, env=environment,
                start_new_session=True,
            )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        for end in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, end)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    continue


@pytest.fixture
def scheduler(start: Start, tmp_path: Path) -> tuple[str, subprocess.Popen[str]]:
    """A scheduler on a free port of the loopback: its address and its process."""
    process = _scheduler(start, "0")
    address = _wait(lambda: re.search(r"tcp://127\.0\.0\.1:\d+", (tmp_path / "log0").read_text()))
    return address[0], process


def _scheduler(start: Start, port: str) -> subprocess.Popen[str]:
    return start("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")


def _wait(condition: Callable[[], object], seconds: float = 90) -> object:
    until = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)
    return answer


def _worker(start: Start, address: str) -> subprocess.Popen[str]:
    return start("-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")


def _run(start: Start, address: str, preset: str, toy: Path, out: Path) -> subprocess.Popen[str]:
    slow = toy.with_name("slow_layer.py")
    slow.write_text(SLOW)
    plugins = ("--plugin", str(toy), str(slow))
    return start("-m", "coordbench", "run", preset, "--out", str(out), "--cluster", address, *plugins)


def _statuses(out: Path) -> list[str]:
    with Store(f"sqlite:///{out / 'results.sqlite'}") as store:
        return list(read_tables(store, store.resolve_run(None)).trials["status"])


def _done(out: Path) -> int:
    return _statuses(out).count("ok") if (out / "results.sqlite").exists() and _has_run(out) else 0


def _has_run(out: Path) -> bool:
    with Store(f"sqlite:///{out / 'results.sqlite'}") as store:
        return store.latest_run() is not None


@pytest.mark.slow
def test_a_worker_dies_another_joins_late_and_every_trial_has_its_row(
    start: Start, scheduler: tuple[str, subprocess.Popen[str]], toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    address, out = scheduler[0], tmp_path / "out"
    first = _worker(start, address)
    driver = _run(start, address, preset(["slow_conv"], seeds=6, steps=3), toy, out)
    _wait(lambda: _done(out) >= 4)  # its references and the first trial
    _worker(start, address)
    os.killpg(first.pid, signal.SIGKILL)
    assert driver.wait(120) == 0, (tmp_path / "log2").read_text()
    assert _statuses(out) == ["ok"] * 18


@pytest.mark.slow
def test_a_lost_scheduler_is_told_and_the_run_goes_on_elsewhere(
    start: Start, scheduler: tuple[str, subprocess.Popen[str]], toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    (address, process), out = scheduler, tmp_path / "out"
    _worker(start, address)
    small = preset(["slow_conv"], seeds=4, steps=3)
    Path(small).write_text(Path(small).read_text().replace("[run]", "[run]\nscheduler_patience_seconds = 2"))
    driver = _run(start, address, small, toy, out)
    _wait(lambda: _done(out) >= 4)
    os.killpg(process.pid, signal.SIGKILL)
    assert driver.wait(90) == 2
    log = (tmp_path / "log2").read_text()
    assert f"the cluster was lost: scheduler {address} was away for more than 2 s; finished records are kept" in log
    assert "Traceback" not in log
    again = _run(start, "local:1", small, toy, out)
    assert again.wait(120) == 0, (tmp_path / "log3").read_text()
    assert _statuses(out) == ["ok"] * 12
    assert int(re.findall(r"\((\d+) reused\)", (tmp_path / "log3").read_text())[0]) >= 4


@pytest.mark.slow
def test_a_scheduler_that_comes_back_ends_no_run(
    start: Start, scheduler: tuple[str, subprocess.Popen[str]], toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    """It is killed with all that it knew of jobs; its worker ends with it, and another one joins."""
    (address, process), out = scheduler, tmp_path / "out"
    worker = _worker(start, address)
    driver = _run(start, address, preset(["slow_conv"], seeds=4, steps=3), toy, out)
    _wait(lambda: _done(out) >= 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    worker.wait(60)
    _scheduler(start, address.rpartition(":")[2])
    _worker(start, address)
    assert driver.wait(120) == 0, (tmp_path / "log2").read_text()
    log = (tmp_path / "log2").read_text()
    assert log.count(f"scheduler {address} is gone; it is waited for") == 1
    assert log.count(f"scheduler {address} is back") == 1
    assert "Traceback" not in log
    assert _statuses(out) == ["ok"] * 12


def test_a_worker_of_other_code_gets_no_work_and_both_are_named(
    start: Start, scheduler: tuple[str, subprocess.Popen[str]], toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    address, out = scheduler[0], tmp_path / "out"
    other = tmp_path / "other"
    for folder in ("coordbench", "harness", "variants", "tasks", "reports"):
        shutil.copytree(ROOT / folder, other / folder, symlinks=True)
    train = other / "harness" / "training" / "train.py"
    train.write_text(train.read_text().replace("POINTS = 100", "POINTS = 101"))
    command = ("-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")
    start(*command, path=other)
    driver = _run(start, address, preset(["slow_conv"], seeds=2, steps=3), toy, out)
    assert driver.wait(120) == 2
    log = (tmp_path / "log2").read_text()
    assert re.search(
        r"worker tcp://\S+ has other code than the driver: code (\w{12}) .* there, code (?!\1)\w{12} ", log
    )
    assert _statuses(out).count("ok") == 0


@pytest.mark.slow
def test_a_worker_with_another_torch_gets_no_work(
    start: Start, scheduler: tuple[str, subprocess.Popen[str]], toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    """Its package says another version of itself, as an upgrade on one machine alone would."""
    address, out = scheduler[0], tmp_path / "out"
    other = tmp_path / "upgraded" / "torch-9.9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n")
    command = ("-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")
    start(*command, path=Path(f"{other.parent}{os.pathsep}{ROOT}"))
    driver = _run(start, address, preset(["slow_conv"], seeds=2, steps=3), toy, out)
    assert driver.wait(120) == 2
    log = (tmp_path / "log2").read_text()
    assert re.search(r"worker tcp://\S+ has other libraries than the driver: .* libraries (\w{12}) there, .*", log)
    assert "Traceback" not in log
    assert _statuses(out).count("ok") == 0


KILLER = """
import os
import time
from torch import nn
from coordbench.harness.core.registry import variant

@variant("killer_conv", source="none")
class Killer(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)
    def forward(self, x):
        os.kill(os.getppid(), 9)
        time.sleep(600)
"""


@pytest.mark.slow
def test_the_fork_server_of_a_worker_is_killed_and_only_the_culprit_is_crashed(
    start: Start, scheduler: tuple[str, subprocess.Popen[str]], toy: Path, preset: Callable[..., str], tmp_path: Path
) -> None:
    address, out = scheduler[0], tmp_path / "out"
    killer = toy.with_name("killer_layer.py")
    killer.write_text(KILLER + SLOW)
    start("-m", "distributed.cli.dask_worker", address, "--nthreads", "2", "--no-dashboard")
    path = preset(["slow_conv", "killer_conv"], seeds=3, steps=3)
    options = ("--out", str(out), "--cluster", address, "--plugin", str(toy), str(killer))
    driver = start("-m", "coordbench", "run", path, *options)
    assert driver.wait(240) == 5, (tmp_path / "log2").read_text()
    with Store(f"sqlite:///{out / 'results.sqlite'}") as store:
        trials = read_tables(store, store.resolve_run(None)).trials
    killed = trials["variant"] == "killer_conv"
    assert trials.loc[killed, "status"].tolist() == ["crashed"] * 3
    assert trials.loc[~killed, "status"].tolist() == ["ok"] * 9


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("local:0", "write local:N with N of at least 1"),
        ("tcp://127.0.0.1:9", "no scheduler answers at 'tcp://127.0.0.1:9'"),
    ],
)
def test_a_wrong_address_is_told_in_one_line(address: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from coordbench.harness.core.errors import UsageError
    from coordbench.harness.run import scheduler
    from coordbench.harness.run.cluster import connect

    monkeypatch.setattr(scheduler, "TIMEOUT", 2.0)
    with pytest.raises(UsageError, match=message), connect(address, 1.0, print):
        pass
