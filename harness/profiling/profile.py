"""The profile of one step: rows of operators by place, the time between them, memory, and the limits of the machine."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from coordbench.harness.profiling import counts
from coordbench.harness.profiling.limits import Bound, Limits, measure_limits
from coordbench.harness.profiling.recorded.memory import StepMemory, record_memory
from coordbench.harness.profiling.recorded.operations import Direction, Operation, outermost, record_operations
from coordbench.harness.profiling.recorded.step import Workload
from coordbench.harness.profiling.timing import StepTimes, rounds_within, time_operations, time_steps

BETWEEN = "Python and dispatch"
"""The time in which no operator runs: Python, autograd's engine, and what calls operators."""
IDLE = "idle between kernels"
"""On a GPU: the time in which no kernel runs, and the GPU waits for the host."""
AFTERWARDS = "after the last operator"
"""The rest of the step, which lies at no place that is known."""


@dataclass(frozen=True)
class Row:
    """Equal operators at one place of the source: how often and how long they run in a step, and on how much."""

    direction: Direction | Literal["between"]
    operator: str
    shapes: str
    place: str
    module: str
    calls: int
    seconds: float
    flops: int
    read_bytes: int
    written_bytes: int
    bound: Bound

    @property
    def nbytes(self) -> int:
        """Bytes read and written."""
        return self.read_bytes + self.written_bytes


@dataclass(frozen=True)
class Frame:
    """A box of a flame graph: a place or an operator, its seconds with all inside, and what runs inside."""

    name: str
    seconds: float
    children: tuple[Frame, ...] = ()


@dataclass(frozen=True)
class StepProfile:
    """Where a step's time and memory go. The seconds of all rows add up to `seconds`."""

    label: str
    seconds: float
    """The step without a profiler [s]."""
    profiler_overhead: float
    """What the profiler added, as a share; the rows are scaled back by it."""
    rows: tuple[Row, ...]
    flame: Frame
    memory: StepMemory
    limits: Limits
    formula_flops: int | None
    """A forward pass by the layer's own formula [FLOPs]."""
    device: str = "cpu"

    @property
    def between_name(self) -> str:
        """What the time is called in which nothing runs."""
        return BETWEEN if self.device == "cpu" else IDLE

    @property
    def flops(self) -> int:
        """FLOPs of the products that ran."""
        return sum(row.flops for row in self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes read and written by all operators."""
        return sum(row.nbytes for row in self.rows)

    @property
    def between_seconds(self) -> float:
        """Time in which no operator runs [s]."""
        return sum(row.seconds for row in self.rows if row.direction == "between")

    @property
    def attributed(self) -> float:
        """The share of the step that lies in operators, or before one at a place that is known."""
        return sum(row.seconds for row in self.rows if row.operator != AFTERWARDS) / self.seconds


@dataclass(frozen=True)
class _Measured:
    """A workload's step as it was recorded and timed, before its rows are made."""

    workload: Workload
    operations: list[Operation]
    times: StepTimes


def profile_steps(workloads: Sequence[Workload], seconds: float = 1.0) -> list[StepProfile]:
    """Profile workloads, their undisturbed steps timed in turns; takes about three times `seconds` for each [s].

    A step that is longer than `seconds` runs five times in all.
    """
    device = workloads[0].device
    bursts = [measure_limits(device)]
    rounds = min(rounds_within(workload, seconds) for workload in workloads)
    undisturbed = time_steps(workloads, rounds)
    measured = []
    for workload, duration in zip(workloads, undisturbed, strict=True):
        bursts.append(measure_limits(device))
        operations = record_operations(workload)
        measured.append(_Measured(workload, operations, time_operations(workload, operations, duration, rounds)))
    bursts.append(measure_limits(device))
    limits = functools.reduce(Limits.best, bursts)
    rows = [_rows(item) for item in measured]
    for row in (row for group in rows for row in group if row.flops and row.seconds > 0):
        limits = limits.raised(row.flops, row.nbytes, row.seconds, row.calls)
    return [_profile(*pair, limits) for pair in zip(measured, rows, strict=True)]


def _profile(measured: _Measured, rows: Sequence[Row], limits: Limits) -> StepProfile:
    workload, operations, times = measured.workload, measured.operations, measured.times
    bounded = [replace(row, bound=limits.bound(row.flops, row.nbytes, row.calls)) for row in rows]
    bounded += _between(operations, [float(v) for v in times.parts.gaps], workload.device)
    rest = times.undisturbed - sum(row.seconds for row in bounded)
    bounded.append(Row("between", AFTERWARDS, "", "", "", 1, rest, 0, 0, 0, "dispatch"))
    return StepProfile(
        label=workload.label,
        seconds=times.undisturbed,
        profiler_overhead=times.overhead,
        rows=tuple(sorted(bounded, key=lambda row: -row.seconds)),
        flame=_flame(operations, [float(v) for v in times.parts.lengths], workload.label, times.undisturbed),
        memory=record_memory(workload),
        limits=limits,
        formula_flops=workload.flops,
        device=workload.device,
    )


def _between(operations: Sequence[Operation], gaps: Sequence[float], device: str) -> Iterator[Row]:
    """The time in which nothing runs, by the place that leads to the next operator."""
    places: dict[tuple[str, str], float] = {}
    for i in outermost(operations):
        key = operations[i].place or f"autograd, {operations[i].direction}", operations[i].module
        places[key] = places.get(key, 0.0) + gaps[i]
    for (place, module), seconds in places.items():
        yield Row("between", BETWEEN if device == "cpu" else IDLE, "", place, module, 1, seconds, 0, 0, 0, "dispatch")


def _rows(measured: _Measured) -> list[Row]:
    """Equal operators at one place as one row; which limit is the nearest is not known yet."""
    operations, lengths = measured.operations, measured.times.parts.lengths
    flops = counts.flops(operations)
    groups: dict[tuple[Direction, str, str, str, str], list[int]] = {}
    for i in outermost(operations):
        operation = operations[i]
        shapes = ", ".join(str(list(layout.shape)) for layout in operation.inputs)
        key = operation.direction, operation.name, shapes, operation.place, operation.module
        groups.setdefault(key, []).append(i)
    rows = []
    for (direction, name, shapes, place, module), members in groups.items():
        total = sum(flops[i] for i in members)
        read = sum(counts.read_bytes(operations[i]) for i in members)
        written = sum(counts.written_bytes(operations[i]) for i in members)
        seconds = float(lengths[members].sum())
        rows.append(Row(direction, name, shapes, place, module, len(members), seconds, total, read, written, "memory"))
    return rows


def _flame(operations: Sequence[Operation], durations: Sequence[float], label: str, seconds: float) -> Frame:
    """Direction, then the lines of the source from the outside in, then the operator and what it calls."""
    inside: list[list[int]] = [[] for _ in operations]
    for i, operation in enumerate(operations):
        if operation.parent is not None and operation.is_operator:
            inside[operation.parent].append(i)

    def operator(i: int) -> Frame:
        return Frame(operations[i].name, durations[i], tuple(operator(j) for j in inside[i] if durations[j] > 0))

    def under(members: list[int], depth: int) -> tuple[Frame, ...]:
        groups: dict[str, list[int]] = {}
        frames = []
        for i in members:
            stack = (operations[i].direction, *operations[i].stack)
            if depth < len(stack):
                groups.setdefault(stack[depth], []).append(i)
            else:
                frames.append(operator(i))
        for name, group in groups.items():
            frames.append(Frame(name, sum(durations[i] for i in group), under(group, depth + 1)))
        return _merged(frames)

    return Frame(label, seconds, under(outermost(operations), 0))


def _merged(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Frames of equal names as one, in the order in which they first came."""
    groups: dict[str, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.name, []).append(frame)
    return tuple(
        group[0]
        if len(group) == 1
        else Frame(name, sum(f.seconds for f in group), _merged([c for f in group for c in f.children]))
        for name, group in groups.items()
    )
