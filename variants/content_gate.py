"""Content gates: attention that looks at what is there and knows no place; the control for gates that do.

`kind=se`: Hu, Shen, Sun, "Squeeze-and-excitation networks", 2017, arXiv 1709.01507. `kind=cbam`: Woo, Park, Lee, Kweon,
"CBAM: Convolutional block attention module", 2018, arXiv 1807.06521. `kind=pixel` (ours) is the equal of
`coordgate[encoder=mlp]`: a perceptron of three layers, 64 wide, gates each pixel, but sees the pixel's channels instead
of its coordinates. It is the control for a gate that knows place, as wide for each pixel; the others have one hidden
unit for 16 channels, and one gate for all pixels.

Deviations: any number of dimensions; at least one hidden channel; no batch normalization after CBAM's 7x7, which has a
bias in its stead.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import (
    Convolution,
    ConvolutionLayer,
    Padding,
    conv_flops,
    conv_parameters,
)
from coordbench.variants._parts.textbook import convolved, padded

Kind = Literal["se", "cbam", "pixel"]


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, kind: Kind = "se",
    reduction: int = 16, width: int = 64, **_: object,
) -> int:  # fmt: skip
    """(k^d C_in + 1) C_out, and h (2 C_out + 1) + C_out for the gate with h = C_out / reduction; 99 more for CBAM."""
    hidden = max(out_channels // reduction, 1)
    widths = (out_channels, width, width, out_channels) if kind == "pixel" else (out_channels, hidden, out_channels)
    gate = sum((i + 1) * o for i, o in pairwise(widths))
    spatial = conv_parameters(2, 1, 7, size) if kind == "cbam" else 0
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias) + gate + spatial


def _flops(layer: ContentGate, shape: tuple[int, ...]) -> int:
    out, images, channels, gate = layer.conv.out(shape[2:]), shape[0], len(layer.conv.weight), layer.gate
    products = images * channels * math.prod(out)
    if isinstance(gate, PixelGate):
        widths = (channels, gate.width, gate.width, channels)
        return layer.conv.flops(shape) + products + sum(conv_flops(images, i, o, 1, out) for i, o in pairwise(widths))
    excitations = 2 * images * 2 * gate.squeeze.out_features * channels
    if not isinstance(gate, AttentionGate):
        return layer.conv.flops(shape) + excitations + products
    return layer.conv.flops(shape) + 2 * (excitations + products) + conv_flops(images, 2, 1, 7, out)


def textbook(layer: ContentGate, x: Tensor) -> Tensor:
    """Multiply each channel, then for CBAM each pixel, by a sigmoid; for `pixel`, both at once and without one."""
    y, gate = convolved(layer.conv, x), layer.gate
    if isinstance(gate, PixelGate):
        h = y
        for i, module in enumerate(gate.layers):
            stage = cast("Convolution", module)
            h = functional.conv2d(h.relu() if i else h, stage.weight, stage.bias)
        return y * h
    attention = gate.excited(y.mean((2, 3)))
    if not isinstance(gate, AttentionGate):
        return y * attention.sigmoid()[:, :, None, None]
    y = y * (attention + gate.excited(y.amax((2, 3)))).sigmoid()[:, :, None, None]
    seen = padded(torch.stack([y.mean(1), y.amax(1)], 1), 7, layer.conv.padding)
    return y * functional.conv2d(seen, gate.spatial.weight, gate.spatial.bias).sigmoid()


def _identity(layer: ContentGate, weight: Tensor, bias: Tensor | None) -> None:
    """Gates of 1; a sigmoid of 0 is 1/2, which the convolution makes up for."""
    for parameter in layer.gate.parameters():
        nn.init.zeros_(parameter)
    if isinstance(layer.gate, PixelGate):
        nn.init.ones_(cast("Tensor", layer.gate.layers[-1].bias))
        halves = 0
    else:
        halves = 2 if isinstance(layer.gate, AttentionGate) else 1
    layer.conv.become(2**halves * weight, None if bias is None else 2**halves * bias)


@variant(
    "content_gate",
    source="Hu et al. 2017, arXiv 1709.01507; Woo et al. 2018, arXiv 1807.06521",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class ContentGate(ConvolutionLayer):
    """Convolution, gated by a function of its output."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, kind: Kind = "se", reduction: int = 16, width: int = 64, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        for name, value in {"reduction": reduction, "width": width}.items():
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        dims, hidden = len(size), max(out_channels // reduction, 1)
        self.conv = Convolution(in_channels, out_channels, kernel_size, dims, stride=stride, bias=bias, padding=padding)
        self.gate: ChannelGate | PixelGate
        if kind == "pixel":
            self.gate = PixelGate(out_channels, width, dims)
        elif kind == "cbam":
            self.gate = AttentionGate(out_channels, hidden, dims, padding)
        else:
            self.gate = ChannelGate(out_channels, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        y: Tensor = self.gate(self.conv(x))
        return y


class ChannelGate(nn.Module):
    """Squeeze and excitation: a gate for each channel, from the mean of all."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, y: Tensor) -> Tensor:
        """(N, C, *size) -> (N, C, *size)."""
        return _gated(y, self.excited(y.flatten(2).mean(2)))

    def excited(self, seen: Tensor) -> Tensor:
        """(N, C) -> the gates before their sigmoid, (N, C)."""
        result: Tensor = self.excite(self.squeeze(seen).relu())
        return result


class AttentionGate(ChannelGate):
    """CBAM: a gate for each channel from mean and maximum, then one for each pixel from its neighborhood."""

    def __init__(self, channels: int, hidden: int, dims: int, padding: Padding) -> None:
        super().__init__(channels, hidden)
        self.spatial = Convolution(2, 1, 7, dims, padding=padding)

    def forward(self, y: Tensor) -> Tensor:
        """(N, C, *size) -> (N, C, *size)."""
        pixels = y.flatten(2)
        y = _gated(y, self.excited(pixels.mean(2)) + self.excited(pixels.amax(2)))
        return _gated(y, self.spatial(torch.cat([y.mean(1, keepdim=True), y.amax(1, keepdim=True)], 1)))


class PixelGate(nn.Module):
    """A perceptron of each pixel's channels, of three layers, that multiplies them."""

    def __init__(self, channels: int, width: int, dims: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.ModuleList(Convolution(i, o, 1, dims) for i, o in pairwise((channels, width, width, channels)))

    def forward(self, y: Tensor) -> Tensor:
        """(N, C, *size) -> (N, C, *size)."""
        gate = y
        for i, layer in enumerate(self.layers):
            gate = layer(gate.relu() if i else gate)
        return y * gate


def _gated(y: Tensor, gate: Tensor) -> Tensor:
    return y * gate.sigmoid().view(*gate.shape, *(1,) * (y.dim() - gate.dim()))
