"""How long the operators of a recorded step ran, and what lay between them; the two add up to the step.

On the host an operator takes its own span, and the time before it is Python and dispatch. On a GPU it takes its
kernels, and the time before a kernel is idle: the GPU waited for the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from coordbench.harness.profiling.recorded.operations import Operation, outermost
from coordbench.harness.profiling.recorded.recording import RecordedStep

Times = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Spans:
    """Of each operation of a step: its seconds with all inside, and the seconds since the one before it."""

    lengths: Times
    """0 where an operation was not seen again."""
    gaps: Times
    """0 for operations that ran inside others."""


def spans(operations: Sequence[Operation], step: RecordedStep, device: str) -> Spans:
    """Find the operations in a recording of the same step."""
    named = [i for i, operation in enumerate(operations) if not operation.is_marker]
    partners = alignment([operations[i].name for i in named], [event.name for event in step.operators])
    events: list[int | None] = [None] * len(operations)
    for i, partner in zip(named, partners, strict=True):
        events[i] = partner
    by_host = device == "cpu"
    return _host_spans(operations, step, events) if by_host else _device_spans(operations, step, events)


def alignment(names: Sequence[str], seen: Sequence[str]) -> list[int | None]:
    """Of each name its position in another list that has them in the same order, more or less; None without one."""
    same = 0  # long lists differ at few places, and the matcher is slow
    while same < min(len(names), len(seen)) and names[same] == seen[same]:
        same += 1
    partners: list[int | None] = [*range(same)]
    rest, other = names[same:], seen[same:]
    partners += [None] * len(rest)
    if rest and other:
        for block in SequenceMatcher(None, rest, other, autojunk=False).get_matching_blocks():
            for k in range(block.size):
                partners[same + block.a + k] = same + block.b + k
    return partners


def _host_spans(operations: Sequence[Operation], step: RecordedStep, events: Sequence[int | None]) -> Spans:
    lengths, gaps = np.zeros(len(operations)), np.zeros(len(operations))
    for i, partner in enumerate(events):
        if partner is not None:
            lengths[i] = (step.operators[partner].end - step.operators[partner].begin) * 1e-9
    before = step.begin
    for i in outermost(operations):
        partner = events[i]
        if partner is not None:
            gaps[i] = (step.operators[partner].begin - before) * 1e-9
            before = step.operators[partner].end
    return Spans(lengths, gaps)


def _device_spans(operations: Sequence[Operation], step: RecordedStep, events: Sequence[int | None]) -> Spans:
    launching = {step.operators[event].link: i for i, event in enumerate(events) if event is not None}
    top = set(outermost(operations))
    lengths, gaps = np.zeros(len(operations)), np.zeros(len(operations))
    before = step.begin
    for kernel in step.kernels:
        busy = max(0, kernel.end - max(kernel.begin, before))  # kernels of two streams overlap, and count once
        idle = max(0, kernel.begin - before)
        before = max(before, kernel.end)
        for i in _with_parents(operations, launching.get(kernel.link)):
            lengths[i] += busy * 1e-9
            gaps[i] += idle * 1e-9 * (i in top)
    return Spans(lengths, gaps)


def _with_parents(operations: Sequence[Operation], i: int | None) -> list[int]:
    chain = []
    while i is not None:
        chain.append(i)
        i = operations[i].parent
    return chain
