"""How long each operator of a step takes: measured by the profiler, scaled to the step as it runs without one.

The profiler's cost is measured, not guessed: the same step is timed without it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coordbench.harness.profiling.recorded.operations import Operation
from coordbench.harness.profiling.recorded.recording import record_steps, without_gc
from coordbench.harness.profiling.recorded.step import Workload
from coordbench.harness.profiling.spans import Spans, Times, spans

_MOST_ROUNDS = 50
Choice = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a step: undisturbed, under the profiler, and of its parts, scaled to the undisturbed step."""

    undisturbed: float
    profiled: float
    parts: Spans

    @property
    def overhead(self) -> float:
        """What the profiler adds, as a share of the undisturbed step."""
        return self.profiled / self.undisturbed - 1


def rounds_within(workload: Workload, seconds: float) -> int:
    """How many steps fit into a time, one at least. A first step that takes less only fills the caches."""
    duration = _seconds(workload)
    if duration < seconds:
        duration = _seconds(workload)
    return int(min(_MOST_ROUNDS, max(1, seconds / max(duration, 1e-7))))


def time_steps(workloads: Sequence[Workload], rounds: int) -> list[float]:
    """The duration of a step of each workload without a profiler [s], measured in turns, so that they compare."""
    durations = np.zeros((rounds, len(workloads)))
    with without_gc():
        for row in durations:
            for i, workload in enumerate(workloads):
                row[i] = _seconds(workload)
    return [float(column[quickest(column)].mean()) for column in durations.T]


def _seconds(workload: Workload) -> float:
    start = time.perf_counter_ns()
    workload.run()
    return (time.perf_counter_ns() - start) * 1e-9


def quickest(durations: Times) -> Choice:
    """Which steps are among the quickest quarter: what other processes did to the rest is no property of the step.

    Their mean is taken, not a median, so that the parts of a step add up to it.
    """
    chosen: Choice = durations <= np.sort(durations)[(len(durations) - 1) // 4]
    return chosen


def time_operations(workload: Workload, operations: Sequence[Operation], undisturbed: float, rounds: int) -> StepTimes:
    """Time every operation of a step under the profiler, and scale it to the step's undisturbed duration [s]."""
    steps = record_steps(workload, rounds)
    totals = np.asarray([step.seconds for step in steps])
    quick = quickest(totals)
    parts = [spans(operations, step, workload.device) for step, chosen in zip(steps, quick, strict=True) if chosen]
    total = float(totals[quick].mean())
    undisturbed = min(undisturbed, total)  # quicker under the profiler: something else had disturbed the step before
    scale = undisturbed / total
    lengths = np.mean([part.lengths for part in parts], axis=0)
    gaps = np.mean([part.gaps for part in parts], axis=0)
    return StepTimes(undisturbed, total, Spans(lengths * scale, gaps * scale))
