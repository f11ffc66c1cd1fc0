"""Time the report of a large store: `python -m tests.benchmarks.report [TASKS VARIANTS SEEDS [PAGE]]`.

Fills a store with generated records (8 tasks x 16 variants x 8 seeds without arguments, 1,152 trials; 40 x 50 x 50 make
104,000), then prints how long the tables and the page take and how large the page is. Two cores of a small virtual
machine: 6.2 s of CPU time and 1.5 MB for the first, 27 s and 11.4 MB for the second.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coordbench.harness.analysis.tables import tables
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord, CurvePoint, Record
from coordbench.harness.core.trial import CostJob, Job, Trial
from coordbench.harness.process.environment import describe
from coordbench.harness.store.store import Store, open_store
from coordbench.reports.pages.page import write_report

STEPS, LOOKS, BATCH = 300, 10, 2000
BOUNDS = {"low": 0.0, "high": 1.0}
METRIC = {"name": "accuracy", "unit": "", "better": "higher", "margin": 0.02}
ABOUT = {
    "metrics": [METRIC], "source": "", "summary": "Generated.", "references": {"low": "floor", "high": "ceiling"},
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much a run holds."""

    tasks: int = 8
    variants: int = 16
    seeds: int = 8

    @property
    def names(self) -> list[str]:
        """The tasks."""
        return [f"task{i}[canvas=64]" for i in range(self.tasks)]

    @property
    def labels(self) -> list[str]:
        """The variants, the baseline first."""
        return ["conv", *(f"variant{i}[width={i}]" for i in range(1, self.variants))]

    def jobs(self) -> Iterator[Job]:
        """References, trials and costs."""
        budget = Budget(STEPS)
        for task, seed in itertools.product(self.names, range(self.seeds)):
            yield from (Trial(Cell.of(task, reference=name, budget=budget), seed) for name in BOUNDS)
            yield from (Trial(Cell.of(task, "net", label, budget=budget), seed) for label in self.labels)
        yield from (CostJob(Cell.of(task, "net", label)) for task in self.names for label in self.labels)


def fill(store: Store, size: Size) -> str:
    """Fill a store with a run, as a sweep would, and return its name."""
    facts = {
        "preset": {"name": "large", "baseline": "conv", "sweeps": [{"variants": size.labels}]},
        "tasks": {name: {"suite": f"suite{i % 5}", **ABOUT} for i, name in enumerate(size.names)},
        "variants": {label: {"source": "", "summary": "", "file": ""} for label in size.labels},
    }
    environment = describe()
    run = store.start_run("large", "coordbench run large", environment, facts)
    generator, levels = np.random.default_rng(0), _levels(size)
    jobs = size.jobs()
    while batch := list(itertools.islice(jobs, BATCH)):
        keys = [Identity(f"{run} {job}", {"trial": str(job)}) for job in batch]
        places = store.add_items(run, [(job, key, {}) for job, key in zip(batch, keys, strict=True)])
        records = [_trial(job, levels, generator) if isinstance(job, Trial) else _cost(job) for job in batch]
        for record in records:
            record.environment = environment
        store.add_many(run, list(zip(places, keys, records, strict=True)))
    store.finish_run(run)
    return run


def _levels(size: Size) -> dict[tuple[str, str], float]:
    """(task, variant) -> the score around which its seeds lie."""
    pairs = list(itertools.product(size.names, size.labels))
    return dict(zip(pairs, np.random.default_rng(1).uniform(0.3, 0.7, len(pairs)).tolist(), strict=True))


def _trial(job: Trial, levels: Mapping[tuple[str, str], float], generator: np.random.Generator) -> Record:
    if generator.random() < 0.01:
        return Record("crashed", "killed by signal 9")
    label = job.cell.label
    score = BOUNDS.get(label, levels.get((str(job.cell.task), label), 0.0) + 0.05 * generator.normal())
    steps = np.linspace(STEPS / LOOKS, STEPS, LOOKS).astype(int).tolist()
    points = [CurvePoint(step, 0.01 * step, "validation/accuracy", score * step / STEPS) for step in steps]
    scores = {split: {"accuracy": score} for split in ("validation", "test")}
    curves = [] if job.cell.reference else points
    return Record("ok", scores=scores, curves=curves, converged=True, seconds=1.5, steps=STEPS)


def _cost(job: CostJob) -> CostRecord:
    size = 1000 * (1 + len(job.cell.label))
    seconds = 1e-6 * size
    times = {"step": [3 * seconds] * 20}
    ratio = 1 + len(job.cell.label) % 5 / 4
    return CostRecord("ok", "", size, 99 * size, seconds, 3 * seconds, 100 * size, times, _details(ratio))


def _details(ratio: float) -> dict[str, object]:
    """What a cost keeps beside its numbers: ratios to the plain convolution, energy, operations, probes."""
    ratios = {phase: {"ratio": ratio, "low": 0.95 * ratio, "high": 1.05 * ratio} for phase in ("forward", "step")}
    curve = [[float(shift), 0.1 * shift * (ratio - 1)] for shift in range(1, 5)]
    probes = dict.fromkeys(("shift_error_interior", "shift_error_with_borders", "unseen_size"), curve)
    others = {"effective_receptive_field": [[0.0, 0.5], [1.0, 1.0]], "lie_derivative": 0.3, "position_readout": 0.5}
    return {
        "parameters": {"options": {"canvas": 64}},
        "latency": {"ratios": ratios, "noisy": {"step": ["ratio drifted by 5%"]} if ratio > 1.5 else {}},
        "energy": {"joules_per_sample_step": None, "reason": "device cpu has no energy counter"},
        "flops": {"models": {"model": {"uncounted": {"aten.relu": 4}}}},
        "probes": {**probes, **others},
    }


def main(arguments: Sequence[str]) -> None:
    """Fill a store, time its page, print the figures."""
    with tempfile.TemporaryDirectory() as folder, open_store(None, Path(folder)) as store:
        run = fill(store, Size(*map(int, arguments[:3])))
        began, cpu = time.perf_counter(), time.process_time()
        trials = tables(store, run, series=False).trials
        print(f"tables: {_since(began, cpu)}, {len(trials):,} trials")
        began, cpu = time.perf_counter(), time.process_time()
        path = write_report(store, run, Path(folder))
        print(f"page: {_since(began, cpu)}, {path.stat().st_size / 1e6:.2f} MB")
        if len(arguments) > 3:
            path.rename(arguments[3])


def _since(began: float, cpu: float) -> str:
    return f"{time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s of CPU time"


if __name__ == "__main__":
    main(sys.argv[1:])
