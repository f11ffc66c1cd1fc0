"""Plain convolution: the baseline of every comparison.

LeCun et al., "Backpropagation applied to handwritten zip code recognition", Neural Computation 1(4), 1989.
`antialias=blur`: Zhang, "Making convolutional networks shift-invariant again", 2019, arXiv 1904.11486: the convolution
at stride 1, then a blur [1, 3, 3, 1] at the stride. `antialias=aps`: Chaman and Dokmanic, "Truly shift-invariant
convolutional neural networks", 2020, arXiv 2011.14214: of the polyphase components keep that of largest l2 norm.

Deviations: the blur pads as the convolution does, and stands before the activation, since a layer holds none; Zhang's
stands after it (`classifier[down=blur_pool]` does so too). Components of unequal size are filled up with zeros.
"""

from __future__ import annotations

import itertools
import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import (
    Convolution,
    ConvolutionLayer,
    Padding,
    conv_flops,
    conv_parameters,
    convolve,
    strided,
)
from coordbench.variants._parts.textbook import convolved, padded


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, groups: int = 1,
    **_: object,
) -> int:  # fmt: skip
    """(k^d C_in / groups + 1) C_out."""
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias, groups)


def _flops(layer: Conv, shape: tuple[int, ...]) -> int:
    coarse = strided(shape[2:], layer.stride)
    blur = conv_flops(shape[0], 1, len(layer.conv.weight), 4, coarse) if layer.antialias == "blur" else 0
    return layer.conv.flops(shape) + blur


def textbook(layer: Conv, x: Tensor) -> Tensor:
    """The convolution; then for each channel the blur, or for each image the loudest of the polyphase components."""
    y, stride = convolved(layer.conv, x), layer.stride
    if layer.antialias == "blur":
        line = torch.tensor([1, 3, 3, 1], dtype=x.dtype) / 8
        y = padded(y, 4, layer.padding).flatten(0, 1)[:, None]
        y = functional.conv2d(y, torch.outer(line, line)[None, None], stride=stride)
        return y.view(len(x), -1, *y.shape[2:])
    if layer.antialias == "aps":
        y = functional.pad(y, (0, -y.shape[3] % stride, 0, -y.shape[2] % stride))
        phases = [y[:, :, i::stride, j::stride] for i in range(stride) for j in range(stride)]
        return torch.stack([max((p[n] for p in phases), key=lambda p: p.square().sum().item()) for n in range(len(x))])
    return y


def _identity(layer: Conv, weight: Tensor, bias: Tensor | None) -> None:
    layer.conv.become(weight, bias)


@variant(
    "conv",
    source="LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class Conv(ConvolutionLayer):
    """Convolution with padding of (k - 1) // 2 before and k // 2 after each axis."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, padding: Padding = "zeros", groups: int = 1,
        antialias: Literal["none", "blur", "aps"] = "none",
    ) -> None:  # fmt: skip
        super().__init__()
        self.antialias: str = antialias if stride > 1 else "none"
        self.stride, self.padding = stride, padding
        self.conv = Convolution(
            in_channels, out_channels, kernel_size, len(size), stride=stride if self.antialias == "none" else 1,
            bias=bias, padding=padding, groups=groups,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        y: Tensor = self.conv(x)
        if self.antialias == "blur":
            return blur(y, self.stride, self.padding)
        return largest_polyphase(y, self.stride) if self.antialias == "aps" else y


def blur(x: Tensor, stride: int, padding: Padding) -> Tensor:
    """Smooth each channel by [1, 3, 3, 1] / 8 along each axis and keep every stride-th pixel."""
    dims, channels = x.dim() - 2, x.shape[1]
    taps = [math.prod(t) / 8**dims for t in itertools.product((1, 3, 3, 1), repeat=dims)]
    kernel = torch.tensor(taps, device=x.device, dtype=x.dtype).view(1, 1, *(4,) * dims)
    kernel = kernel.expand(channels, 1, *(4,) * dims)
    return convolve(x, kernel, stride=stride, padding=padding, groups=channels)


def largest_polyphase(x: Tensor, stride: int) -> Tensor:
    """Of the stride^d ways to keep every stride-th pixel, take for each image the one of largest l2 norm."""
    missing = [(-n) % stride for n in x.shape[:1:-1]]
    x = functional.pad(x, [pad for after in missing for pad in (0, after)])
    starts = [slice(o, None, stride) for o in range(stride)]
    phases = torch.stack([x[(slice(None), slice(None), *s)] for s in itertools.product(starts, repeat=x.dim() - 2)], 1)
    best = phases.flatten(2).square().sum(2).argmax(1)
    index = best.view(-1, *(1,) * (phases.dim() - 1)).expand(-1, 1, *phases.shape[2:])
    return phases.gather(1, index).squeeze(1)
