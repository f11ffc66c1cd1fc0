"""The profile of one step: rows of operators by place, the time between them, memory, and the limits of the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from coordbench.harness.profiling import counts
from coordbench.harness.profiling.limits import Bound, Limits, measure_limits
from coordbench.harness.profiling.memory import StepMemory, record_memory
from coordbench.harness.profiling.operations import Direction, Operation, outermost, record_operations
from coordbench.harness.profiling.timing import rounds_within, time_operations, time_steps
from coordbench.harness.profiling.workload import Workload

BETWEEN = "Python and dispatch"
"""The time in which no operator runs: Python, autograd's engine, and what calls operators."""
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


def profile_steps(workloads: Sequence[Workload], seconds: float = 1.5) -> list[StepProfile]:
    """Profile workloads, their undisturbed steps timed in turns; takes about three times `seconds` for each [s]."""
    rounds = min(rounds_within(workload, seconds) for workload in workloads)
    undisturbed = time_steps(workloads, rounds)
    return [_profile(*pair, rounds) for pair in zip(workloads, undisturbed, strict=True)]


def _profile(workload: Workload, undisturbed: float, rounds: int) -> StepProfile:
    operations = record_operations(workload)
    times = time_operations(workload, operations, undisturbed, rounds)
    durations = [float(value) for value in times.events]
    rows = [*_rows(operations, durations, measure_limits()), *_between(operations, [float(v) for v in times.gaps])]
    rest = undisturbed - sum(row.seconds for row in rows)
    rows.append(Row("between", AFTERWARDS, "", "", "", 1, rest, 0, 0, 0, "dispatch"))
    return StepProfile(
        label=workload.label,
        seconds=undisturbed,
        profiler_overhead=times.overhead,
        rows=tuple(sorted(rows, key=lambda row: -row.seconds)),
        flame=_flame(operations, durations, workload.label, undisturbed),
        memory=record_memory(workload),
        limits=measure_limits(),
        formula_flops=workload.flops,
    )


def _between(operations: Sequence[Operation], gaps: Sequence[float]) -> Iterator[Row]:
    """The time in which no operator runs, by the place that leads to the next one."""
    places: dict[tuple[str, str], float] = {}
    for i in outermost(list(operations)):
        key = operations[i].place or f"autograd, {operations[i].direction}", operations[i].module
        places[key] = places.get(key, 0.0) + gaps[i]
    for (place, module), seconds in places.items():
        yield Row("between", BETWEEN, "", place, module, 1, seconds, 0, 0, 0, "dispatch")


def _rows(operations: Sequence[Operation], durations: Sequence[float], limits: Limits) -> Iterator[Row]:
    flops = counts.flops(operations)
    groups: dict[tuple[Direction, str, str, str, str], list[int]] = {}
    for i in outermost(list(operations)):
        operation = operations[i]
        shapes = ", ".join(str(list(layout.shape)) for layout in operation.inputs)
        key = operation.direction, operation.name, shapes, operation.place, operation.module
        groups.setdefault(key, []).append(i)
    for (direction, name, shapes, place, module), members in groups.items():
        total = sum(flops[i] for i in members)
        read = sum(counts.read_bytes(operations[i]) for i in members)
        written = sum(counts.written_bytes(operations[i]) for i in members)
        seconds = sum(durations[i] for i in members)
        bound = limits.bound(total, read + written, len(members))
        yield Row(direction, name, shapes, place, module, len(members), seconds, total, read, written, bound)


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

    return Frame(label, seconds, under(outermost(list(operations)), 0))


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
