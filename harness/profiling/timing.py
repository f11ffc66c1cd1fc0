"""How long each operator of a step takes: measured by the profiler, scaled to the step as it runs without one.

The profiler's cost is measured, not guessed: the same step is timed without it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Protocol, cast

import numpy as np
from torch.profiler import ProfilerActivity, profile, record_function

from coordbench.harness.profiling.operations import Operation, outermost
from coordbench.harness.profiling.workload import MARK, Workload

_ROUND = f"{MARK}round"
_WARM_UP = 3

Times = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Choice = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class _Event(Protocol):
    def name(self) -> str: ...
    def activity_type(self) -> str: ...
    def start_ns(self) -> int: ...
    def end_ns(self) -> int: ...


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a step: undisturbed, under the profiler, and of each event, scaled to the undisturbed step."""

    undisturbed: float
    profiled: float
    events: Times
    """One per operation, what ran inside it included [s]; 0 where an event was not seen again."""
    gaps: Times
    """One per operation: the time since the outermost operator before it [s]; 0 for those inside others."""

    @property
    def overhead(self) -> float:
        """What the profiler adds, as a share of the undisturbed step."""
        return self.profiled / self.undisturbed - 1


def rounds_within(workload: Workload, seconds: float, most: int = 50) -> int:
    """How many steps fit into a time, from 3 to `most`."""
    workload.run()
    start = time.perf_counter()
    workload.run()
    return int(min(most, max(3, seconds / max(time.perf_counter() - start, 1e-7))))


def time_steps(workloads: Sequence[Workload], rounds: int) -> list[float]:
    """The duration of a step of each workload without a profiler [s], measured in turns, so that they compare."""
    durations = np.zeros((rounds, len(workloads)))
    for workload in workloads:
        for _ in range(_WARM_UP):
            workload.run()
    gc.disable()
    try:
        for row in durations:
            for i, workload in enumerate(workloads):
                start = time.perf_counter_ns()
                workload.run()
                row[i] = (time.perf_counter_ns() - start) * 1e-9
    finally:
        gc.enable()
    return [float(column[quickest(column)].mean()) for column in durations.T]


def quickest(durations: Times) -> Choice:
    """Which steps are among the quickest quarter: what other processes did to the rest is no property of the step.

    Their mean is taken, not a median, so that the parts of a step add up to it.
    """
    chosen: Choice = durations <= np.sort(durations)[(len(durations) - 1) // 4]
    return chosen


def time_operations(workload: Workload, operations: Sequence[Operation], undisturbed: float, rounds: int) -> StepTimes:
    """Time every event of a step under the profiler, and scale it to the step's undisturbed duration [s]."""
    events = _profiled(workload, rounds)
    steps = _rounds(sorted(events, key=lambda event: (event.start_ns(), -event.end_ns())))[1:]
    totals = np.asarray([(step[0].end_ns() - step[0].start_ns()) * 1e-9 for step in steps])
    quick = quickest(totals)
    names = [operation.name for operation in operations if not operation.is_marker]
    spans = np.asarray([_spans(names, step) for step in steps])[quick]
    whole = np.full((len(spans), len(operations), 2), np.nan)
    whole[:, [i for i, operation in enumerate(operations) if not operation.is_marker]] = spans
    total = float(totals[quick].mean())
    scale = undisturbed / total
    lengths = np.nan_to_num((whole[:, :, 1] - whole[:, :, 0]).mean(axis=0))
    return StepTimes(undisturbed, total, lengths * scale, _gaps(whole, outermost(list(operations))) * scale)


def _profiled(workload: Workload, rounds: int) -> list[_Event]:
    gc.disable()
    try:
        with profile(activities=[ProfilerActivity.CPU], acc_events=True) as recorded:
            for _ in range(rounds + 1):
                with record_function(_ROUND):
                    workload.run()
    finally:
        gc.enable()
    return cast("list[_Event]", recorded.profiler.kineto_results.events())


def _rounds(events: Sequence[_Event]) -> list[list[_Event]]:
    """The events of each round, its own mark first."""
    steps: list[list[_Event]] = []
    for event in events:
        if event.name() == _ROUND:
            steps.append([event])
        elif steps and event.activity_type() == "cpu_op" and event.end_ns() <= steps[-1][0].end_ns():
            steps[-1].append(event)
    return steps


def _spans(names: Sequence[str], step: Sequence[_Event]) -> Times:
    """Begin and end [s, from the step's begin] of the events of these names in order; NaN where one is missing."""
    start, events = step[0].start_ns(), step[1:]
    seen = [event.name() for event in events]
    seconds = np.asarray([(event.start_ns() - start, event.end_ns() - start) for event in events]).reshape(-1, 2) * 1e-9
    if seen == list(names):
        return seconds
    aligned = np.full((len(names), 2), np.nan)
    for block in SequenceMatcher(None, list(names), seen, autojunk=False).get_matching_blocks():
        aligned[block.a : block.a + block.size] = seconds[block.b : block.b + block.size]
    return aligned


def _gaps(spans: Times, chosen: Sequence[int]) -> Times:
    """The time between one outermost operator and the next, which is counted to the next."""
    begins, ends = spans[:, chosen, 0], spans[:, chosen, 1]
    before = np.concatenate([np.zeros((len(spans), 1)), ends[:, :-1]], axis=1)
    gaps = np.zeros(spans.shape[1])
    gaps[list(chosen)] = np.nan_to_num((begins - before).mean(axis=0))
    return gaps
