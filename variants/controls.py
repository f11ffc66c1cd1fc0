"""Controls: layers with the extra parts of a position-aware layer but no position, and position with no extra parts.

`constant_channel` and `noise_channel` hold GeoConv's extra channel (arXiv 2401.01951) filled with ones or with noise;
`unit_gate` holds CoordGate's 1x1 convolution (arXiv 2401.04680) behind a gate that is 1 everywhere.

`position_injection` adds a linear function of the coordinates to the output: the smallest layer that can do what
CoordConv (arXiv 1807.03247) does, which away from the border adds to each channel an affine function of position, for
which d weights per channel suffice.

Ours: the noise is standard normal, drawn per image while training; at evaluation it is its mean, 0.
"""

from __future__ import annotations

from dataclasses import dataclass

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
)
from coordbench.variants._parts.place import Coordinates, beside_place, plus_place
from coordbench.variants._parts.textbook import beside, convolved, grid


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: object
) -> int:
    """(k^d (C_in + 1) + 1) C_out."""
    return conv_parameters(in_channels + 1, out_channels, kernel_size, size, bias)


def _flops(layer: ConstantChannel, shape: tuple[int, ...]) -> int:
    weight = layer.conv.weight
    maps = shape[0] if isinstance(layer, NoiseChannel) and layer.training else 1
    return layer.conv.flops(shape) + conv_flops(maps, 1, len(weight), weight.shape[-1], layer.conv.out(shape[2:]))


def constant_textbook(layer: ConstantChannel, x: Tensor) -> Tensor:
    """Concatenate ones, then convolve."""
    return beside(layer.conv, x, lambda place: torch.ones_like(place[:, :1]))


def _identity(layer: ConstantChannel, weight: Tensor, bias: Tensor | None) -> None:
    layer.conv.become(weight, bias)


@variant(
    "constant_channel",
    source="control for arXiv 2401.01951",
    flops=_flops,
    parameters=_parameters,
    textbook=constant_textbook,
    identity=_identity,
)
class ConstantChannel(ConvolutionLayer):
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
        return beside_place(self.conv, x, Constant(1))


@dataclass(frozen=True)
class Constant:
    """One channel of a number."""

    value: float

    def __call__(self, place: Tensor, size: tuple[int, ...]) -> Tensor:
        """(d, *grid) -> (1, 1, *grid)."""
        return torch.full_like(place[None, :1], self.value)


def noise_textbook(layer: NoiseChannel, x: Tensor) -> Tensor:
    """Concatenate noise, zeros at evaluation, then convolve."""
    noise = torch.randn(len(x), 1, *x.shape[2:]).to(x) if layer.training else torch.zeros_like(x[:, :1])
    return beside(layer.conv, x, lambda place: noise)


@variant(
    "noise_channel",
    source="control for arXiv 2401.01951",
    flops=_flops,
    parameters=_parameters,
    textbook=noise_textbook,
    identity=_identity,
)
class NoiseChannel(ConstantChannel):
    """Convolution of the input beside a channel of noise."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        if not self.training:
            return beside_place(self.conv, x, Constant(0))
        size = self.conv.canvas(x).shape[2:]
        return self.conv.beside(x, torch.randn(x.shape[0], 1, *size, device=x.device).to(x.dtype))


def _unit_parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: object
) -> int:
    """(k^d C_in + 1) C_out + (C_out + 1) C_out."""
    first = conv_parameters(in_channels, out_channels, kernel_size, size, bias)
    return first + conv_parameters(out_channels, out_channels, 1, size)


def _unit_flops(layer: UnitGate, shape: tuple[int, ...]) -> int:
    channels = len(layer.conv.weight)
    return layer.conv.flops(shape) + conv_flops(shape[0], channels, channels, 1, layer.conv.out(shape[2:]))


def unit_textbook(layer: UnitGate, x: Tensor) -> Tensor:
    """One convolution, then another of one pixel."""
    return functional.conv2d(convolved(layer.conv, x), layer.project.weight, layer.project.bias)


def _unit_identity(layer: UnitGate, weight: Tensor, bias: Tensor | None) -> None:
    layer.conv.become(weight, bias)
    layer.project.pass_on()


@variant(
    "unit_gate",
    source="control for arXiv 2401.04680",
    flops=_unit_flops,
    parameters=_unit_parameters,
    textbook=unit_textbook,
    identity=_unit_identity,
)
class UnitGate(ConvolutionLayer):
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


def _injection_parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: object
) -> int:
    """(k^d C_in + 1) C_out + d C_out."""
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias) + len(size) * out_channels


def _injection_flops(layer: PositionInjection, shape: tuple[int, ...]) -> int:
    out = layer.conv.out(shape[2:])
    return layer.conv.flops(shape) + conv_flops(1, len(out), len(layer.conv.weight), 1, out)


def injection_textbook(layer: PositionInjection, x: Tensor) -> Tensor:
    """The convolution, plus a weighted sum of the coordinates of each output pixel."""
    y = convolved(layer.conv, x)
    return y + torch.einsum("oc,chw->ohw", layer.place.weight.flatten(1), grid(*y.shape[2:]).to(x))


def _injection_identity(layer: PositionInjection, weight: Tensor, bias: Tensor | None) -> None:
    layer.conv.become(weight, bias)
    torch.nn.init.zeros_(layer.place.weight)


@variant(
    "position_injection",
    source="after Liu et al. 2018, arXiv 1807.03247",
    flops=_injection_flops,
    parameters=_injection_parameters,
    textbook=injection_textbook,
    identity=_injection_identity,
)
class PositionInjection(ConvolutionLayer):
    """Convolution plus a 1x1 convolution of the coordinates of the output pixels."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = Convolution(
            in_channels, out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )
        self.place = Convolution(len(size), out_channels, 1, len(size), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        return plus_place(self.conv, x, Coordinates(), self.place.weight)
