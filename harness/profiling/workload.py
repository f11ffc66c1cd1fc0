"""What is profiled: one layer at one shape, or the whole training step of a task's network."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.measure import workload
from coordbench.harness.measure.subject import build_subject
from coordbench.harness.profiling.recorded.step import MARK, Workload
from coordbench.harness.profiling.shape import LayerShape, Phase
from coordbench.harness.training import train


def layer_workload(selector: str, shape: LayerShape) -> Workload:
    """The layer's workload by which it is timed, too; raise UsageError where the layer refuses the shape."""
    if len(shape.input) < 3:
        raise UsageError(f"shape {shape.input} must be N,C and one to three sizes, such as 32,32,64,64")
    layer = registry.layer(selector)
    batch, channels, *size = shape.input
    sizes = workload.LayerShape(batch, channels, tuple(size), shape.kernel_size, shape.out_channels or 0, shape.stride)
    try:
        module = workload.build_layer(layer, sizes).to(shape.device)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{selector} refuses the shape {shape}: {error}") from error
    work = workload.work_on(module, sizes, shape.device)
    flops = workload.flops_by(layer.selected.entry.flops, work)
    step = _finished(_layer_step(work, shape.phase), shape.device)
    return Workload(layer.label, step, {"": module}, flops, shape.device)


def _layer_step(work: workload.LayerWorkload, phase: Phase) -> Callable[[], object]:
    if phase == "evaluation":
        return work.phase("forward")
    step = work.phase("forward_backward")
    return step if phase == "step" else lambda: work.module(work.x)


def task_workload(cell: Cell) -> Workload:
    """A whole training step of a cell as a trial takes it: data, forward, loss, backward, optimizer."""
    subject = build_subject(cell)
    steps = itertools.count()

    def run() -> None:
        with torch.profiler.record_function(f"{MARK}data"):
            subject.batch = train.to_device(subject.problem.batches(next(steps)), cell)
        subject.step()

    label = f"{cell.label} in {cell.backbone} on {cell.task}"
    return Workload(label, _finished(run, cell.device), subject.models, device=cell.device)


def _finished(step: Callable[[], object], device: str) -> Callable[[], object]:
    """A step that waits for the GPU, which works on while the host goes ahead."""
    if not device.startswith("cuda"):
        return step

    def run() -> None:
        step()
        torch.cuda.synchronize(device)

    return run
