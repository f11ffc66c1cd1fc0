"""The one workload by which a layer is timed, counted and profiled: a forward pass, and one with its backward pass.

Nothing of this project is imported here, torch alone: the gate hands this file to both of its sides.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

Phase = Literal["forward", "forward_backward"]
PHASES: tuple[Phase, ...] = ("forward", "forward_backward")
"""A forward pass in evaluation mode without gradients; one in training mode with gradients of input and parameters."""

_WEIGHTS, _INPUT, _GRADIENT, _RUN = range(4)  # seeds


@dataclass(frozen=True)
class LayerShape:
    """What goes into a layer, (batch, channels, *size), and what it is built as; `out_channels` is `channels` if 0."""

    batch: int
    channels: int
    size: tuple[int, ...]
    kernel_size: int = 3
    out_channels: int = 0
    stride: int = 1
    channels_last: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(batch, channels, *size)."""
        return (self.batch, self.channels, *self.size)


@dataclass(frozen=True)
class LayerWorkload:
    """A layer with an input and the gradient that arrives at its output, all made from fixed seeds."""

    module: nn.Module
    x: Tensor
    gradient: Tensor

    def phase(self, name: Phase) -> Callable[[], object]:
        """One of PHASES as a function to be called again and again; puts the layer in the mode that it needs."""
        self.module.train(name == "forward_backward")
        return self.forward if name == "forward" else self.forward_backward

    def forward(self) -> Tensor:
        """Call the layer once, without gradients."""
        with torch.no_grad():
            output: Tensor = self.module(self.x)
        return output

    def forward_backward(self) -> None:
        """Call the layer once and make the gradients of its input and parameters anew."""
        self.x.grad = None
        self.module.zero_grad(set_to_none=True)
        self.module(self.x).backward(self.gradient)

    def gradients(self) -> list[Tensor | None]:
        """What the last backward pass left: the gradient of the input, then those of the parameters."""
        return [self.x.grad, *(p.grad for p in self.module.parameters())]


def layer_workload(make: Callable[..., nn.Module], shape: LayerShape, **options: object) -> LayerWorkload:
    """Build a layer by `make`, a variant's class or factory, and what it works on."""
    return work_on(build_layer(make, shape, **options), shape)


def build_layer(make: Callable[..., nn.Module], shape: LayerShape, **options: object) -> nn.Module:
    """A layer with seeded weights."""
    torch.manual_seed(_WEIGHTS)
    out = shape.out_channels or shape.channels
    module = make(shape.channels, out, shape.kernel_size, size=shape.size, stride=shape.stride, bias=True, **options)
    return module.to(memory_format=torch.channels_last) if shape.channels_last else module  # type: ignore[call-overload]


def work_on(module: nn.Module, shape: LayerShape, device: str = "cpu") -> LayerWorkload:
    """A layer with a seeded input, and a seeded gradient for its output, which one pass finds the shape of."""
    x = torch.randn(shape.input_shape, generator=torch.Generator().manual_seed(_INPUT)).to(device)
    if shape.channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    seed_run()
    with torch.no_grad():
        y = module.eval()(x)
    gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(_GRADIENT), dtype=y.dtype).to(device)
    return LayerWorkload(module, x.requires_grad_(), gradient.to(memory_format=_layout(y)))


def seed_run() -> None:
    """Seed torch for a pass, so that layers that draw at random draw alike."""
    torch.manual_seed(_RUN)


def _layout(y: Tensor) -> torch.memory_format:
    planar = y.dim() == 4 and not y.is_contiguous() and y.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if planar else torch.contiguous_format


def upstream(y: Tensor, gradient: Tensor) -> Tensor:
    """A scalar whose gradient for `y` is `gradient`, at no cost: a LayerWorkload's backward pass as that of a loss."""
    scalar: Tensor = _Upstream.apply(y, gradient)  # type: ignore[no-untyped-call]
    return scalar


class _Context(FunctionCtx):
    gradient: Tensor


class _Upstream(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, y: Tensor, gradient: Tensor) -> Tensor:
        ctx.gradient = gradient
        return y.new_zeros(())

    @staticmethod
    def backward(ctx: _Context, one: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient, None


def hash_of(tensors: Iterable[Tensor | None]) -> str:
    """A hash of the numbers in tensors, bit by bit."""
    total = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            total.update(tensor.detach().contiguous().double().numpy().tobytes())
    return total.hexdigest()[:16]


def flops_by(formula: Callable[[nn.Module, tuple[int, ...]], int] | None, work: LayerWorkload) -> int | None:
    """A forward pass by the layer's own formula [FLOPs], or None where it has none."""
    return None if formula is None else int(formula(work.module, tuple(work.x.shape)))


def shape_of(case: Mapping[str, int], dims: int) -> LayerShape:
    """A shape whose axes are equally long, by its `batch`, `channels`, `size` and `kernel_size`."""
    return LayerShape(case["batch"], case["channels"], (case["size"],) * dims, case["kernel_size"])


def positive(seconds: float) -> float:
    """A duration [s] that a ratio can be made of: a clock may not tell two readings apart."""
    return max(seconds, math.ulp(0.0))
