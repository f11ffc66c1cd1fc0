"""Ways to run a phase: eager, compiled, or captured as a CUDA graph."""

from __future__ import annotations

from typing import Any, Literal

import torch

from harness.measure.subject import Step, Subject

Mode = Literal["eager", "compiled", "graphed"]
_CAPTURED = ("forward", "forward_backward")


def step_of(made: Subject, phase: str, mode: Mode, *, cuda: Any = torch.cuda) -> Step | str:
    """A phase as a function to be called again and again, or the reason why it cannot run in this mode."""
    if mode == "graphed" and not made.job.device.startswith("cuda"):
        return f"device {made.job.device} has no CUDA graphs"
    if mode == "graphed" and phase not in _CAPTURED:
        return f"a training step reads its loss, so {phase} cannot be captured"
    step = made.phase(phase)
    return step if mode != "graphed" else _capture(step, cuda)


def compile_models(made: Subject) -> None:
    """Compile each model in place; the first calls then pay for it."""
    for model in made.models.values():
        model.compile()


def _capture(step: Step, cuda: Any) -> Step:
    """Record the kernels of a step once, to be replayed without the processor."""
    stream = cuda.Stream()
    stream.wait_stream(cuda.current_stream())
    with cuda.stream(stream):  # capture wants warm libraries, met on another stream than the default
        for _ in range(3):
            step()
    cuda.current_stream().wait_stream(stream)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        step()
    replay: Step = graph.replay
    return replay
