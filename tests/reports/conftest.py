"""A store filled with records whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.problem import Sample
from coordbench.harness.core.record import CostRecord, CurvePoint, Record
from coordbench.harness.core.scores import At
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.store.store import Store, open_store

ENVIRONMENT = {"processor": "a & <b>", "versions": {"torch": "2.13.0"}, "settings": {"OMP_NUM_THREADS": "1"}}
TASKS: dict[str, Any] = {
    "alpha[canvas=8]": {
        "suite": "first_suite",
        "metrics": [{"name": "accuracy", "unit": "", "better": "higher", "margin": 0.02}],
        "source": "Nobody 2020",
        "summary": "Tell <b>left</b> from right.",
        "references": {"guess": "floor", "answer": "ceiling"},
        "axes": {"m": {"x": "points in the image", "y": "", "color": ""}},
    },
    "beta": {
        "suite": "second_suite",
        "metrics": [{"name": "mse", "unit": "px", "better": "lower", "margin": 0.05}],
        "source": "",
        "summary": "No ceiling here.",
        "references": {"mean": "floor"},
    },
}
BOUNDS = {"guess": 0.0, "answer": 1.0, "mean": 1.0}
MEANS = {"conv": 0.3, "coordconv": 0.9, "geoconv": 0.31, "odd[text=<script>alert(1)</script>]": 0.1}
Fill = Callable[..., str]


def outcome(trial: Trial) -> Record:
    """An ok record with the known score of its variant or reference, curves, and one picture of each kind."""
    name = trial.cell.label
    alpha = trial.cell.task.name.startswith("alpha")
    metric = "accuracy" if alpha else "mse"
    spread = 0.01 * np.sin(7 * trial.seed + len(name)) if trial.cell.variant else 0
    merit = BOUNDS.get(name, MEANS.get(name, 0.5)) + spread
    score = float(merit if alpha or trial.cell.reference else 1 - merit)
    points = [
        CurvePoint(s, 0.1 * s, f"validation/{metric}", score * s / 5 if alpha else 2 - s / 5) for s in range(1, 6)
    ]
    unit = np.linspace(0, 1, 64).reshape(8, 8)
    samples = [
        Sample("one", "input", "image", unit), Sample("one", "truth", "points", np.array([[3.0, 4.0]])),
        Sample("one", "prediction", "points", np.array([[2.0, np.nan], [1.0, 2.0]])),
        Sample("one", "made up role", "heatmap", np.full((8, 8), np.nan)), Sample("one", "curve", "line", unit[0]),
    ]  # fmt: skip
    scores = {"test": {metric: score} | {At(metric, "m", m): score / m for m in (1, 2, 4)}}
    shown = samples if trial.cell.variant else []
    return Record("ok", scores=scores, curves=points if trial.cell.variant else [], samples=shown, converged=True,
                  seconds=1.5, steps=5, environment=ENVIRONMENT)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(None, tmp_path) as opened:
        yield opened


@pytest.fixture
def fill(store: Store) -> Fill:
    """Fill a store with a run and return its name; `record` makes a record of a trial, None leaves it out."""

    def made(
        variants: Sequence[str] = tuple(MEANS), seeds: int = 5, tasks: Sequence[str] = tuple(TASKS),
        record: Callable[[Trial], Record | None] = outcome, costs: bool = True,
    ) -> str:  # fmt: skip
        sweep = {"tasks": list(tasks), "backbones": ["net"], "variants": list(variants)}
        described = {task: TASKS.get(task, TASKS["alpha[canvas=8]"]) for task in tasks}  # alpha with other options
        facts = {
            "preset": {"name": "p", "baseline": "conv", "sweeps": [sweep]},
            "tasks": described,
            "variants": {v: {"source": "S & T", "summary": "A layer.", "file": "variants/v.py"} for v in variants},
        }
        run = store.start_run("p", "coordbench run <p>", ENVIRONMENT, facts)
        nets = [Cell.of(task, "net[depth=2]", v, budget=Budget(5)) for task in tasks for v in variants]
        bounds = [
            Cell.of(task, reference=name, budget=Budget(5)) for task in tasks for name in described[task]["references"]
        ]
        trials = [Trial(cell, seed) for cell in (*bounds, *nets) for seed in range(seeds)]
        jobs = [CostJob(Cell.of(task, "net[depth=2]", v)) for task in tasks for v in variants if costs]
        everything: list[Trial | CostJob] = [*trials, *jobs]
        keys = [Identity(f"{run} {i}", {"trial": str(i)}) for i in range(len(everything))]
        positions = store.add_items(run, [(job, key, {}) for job, key in zip(everything, keys, strict=True)])
        for job, key, position in zip(everything, keys, positions, strict=True):
            found = record(job) if isinstance(job, Trial) else _cost(job, variants)
            if found is not None:
                store.add(run, position, key, found)
        store.finish_run(run)
        return run

    return made


def _cost(job: CostJob, variants: Sequence[str]) -> CostRecord:
    number = 1 + list(variants).index(job.cell.label)
    times = {"step": [0.002 * number * (1 + 0.01 * i) for i in range(9)]}
    values = 1000 * number, 5000, 0.001, 0.002 * number, 2**20
    return CostRecord("ok", "", *values, times, details(number), environment=ENVIRONMENT)


def details(number: int) -> dict[str, Any]:
    """What a cost keeps beside its numbers; the third variant is noisy, the fourth could not be probed."""
    ratios = {phase: {"ratio": number, "low": 0.9 * number, "high": 1.1 * number} for phase in ("forward", "step")}
    probed: dict[str, Any] = {
        "shift_error_interior": [[float(s), 0.1 * s * (number - 1)] for s in (1, 2, 3, 4)],
        "shift_error_with_borders": [[float(s), 0.2 * number] for s in (1, 2, 3, 4)],
        "lie_derivative": 0.3, "position_readout": 1.0 * (number > 1), "unseen_size": [[24.0, 0.5], [32.0, 0.25]],
        "effective_receptive_field": [[0.0, 0.2], [1.0, 0.75], [2.0, 1.0]],
    }  # fmt: skip
    return {
        "latency": {"ratios": ratios, "noisy": {"step": ["ratio drifted by 5%"]} if number == 3 else {}},
        "energy": {"joules_per_sample_step": None, "reason": "no counter & no GPU"},
        "memory": {"activations": 2048 * number},
        "flops": {"models": {"model": {"uncounted": {"aten.relu": 4} | ({"aten.<b>": 1} if number == 2 else {})}}},
        "probes": {"reason": "knows no <float64>"} if number == 4 else probed,
    }
