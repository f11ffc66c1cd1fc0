"""Costs as tables: what a record keeps in its details, flat, one row per task, backbone and variant."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell, MemoryFormat
from coordbench.harness.core.record import CostRecord
from coordbench.harness.core.trial import CostJob

FIELDS = (
    *("status", "error", "parameters", "flops", "latency_forward_seconds", "latency_step_seconds"),
    *("peak_memory_bytes", "details"),
)
_PHASES = ("forward", "forward_backward", "optimizer", "step")
SHAPES = {
    "small": "copy[batch=32, channels=16]",
    "large": "copy[batch=32, channels=32, size=64]",
    "wide": "copy[batch=8, channels=64, size=128]",
}
"""Name -> the task whose costs are those of one 3x3 layer of that shape."""


def cost_jobs(
    variants: Sequence[str], tasks: Sequence[str], backbone: str, device: str = "cpu",
    memory_format: MemoryFormat = "contiguous",
) -> list[CostJob]:  # fmt: skip
    """What to measure for variants (all registered ones where none is given) in several tasks."""
    wanted = variants or [entry.name for entry in registry.entries("variant")]
    layers = [registry.select("variant", variant).selector for variant in wanted]
    place = Cell(
        registry.select("task", tasks[0]).selector, registry.select("backbone", backbone).selector,
        device=device, memory_format=memory_format,
    )  # fmt: skip
    places = [replace(place, task=registry.select("task", task).selector) for task in tasks]
    return [CostJob(replace(place, variant=layer)) for place in places for layer in layers]


def frame(measured: Iterable[tuple[CostJob, CostRecord]]) -> pd.DataFrame:
    """Jobs and their records as rows with the columns in which a store gives its costs."""
    return pd.DataFrame([{**job.plain} | {name: getattr(record, name) for name in FIELDS} for job, record in measured])


def flatten(costs: pd.DataFrame) -> pd.DataFrame:
    """Spread `details` of stored costs over columns; what was not measured is missing, `reasons` says why.

    Adds `ratio_PHASE`, `ratio_PHASE_low` and `ratio_PHASE_high` against the plain convolution, samples per second,
    FLOPs of forward + backward, activation and allocated bytes, joules per sample, `noisy`, `uncounted`, `options`.
    """
    added = pd.DataFrame([_row(details) for details in costs["details"]], index=costs.index)
    return pd.concat([costs.drop(columns="details"), added], axis=1)


WIDTH = 80
_LINE = "{:<26}{:>19}{:>19}{:>8}{:>8}"


def readable(table: pd.DataFrame) -> str:
    """One block of at most 80 columns per task and layout: ratios to the plain convolution with 95 % intervals."""
    blocks = table.groupby(["task", "backbone", "memory_format"], sort=False)
    return "\n\n".join(_block(", ".join(map(str, names)), rows) for names, rows in blocks)


def _block(title: str, rows: pd.DataFrame) -> str:
    head = _LINE.format("x conv's time", "fwd + bwd", "forward", "ms", "MiB")
    return "\n".join([title, head, *(line for _, row in rows.iterrows() for line in _lines(row))])


def _lines(row: pd.Series[Any]) -> list[str]:
    """A layer with its ratios, the time of its forward and backward pass [ms], its peak memory [MiB], and notes."""
    seconds, peak = row["latency_forward_backward_seconds"], row["peak_memory_bytes"]
    cells = [
        *(_interval(row, phase) for phase in ("forward_backward", "forward")),
        "" if pd.isna(seconds) else f"{1e3 * seconds:.2f}",
        "" if pd.isna(peak) else f"{peak / 2**20:.1f}",
    ]
    name = str(row["variant"])
    lines = [_LINE.format(name, *cells)] if len(name) < 26 else [name, _LINE.format("", *cells)]
    noisy = "noisy: " + ", ".join(row["noisy"]) if row["noisy"] else ""
    notes = filter(None, (row["reasons"], noisy))
    return lines + [line for note in notes for line in textwrap.wrap(note, WIDTH - 2, initial_indent="  ")]


def _row(details: object) -> dict[str, object]:
    parts = {name: _inside(details, name) for name in ("parameters", "memory", "latency", "energy", "flops")}
    latency, models = parts["latency"], _inside(parts["flops"], "models")
    row: dict[str, object] = {"options": _inside(parts["parameters"], "options") or None}
    for phase in _PHASES:
        ratio = _inside(_inside(latency, "ratios"), phase)
        row |= {f"ratio_{phase}{suffix}": _number(ratio.get(key)) for suffix, key in _RATIO.items()}
    per_second = _number(_inside(latency, "samples_per_second").get("forward_backward"))
    batch = _number(latency.get("batch_size"))
    row["latency_forward_backward_seconds"] = batch / per_second if batch and per_second else None
    row["samples_per_second"] = _number(_inside(latency, "samples_per_second").get("step"))
    row["flops_forward_backward"] = _number(parts["flops"].get("forward_backward"))
    row["activation_bytes"], row["allocated_bytes"] = (
        _number(parts["memory"].get(name)) for name in ("activations", "allocated")
    )
    row["joules_per_sample"] = _number(parts["energy"].get("joules_per_sample_step"))
    row["noisy"] = {phase: why for phase, why in _inside(latency, "noisy").items() if isinstance(why, list)}
    row["uncounted"] = ", ".join(sorted({name for model in models for name in _inside(models[model], "uncounted")}))
    row["reasons"] = "; ".join(f"{name}: {part['reason']}" for name, part in parts.items() if _failed(name, part))
    return row


def _inside(whole: object, name: str) -> dict[str, Any]:
    """A part of stored details by its name; empty where a measurement left none."""
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}


def _number(value: object) -> float | None:
    """A finite number, or None: a layer that gives NaN leaves none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


_RATIO = {"": "ratio", "_low": "low", "_high": "high"}


def _failed(name: str, part: dict[str, Any]) -> bool:
    return "reason" in part and name != "energy"  # a machine without a counter is no failure worth a line


def _interval(row: pd.Series, phase: str) -> str:
    ratio, low, high = (row[f"ratio_{phase}{suffix}"] for suffix in _RATIO)
    return "" if pd.isna(ratio) else f"{ratio:.2f} [{low:.2f}, {high:.2f}]"
