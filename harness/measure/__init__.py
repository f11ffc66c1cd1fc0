"""What a network costs: one file per quantity, each measured by a function of its own that wants a fresh process.

FLOP counting keeps torch.compile from compiling, and what ran before shows in memory and time, so a sweep runs each of
`QUANTITIES` in its own process and joins what they return by `combine`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Protocol

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import describe_error
from coordbench.harness.core.record import CostRecord
from coordbench.harness.measure.part import FIELDS, Part

BASELINE = "conv"
"""The variant that every other is timed against, in turns in one process."""
SECONDS = 0.6
"""Time spent on each timed phase by default [s]; a longer window narrows the intervals."""


class Quantity(Protocol):
    """Measures one quantity of a cell, spending about `seconds` on whatever it times."""

    def __call__(self, cell: Cell, seconds: float = SECONDS) -> Part: ...


def _measure(name: str, cell: Cell, seconds: float = SECONDS) -> Part:
    # late: the driver of a sweep needs no torch
    module = importlib.import_module(f"coordbench.harness.measure.quantities.{name}")
    part: Part = getattr(module, f"measure_{name}")(cell, seconds)
    return part


QUANTITIES: dict[str, Quantity] = {
    name: functools.partial(_measure, name) for name in ("parameters", "memory", "latency", "energy", "flops", "probes")
}
"""Name -> what measures it, in the order in which they disturb each other least."""


def measure(cell: Cell, seconds: float = SECONDS) -> CostRecord:
    """Measure all quantities of a cell in this process; one that fails is null, with its reason."""
    parts: dict[str, Part] = {}
    for name, quantity in QUANTITIES.items():
        try:
            parts[name] = quantity(cell, seconds)
        except Exception as error:  # a layer may raise anything
            parts[name] = Part(status="error", reason=describe_error(error))
    return combine(parts)


def combine(parts: Mapping[str, Part]) -> CostRecord:
    """Join the parts into one record; its status is that of the first part that failed, the others are kept."""
    record = CostRecord("ok")
    for name, part in parts.items():
        if part.status != "ok":
            record.details[name] = {"reason": part.reason}
            if record.status == "ok":
                record.status, record.error = part.status, f"{name}: {part.reason}"
            continue
        record.details[name] = dict(part.details)
        record.latencies |= part.latencies
        for field in FIELDS:
            if (value := getattr(part, field)) is not None:
                setattr(record, field, value)
    return record
