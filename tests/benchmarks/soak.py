"""Kill and freeze whatever a run is made of, again and again, until every trial has its record.

Run by `nox -s soak [SEED [TRIALS]]`. 300 short trials; every few trials one process of the run is struck: a trial,
the fork server or the driver gets SIGKILL, a trial SIGSTOP, and the PostgreSQL server that holds the store (where one
is installed) is restarted. Beside that one layer in ten strikes from inside, once: it kills the fork server, freezes,
writes into every descriptor, or leaves a daemon behind. A dead driver is started again. Ends with exit code 0 if every
planned trial has exactly one row, all are ok, no record that was reported done was lost or made twice, and no process
is left.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sql

from coordbench.harness.store.schema import items, records
from coordbench.harness.store.store import Store
from tests.postgres import BINARIES, Postgres

ROOT = Path(__file__).parents[2]
TRIALS = int(sys.argv[2]) if len(sys.argv) > 2 else 300
DEADLINE = 1800.0
SHARES = {"trial": 0.77, "freeze": 0.05, "server": 0.1, "driver": 0.03, "store": 0.05}
"""How often a shot is aimed at each kind of process."""
FAULTS = ("kill_server", "freeze", "scribble", "daemon")
MOST_BETWEEN = 5
"""Lines that a driver says between two shots at most: as many on a busy machine as on an idle one."""
PAUSE = 60.0
"""How long to wait for them [s]."""
INSIDE = TRIALS // 10
"""Trials whose layer strikes once from inside."""

PLUGIN = """
import os, pathlib, signal, subprocess, sys, time
import torch
from torch import nn
from coordbench.harness.core.registry import backbone, task, variant
from coordbench.harness.core.problem import Metric, Phase, Problem

@variant("soaked", source="none")
class Soaked(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)

def strike(fault):
    if fault == "kill_server":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    elif fault == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "daemon":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    else:
        for name in os.listdir("/proc/self/fd"):
            try:
                os.write(int(name), b"7 bytes")
            except OSError:
                pass

@backbone("soak_net")
def soak_net(layer, input_shape, output_shape):
    return layer(1, 1, 3, size=(8,))

@task("soak", suite="soak", metrics=(Metric("mse", "", "lower"),), backbones=("soak_net",))
def soak(network, seed):
    order = pathlib.Path(__file__).with_name(f"strike{seed}")
    if order.exists():
        fault = order.read_text()
        order.unlink()
        strike(fault)
    x = torch.randn(8, 1, 8, generator=torch.Generator().manual_seed(seed))
    model = network((1, 8), (1, 8))
    loss = lambda models, batch: (models["main"](batch) - batch).square().mean()
    return Problem({"main": model}, (Phase(("main",), loss),), lambda step: x,
                   lambda models, split: {"mse": loss(models, x).item()})
"""
PRESET = f"""
[run]
seeds = {TRIALS}
deadline_seconds = 10
[[sweep]]
tasks = ["soak"]
backbones = ["soak_net"]
variants = ["soaked"]
steps = 20
costs = false
"""


def main() -> None:
    """Soak and report; exit 1 where something was lost, doubled or left behind."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(10**6)
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Postgres()) if BINARIES else None
        url = server.url if server else f"sqlite:///{home / 'soak.sqlite'}"
        (home / "soak_plugin.py").write_text(PLUGIN)
        (home / "soak.toml").write_text(PRESET)
        for number in chance.sample(range(TRIALS), INSIDE):
            (home / f"strike{number}").write_text(chance.choice(FAULTS))
        strikes, drivers, reported = soak(home, url, server, chance)
        wrong = check(home, url, reported)
    shots = f"{sum(strikes.values())} shots {dict(strikes)}, {INSIDE} from inside"
    print(f"seed {seed}: {TRIALS} trials, {shots}, {drivers} drivers; {wrong or 'all there'}")
    sys.exit(1 if wrong else 0)


def soak(home: Path, url: str, server: Postgres | None, chance: random.Random) -> tuple[Counter[str], int, set[int]]:
    """Run to the end under fire; return who was struck, how many drivers it took, and the seeds reported done."""
    strikes: Counter[str] = Counter()
    reported: set[int] = set()
    started = time.monotonic()
    command = [sys.executable, "-m", "coordbench", "run", "soak.toml", "--plugin", "soak_plugin.py", "--no-report"]
    for drivers in range(1, 1000):
        with (home / f"log{drivers}").open("w") as log:
            driver = subprocess.Popen(
                [*command, "--store", url], cwd=home, stderr=log, stdout=log,
                env=os.environ | {"PYTHONPATH": str(ROOT), "SOAK": str(home)},
            )  # fmt: skip
        try:
            while driver.poll() is None:
                _wait_for_lines(driver, home / f"log{drivers}", chance.randint(1, MOST_BETWEEN))
                if driver.poll() is None and time.monotonic() - started < DEADLINE:
                    strikes[shoot(driver.pid, server, chance)] += 1
        finally:
            driver.kill()
            driver.wait()
        text = (home / f"log{drivers}").read_text()
        reported |= {int(seed) for seed in re.findall(r"soak_net seed (\d+): mse", text)}
        if driver.returncode == 0:  # 5: some trial was killed twice, so it is tried again
            return strikes, drivers, reported
    raise RuntimeError("the driver never came to its end")


def _wait_for_lines(driver: subprocess.Popen[bytes], log: Path, count: int) -> None:
    """Wait until the driver has said so much more: a shot a second would let no driver come to its first trial here."""
    before, until = len(log.read_text().splitlines()), time.monotonic() + PAUSE
    while driver.poll() is None and time.monotonic() < until and len(log.read_text().splitlines()) < before + count:
        time.sleep(0.1)


def restart(server: Postgres) -> None:
    """Restart the store's server, away for a second."""
    server.stop()
    time.sleep(1)
    server.start()


def shoot(driver: int, server: Postgres | None, chance: random.Random) -> str:
    """Strike one process of the run, of a kind drawn by SHARES; say which kind it was."""
    aimed = chance.choices(list(SHARES), list(SHARES.values()))[0]
    if aimed == "store":
        if server is not None:
            restart(server)
        return "store" if server else "nobody"
    kind, number = ("trial", signal.SIGSTOP) if aimed == "freeze" else (aimed, signal.SIGKILL)
    targets = [pid for pid, role in roles(driver).items() if role == kind]
    if not targets:  # such as no trial yet: striking whatever there is would kill every driver before its first trial
        return "nobody"
    try:
        os.kill(chance.choice(targets), number)
    except ProcessLookupError:
        return "gone already"
    return aimed


def roles(driver: int) -> dict[int, str]:
    """The processes of a run and what they are."""
    tree = {driver: "driver"}
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    for kind in ("server", "trial"):
        tree |= {pid: kind for pid, parent in parents if parent in tree and pid not in tree}
    return tree


def check(home: Path, url: str, reported: set[int]) -> str:
    """What is wrong at the end, in one line; nothing if all is well."""
    with Store(url) as store:
        run = store.resolve_run(None)
        joined = sql.select(items.c.job, records.c.status, records.c.error).join_from(
            items, records, items.c.record == records.c.id, isouter=True
        )
        rows = store.read(joined.where(items.c.run == run))
        stored = store.read(sql.select(records.c.identity).where(records.c.status == "ok"))
    doubled = [identity for identity, count in Counter(row.identity for row in stored).items() if count > 1]
    failed = [row.error for row in rows if row.status != "ok"]
    lost = reported - {row.job["seed"] for row in rows if row.status == "ok"}
    files = [path.name for pattern in ("*.part", "*.records", "strike*") for path in home.rglob(pattern)]
    faults = {
        f"{len(rows)} rows instead of {TRIALS}": len(rows) != TRIALS,
        f"{len(failed)} trials not ok: {sorted(set(map(str, failed)))[:3]}": bool(failed),
        f"{len(lost)} reported records lost": bool(lost),
        f"{len(doubled)} records made twice": bool(doubled),
        f"files left behind: {files}": bool(files),
        f"processes left behind: {(left := left_behind(home))}": bool(left),
    }
    return "; ".join(text for text, wrong in faults.items() if wrong)


def left_behind(home: Path) -> list[int]:
    """Processes that the run started and that are still there after a moment."""
    return _wait_for_none(lambda: [pid for pid in _pids() if f"SOAK={home}".encode() in _environment(pid)])


def _wait_for_none(listed: Callable[[], list[int]]) -> list[int]:
    for _ in range(50):
        if not listed():
            return []
        time.sleep(0.1)
    return listed()


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


if __name__ == "__main__":
    main()
