"""The JSON that `nox -s layers` keeps, read into the store as a run of its own, so that reports and exports know it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.identity import Identity
from coordbench.harness.core.record import CostRecord
from coordbench.harness.core.sources import digest_of_files
from coordbench.harness.core.trial import CostJob
from coordbench.harness.run import identity
from coordbench.harness.run.sweep import variant_facts
from coordbench.harness.store.store import Store

PHASES = {"evaluation": "forward", "step": "forward_backward"}
"""What the benchmark calls a phase -> what a cost calls it."""


def read_layers(store: Store, path: Path) -> str:
    """Store every layer of a pytest-benchmark file as a cost and return the run; raise UsageError for another file."""
    rows = _rows(path)
    layers = {row["variant"] for row in rows}
    facts = {
        "preset": {"name": "layers", "baseline": "conv", "sweeps": [{"variants": sorted(layers)}]},
        "tasks": {},
        "variants": variant_facts(layers),
    }
    run = store.start_run("layers", f"coordbench import {path}", rows[0]["machine"], facts)
    jobs = [_job(row) for row in rows]
    identities = [_identity(job, path) for job in jobs]
    positions = store.add_items(run, [(job, known, {}) for job, known in zip(jobs, identities, strict=True)])
    store.add_many(run, list(zip(positions, identities, map(_record, rows), strict=True)))
    store.finish_run(run)
    return run


def _rows(path: Path) -> list[dict[str, Any]]:
    wanted = f"{str(path)!r} holds no layers; expected the JSON that `nox -s layers` writes"
    try:
        rows = [benchmark["extra_info"] for benchmark in json.loads(path.read_text(encoding="utf-8"))["benchmarks"]]
        return [
            {**row, "machine": dict(row["machine"]), "variant": registry.layer(row["variant"]).label} for row in rows
        ]
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(wanted) from error


def _job(row: Mapping[str, Any]) -> CostJob:
    images, channels, size, *_ = row["input"]
    task = registry.select("task", f"copy[batch={images}, channels={channels}, size={size}]").label
    return CostJob(Cell.of(task, "stack", row["variant"], memory_format=row["layout"]))


def _identity(job: CostJob, path: Path) -> Identity:
    """That of the cost and of the file: a sweep measures in another way, and must not take this for its own."""
    own = identity.of_cost(job)
    return Identity(own.key, {**own.parts, "recorded in": digest_of_files(path)})


def _record(row: Mapping[str, Any]) -> CostRecord:
    ratios: dict[str, Any] = {}
    samples: dict[str, list[float]] = {}
    for name, phase in PHASES.items():
        ratios[phase] = {key: row[f"{name}_{key}"] for key in ("ratio", "low", "high", "noisy")}
        samples |= {phase: row[f"{name}_seconds"], f"{phase}/conv": row[f"{name}_baseline_seconds"]}
    return CostRecord(
        "ok",
        parameters=row["parameters"],
        flops=row["flops"],
        latency_forward_seconds=statistics.median(samples["forward"]),
        latencies=samples,
        details={
            "latency": {"ratios": ratios, "batch_size": row["input"][0]},
            "memory": {"ratio": row["memory_ratio"]},
            "textbook_ratio": row["textbook_ratio"],
        },
        environment=dict(row["machine"]),
    )
