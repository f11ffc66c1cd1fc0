"""The energy of a sample, by the counter of the GPU: a forward pass and a training step."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from coordbench.harness.core.cell import Cell
from coordbench.harness.measure.nvml import Gpu, Reading, open_gpu
from coordbench.harness.measure.part import Part
from coordbench.harness.measure.subject import build_subject
from coordbench.harness.measure.timing.clock import Step
from coordbench.harness.measure.timing.exclusive import alone_on

WINDOW = 5.0
"""Shortest window [s]: the counter moves every few tens of milliseconds, and power takes a second to settle."""


def measure_energy(cell: Cell, seconds: float = WINDOW) -> Part:
    """Measure joules per sample of a forward pass and of a training step, over `seconds` each."""
    if not cell.device.startswith("cuda"):
        return _missing(f"device {cell.device} has no energy counter")
    if seconds < WINDOW:
        return _missing(f"a window of {seconds:g} s is too short; {WINDOW:g} s or more are needed")
    subject, gpu = build_subject(cell), open_gpu(cell.device)
    with alone_on(cell.device):
        readings = {name: joules_per_call(_waiting(subject.phase(name)), gpu, seconds) for name in ("forward", "step")}
    joules = {f"joules_per_sample_{name}": r.then(lambda j: j / subject.batch_size) for name, r in readings.items()}
    reasons = sorted({reading.reason for reading in joules.values() if reading.reason})
    details: dict[str, object] = {
        **{name: reading.value for name, reading in joules.items()},
        "window_seconds": seconds,
    }
    return Part(details | ({"reason": "; ".join(reasons)} if reasons else {}))


def joules_per_call(
    step: Step, gpu: Gpu, seconds: float, now: Callable[[], float] = time.perf_counter
) -> Reading[float]:
    """Call `step` for `seconds` after a tenth of that as warm-up; the counter's growth over the calls made [J]."""
    _repeat(step, seconds / 10, now)
    before = gpu.energy()
    start = before.value
    if start is None:
        return before
    calls = _repeat(step, seconds, now)
    return gpu.energy().then(lambda after: (after - start) / calls)


def _repeat(step: Step, seconds: float, now: Callable[[], float]) -> int:
    """Call for at least `seconds`, and return how often."""
    start, calls = now(), 0
    while now() - start < seconds:
        step()
        calls += 1
    return calls


def _waiting(step: Step) -> Step:
    """The step, done only when the GPU is done with it."""

    def run() -> None:
        step()
        torch.cuda.synchronize()

    return run


def _missing(reason: str) -> Part:
    return Part({"joules_per_sample_forward": None, "joules_per_sample_step": None, "reason": reason})
