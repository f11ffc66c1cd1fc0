"""Pixel-adaptive convolution: each tap is weighted by how alike the guidance is at its two ends.

Su, Jampani, Sun, Gallo, Learned-Miller, Kautz, "Pixel-adaptive convolutional neural networks", 2019, arXiv 1904.05373:
y(p) = b + sum_d exp(-|f_p - f_{p+d}|^2 / 2) W_d x(p + d).

`guidance=input` takes f = x, `guidance=coordinates` the position. Deviations: any number of dimensions; no learned
scale. Coordinates are affine, so that their differences are the same at every pixel: guided by them the layer is a
convolution whose kernel is multiplied by a Gaussian window, and is computed as one.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import (  # fmt: skip
    Convolution,
    Padding,
    conv_flops,
    conv_parameters,
    convolve,
    pad,
    patches,
    strided,
)
from coordbench.variants._parts.passes import lowered
from coordbench.variants._parts.textbook import grid, unfolded, windows
from coordbench.variants._parts.tricks import blockwise
from coordbench.variants._parts.windows import AdaptiveProduct

Guidance = Literal["input", "coordinates"]


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: object
) -> int:
    """(k^d C_in + 1) C_out."""
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias)


def _flops(layer: PixelAdaptive, shape: tuple[int, ...]) -> int:
    weight, out = layer.conv.weight, strided(shape[2:], layer.conv.stride)
    if layer.guidance == "coordinates":
        return conv_flops(shape[0], shape[1], len(weight), weight.shape[-1], out) + weight.numel()
    seen = shape[0] * math.prod(out) * weight[0].numel()
    return conv_flops(shape[0], shape[1], len(weight), weight.shape[-1], out) + 2 * seen


def textbook(layer: PixelAdaptive, x: Tensor) -> Tensor:
    """Unfold the windows of all pixels, each tap weighed by how alike the guidance is at its ends."""
    weight, stride, padding = layer.conv.weight, layer.conv.stride, layer.conv.padding
    seen = windows(x, weight.shape[-1], stride, padding)
    guide = seen
    if layer.guidance == "coordinates":  # which go on beyond the border, whatever is read there
        (height, width), k = x.shape[2:], weight.shape[-1]
        guide = unfolded(grid(height, width, (k - 1) // 2, k // 2).to(x)[None], k, stride)
    middle = (weight.shape[-1] - 1) // 2 * (weight.shape[-1] + 1)
    alike = torch.exp(-(guide - guide[:, :, middle : middle + 1]).square().sum(1, keepdim=True) / 2)
    y = torch.einsum("nitp,oit->nop", seen * alike, weight.flatten(2))
    y = y if layer.conv.bias is None else y + layer.conv.bias[:, None]
    return y.view(*y.shape[:2], *strided(tuple(x.shape[2:]), stride))


@variant(
    "pixel_adaptive",
    source="Su et al. 2019, arXiv 1904.05373",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity="the kernel of each pixel depends on how alike its neighbors are",
)
class PixelAdaptive(nn.Module):
    """Convolution whose kernel is modulated at each pixel by the likeness of its neighbors."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, guidance: Guidance = "input", padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.guidance = guidance
        self.conv = Convolution(
            in_channels, out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        conv = self.conv
        if self.guidance == "coordinates":
            weight = conv.weight * gaussian_window(conv.weight, tuple(x.shape[2:]))
            return convolve(x, weight, conv.bias, stride=conv.stride, padding=conv.padding)
        x, weight = lowered(pad(x, conv.weight.shape[-1], conv.padding), conv.weight)
        formula = partial(adaptive_product, stride=conv.stride)
        fast = blockwise(x) and conv.stride == 1
        y: Tensor = AdaptiveProduct.apply(x, weight, formula) if fast else formula(x, weight)  # type: ignore[no-untyped-call]
        return y if conv.bias is None else y + conv.bias.to(y.dtype).view(-1, *(1,) * (x.dim() - 2))


def gaussian_window(weight: Tensor, size: tuple[int, ...]) -> Tensor:
    """exp(-|d|^2 / 2) over the taps of a kernel, d in units of the coordinates of an input of the given size."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    taps = torch.arange(weight.shape[-1], device=weight.device, dtype=dtype) - (weight.shape[-1] - 1) // 2
    offsets = [taps * 2 / max(n - 1, 1) for n in size]
    return torch.stack(torch.meshgrid(offsets, indexing="ij")).square().sum(0).div(-2).exp().to(weight.dtype)


def adaptive_product(x: Tensor, weight: Tensor, *, stride: int) -> Tensor:
    """Pixel-adaptive convolution of a padded x (N, C, *padded), guided by x itself, without bias."""
    dims, kernel_size = x.dim() - 2, weight.shape[-1]
    windows = patches(x, kernel_size, stride)  # (N, C, *out, *kernel)
    center = windows
    for axis in range(2 + dims, 2 + 2 * dims):
        center = center.narrow(axis, (kernel_size - 1) // 2, 1)
    difference = windows - center
    alike = (difference * difference).sum(1, keepdim=True).div(-2).exp()
    order = [0, *range(2, 2 + dims), 1, *range(2 + dims, 2 + 2 * dims)]
    rows = (windows * alike).permute(order).flatten(1 + dims)  # (N, *out, C k^d)
    return (rows @ weight.flatten(1).t()).movedim(-1, 1)
