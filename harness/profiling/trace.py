"""A trace of a few steps in the format that Perfetto and chrome://tracing open."""

from __future__ import annotations

from torch.profiler import ProfilerActivity, profile, record_function

from coordbench.harness.profiling.markers import marking
from coordbench.harness.profiling.workload import Workload

_STEPS = 3


def write_trace(workload: Workload, path: str) -> None:
    """Write a trace with the lines of source and the modules around the operators; its times are not scaled."""
    workload.run()
    workload.run()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True, acc_events=True) as recorded:
        for i in range(_STEPS):
            with record_function(f"step {i + 1}"), marking(workload.modules):
                workload.run()
    recorded.export_chrome_trace(path)
