"""Small stores to test with."""

from __future__ import annotations

import numpy as np

from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.problem import Sample
from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.store.store import Store

FACTS = {
    "preset": {"name": "p"},
    "tasks": {
        "toy": {
            "suite": "toys",
            "metrics": [{"name": "mse", "unit": "", "better": "lower"}],
            "references": {"mean": "floor", "exact": "ceiling"},
        }
    },
    "variants": {},
}


def trial(seed: int, label: str | None = "conv", reference: str | None = None) -> Trial:
    return Trial(Cell.of("toy", "net" if label else None, label, reference=reference, budget=Budget(3)), seed)


def identity(job: object, source: str = "1") -> Identity:
    return Identity(repr(job), {"source x.py": source})


def record(score: float, **changes: object) -> Record:
    curves = [CurvePoint(step, step / 10, "train/loss", 1 / step) for step in (1, 2, 3)]
    samples = [Sample("a", "output", "image", np.arange(6, dtype=np.float32).reshape(2, 3))]
    fields = {"scores": {"test": {"mse": score}}, "curves": curves, "samples": samples, "seconds": 1.5, "steps": 3}
    return Record(**({"status": "ok", "environment": {"python": "3"}} | fields | changes))  # type: ignore[arg-type]


def fill(store: Store, jobs: list[tuple[Trial, Record]]) -> str:
    run = store.start_run("p", "coordbench run", {"python": "3"}, FACTS)
    positions = store.add_items(run, [(job, identity(job), {}) for job, _ in jobs])
    for position, (job, record) in zip(positions, jobs, strict=True):
        store.add(run, position, identity(job), record)
    return run
