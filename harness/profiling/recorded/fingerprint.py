"""An exact fingerprint of a step: which operators ran on which shapes, layouts and dtypes, and what they allocated.

Counted, not timed, and so equal on every machine of one build of torch, run after run, bit by bit.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from .memory import record_memory
from .operations import Operation, TensorLayout, outermost, record_operations
from .step import Workload


@dataclass(frozen=True)
class Entry:
    """What a step did in one way: an operator on tensors of these shapes, layouts and dtypes, or bytes it allocated."""

    direction: str
    operator: str
    tensors: str
    """What it took and gave; empty for an allocation."""
    nbytes: int
    """What its outputs hold, or what was allocated [bytes]."""
    allocated_for: str = ""
    """The category of an allocation, such as `temporary`; empty for an operator."""

    def __str__(self) -> str:
        if self.allocated_for:
            return f"allocates {self.nbytes} B by {self.operator} ({self.allocated_for})"
        return f"{self.direction} {self.operator}{self.tensors}"


@dataclass(frozen=True)
class Fingerprint:
    """How often each entry occurs in a step, and under which lines of source: these are no part of its digest."""

    counts: Mapping[Entry, int]
    places: Mapping[Entry, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @property
    def lines(self) -> Mapping[str, int]:
        """Each entry as a line of text -> how often it occurs."""
        return {str(entry): count for entry, count in self.counts.items()}

    @property
    def digest(self) -> str:
        """Sixteen characters that are equal where, and only where, the lines are."""
        text = "\n".join(f"{count} {line}" for line, count in sorted(self.lines.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def changes(self, base: Fingerprint) -> list[tuple[int, Entry]]:
        """How many times more (or, below 0, less) often than in `base` each entry occurs, where that differs."""
        entries = sorted({*self.counts, *base.counts}, key=str)
        counted = [(self.counts.get(entry, 0) - base.counts.get(entry, 0), entry) for entry in entries]
        return [(change, entry) for change, entry in counted if change]

    def against(self, base: Fingerprint) -> list[str]:
        """The changes as text, such as `+1 forward aten::cat(..)`."""
        return [f"{change:+d} {entry}" for change, entry in self.changes(base)]


def fingerprint(workload: Workload) -> Fingerprint:
    """Count a step of a workload, after two that fill its caches."""
    workload.run()
    workload.run()
    operations = record_operations(workload)
    counts: Counter[Entry] = Counter()
    places: dict[Entry, dict[str, None]] = {}
    for operation in (operations[i] for i in outermost(operations)):
        entry = _entry(operation)
        counts[entry] += 1
        places.setdefault(entry, {})[operation.place] = None
    counts.update(Entry("", a.operator, "", a.nbytes, a.category) for a in record_memory(workload).allocations)
    return Fingerprint(dict(counts), {entry: tuple(filter(None, lines)) for entry, lines in places.items()})


def _entry(operation: Operation) -> Entry:
    taken = ", ".join(map(_layout, operation.inputs))
    given = ", ".join(map(_layout, operation.outputs))
    nbytes = sum(tensor.nbytes for tensor in operation.outputs)
    return Entry(operation.direction, operation.name, f"({taken}) -> {given}", nbytes)


def _layout(tensor: TensorLayout) -> str:
    return f"{tensor.dtype}{list(tensor.shape)} strides {list(tensor.strides)}"
