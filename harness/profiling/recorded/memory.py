"""The memory of a step over its time: what is allocated, what it is for, and what stands at the peak."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import torch
from torch.autograd.profiler import record_function

from .recording import recording
from .step import MARK, Workload

Category = Literal["kept for backward", "gradients", "optimizer", "temporary"]
_STEP = f"{MARK}memory"
_ENGINE = "autograd::engine::evaluate_function"


@dataclass(frozen=True)
class Allocation:
    """A piece of memory: who asked for it, its size, and the moments (allocations and frees counted) of its life."""

    operator: str
    nbytes: int
    begin: int
    end: int | None
    """None where it outlives the step."""
    category: Category


@dataclass(frozen=True)
class StepMemory:
    """The allocations of a step, above what was there before: weights and input."""

    allocations: tuple[Allocation, ...]
    resident_bytes: int
    """Weights, input and all else that was there before the step [bytes]."""

    def held(self) -> list[int]:
        """Bytes held after each moment, above the start of the step."""
        moments = 1 + max((max(a.begin, a.end or 0) for a in self.allocations), default=-1)
        changes = [0] * moments
        for allocation in self.allocations:
            changes[allocation.begin] += allocation.nbytes
            if allocation.end is not None:
                changes[allocation.end] -= allocation.nbytes
        total, held = 0, []
        for change in changes:
            total += change
            held.append(total)
        return held

    @property
    def peak_bytes(self) -> int:
        """The most that is held at once, above the start of the step [bytes]."""
        return max(self.held(), default=0)

    def at_peak(self) -> list[Allocation]:
        """What is held at the peak, largest first."""
        held = self.held()
        if not held:
            return []
        peak = held.index(max(held))
        alive = [a for a in self.allocations if a.begin <= peak and (a.end is None or a.end > peak)]
        return sorted(alive, key=lambda a: -a.nbytes)


class _TraceNode(Protocol):
    name: str
    start_time_ns: int
    children: Sequence[_TraceNode]
    extra_fields: object


def record_memory(workload: Workload) -> StepMemory:
    """Follow the allocations of one step of a workload that has run before."""
    for parameter in workload.parameters:
        parameter.grad = None
    gc.collect()
    resident = sum(p.nbytes for p in workload.parameters)
    with recording(workload.device, memory=True) as recorded:
        with record_function(_STEP):
            workload.run()
        gradients = {p.grad.data_ptr() for p in workload.parameters if p.grad is not None}
    roots = cast(
        "Sequence[_TraceNode]",
        recorded.kineto_results.experimental_event_tree(),
    )
    step = next(node for node in _walk(roots) if node[0].name == _STEP)[0]
    return StepMemory(tuple(_allocations(step, gradients, workload.device)), resident)


def _walk(nodes: Sequence[_TraceNode], path: tuple[str, ...] = ()) -> Iterator[tuple[_TraceNode, tuple[str, ...]]]:
    for node in nodes:
        yield node, path
        yield from _walk(node.children, (*path, node.name))


def _allocations(step: _TraceNode, gradients: set[int], device: str) -> Iterator[Allocation]:
    kind, wanted = torch._C._profiler._ExtraFields_Allocation, torch.device(device).type
    events = sorted(
        (
            (node.start_time_ns, i, node, path)
            for i, (node, path) in enumerate(_walk([step]))
            if isinstance(node.extra_fields, kind) and node.extra_fields.device.type == wanted
        ),
        key=lambda event: event[:2],
    )
    alive: dict[int, tuple[int, int, tuple[str, ...]]] = {}
    backward = next((moment for moment, event in enumerate(events) if _in_backward(event[3])), len(events))
    for moment, (_, _, node, path) in enumerate(events):
        pointer, size = node.extra_fields.ptr, node.extra_fields.alloc_size  # type: ignore[attr-defined]
        if size > 0:
            alive[pointer] = (moment, size, path)
        elif pointer in alive:
            yield _allocation(*alive.pop(pointer), moment, backward, False)
    for pointer, (begin, size, path) in alive.items():
        yield _allocation(begin, size, path, None, backward, pointer in gradients)


def _in_backward(path: tuple[str, ...]) -> bool:
    return any(name.startswith(_ENGINE) for name in path)


def _allocation(
    begin: int, size: int, path: tuple[str, ...], end: int | None, backward: int, is_gradient: bool
) -> Allocation:
    category: Category = "temporary"
    if is_gradient:
        category = "gradients"
    elif any(name.startswith("Optimizer.") for name in path):
        category = "optimizer"
    elif begin < backward and (end is None or end >= backward):
        category = "kept for backward"
    operator = next(
        (name for name in path if "::" in name and not name.startswith(("autograd::", "torch::autograd"))), ""
    )
    return Allocation(operator or path[-1], size, begin, end, category)
