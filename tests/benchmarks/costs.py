"""How well costs repeat and what measuring them costs: `python -m tests.benchmarks.costs`.

Every measurement is made in fresh processes. One core is kept busy, unless --idle is given.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator

import numpy as np

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.trial import CostJob
from coordbench.harness.measure import QUANTITIES, SECONDS
from coordbench.harness.measure.part import Part
from coordbench.harness.process.settings import WORKER
from coordbench.harness.run import worker
from coordbench.harness.run.worker import Limits

VARIANTS = ("conv", "coordconv", "geoconv", "coordgate")
SHAPES = ("copy", "copy[batch=32, channels=32, size=64]")
PHASES = ("forward", "forward_backward", "step")


def spin() -> None:
    """Keep a core busy until killed."""
    torn = np.random.default_rng(0).random((256, 256))
    while True:
        torn = torn @ torn
        torn /= np.abs(torn).max()


@contextlib.contextmanager
def busy(cores: int) -> Iterator[None]:
    """Run as many spinning processes as cores are to be busy, each of one thread."""
    os.environ.update(WORKER.variables())
    spinners = [multiprocessing.get_context("spawn").Process(target=spin, daemon=True) for _ in range(cores)]
    for spinner in spinners:
        spinner.start()
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()


def measured(job: CostJob, quantity: str, seconds: float = SECONDS) -> tuple[Part, float]:
    """One quantity of a job, measured as a sweep does it, and its duration [s]."""
    began = time.perf_counter()
    part = worker.measure_quantity(quantity, job, (), Limits(cost_seconds=seconds))
    if part.status != "ok":
        raise SystemExit(f"{job}: {quantity}: {part.reason}")
    return part, time.perf_counter() - began


def repeatability(repeats: int, seconds: float) -> None:
    """Print how often the median ratios of two runs agree within 3 %."""
    job = CostJob(Cell.of(SHAPES[0], "stack", "coordconv"))
    ratios = {phase: np.empty((repeats, 2)) for phase in PHASES}
    for repeat, run in np.ndindex(repeats, 2):
        latency = measured(job, "latency", seconds)[0].details["ratios"]
        for phase in PHASES:
            ratios[phase][repeat, run] = latency[phase]["ratio"]
    for phase, pairs in ratios.items():
        apart = np.abs(pairs[:, 1] / pairs[:, 0] - 1)
        print(
            f"{phase}, {seconds:g} s: median ratio {np.median(pairs):.3f}; two runs within 3 % in "
            f"{np.mean(apart <= 0.03):.0%} of {repeats} repeats; 90 % of them within {np.quantile(apart, 0.9):.1%}"
        )


def overhead() -> None:
    """Print what each quantity takes per shape and variant, processes included."""
    for shape in SHAPES:
        for variant in VARIANTS:
            parts = {name: measured(CostJob(Cell.of(shape, "stack", variant)), name) for name in QUANTITIES}
            took = {name: seconds for name, (_, seconds) in parts.items()}
            phases = parts["latency"][0].details["ratios"]
            step = sum(phases[name]["details"]["seconds"] for name in ("optimizer", "step"))
            listed = ", ".join(f"{name} {seconds:.2f}" for name, seconds in took.items())
            total = sum(took.values())
            print(f"{shape} {variant}: forward and backward {total - step:.2f} s, with steps {total:.2f} s ({listed})")


def main() -> None:
    """Parse the command line and print both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="window of each phase")
    parser.add_argument("--idle", action="store_true", help="keep no core busy")
    options = parser.parse_args()
    measured(CostJob(Cell.of(SHAPES[0], "stack", "conv")), "parameters")  # the fork server starts
    with busy(0 if options.idle else max(1, (os.cpu_count() or 2) - 1)):
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
        overhead()
        repeatability(options.repeats, options.seconds)


if __name__ == "__main__":
    main()
