"""Time the harness itself: `python -m tests.benchmarks.throughput [trials|overhead|dask|records|memory]`, else all.

trials    1,000 trials of 10 ms through the real driver with two workers [s]; limit 60.
overhead  what the harness adds to a trial of nothing in a process of its own [ms]; limit 25.
dask      two Dask workers against one, 200 trials of 50 ms, scheduler and workers as processes; limit 1.8 times.
          The trials sleep: what is measured is the harness, not how many cores are free.
records   100,000 records of a score, without and with a curve, appended and read back as a table [s]; limit 5.
memory    resident memory of the driver at 2,000 and at 10,000 records [MB]; flat.
Each prints one line per figure, with the load of the machine, since others' work slows every one of them.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from coordbench.harness.analysis.tables import tables as read_tables
from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.problem import Sample
from coordbench.harness.core.record import CostRecord, CurvePoint, Record
from coordbench.harness.core.sources import digest
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.plan import planning as plan
from coordbench.harness.process import environment, isolate
from coordbench.harness.run.cluster import connect
from coordbench.harness.run.sweep import Driver
from coordbench.harness.run.worker import Limits, work
from coordbench.harness.store.store import Store, open_store
from coordbench.harness.training import PRELOAD

ROOT = Path(__file__).parents[2]
Seconds = np.ndarray[Any, Any]
PLUGIN = """
import time
import torch
from torch import nn
from coordbench.harness.core.registry import backbone, task, variant
from coordbench.harness.core.problem import Metric, Phase, Problem

@variant("plain", source="none")
class Plain(nn.Conv1d):
    def __init__(self, i, o, k, *, size, stride=1, bias=True):
        super().__init__(i, o, k, stride, (k - 1) // 2, bias=bias)

@backbone("one_layer")
def one_layer(layer, input_shape, output_shape):
    return layer(1, 1, 3, size=(8,))

@task("nap", suite="naps", metrics=(Metric("mse", "", "lower"),), backbones=("one_layer",))
def nap(network, seed, *, milliseconds: float = 0.0):
    x = torch.zeros(1, 1, 8)
    model = network((1, 8), (1, 8))
    loss = lambda models, batch: models["main"](batch).square().mean()
    def evaluate(models, split):
        if split == "test":
            time.sleep(milliseconds / 1000)
        return {"mse": 0.0}
    return Problem({"main": model}, (Phase(("main",), loss),), lambda step: x, evaluate)
"""


class Memory:
    """A listener that notes the resident memory [MB] after some records."""

    def __init__(self, *counts: int) -> None:
        self.counts = dict.fromkeys(counts, 0.0)
        self.told = 0
        self.room = threading.Semaphore(50)  # records that may wait for the driver

    def begin(self, jobs: int) -> None:
        """Nothing."""

    def expect(self, stage: str, pending: int, reused: int) -> None:
        """Nothing to tell."""

    def shared(self, job: Trial | CostJob, status: str) -> None:
        """Nothing to tell."""

    def done(self, job: Trial | CostJob, record: Record | CostRecord) -> None:
        """Count, and look at the memory where it is asked for."""
        self.told += 1
        self.room.release()
        if self.told in self.counts:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.counts[self.told] = pages * resource.getpagesize() / 1e6


def trials(home: Path) -> None:
    """Time a run of many short trials, as a user starts it."""
    path = _preset(home, 1000, 10)
    command = [
        sys.executable,
        "-m",
        "coordbench",
        "run",
        str(path),
        "--workers",
        "2",
        "--no-report",
        "--out",
        str(home),
    ]
    began = time.perf_counter()
    subprocess.run([*command, "--plugin", str(home / "nap.py")], cwd=ROOT, check=True, capture_output=True)
    _tell("1,000 trials of 10 ms on two workers", time.perf_counter() - began, "s", "at most 60")


def overhead(home: Path) -> None:
    """Time a trial of nothing in a process of its own, as a worker does it, in turns with a process of nothing."""
    job = plan.make_plan(plan.read_preset(str(_preset(home, 1, 0))), "cpu").trials[0]
    trials, bare = [], []
    for _ in range(60):
        record, (wall, _own) = _timed(work, job, (str(home / "nap.py"),), Limits())
        assert record.status == "ok", record.error
        trials.append(1000 * wall)
        outcome, (wall, _own) = _timed(isolate.call, math.sqrt, 4.0, preload=PRELOAD)
        assert outcome.value == 2, outcome.error
        bare.append(1000 * wall)
    _tell("overhead of an isolated trial, median", statistics.median(trials[10:]), "ms", "at most 25")  # the first wait
    _tell("of which a process that computes a root, median", statistics.median(bare[10:]), "ms", "")


def dask(home: Path) -> None:
    """Time the same trials on one worker, then on two."""
    path = _preset(home, 200, 50)
    with contextlib.ExitStack() as stack:
        start = lambda *command: stack.enter_context(_process(home, *command))  # noqa: E731
        log = start("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not (found := re.search(r"tcp://127\.0\.0\.1:\d+", log.read_text())):
            time.sleep(0.1)
        seconds = []
        for count in (1, 2):
            start("-m", "distributed.cli.dask_worker", found[0], "--nthreads", "1", "--no-dashboard")
            seconds.append(_on_cluster(home, found[0], path, count))
    _tell("two Dask workers against one", seconds[0] / seconds[1], "times", "at least 1.8")


def _on_cluster(home: Path, address: str, path: Path, count: int) -> float:
    """Seconds that a run takes on a cluster whose workers have started their fork servers."""
    made = plan.make_plan(plan.read_preset(str(path)), "cpu")
    seconds = 0.0
    for _ in range(2):
        with connect(address, 60.0, print) as executor, open_store(None, home / "dask") as store:
            executor.scheduler.client.wait_for_workers(count)
            began = time.perf_counter()
            result = Driver(store, Memory(), 1, executor, (str(home / "nap.py"),), fresh=True).run(made)
            seconds = time.perf_counter() - began
            assert result.statuses == {"ok": 200}, result.statuses
    return seconds


def records(home: Path) -> None:
    """Append records in portions, as they would arrive, and read their table; only the store is timed."""
    for points in (0, 10):
        what = f"100,000 records, curves of {points} points"
        for name, (wall, own) in _stored(home, points).items():
            limit = "at most 5" if name == "appended and read" else ""
            _tell(f"{what}, {name}", own, f"s of one core ({wall:.1f} s by the clock)", limit)


def _stored(home: Path, points: int) -> dict[str, Seconds]:
    """What listing, appending and reading 100,000 records takes."""
    spent = dict.fromkeys(("listed", "appended", "read"), np.zeros(2))
    with Store(f"sqlite:///{home / f'records{points}.sqlite'}") as store:
        facts = {"preset": {}, "tasks": {f"nap[milliseconds={i}]": _facts() for i in range(10)}, "variants": {}}
        run = store.start_run("records", "", environment.describe(), facts)
        for first in range(0, 100_000, 1000):
            made = [_answer(number, points) for number in range(first, first + 1000)]
            places, listed = _timed(store.add_items, run, [(job, known, {}) for job, known, _ in made])
            answers = [(place, known, record) for place, (_, known, record) in zip(places, made, strict=True)]
            _, appended = _timed(store.add_many, run, answers)
            spent |= {"listed": spent["listed"] + listed, "appended": spent["appended"] + appended}
        found, spent["read"] = _timed(read_tables, store, run, series=False)
    assert found.trials["score"].tolist() == [float(i) for i in range(100_000)]
    return spent | {"appended and read": spent["appended"] + spent["read"]}


def memory(home: Path) -> None:
    """Drive a run whose records are ready at once, and look at the memory of this process on the way."""
    made = plan.make_plan(plan.read_preset(str(_preset(home, 1000, *range(10)))), "cpu")
    listener = Memory(2_000, 10_000)
    with open_store(None, home / "memory") as store:
        Driver(store, listener, 1, _Ready(listener), fresh=True).run(made)
    before, after = listener.counts.values()
    _tell("memory of the driver from 2,000 to 10,000 records", after - before, f"MB more than {before:.0f}", "flat")


class _Ready(ThreadPoolExecutor):
    """An executor that trains nothing and gives records of 100 kB, as fast as the driver takes them."""

    def __init__(self, listener: Memory) -> None:
        super().__init__(1)
        self.listener = listener

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        """Answer a job."""
        return super().submit(self._answer, arguments[0].seed)

    def _answer(self, seed: int) -> Record:
        self.listener.room.acquire()
        return _record(seed, 25_000)


def _record(seed: int, pixels: int = 0, points: int = 10) -> Record:
    curve = [CurvePoint(step, step / 10, "validation/mse", 1 / step) for step in range(1, points + 1)]
    shown = [Sample("a", "output", "line", np.full(pixels, seed, np.float32))] if pixels else []
    scores = {"test": {"mse": float(seed)}}
    return Record(
        "ok", scores=scores, curves=curve, samples=shown, converged=True, seconds=1.0, steps=300,
        environment=environment.machine(),
    )  # fmt: skip


def _answer(number: int, points: int) -> tuple[Trial, Identity, Record]:
    """A job with the identity and the record of a real one."""
    task, layer = number % 10, number // 10 % 20
    job = Trial(
        Cell.of(f"nap[milliseconds={task}]", "one_layer", f"plain[width={layer}]", budget=Budget(300)),
        number // 200,
    )
    key = digest([task, layer, job.seed])
    known = Identity(key, _PARTS | {"task": str(task), "layer": str(layer)})
    assert known.digest  # a sweep has it from looking for an earlier record
    return job, known, _record(number, points=points)


_PARTS = {f"source tasks/some/file{i}.py": f"{i:064x}" for i in range(15)}


def _facts() -> dict[str, Any]:
    metric = {"name": "mse", "unit": "", "better": "lower"}
    return {"suite": "naps", "metrics": [metric], "references": {}}


def _preset(home: Path, seeds: int, *milliseconds: float) -> Path:
    """Write the plug-in and a preset over it, one task for each nap, and register the plug-in."""
    tasks = [f"nap[milliseconds={nap}]" for nap in milliseconds]
    (home / "nap.py").write_text(PLUGIN)
    path = home / "naps.toml"
    path.write_text(
        f"[run]\nseeds = {seeds}\n[[sweep]]\ntasks = {tasks}\n"
        'backbones = ["one_layer"]\nvariants = ["plain"]\nsteps = 1\ncosts = false\n'
    )
    registry.load_plugin(home / "nap.py")
    return path


@contextlib.contextmanager
def _process(home: Path, *command: str) -> Iterator[Path]:
    """A process that ends with the block; gives the file of what it says."""
    log = home / f"log{time.monotonic_ns()}"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=home, stdout=file, stderr=file, start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        yield log
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _timed(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, Seconds]:
    """A value, and the seconds it took by the clock and of the processor."""
    began = np.array([time.perf_counter(), time.process_time()])
    value = function(*arguments, **options)
    return value, np.array([time.perf_counter(), time.process_time()]) - began


def _tell(name: str, value: float, unit: str, limit: str) -> None:
    print(f"{name}: {value:.2f} {unit}" + (f"; limit {limit}" if limit else "") + f"; load {os.getloadavg()[0]:.1f}")


FIGURES = {"trials": trials, "overhead": overhead, "dask": dask, "records": records, "memory": memory}


def main(wanted: list[str]) -> None:
    """Measure what is asked for, each in a process of its own, so that none finds the memory of another."""
    if unknown := [name for name in wanted if name not in FIGURES]:
        sys.exit(f"unknown figure {unknown[0]!r}; valid: {', '.join(FIGURES)}")
    registry.load()
    if len(wanted) == 1:
        with tempfile.TemporaryDirectory() as folder:
            FIGURES[wanted[0]](Path(folder))
        return
    for name in wanted or FIGURES:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.throughput", name], cwd=ROOT, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
