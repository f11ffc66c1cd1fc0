"""Fourier CoordConv: random Fourier features of the coordinates beside the input, then an ordinary convolution.

Tancik et al., "Fourier features let networks learn high frequency functions in low dimensional domains", 2020, arXiv
2006.10739: [cos, sin](2 pi B v), B ~ N(0, sigma^2), in place of the channels of CoordConv (arXiv 1807.03247).

Deviations: v lies in [-1, 1] instead of [0, 1], so that a sigma counts twice; B is drawn when the layer is built and
kept with its state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, Padding, conv_flops, conv_parameters, strided
from coordbench.variants._parts.coordinates import coordinates, fourier_features
from coordbench.variants._parts.passes import full_precision


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, features: int = 8,
    **_: Any,
) -> int:  # fmt: skip
    """(k^d (C_in + 2 features) + 1) C_out."""
    return conv_parameters(in_channels + 2 * features, out_channels, kernel_size, size, bias)


def _flops(layer: FourierCoordConv, shape: tuple[int, ...]) -> int:
    weight, out, (features, dims) = layer.conv.weight, strided(shape[2:], layer.conv.stride), layer.frequencies.shape
    own = conv_flops(shape[0], shape[1], len(weight), weight.shape[-1], out)
    waves = conv_flops(1, dims, features, 1, shape[2:])
    return own + waves + conv_flops(1, 2 * features, len(weight), weight.shape[-1], out)


@variant("fourier_coordconv", source="Tancik et al. 2020, arXiv 2006.10739", flops=_flops, parameters=_parameters)
class FourierCoordConv(nn.Module):
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
        return self.conv.beside_still(x, lambda: self._waves(x), owner=self)

    def _waves(self, x: Tensor) -> Tensor:
        with full_precision(x):
            return fourier_features(coordinates(x), self.frequencies)[None]
