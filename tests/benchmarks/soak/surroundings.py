"""What a run under fire is made of beside its driver, what of it can be struck, and how it is brought back."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.benchmarks.soak.short_trials import MARK
from tests.postgres import BINARIES, Postgres

ROOT = Path(__file__).parents[3]
WORKERS = 2


def start(home: Path, log: str, *command: str) -> subprocess.Popen[bytes]:
    """Start a process of the run; it leads a session of its own and prints into a file of this name."""
    variables = os.environ | {"PYTHONPATH": str(ROOT), MARK: str(home)}
    with (home / log).open("a") as file:
        return subprocess.Popen(
            [sys.executable, *command], cwd=home, stdout=file, stderr=file, env=variables, start_new_session=True
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, whatever state it is in."""
    process.kill()
    process.wait()


class Surroundings:
    """A store, on a PostgreSQL server where one is installed; trials run below the driver."""

    shares: Mapping[str, float] = {
        "trial": 0.74, "freeze": 0.05, "server": 0.1, "driver": 0.06, "store": 0.05,
    }  # fmt: skip
    """How often a shot is aimed at each kind of process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._stack = ExitStack()
        self._store = self._stack.enter_context(Postgres()) if BINARIES else None
        self.url = self._store.url if self._store else f"sqlite:///{home / 'soak.sqlite'}"
        self.options = ["--store", self.url]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def mend(self) -> None:
        """Start again what was struck and is no driver."""

    def roles(self, driver: int) -> dict[int, str]:
        """The processes of the run and what they are: below who trains stands a fork server, below that the trials."""
        roots = self._roots(driver)
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
        for kind in ("server", "trial"):
            roots |= {pid: kind for pid, parent in parents if parent in roots and pid not in roots}
        return roots

    def restart_store(self) -> str:
        """Restart the store's server, away for a second; say what was struck."""
        if self._store is None:
            return "nobody"
        self._store.stop()
        time.sleep(1)
        self._store.start()
        return "store"

    def _roots(self, driver: int) -> dict[int, str]:
        return {driver: "driver"}


class Cluster(Surroundings):
    """The same with a Dask scheduler and its workers, below which trials run; all of them are started again."""

    shares: Mapping[str, float] = {
        "trial": 0.3, "freeze": 0.05, "server": 0.15, "worker": 0.25, "scheduler": 0.15, "driver": 0.05, "store": 0.05,
    }  # fmt: skip

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.options += ["--cluster", f"tcp://127.0.0.1:{self._port}"]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stack.callback(self._end)
        self.mend()

    def mend(self) -> None:
        """Start the scheduler and each worker that has ended; a worker ends with its scheduler, too."""
        where = ("--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard")
        self._keep("scheduler", "-m", "distributed.cli.dask_scheduler", *where)
        for number in range(WORKERS):
            options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.home / "dask"))
            self._keep(
                f"worker{number}", "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{self._port}", *options
            )

    def _keep(self, name: str, *command: str) -> None:
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            self._processes[name] = start(self.home, name, *command)

    def _roots(self, driver: int) -> dict[int, str]:
        named = {process.pid: name.rstrip("0123456789") for name, process in self._processes.items()}
        return {driver: "driver"} | {pid: name for pid, name in named.items() if name == "worker"}

    def roles(self, driver: int) -> dict[int, str]:
        """Those of workers, their fork servers and trials, and the scheduler."""
        return super().roles(driver) | {self._processes["scheduler"].pid: "scheduler"}

    def _end(self) -> None:
        for process in self._processes.values():
            end(process)


def left_behind(home: Path) -> list[int]:
    """Processes that the run started and that are still there after a moment."""
    return _wait_for_none(lambda: list(_marked(home)))


def _wait_for_none(listed: Callable[[], list[int]]) -> list[int]:
    for _ in range(50):
        if not listed():
            return []
        time.sleep(0.1)
    return listed()


def _marked(home: Path) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={home}".encode() in (path / "environ").read_bytes().split(b"\0"):
                yield int(path.name)


SIGNALS = {"freeze": signal.SIGSTOP}
"""What a kind of shot sends, if not SIGKILL."""
