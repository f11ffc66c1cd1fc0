"""Clocks: how long a call takes on the processor, or on a GPU with a hot or a cold cache."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Protocol

import torch

Step = Callable[[], object]


class Clock(Protocol):
    """Call `function` `calls` times in a row and return the mean duration of a call [s]."""

    def __call__(self, function: Step, calls: int) -> float: ...


class CpuClock:
    """Time calls by the monotonic clock, less what this thread waited for a processor that others were using.

    The kernel keeps that wait in `schedstat`; where it does not, nothing is taken off. Sleeping is no waiting.
    """

    def __init__(self, schedstat: Path = Path("/proc/thread-self/schedstat")) -> None:
        self.file: int | None = None
        with contextlib.suppress(OSError):
            self.file = os.open(schedstat, os.O_RDONLY)  # of the thread that opens it, so each clock opens its own

    def __del__(self) -> None:
        if self.file is not None:
            os.close(self.file)

    def __call__(self, function: Step, calls: int) -> float:
        """Return the mean duration of a call [s]."""
        start, waited = time.perf_counter_ns(), self.waited()
        for _ in range(calls):
            function()
        waited = self.waited() - waited
        return (time.perf_counter_ns() - start - waited) / calls * 1e-9

    def waited(self) -> int:
        """How long this thread has waited for a processor since it began [ns]."""
        return int(os.pread(self.file, 80, 0).split()[1]) if self.file is not None else 0


class CudaClock:
    """Time calls on the GPU's own clock, between two events on its stream.

    `cold` writes twice the size of the L2 cache before each call, outside of what is timed. `cuda` is `torch.cuda`.
    """

    def __init__(self, device: str = "cuda", *, cold: bool = False, cuda: ModuleType = torch.cuda) -> None:
        self.cuda = cuda
        self.scratch = None
        if cold:
            size = 2 * cuda.get_device_properties(device).L2_cache_size
            self.scratch = torch.empty(size, dtype=torch.int8, device=device)

    def __call__(self, function: Step, calls: int) -> float:
        """Return the mean duration of a call [s]."""
        spans = [self._span(function, 1) for _ in range(calls)] if self.scratch is not None else []
        spans = spans or [self._span(function, calls)]
        self.cuda.synchronize()
        return float(sum(start.elapsed_time(end) for start, end in spans)) * 1e-3 / calls

    def _span(self, function: Step, calls: int) -> tuple[torch.cuda.Event, torch.cuda.Event]:
        start, end = (self.cuda.Event(enable_timing=True) for _ in range(2))
        if self.scratch is not None:
            self.scratch.zero_()
        start.record()
        for _ in range(calls):
            function()
        end.record()
        return start, end


def clocks_of(device: str) -> dict[str, Clock]:
    """Suffix of the metric -> clock: one on the processor, a hot and a cold one on a GPU."""
    if not device.startswith("cuda"):
        return {"": CpuClock()}
    return {"": CudaClock(device), "_cold": CudaClock(device, cold=True)}
