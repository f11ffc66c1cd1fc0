"""Time the report of a large store: `python tests/benchmarks/report.py [TASKS VARIANTS SEEDS]`.

Fills a store with generated records (8 tasks x 16 variants x 8 seeds without arguments; 40 x 50 x 50 make 100,000),
then prints how long the tables and the page take and how large the page is.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from coordbench.harness.analysis.tables import tables
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.process.environment import describe
from coordbench.harness.store import schema
from coordbench.harness.store.store import Store, open_store
from coordbench.reports.pages.page import write_report

POINTS = 300


def fill(store: Store, tasks: int, variants: int, seeds: int, *, loss_curves: bool) -> str:
    """Fill a store with a run of tasks x variants x seeds trials and their costs, and return the run."""
    names = [f"task{i}[canvas=64]" for i in range(tasks)]
    labels = ["conv", *(f"variant{i}[width={i}]" for i in range(1, variants))]
    metric = {"name": "accuracy", "unit": "", "better": "higher", "margin": 0.02}
    bounds = {"low": "floor", "high": "ceiling"}
    own = {"metrics": [metric], "source": "", "summary": "Generated.", "references": bounds}
    facts = {
        "preset": {"name": "large", "baseline": "conv", "sweeps": [{"variants": labels}]},
        "tasks": {name: {"suite": f"suite{i % 5}", **own} for i, name in enumerate(names)},
        "variants": {label: {"source": "", "summary": "", "file": ""} for label in labels},
    }
    environment = describe()
    run = store.start_run("large", "coordbench run large", environment, facts)
    cells = [(task, None, reference, seed) for task in names for reference in ("low", "high") for seed in range(seeds)]
    cells += [(task, label, None, seed) for task in names for label in labels for seed in range(seeds)]
    costs = [(task, label) for task in names for label in labels]
    _insert(store, run, cells, costs, loss_curves)
    store.finish_run(run)
    return run


def _insert(store: Store, run: str, cells: list[Any], costs: list[Any], loss_curves: bool) -> None:
    """Write rows in bulk: record by record a store of this size takes minutes."""
    generator = np.random.default_rng(0)
    rows: dict[str, list[dict[str, Any]]] = {"items": [], "records": [], "scores": [], "series": []}
    common = {"identity": "x", "sources": "", "created": "", "environment": "large", "error": ""}
    for i, (task, label, reference, seed) in enumerate(cells):
        level = {"low": 0.0, "high": 1.0}.get(reference, 0.3 + 0.4 * (hash((task, label)) % 97) / 97)
        net = "net" if label else None
        job = Trial(Cell.of(task, net, label, reference=reference, budget=Budget(POINTS)), seed).plain
        ok = generator.random() > 0.01
        rows["items"].append(_item(run, i, "trial", job))
        rows["records"].append(
            common
            | {"id": i + 1, "kind": "trial", "key": str(i), "status": "ok" if ok else "crashed", "facts": {}}
            | {"converged": True, "seconds": 1.5, "steps": POINTS}
        )
        if not ok:
            continue
        score = float(level + 0.05 * generator.normal())
        rows["scores"] += [
            {"record": i + 1, "split": split, "metric": "accuracy", "of": "accuracy", "value": score}
            for split in ("validation", "test")
        ]
        if label:
            rows["series"] += _curves(i + 1, score, generator, loss_curves)
    for j, (task, label) in enumerate(costs):
        number = len(cells) + j
        job = dict(CostJob(Cell.of(task, "net", label)).plain)
        size = 1000 * (1 + len(label) + j % 11)
        rows["items"].append(_item(run, number, "cost", job))
        rows["records"].append(
            common
            | {"id": number + 1, "kind": "cost", "key": "c", "status": "ok", "facts": _details(1 + j % 5 / 4)}
            | {"parameters": size, "flops": 99 * size, "peak_memory_bytes": 100 * size}
            | {"latency_forward_seconds": 1e-6 * size, "latency_step_seconds": 3e-6 * size}
        )
        times = np.full(20, 3e-6 * size).tobytes()
        rows["series"].append({"record": number + 1, "metric": "step", "steps": b"", "seconds": times, "values": b""})
    with store.engine.begin() as connection:
        connection.execute(schema.environments.insert(), [{"id": "large", "facts": json.loads(json.dumps(describe()))}])
        for name, listed in rows.items():
            groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for row in listed:
                groups.setdefault(tuple(row), []).append(row)
            for group in groups.values():
                connection.execute(schema.metadata.tables[name].insert(), group)


def _details(ratio: float) -> dict[str, Any]:
    """What a cost keeps beside its numbers: ratios to the plain convolution, energy, operations, probes."""
    ratios = {phase: {"ratio": ratio, "low": 0.95 * ratio, "high": 1.05 * ratio} for phase in ("forward", "step")}
    curve = [[float(shift), 0.1 * shift * (ratio - 1)] for shift in range(1, 5)]
    probes = {"shift_error_interior": curve, "shift_error_with_borders": curve, "unseen_size": curve}
    probes |= {"effective_receptive_field": [[0.0, 0.5], [1.0, 1.0]], "lie_derivative": 0.3, "position_readout": 0.5}
    return {
        "parameters": {"options": {"canvas": 64}},
        "latency": {"ratios": ratios, "noisy": {"step": ["ratio drifted by 5%"]} if ratio > 1.5 else {}},
        "energy": {"joules_per_sample_step": None, "reason": "device cpu has no energy counter"},
        "flops": {"models": {"model": {"uncounted": {"aten.relu": 4}}}},
        "probes": probes,
    }


def _item(run: str, position: int, kind: str, job: dict[str, Any]) -> dict[str, Any]:
    return {"run": run, "position": position, "kind": kind, "key": "k", "job": job, "facts": {}, "record": position + 1}


def _curves(record: int, score: float, generator: np.random.Generator, loss_curves: bool) -> list[dict[str, Any]]:
    steps = np.arange(30.0, POINTS + 1, 30)
    rows = [("validation/accuracy", steps, score * steps / POINTS + 0.02 * generator.normal(size=10))]
    if loss_curves:
        every = np.arange(1.0, POINTS + 1)
        rows.append(("train/loss", every, np.exp(-every / 100)))
    return [
        {"record": record, "metric": m, "steps": s.tobytes(), "seconds": (0.01 * s).tobytes(), "values": v.tobytes()}
        for m, s, v in rows
    ]


def main(counts: list[int]) -> None:
    """Fill a store, time it, print what was found."""
    with tempfile.TemporaryDirectory() as folder, open_store(None, Path(folder)) as store:
        small = counts[0] * counts[1] * counts[2] <= 2000
        run = fill(store, *counts, loss_curves=small)
        began, cpu = time.perf_counter(), time.process_time()
        found = tables(store, run, series=False)
        spent = f"{time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s CPU"
        print(f"tables: {spent}, {len(found.trials):,} trials")
        began, cpu = time.perf_counter(), time.process_time()
        path = write_report(store, run, Path(folder))
        spent = f"{time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s CPU"
        print(f"page: {spent}, {path.stat().st_size / 1e6:.2f} MB")
        if len(sys.argv) > 4:
            path.rename(sys.argv[4])


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:4]] or [8, 16, 8])
