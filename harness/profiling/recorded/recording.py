"""Steps recorded by Kineto, torch's profiler: their events as plain data, of the host and, on a GPU, of its kernels."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypedDict, cast

from torch.autograd.profiler import profile, record_function

from .step import MARK, Workload

ROUND = f"{MARK}round"
Kind = Literal["operator", "kernel", "mark"]
_KINDS: dict[str, Kind] = {
    "cpu_op": "operator",
    "kernel": "kernel",
    "gpu_memcpy": "kernel",
    "gpu_memset": "kernel",
    "user_annotation": "mark",
}
"""By Kineto's names. A `gpu_user_annotation` repeats a mark on the GPU's own line of time and is left out."""


@dataclass(frozen=True)
class Event:
    """An operator on the host, a kernel (or copy) on the GPU, or a mark of ours; times in nanoseconds."""

    name: str
    kind: Kind
    begin: int
    end: int
    link: int
    """An operator's number; of a kernel that of the operator which launched it; 0 without."""


@dataclass(frozen=True)
class RecordedStep:
    """One step: when it began and ended [ns], its operators as they began, its kernels as they ran."""

    begin: int
    end: int
    operators: tuple[Event, ...]
    kernels: tuple[Event, ...]

    @property
    def seconds(self) -> float:
        """How long it took under the profiler."""
        return (self.end - self.begin) * 1e-9


class _KinetoEvent(Protocol):
    def name(self) -> str: ...
    def activity_type(self) -> str: ...
    def start_ns(self) -> int: ...
    def end_ns(self) -> int: ...
    def correlation_id(self) -> int: ...
    def linked_correlation_id(self) -> int: ...


class _TraceEvent(TypedDict, total=False):
    ph: str
    cat: str
    name: str
    ts: float
    dur: float
    args: dict[str, object]


@contextlib.contextmanager
def without_gc() -> Iterator[None]:
    """Keep Python from collecting garbage, which would count as part of whatever it interrupts."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def recording(device: str, *, shapes: bool = False, memory: bool = False) -> profile:
    """Torch's profiler for a device. Unlike `torch.profiler.profile` it loads no compiler, which takes seconds."""
    on = device.partition(":")[0]
    return profile(use_device=None if on == "cpu" else on, record_shapes=shapes, profile_memory=memory)


def record_steps(workload: Workload, rounds: int) -> list[RecordedStep]:
    """Run a workload under the profiler. The first of several steps is slow, and left out."""
    with without_gc(), recording(workload.device) as recorded:
        for _ in range(rounds + (rounds > 1)):
            with record_function(ROUND):
                workload.run()
    results = cast("Sequence[_KinetoEvent]", recorded.kineto_results.events())
    steps = steps_of([_of_kineto(event) for event in results if event.activity_type() in _KINDS])
    return steps[1:] if rounds > 1 else steps


def read_trace(path: Path) -> list[Event]:
    """The events of a trace that was written as JSON, as `export_chrome_trace` does."""
    events = cast("list[_TraceEvent]", json.loads(path.read_text())["traceEvents"])
    return [_of_trace(event) for event in events if event.get("ph") == "X" and event.get("cat") in _KINDS]


def steps_of(events: Sequence[Event]) -> list[RecordedStep]:
    """Cut events into the steps that are marked by ROUND."""
    ordered = sorted(events, key=lambda event: (event.begin, -event.end))
    marks = [event for event in ordered if event.kind == "mark" and event.name == ROUND]
    return [
        RecordedStep(mark.begin, mark.end, _inside(mark, ordered, "operator"), _inside(mark, ordered, "kernel"))
        for mark in marks
    ]


def _inside(mark: Event, events: Sequence[Event], kind: Kind) -> tuple[Event, ...]:
    return tuple(
        event for event in events if event.kind == kind and mark.begin <= event.begin and event.end <= mark.end
    )


def _of_kineto(event: _KinetoEvent) -> Event:
    kind = _KINDS[event.activity_type()]
    link = event.linked_correlation_id() if kind == "kernel" else event.correlation_id()
    return Event(event.name(), kind, event.start_ns(), event.end_ns(), link)


def _of_trace(event: _TraceEvent) -> Event:
    begin, link = round(1e3 * event["ts"]), event.get("args", {}).get("External id", 0)
    return Event(event["name"], _KINDS[event["cat"]], begin, begin + round(1e3 * event["dur"]), cast(int, link))
