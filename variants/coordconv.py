"""CoordConv: coordinate channels beside the input, then an ordinary convolution.

Liu, Lehman, Molino, Petroski Such, Frank, Sergeev, Yosinski, "An intriguing failing of convolutional neural networks
and the CoordConv solution", 2018, arXiv 1807.03247. Channels in the order of the released code: input, x (along the
width), y (along the height), optional radius sqrt(x^2 + y^2).

Deviations: any number of dimensions and any input size; an axis of one pixel has coordinate 0. The random shift is
GeoConv's (arXiv 2401.01951), so that shift and merge can be told apart. The channels are never built into the input:
their share of the output is one map for the whole batch (see `beside_place`).

`fourier_coordconv`: Tancik et al., "Fourier features let networks learn high frequency functions in low dimensional
domains", 2020, arXiv 2006.10739: [cos, sin](2 pi B v), B ~ N(0, sigma^2), in place of the coordinates. Deviations: v
lies in [-1, 1] instead of [0, 1], so that a sigma counts twice; B is drawn when the layer is built and stays with its
state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, ConvolutionLayer, Padding, conv_flops, conv_parameters
from coordbench.variants._parts.coordinates import (
    Per,
    PositionPadding,
    Shift,
    coordinates,
    fourier_features,
    moved,
    position_flops,
)
from coordbench.variants._parts.passes import full_precision
from coordbench.variants._parts.place import Coordinates, beside_place, with_radius
from coordbench.variants._parts.textbook import beside
from coordbench.variants._parts.tricks import eager


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, radius: bool = False,
    **_: object,
) -> int:  # fmt: skip
    """(k^d (C_in + d) + 1) C_out; one input channel more for the radius."""
    return conv_parameters(in_channels + len(size) + radius, out_channels, kernel_size, size, bias)


def _flops(layer: CoordConv, shape: tuple[int, ...]) -> int:
    return position_flops(layer.conv, layer.shift, shape, terms=None if layer.radius else len(shape) - 2)


def textbook(layer: CoordConv, x: Tensor) -> Tensor:
    """Concatenate the coordinates, then convolve."""
    shift = layer.shift(x).view(-1, 2, 1, 1) if layer.shift.active else 0

    def channels(place: Tensor) -> Tensor:
        place = place + shift
        return torch.cat([place, place.square().sum(1, keepdim=True).sqrt()], 1) if layer.radius else place

    return beside(layer.conv, x, channels)


def _identity(layer: CoordConv | FourierCoordConv, weight: Tensor, bias: Tensor | None) -> None:
    layer.conv.become(weight, bias)


@variant(
    "coordconv",
    source="Liu et al. 2018, arXiv 1807.03247",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class CoordConv(ConvolutionLayer):
    """Convolution of the input beside its pixels' coordinates."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, radius: bool = False, padding: PositionPadding = "zeros", shift: float = 0.0,
        per: Per = "sample", shared: bool = False, shift_at_evaluation: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        dims, self.radius = len(size), radius
        self.conv = Convolution(
            in_channels + dims + radius, out_channels, kernel_size, dims, stride=stride, bias=bias, padding=padding
        )
        self.shift = Shift(dims, shift, per, shared=shared, at_evaluation=shift_at_evaluation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        shift = self.shift(x)
        if shift is None:
            return beside_place(self.conv, x, Coordinates(self.radius))
        if not self.radius:  # a shift adds a constant to its channel
            return beside_place(self.conv, x, Coordinates(shifted=True), functional.pad(shift, (1, 0), value=1))
        place = coordinates(self.conv.canvas(x), *self.conv.margin)[None]
        return self.conv.beside(x, with_radius(moved(place, shift)))


def _fourier_parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, features: int = 8,
    **_: object,
) -> int:  # fmt: skip
    """(k^d (C_in + 2 features) + 1) C_out."""
    return conv_parameters(in_channels + 2 * features, out_channels, kernel_size, size, bias)


def _fourier_flops(layer: FourierCoordConv, shape: tuple[int, ...]) -> int:
    conv, (features, dims) = layer.conv, layer.frequencies.shape
    canvas = conv.out(shape[2:]) if conv.doubles else shape[2:]
    waves = conv_flops(1, dims, features, 1, canvas)
    maps = conv_flops(1, 2 * features, len(conv.weight), conv.weight.shape[-1], conv.out(shape[2:]))
    return conv.flops(shape) + waves + maps


def fourier_textbook(layer: FourierCoordConv, x: Tensor) -> Tensor:
    """Concatenate the waves of the coordinates, then convolve."""

    def waves(place: Tensor) -> Tensor:
        phase = 2 * math.pi * torch.einsum("mc,nchw->nmhw", layer.frequencies, place)
        return torch.cat([phase.cos(), phase.sin()], 1)

    return beside(layer.conv, x, waves)


@variant(
    "fourier_coordconv",
    source="Tancik et al. 2020, arXiv 2006.10739",
    flops=_fourier_flops,
    parameters=_fourier_parameters,
    textbook=fourier_textbook,
    identity=_identity,
)
class FourierCoordConv(ConvolutionLayer):
    """Convolution of the input beside Fourier features of its pixels' coordinates."""

    frequencies: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, features: int = 8, sigma: float = 1.0, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        if features < 1:
            raise ValueError(f"features={features} must be at least 1")
        channels = in_channels + 2 * features
        self.conv = Convolution(
            channels, out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )
        self.register_buffer("frequencies", sigma * torch.randn(features, len(size)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        waves = self.frequencies
        if eager() and x.device.type == "cpu":
            return beside_place(self.conv, x, Waves(tuple(map(tuple, waves.tolist()))))
        with full_precision(x):
            channels = fourier_features(coordinates(self.conv.canvas(x)), waves)[None]
        return self.conv.beside(x, channels)


@dataclass(frozen=True)
class Waves:
    """Fourier features of some frequencies, m times d."""

    frequencies: tuple[tuple[float, ...], ...]

    def __call__(self, place: Tensor, size: tuple[int, ...]) -> Tensor:
        """(d, *grid) -> (1, 2 m, *grid)."""
        return fourier_features(place, torch.tensor(self.frequencies, dtype=place.dtype))[None]
