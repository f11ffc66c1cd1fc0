"""Hand-written forward and backward passes for plain eager code; elsewhere the formula itself runs.

A compiler fuses the formula on its own and a functorch transform needs to see through it, so the fast paths are taken
only where neither looks on (`tricks.eager`). Both paths compute the same and are tested against each other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.variants._parts.tricks import eager

_CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


class Context(Protocol):
    """What a hand-written pass leaves for its backward half."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: Tensor | None) -> None: ...


@dataclass(frozen=True)
class Steps:
    """How a kernel goes over a map: its stride and the zeros around the map.

    `doubles`: the map is read as if a zero stood beside each pixel, so that the result is twice as large; this is a
    transposed convolution by the flipped kernel. The zero stands after its pixel, for an even kernel before it: the
    result then lies evenly around the map, as that of torch's transposed convolutions.
    """

    stride: int
    padding: int
    doubles: bool = False

    def weight(self, weight: Tensor) -> Tensor:
        """The kernels (C_out, C_in, *kernel) as the operation takes them."""
        return weight.flip(tuple(range(2, weight.dim()))).transpose(0, 1) if self.doubles else weight

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1) -> Tensor:
        """Convolve x by kernels that went through `weight`."""
        dims = x.dim() - 2
        if self.doubles:
            return _TRANSPOSED[dims](x, weight, bias, 2, self.padding, weight.shape[-1] % 2)
        return _CONVOLVE[dims](x, weight, bias, self.stride, self.padding, 1, groups)


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """The dtype that autocast lowers x to, None where it leaves x alone."""
    kind = x.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind) or x.dtype == torch.float64:
        return None
    return torch.get_autocast_dtype(kind)


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Keep autocast away: coordinates lose neighboring pixels in half precision."""
    return nullcontext() if autocast_dtype(x) is None else torch.autocast(x.device.type, enabled=False)


def lowered(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors as autocast would pass them to a convolution, which it does not do inside a Function."""
    dtype = autocast_dtype(tensors[0])
    return tensors if dtype is None else tuple(t.to(dtype) for t in tensors)


def convolve_plus(x: Tensor, weight: Tensor, maps: Tensor, mix: Tensor | None, steps: Steps) -> Tensor:
    """conv(x) plus `maps[0] + sum_b mix[n, b] maps[1 + b]` for image n; without mix, plus the maps (1 or N of them).

    x (N, C_in, *size), weight (C_out, C_in, *kernel), maps (B, C_out, *out), mix (N, B - 1).
    """
    x, weight = lowered(x, steps.weight(weight))
    if mix is not None:
        mix = torch.cat([torch.ones_like(mix[:, :1]), mix], 1)
    if eager() and x.shape[0]:
        result: Tensor = _ConvolvePlus.apply(x, weight, maps, mix, steps)  # type: ignore[no-untyped-call]
        return result
    with full_precision(x):
        mixed = maps if mix is None else (mix @ maps.flatten(1)).view(len(mix), *maps.shape[1:])
    y = steps.apply(x, weight)
    return y + mixed.to(y.dtype)


class _ConvolvePlusContext(Context, Protocol):
    steps: Steps


class _ConvolvePlus(torch.autograd.Function):
    """Add in place to the fresh output of the convolution; sum gradients over the batch in the layout they have."""

    @staticmethod
    def forward(
        ctx: _ConvolvePlusContext, x: Tensor, weight: Tensor, maps: Tensor, mix: Tensor | None, steps: Steps
    ) -> Tensor:
        y = steps.apply(x, weight)
        ctx.save_for_backward(x, weight, maps, mix)
        ctx.steps = steps
        channels_last = is_channels_last(y)
        if mix is None:
            y.add_(maps.to(y.dtype).contiguous(memory_format=layout(y)))
        else:
            _rows(y, channels_last).addmm_(mix.to(y.dtype), _rows(maps.to(y.dtype), channels_last))
        return y

    @staticmethod
    def backward(ctx: _ConvolvePlusContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, maps, mix = ctx.saved_tensors
        needs = ctx.needs_input_grad
        grad_x, grad_weight = convolution_gradients(grad, x, weight, ctx.steps, needs[:2])
        grad_maps = grad_mix = None
        if mix is None and needs[2]:
            grad_maps = grad if len(maps) == len(grad) else sum_batch(grad)
            grad_maps = grad_maps.to(maps.dtype)
        elif mix is not None:
            channels_last = is_channels_last(grad)
            rows = _rows(grad, channels_last)
            with full_precision(grad):
                if needs[2]:
                    summed = (mix.to(grad.dtype).t() @ rows).to(maps.dtype)
                    grad_maps = _unrows(summed, maps, channels_last)
                if needs[3]:
                    grad_mix = (rows @ _rows(maps.to(grad.dtype), channels_last).t()).to(mix.dtype)
        return grad_x, grad_weight, grad_maps, grad_mix, None


def convolution_gradients(
    grad: Tensor, x: Tensor, weight: Tensor, steps: Steps, needs: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of input and weight of `Steps.apply`, each where it is needed."""
    dims = x.dim() - 2
    stride, more = (2, weight.shape[-1] % 2) if steps.doubles else (steps.stride, 0)
    grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride] * dims, [steps.padding] * dims, [1] * dims, steps.doubles, [more] * dims, 1,
        [*needs, False],
    )  # fmt: skip
    return grad_x, grad_weight


def sum_batch(x: Tensor) -> Tensor:
    """Sum over the batch, (N, C, *size) -> (1, C, *size): as a matrix product, at the speed of the memory."""
    channels_last = is_channels_last(x)
    rows = _rows(x, channels_last)
    with full_precision(x):
        return _unrows(rows.new_ones(1, len(rows)) @ rows, x[:1], channels_last)


def layout(x: Tensor) -> torch.memory_format:
    if not is_channels_last(x):
        return torch.contiguous_format
    return torch.channels_last if x.dim() == 4 else torch.channels_last_3d


def is_channels_last(x: Tensor) -> bool:
    return x.dim() > 3 and not x.is_contiguous() and x.movedim(1, -1).is_contiguous()


def _rows(x: Tensor, channels_last: bool) -> Tensor:
    """View each image as a row, pixels in the order in which they lie in memory."""
    return (x.movedim(1, -1) if channels_last else x).reshape(len(x), -1)


def _unrows(rows: Tensor, like: Tensor, channels_last: bool) -> Tensor:
    if not channels_last:
        return rows.view(len(rows), *like.shape[1:])
    return rows.view(len(rows), *like.shape[2:], like.shape[1]).movedim(-1, 1)
