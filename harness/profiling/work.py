"""What runs in the process of a profile; see `request`."""

from __future__ import annotations

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.profiling.profile import StepProfile, profile_steps
from coordbench.harness.profiling.recorded.fingerprint import Fingerprint, fingerprint
from coordbench.harness.profiling.recorded.step import Workload
from coordbench.harness.profiling.request import ProfileRequest
from coordbench.harness.profiling.trace import write_trace
from coordbench.harness.profiling.workload import layer_workload, task_workload


def profiles(request: ProfileRequest) -> list[StepProfile] | UsageError:
    """Profile everything that is asked for; a shape that a layer refuses is returned, since it is the user's."""
    try:
        workloads = _workloads(request)
    except UsageError as error:
        return error
    measured = profile_steps(workloads, request.seconds)
    if request.trace is not None:
        write_trace(workloads[0], request.trace, measured[0].seconds)
    return measured


def fingerprints(request: ProfileRequest) -> list[Fingerprint] | UsageError:
    """Count the steps of everything that is asked for."""
    try:
        return [fingerprint(workload) for workload in _workloads(request)]
    except UsageError as error:
        return error


def _workloads(request: ProfileRequest) -> list[Workload]:
    registry.load()
    for plugin in request.plugins:
        registry.load_plugin(plugin)
    layers = [layer_workload(selector, request.shape) for selector in request.layers]
    return [*layers, *(task_workload(cell) for cell in request.cells)]
