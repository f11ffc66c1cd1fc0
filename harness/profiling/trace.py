"""A trace of a few steps in the format that Perfetto and chrome://tracing open."""

from __future__ import annotations

from torch.autograd.profiler import record_function

from coordbench.harness.profiling.recorded.markers import marking
from coordbench.harness.profiling.recorded.recording import recording
from coordbench.harness.profiling.recorded.step import Workload

_STEPS = 3


def write_trace(workload: Workload, path: str, step_seconds: float) -> None:
    """Write a trace with the lines of source and the modules around the operators; its times are not scaled.

    It has three steps, of a workload that has run before, or one where a step takes long [s].
    """
    with recording(workload.device, shapes=True) as recorded:
        for i in range(_STEPS if step_seconds < 0.5 else 1):
            with record_function(f"step {i + 1}"), marking(workload.modules):
                workload.run()
    recorded.export_chrome_trace(path)
