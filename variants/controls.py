"""Controls: layers with the extra parts of a position-aware layer, but no position.

`constant_channel` and `noise_channel` hold GeoConv's extra channel (arXiv 2401.01951) filled with ones or with noise;
`unit_gate` holds CoordGate's 1x1 convolution (arXiv 2401.04680) behind a gate that is 1 everywhere.

Ours: the noise is standard normal, drawn per image while training; at evaluation it is its mean, 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, Padding, conv_flops, conv_parameters, strided


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: Any
) -> int:
    """(k^d (C_in + 1) + 1) C_out."""
    return conv_parameters(in_channels + 1, out_channels, kernel_size, size, bias)


def _flops(layer: ConstantChannel, shape: tuple[int, ...]) -> int:
    weight, out = layer.conv.weight, strided(shape[2:], layer.conv.stride)
    maps = shape[0] if isinstance(layer, NoiseChannel) and layer.training else 1
    own = conv_flops(shape[0], shape[1], len(weight), weight.shape[-1], out)
    return own + conv_flops(maps, 1, len(weight), weight.shape[-1], out)


@variant("constant_channel", source="control for arXiv 2401.01951", flops=_flops, parameters=_parameters)
class ConstantChannel(nn.Module):
    """Convolution of the input beside a channel of ones, which zero padding turns into a picture of the border."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = Convolution(
            in_channels + 1, out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        return self.conv.beside_still(x, lambda: x.new_ones(1, 1, *x.shape[2:]))


@variant("noise_channel", source="control for arXiv 2401.01951", flops=_flops, parameters=_parameters)
class NoiseChannel(ConstantChannel):
    """Convolution of the input beside a channel of noise."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        if not self.training:
            return self.conv.beside_still(x, lambda: x.new_zeros(1, 1, *x.shape[2:]))
        return self.conv.beside(x, torch.randn(x.shape[0], 1, *x.shape[2:], device=x.device).to(x.dtype))


def _unit_parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: Any
) -> int:
    """(k^d C_in + 1) C_out + (C_out + 1) C_out."""
    first = conv_parameters(in_channels, out_channels, kernel_size, size, bias)
    return first + conv_parameters(out_channels, out_channels, 1, size)


def _unit_flops(layer: UnitGate, shape: tuple[int, ...]) -> int:
    weight, out = layer.conv.weight, strided(shape[2:], layer.conv.stride)
    first = conv_flops(shape[0], shape[1], len(weight), weight.shape[-1], out)
    return first + conv_flops(shape[0], len(weight), len(weight), 1, out)


@variant("unit_gate", source="control for arXiv 2401.04680", flops=_unit_flops, parameters=_unit_parameters)
class UnitGate(nn.Module):
    """Convolution followed by a 1x1 convolution: what `coordgate[project=true]` is without its gate."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = Convolution(
            in_channels, out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )
        self.project = Convolution(out_channels, out_channels, 1, len(size))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        y: Tensor = self.project(self.conv(x))
        return y
