"""An exact fingerprint of a step: which operators ran on which shapes, layouts and dtypes, and what they allocated.

Counted, not timed, and so equal on every machine of one build of torch, run after run, bit by bit.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from .memory import record_memory
from .operations import Operation, outermost, record_operations
from .step import Workload


@dataclass(frozen=True)
class Fingerprint:
    """Line -> how often it occurs in a step. A line is an operator with what it took, or bytes that it allocated."""

    lines: Mapping[str, int]

    @property
    def digest(self) -> str:
        """Sixteen characters that are equal where, and only where, the lines are."""
        text = "\n".join(f"{count} {line}" for line, count in sorted(self.lines.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def against(self, base: Fingerprint) -> list[str]:
        """The lines that occur more or less often than in `base`, such as `+1 forward aten::cat(..)`."""
        names = sorted({*self.lines, *base.lines})
        changes = [(name, self.lines.get(name, 0) - base.lines.get(name, 0)) for name in names]
        return [f"{change:+d} {name}" for name, change in changes if change]


def fingerprint(workload: Workload) -> Fingerprint:
    """Count a step of a workload, after two that fill its caches."""
    workload.run()
    workload.run()
    operations = record_operations(workload)
    lines = Counter(_line(operations[i]) for i in outermost(operations))
    lines.update(f"allocates {a.nbytes} B by {a.operator} ({a.category})" for a in record_memory(workload).allocations)
    return Fingerprint(dict(lines))


def _line(operation: Operation) -> str:
    taken = ", ".join(f"{t.dtype}{list(t.shape)} strides {list(t.strides)}" for t in operation.inputs)
    given = ", ".join(f"{t.dtype}{list(t.shape)} strides {list(t.strides)}" for t in operation.outputs)
    return f"{operation.direction} {operation.name}({taken}) -> {given}"
