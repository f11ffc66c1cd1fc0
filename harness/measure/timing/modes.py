"""Ways to run a phase: eager, compiled, or captured as a CUDA graph."""

from __future__ import annotations

from types import ModuleType
from typing import Literal

import torch

from coordbench.harness.measure.subject import Subject
from coordbench.harness.measure.timing.clock import Step

Mode = Literal["eager", "compiled", "graphed"]
_CAPTURED = ("forward", "forward_backward")


class Unavailable(Exception):
    """A phase cannot run in a mode; the message says why."""


def step_of(subject: Subject, phase: str, mode: Mode) -> Step:
    """A phase as a function to be called again and again; raise Unavailable where it cannot run in this mode."""
    if phase != "forward" and not subject.updates:
        raise Unavailable("the task trains nothing")
    if mode != "graphed":
        return subject.phase(phase)
    if not subject.cell.device.startswith("cuda"):
        raise Unavailable(f"device {subject.cell.device} has no CUDA graphs")
    if phase not in _CAPTURED:
        raise Unavailable(f"{phase} is no pure chain of kernels: it reads the loss or steps the optimizer")
    return capture(subject.phase(phase))


def compile_models(subject: Subject) -> None:
    """Compile each model in place; the first calls then pay for it."""
    for model in subject.models.values():
        model.compile()


def capture(step: Step, cuda: ModuleType = torch.cuda) -> Step:
    """Record the kernels of a step once, to be replayed without the processor; raise Unavailable if that fails."""
    stream = cuda.Stream()
    stream.wait_stream(cuda.current_stream())
    with cuda.stream(stream):  # capture wants warm libraries, met on another stream than the default
        for _ in range(3):
            step()
    cuda.current_stream().wait_stream(stream)
    graph = cuda.CUDAGraph()
    try:
        with cuda.graph(graph):
            step()
    except RuntimeError as error:  # the step waits for the device, or allocates outside of torch
        raise Unavailable(f"capture failed: {error}") from error
    replay: Step = graph.replay
    return replay
