"""Clocks: how long a call takes on the processor, or on a GPU with a hot or a cold cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch


class Clock(Protocol):
    """Call `function` `calls` times in a row and return the mean duration of a call [s]."""

    def __call__(self, function: Callable[[], object], calls: int) -> float: ...


def cpu_clock(function: Callable[[], object], calls: int) -> float:
    """Time calls by the monotonic clock of the processor [s]."""
    start = time.perf_counter_ns()
    for _ in range(calls):
        function()
    return (time.perf_counter_ns() - start) / calls * 1e-9


class CudaClock:
    """Time calls on the GPU's own clock, between two events on its stream.

    `cold` writes twice the size of the L2 cache before each call, outside of what is timed. `cuda` is `torch.cuda`.
    """

    def __init__(self, device: str = "cuda", *, cold: bool = False, cuda: Any = torch.cuda) -> None:
        self.cuda = cuda
        self.scratch = None
        if cold:
            size = 2 * cuda.get_device_properties(device).L2_cache_size
            self.scratch = torch.empty(size, dtype=torch.int8, device=device)

    def __call__(self, function: Callable[[], object], calls: int) -> float:
        """Return the mean duration of a call [s]."""
        spans = [self._span(function, 1) for _ in range(calls)] if self.scratch is not None else []
        spans = spans or [self._span(function, calls)]
        self.cuda.synchronize()
        return float(sum(start.elapsed_time(end) for start, end in spans)) * 1e-3 / calls

    def _span(self, function: Callable[[], object], calls: int) -> tuple[Any, Any]:
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
        return {"": cpu_clock}
    return {"": CudaClock(device), "_cold": CudaClock(device, cold=True)}
