"""What is profiled: one layer at one shape, or the whole training step of a task's network."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.measure.subject import build_subject
from coordbench.harness.profiling.shape import LayerShape, Phase
from coordbench.harness.training import train

MARK = "coordbench:"
"""What the names of our own markers in a trace begin with."""


@dataclass
class Workload:
    """A step that can be repeated, and the modules whose names its operators are shown under."""

    label: str
    run: Callable[[], object]
    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    flops: int | None = None
    """A forward pass by the layer's formula [FLOPs], where it has one."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The trained tensors, each once."""
        return list({id(p): p for module in self.modules.values() for p in module.parameters()}.values())


def layer_workload(selector: str, shape: LayerShape) -> Workload:
    """Build a layer with seeded weights and a seeded input; raise UsageError where it refuses the shape."""
    if len(shape.input) < 3:
        raise UsageError(f"shape {shape.input} must be N,C and one to three sizes, such as 32,32,64,64")
    layer = registry.layer(selector)
    channels, size = shape.input[1], shape.input[2:]
    torch.manual_seed(0)
    try:
        module = layer(channels, shape.out_channels or channels, shape.kernel_size, size=size, stride=shape.stride).to(
            shape.device
        )
    except (ValueError, TypeError) as error:
        raise UsageError(f"{selector} refuses the shape {shape}: {error}") from error
    x = torch.randn(shape.input, generator=torch.Generator().manual_seed(1)).to(shape.device)
    formula = layer.selected.entry.flops
    flops = None if formula is None else int(formula(module, tuple(x.shape)))
    module.train(shape.phase != "evaluation")
    return Workload(layer.label, _layer_step(module, x, shape.phase), {"": module}, flops)


def _layer_step(module: nn.Module, x: Tensor, phase: Phase) -> Callable[[], object]:
    def evaluation() -> Tensor:
        with torch.no_grad():
            return module(x)  # type: ignore[no-any-return]

    def forward() -> Tensor:
        return module(x)  # type: ignore[no-any-return]

    def step() -> None:
        module.zero_grad(set_to_none=True)
        x.grad = None
        module(x).backward(gradient)

    if phase == "evaluation":
        return evaluation
    x.requires_grad_()
    gradient = torch.ones_like(module(x).detach())
    return step if phase == "step" else forward


def task_workload(cell: Cell) -> Workload:
    """A whole training step of a cell as a trial takes it: data, forward, loss, backward, optimizer."""
    subject = build_subject(cell)
    steps = itertools.count()

    def run() -> None:
        with torch.profiler.record_function(f"{MARK}data"):
            subject.batch = train.to_device(subject.problem.batches(next(steps)), cell)
        subject.step()

    return Workload(f"{cell.label} in {cell.backbone} on {cell.task}", run, subject.models)
