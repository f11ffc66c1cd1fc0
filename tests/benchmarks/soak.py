"""Kill a random process of a run again and again, driver included, until every trial has its record.

Run by `nox -s soak`. 300 short trials; every second or so one process of the run - driver, fork server or trial - gets
SIGKILL; a dead driver is started again. Ends with exit code 0 if every planned trial has exactly one row, all are ok,
and no record that was reported done was lost or made twice.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import sqlalchemy as sql

from coordbench.harness.analysis import summarize
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store

ROOT = Path(__file__).parents[2]
TRIALS = 300
DEADLINE = 1800.0
SHARES = {"trial": 0.8, "server": 0.1, "driver": 0.1}
"""How often a shot is aimed at each kind of process."""

PLUGIN = """
import torch
from torch import nn
from coordbench.harness.core.registry import backbone, task, variant
from coordbench.harness.core.problem import Metric, Phase, Problem

@variant("soaked", source="none")
class Soaked(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)

@backbone("soak_net")
def soak_net(layer, input_shape, output_shape):
    return layer(1, 1, 3, size=(8,))

@task("soak", suite="soak", metrics=(Metric("mse", "", "lower"),), backbones=("soak_net",))
def soak(network, seed):
    x = torch.randn(8, 1, 8, generator=torch.Generator().manual_seed(seed))
    model = network((1, 8), (1, 8))
    loss = lambda models, batch: (models["main"](batch) - batch).square().mean()
    return Problem({"main": model}, (Phase(("main",), loss),), lambda step: x,
                   lambda models, split: {"mse": loss(models, x).item()})
"""
PRESET = f"""
[run]
seeds = {TRIALS}
deadline_seconds = 60
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
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "soak_plugin.py").write_text(PLUGIN)
        (home / "soak.toml").write_text(PRESET)
        kills, drivers, reported = soak(home, chance)
        wrong = check(home, reported)
    shot = f"{sum(kills.values())} shots {dict(kills)}"
    print(f"seed {seed}: {TRIALS} trials, {shot}, {drivers} drivers; {wrong or 'all there'}")
    sys.exit(1 if wrong else 0)


def soak(home: Path, chance: random.Random) -> tuple[Counter[str], int, set[int]]:
    """Run to the end under fire; return who was killed, how many drivers it took, and the seeds reported done."""
    kills: Counter[str] = Counter()
    reported: set[int] = set()
    started = time.monotonic()
    for drivers in range(1, 1000):
        with (home / f"log{drivers}").open("w") as log:
            command = [sys.executable, "-m", "coordbench", "run", "soak.toml", "--plugin", "soak_plugin.py"]
            driver = subprocess.Popen(
                command, cwd=home, stderr=log, stdout=log, env=os.environ | {"PYTHONPATH": str(ROOT)}
            )
        while driver.poll() is None:
            time.sleep(chance.uniform(0.5, 1.5))
            if time.monotonic() - started < DEADLINE:
                kills[shoot(driver.pid, chance)] += 1
        text = (home / f"log{drivers}").read_text()
        reported |= {int(found) for found in re.findall(r"soak_net seed (\d+): mse", text)}
        if driver.returncode == 0:  # 5: some trial was killed twice, so it is tried again
            return kills, drivers, reported
    raise RuntimeError("the driver never came to its end")


def shoot(driver: int, chance: random.Random) -> str:
    """Kill one process of the run, of a kind drawn by SHARES; say which kind it was."""
    tree = {driver: "driver"}
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    for kind in ("server", "trial"):
        tree |= {pid: kind for pid, parent in parents if parent in tree and pid not in tree}
    aimed = chance.choices(list(SHARES), list(SHARES.values()))[0]
    found = [pid for pid, kind in tree.items() if kind == aimed]
    if not found:  # such as no trial yet: shooting whatever there is would kill every driver before its first trial
        return "nobody"
    victim = chance.choice(found)
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return "gone already"
    return tree[victim]


def check(home: Path, reported: set[int]) -> str:
    """What is wrong at the end, in one line; nothing if all is well."""
    with Store(f"sqlite:///{home / 'coordbench-results' / 'results.sqlite'}") as store:
        trials = summarize.tables(store, store.resolve_run(None)).trials
        rows = store.read(sql.select(schema.records.c.identity).where(schema.records.c.status == "ok"))
    doubled = [identity for identity, count in Counter(row.identity for row in rows).items() if count > 1]
    failed = trials[trials["status"] != "ok"]
    lost = reported - set(trials.loc[trials["status"] == "ok", "seed"])
    left = list((home / "coordbench-results").rglob("*.part"))
    told = {
        f"{len(trials)} rows instead of {TRIALS}": len(trials) != TRIALS,
        f"{len(failed)} trials not ok: {sorted(set(failed['error']))[:3]}": len(failed) > 0,
        f"{len(lost)} reported records lost": bool(lost),
        f"{len(doubled)} records made twice": bool(doubled),
        f"files left behind: {left}": bool(left),
    }
    return "; ".join(text for text, wrong in told.items() if wrong)


if __name__ == "__main__":
    main()
