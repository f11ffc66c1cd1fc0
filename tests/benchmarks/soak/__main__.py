"""Kill and freeze whatever a run is made of, again and again, until every trial has its record.

Run by `nox -s soak [SEED [TRIALS]] [--cluster]`. 300 short trials; every few trials one process of the run is struck:
a trial, the fork server or the driver gets SIGKILL, a trial SIGSTOP, and the PostgreSQL server that holds the store
(where one is installed) is restarted; with `--cluster` also a Dask scheduler and its workers get SIGKILL. Beside that
one layer in ten strikes from inside, once: it kills the fork server, freezes, writes into every descriptor, or leaves a
daemon behind. Whatever is dead is started again. Ends with exit code 0 if every planned trial has exactly one row, all
are ok and come out the same when they are trained again, no record that was reported done was lost or made twice, and
no process is left.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.soak import short_trials
from tests.benchmarks.soak.outcome import faults
from tests.benchmarks.soak.surroundings import SIGNALS, Cluster, Surroundings, end, left_behind, start

DEADLINE = 1800.0
"""After so long nothing is struck any more [s]."""
MOST_BETWEEN = 5
"""Lines that a driver says between two shots at most: as many on a busy machine as on an idle one."""
PAUSE = 60.0
"""How long to wait for them [s]."""


@dataclass
class Fight:
    """What happened: who was struck, the seeds that drivers reported done, and how many drivers it took."""

    strikes: Counter[str] = field(default_factory=Counter)
    reported: set[int] = field(default_factory=set)
    drivers: int = 0


def main() -> None:
    """Soak and report; exit 1 where something was lost, doubled, wrong or left behind."""
    parser = argparse.ArgumentParser(prog="nox -s soak --")
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(10**6))
    parser.add_argument("trials", type=int, nargs="?", default=300)
    parser.add_argument("--cluster", action="store_true", help="train on a Dask cluster, and strike it, too")
    given = parser.parse_args()
    chance, began = random.Random(given.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        inside = short_trials.write(home, given.trials, chance)
        with Cluster(home) if given.cluster else Surroundings(home) as surroundings:
            fight = fire(surroundings, chance)
            wrong = faults(home, surroundings.url, given.trials, fight.reported)
        if left := left_behind(home):
            wrong.append(f"processes left behind: {left}")
    shots = f"{fight.strikes.total()} shots {dict(fight.strikes)}, {inside} from inside"
    took = f"{fight.drivers} drivers, {time.monotonic() - began:.0f} s"
    print(f"seed {given.seed}: {given.trials} trials, {shots}, {took}; {'; '.join(wrong) or 'all there'}")
    sys.exit(1 if wrong else 0)


def fire(surroundings: Surroundings, chance: random.Random) -> Fight:
    """Run to the end under fire; a driver that ended without all trials done is started again."""
    fight, started = Fight(), time.monotonic()
    command = ("-m", "coordbench", "run", "soak.toml", "--plugin", "soak_plugin.py", "--no-report")
    while fight.drivers < 1000:
        fight.drivers += 1
        log = surroundings.home / f"log{fight.drivers}"
        driver = start(surroundings.home, log.name, *command, *surroundings.options)
        try:
            while driver.poll() is None:
                _wait_for_lines(driver, surroundings, log, chance.randint(1, MOST_BETWEEN))
                if driver.poll() is None and time.monotonic() - started < DEADLINE:
                    fight.strikes[shoot(driver.pid, surroundings, chance)] += 1
        finally:
            end(driver)
        fight.reported |= {int(seed) for seed in re.findall(r"soak_net seed (\d+): mse", log.read_text())}
        if driver.returncode == 0:  # 5: some trial was killed twice, so it is tried again
            return fight
        print(f"driver {fight.drivers} ended with {driver.returncode}; {dict(fight.strikes)}", flush=True)
    raise RuntimeError("the driver never came to its end")


def _wait_for_lines(driver: subprocess.Popen[bytes], surroundings: Surroundings, log: Path, count: int) -> None:
    """Wait until the driver has said so much more: a shot a second would let no driver come to its first trial here."""
    before, until = len(log.read_text().splitlines()), time.monotonic() + PAUSE
    while driver.poll() is None and time.monotonic() < until and len(log.read_text().splitlines()) < before + count:
        surroundings.mend()
        time.sleep(0.1)


def shoot(driver: int, surroundings: Surroundings, chance: random.Random) -> str:
    """Strike one process of the run, of a kind drawn by its share; say which kind it was."""
    aimed = chance.choices(list(surroundings.shares), list(surroundings.shares.values()))[0]
    if aimed == "store":
        return surroundings.restart_store()
    kind = "trial" if aimed == "freeze" else aimed
    targets = [pid for pid, role in surroundings.roles(driver).items() if role == kind]
    if not targets:  # such as no trial yet: striking whatever there is would kill every driver before its first trial
        return "nobody"
    try:
        os.kill(chance.choice(targets), SIGNALS.get(aimed, signal.SIGKILL))
    except ProcessLookupError:
        return "gone already"
    return aimed


if __name__ == "__main__":
    main()
