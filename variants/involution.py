"""Involution: a kernel for each pixel, made from the pixel itself and shared by the channels of a group.

Li, Hu, Wang, Li, Chen, Chen, Yang, "Involution: inverting the inherence of convolution for visual recognition", 2021,
arXiv 2103.06255: y_c(p) = sum_d kernel_{g(c), d}(p) x_c(p + d), the kernel from 1x1 to C / 4, batch norm, ReLU, 1x1 to
k^2 G. The first 1x1 has no bias, as in the authors' code, since the batch norm takes the mean away.

Deviations: any number of dimensions; a 1x1 convolution first where the channels change; G = C / 16 rounded to a divisor
of C; `bias` is that of the output. A stride averages the input before the kernels are made from it, over windows that
differ by a pixel where the stride does not divide the size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, Padding, conv_flops, conv_parameters, pad, strided
from coordbench.variants._parts.textbook import windows

_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_avg_pool1d, 2: functional.adaptive_avg_pool2d, 3: functional.adaptive_avg_pool3d
}  # fmt: skip


def _groups(channels: int, group_channels: int) -> int:
    return math.gcd(channels, max(channels // group_channels, 1))


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, reduction: int = 4,
    group_channels: int = 16, **_: object,
) -> int:  # fmt: skip
    """C_out + h (C_out + 2) + k^d g (h + 1), h = C_out / reduction, g groups; C_in C_out more if they differ."""
    first = conv_parameters(in_channels, out_channels, 1, size, bias=False) if in_channels != out_channels else 0
    hidden = max(out_channels // reduction, 1)
    taps = math.prod((kernel_size,) * len(size)) * _groups(out_channels, group_channels)
    reduce, span = conv_parameters(out_channels, hidden, 1, size, bias=False), conv_parameters(hidden, taps, 1, size)
    return first + reduce + 2 * hidden + span + (out_channels if bias else 0)


def _flops(layer: Involution, shape: tuple[int, ...]) -> int:
    (images, channels, *size), out = shape, strided(shape[2:], layer.stride)
    hidden, wide = layer.reduce.weight.shape[:2]
    first = conv_flops(images, channels, wide, 1, tuple(size)) if layer.first is not None else 0
    kernels = conv_flops(images, wide, hidden, 1, out) + conv_flops(images, hidden, len(layer.span.weight), 1, out)
    taps = math.prod((layer.kernel_size,) * len(out))
    return first + kernels + 2 * taps * images * wide * math.prod(out)


def textbook(layer: Involution, x: Tensor) -> Tensor:
    """Unfold the windows of all pixels and weigh them."""
    x = x if layer.first is None else functional.conv2d(x, layer.first.weight)
    height, width = strided(tuple(x.shape[2:]), layer.stride)
    hidden = functional.conv2d(functional.adaptive_avg_pool2d(x, (height, width)), layer.reduce.weight)
    kernels = functional.conv2d(layer.norm(hidden).relu(), layer.span.weight, layer.span.bias)
    kernels = kernels.flatten(2).unflatten(1, (layer.groups, 1, -1))
    seen = windows(x, layer.kernel_size, layer.stride, layer.padding).unflatten(1, (layer.groups, -1))
    y: Tensor = (kernels * seen).sum(3).view(*x.shape[:2], height, width)
    return y if layer.bias is None else y + layer.bias.view(-1, 1, 1)


@variant(
    "involution",
    source="Li et al. 2021, arXiv 2103.06255",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity="the channels of a group share one kernel, and none mixes channels",
)
class Involution(nn.Module):
    """Weighted sum over each pixel's neighbors by weights computed from that pixel."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, reduction: int = 4, group_channels: int = 16, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        for name, value in {"reduction": reduction, "group_channels": group_channels}.items():
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        dims, self.groups = len(size), _groups(out_channels, group_channels)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        changes, hidden = in_channels != out_channels, max(out_channels // reduction, 1)
        self.first = Convolution(in_channels, out_channels, 1, dims, bias=False) if changes else None
        self.reduce, self.norm = Convolution(out_channels, hidden, 1, dims, bias=False), _NORMS[dims](hidden)
        self.span = Convolution(hidden, math.prod((kernel_size,) * dims) * self.groups, 1, dims)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        x = x if self.first is None else self.first(x)
        dims = x.dim() - 2
        pooled = x if self.stride == 1 else _POOL[dims](x, strided(tuple(x.shape[2:]), self.stride))
        kernels = self.span(self.norm(self.reduce(pooled)).relu())
        y = involved(pad(x, self.kernel_size, self.padding), kernels, self.groups, self.kernel_size, self.stride)
        return y if self.bias is None else y + self.bias.to(y.dtype).view(-1, *(1,) * dims)


def involved(x: Tensor, kernels: Tensor, groups: int, kernel_size: int, stride: int) -> Tensor:
    """Sum the shifts of a padded x (N, C, *padded), each weighted by its share of the kernels (N, G k^d, *out)."""
    out = kernels.shape[2:]
    weights = kernels.unflatten(1, (groups, -1)).unbind(2)
    x = x.to(kernels.dtype).unflatten(1, (groups, -1))
    ends = [stride * (n - 1) + 1 for n in out]
    y = x.new_zeros(())
    for weight, offset in zip(weights, itertools.product(range(kernel_size), repeat=len(out)), strict=True):
        shifted = x[:, :, :, *(slice(o, o + end, stride) for o, end in zip(offset, ends, strict=True))]
        y = torch.addcmul(y, shifted, weight.unsqueeze(2))
    return y.flatten(1, 2)
