"""CoordConv: coordinate channels beside the input, then an ordinary convolution.

Liu, Lehman, Molino, Petroski Such, Frank, Sergeev, Yosinski, "An intriguing failing of convolutional neural networks
and the CoordConv solution", 2018, arXiv 1807.03247. Channels in the order of the released code: input, x (along the
width), y (along the height), optional radius sqrt(x^2 + y^2).

Deviations: any number of dimensions and any input size; an axis of one pixel has coordinate 0. The random shift is
GeoConv's (arXiv 2401.01951), so that shift and merge can be told apart. The channels are never built into the input:
their share of the output is one map for the whole batch (see `Convolution.beside`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, conv_parameters
from coordbench.variants._parts.coordinates import Per, PositionPadding, Shift, coordinates, moved, position_flops


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, radius: bool = False,
    **_: Any,
) -> int:  # fmt: skip
    """(k^d (C_in + d) + 1) C_out; one input channel more for the radius."""
    return conv_parameters(in_channels + len(size) + radius, out_channels, kernel_size, size, bias)


def _flops(layer: CoordConv, shape: tuple[int, ...]) -> int:
    return position_flops(layer.conv, layer.shift, shape, terms=None if layer.radius else len(shape) - 2)


@variant("coordconv", source="Liu et al. 2018, arXiv 1807.03247", flops=_flops, parameters=_parameters)
class CoordConv(nn.Module):
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
            return self.conv.beside_still(x, lambda: self._channels(x, None))
        if self.radius or len(shift) == 1:
            return self.conv.beside(x, self._channels(x, shift))
        place = coordinates(x, *self.conv.margin)[None]
        axes = torch.eye(place.shape[1], dtype=place.dtype, device=x.device)  # a shift adds a constant to its channel
        constants = moved(torch.zeros_like(place), axes)
        return self.conv.beside(x, torch.cat([place, constants]), shift)

    def _channels(self, x: Tensor, shift: Tensor | None) -> Tensor:
        place = moved(coordinates(x, *self.conv.margin)[None], shift)
        return torch.cat([place, torch.linalg.vector_norm(place, dim=1, keepdim=True)], 1) if self.radius else place
