"""What torch allocates on the processor, to the byte, as its profiler sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler otherwise announces itself on standard error


@dataclass
class Allocated:
    """Bytes above the start: the highest sum, and what was still held at the end; filled in when tracking ends."""

    peak: int = 0
    held: int = 0


@contextmanager
def track() -> Iterator[Allocated]:
    """Follow the sum of all allocations and releases of torch on the processor."""
    allocated = Allocated()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        yield allocated
    if profiler.profiler is None:
        raise RuntimeError("torch's profiler gave no events")
    events = (e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]")
    for event in sorted((e for e in events if e.device_type() == DeviceType.CPU), key=lambda e: e.start_ns()):
        allocated.held += event.nbytes()
        allocated.peak = max(allocated.peak, allocated.held)
