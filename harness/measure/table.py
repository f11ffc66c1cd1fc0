"""Costs as tables: what a record keeps in its details, flat, one row per task, backbone and variant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.record import CostRecord
from coordbench.harness.core.trial import CostJob

FIELDS = (
    *("status", "error", "parameters", "flops", "latency_forward_seconds", "latency_step_seconds"),
    *("peak_memory_bytes", "details"),
)
_PHASES = ("forward", "forward_backward", "optimizer", "step")
_SHAPE = "copy[batch=32, channels=32, size=64]"


def measure_table(
    measure: Callable[[CostJob], CostRecord], variants: Sequence[str] = (), *, task: str = _SHAPE,
    backbone: str = "stack", device: str = "cpu",
) -> pd.DataFrame:  # fmt: skip
    """Measure variants (all registered ones by default) in one shape and return their flat table, cheapest step first.

    `measure` does one job and returns its record, such as one that gives each quantity a process of its own.
    """
    wanted = variants or [entry.name for entry in registry.entries("variant")]
    place = Cell(registry.select("task", task).selector, registry.select("backbone", backbone).selector, device=device)
    jobs = [CostJob(replace(place, variant=registry.select("variant", variant).selector)) for variant in wanted]
    table = flatten(frame((job, measure(job)) for job in jobs))
    return table.sort_values("ratio_step", ignore_index=True)


def frame(measured: Iterable[tuple[CostJob, CostRecord]]) -> pd.DataFrame:
    """Jobs and their records as rows with the columns in which a store gives its costs."""
    return pd.DataFrame([{**job.plain} | {name: getattr(record, name) for name in FIELDS} for job, record in measured])


def flatten(costs: pd.DataFrame) -> pd.DataFrame:
    """Spread `details` of stored costs over columns; what was not measured is missing, `reasons` says why.

    Adds `ratio_PHASE`, `ratio_PHASE_low` and `ratio_PHASE_high` against the plain convolution, samples per second,
    FLOPs of forward + backward, activation and allocated bytes, joules per sample, `noisy`, `uncounted`, `options`.
    """
    added = pd.DataFrame([_row(details or {}) for details in costs["details"]], index=costs.index)
    return pd.concat([costs.drop(columns="details"), added], axis=1)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The columns to print, in units to read: [M FLOPs], [ms], [MiB]; a ratio with its interval as text."""
    noisy = ["noisy: " + ", ".join(phases) if phases else "" for phases in table["noisy"]]
    return pd.DataFrame(
        {
            "variant": table["variant"],
            "parameters": table["parameters"],
            "MFLOPs": table["flops"].astype(float).div(1e6).round(1),
            "forward [ms]": table["latency_forward_seconds"].astype(float).mul(1e3).round(2),
            "x conv": table.apply(_interval, axis=1, phase="forward"),
            "step [ms]": table["latency_step_seconds"].astype(float).mul(1e3).round(2),
            "x conv ": table.apply(_interval, axis=1, phase="step"),
            "peak [MiB]": table["peak_memory_bytes"].astype(float).div(2**20).round(1),
            "kept for backward [MiB]": table["activation_bytes"].astype(float).div(2**20).round(1),
            "notes": [" | ".join(filter(None, pair)) for pair in zip(table["reasons"], noisy, strict=True)],
        }
    )


def _row(details: dict[str, Any]) -> dict[str, Any]:
    parts = {name: details.get(name, {}) for name in ("parameters", "memory", "latency", "energy", "flops")}
    latency, models = parts["latency"], parts["flops"].get("models", {})
    row: dict[str, Any] = {"options": parts["parameters"].get("options")}
    for phase in _PHASES:
        ratio = latency.get("ratios", {}).get(phase, {})
        row |= {f"ratio_{phase}{suffix}": ratio.get(key) for suffix, key in _RATIO.items()}
    row["samples_per_second"] = latency.get("samples_per_second", {}).get("step")
    row["flops_forward_backward"] = parts["flops"].get("forward_backward")
    row["activation_bytes"], row["allocated_bytes"] = (parts["memory"].get(k) for k in ("activations", "allocated"))
    row["joules_per_sample"] = parts["energy"].get("joules_per_sample_step")
    row["noisy"] = latency.get("noisy", {})
    row["uncounted"] = ", ".join(sorted({name for model in models.values() for name in model["uncounted"]}))
    row["reasons"] = "; ".join(f"{name}: {part['reason']}" for name, part in parts.items() if _failed(name, part))
    return row


_RATIO = {"": "ratio", "_low": "low", "_high": "high"}


def _failed(name: str, part: dict[str, Any]) -> bool:
    return "reason" in part and name != "energy"  # a machine without a counter is no failure worth a line


def _interval(row: pd.Series, phase: str) -> str:
    ratio, low, high = (row[f"ratio_{phase}{suffix}"] for suffix in _RATIO)
    return "" if pd.isna(ratio) else f"{ratio:.2f} [{low:.2f}, {high:.2f}]"
