"""Position injection: a linear function of the coordinates, added to the output of a convolution.

Ours, as the smallest layer that can do what CoordConv (Liu et al. 2018, arXiv 1807.03247) does: away from the border
CoordConv adds to each output channel an affine function of position, for which d weights per channel suffice.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, Padding, conv_flops, conv_parameters, strided
from coordbench.variants._parts.coordinates import coordinates
from coordbench.variants._parts.passes import full_precision


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: Any
) -> int:
    """(k^d C_in + 1) C_out + d C_out."""
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias) + len(size) * out_channels


def _flops(layer: PositionInjection, shape: tuple[int, ...]) -> int:
    weight, out = layer.conv.weight, strided(shape[2:], layer.conv.stride)
    own = conv_flops(shape[0], shape[1], len(weight), weight.shape[-1], out)
    return own + conv_flops(1, len(out), len(weight), 1, out)


@variant("position_injection", source="after Liu et al. 2018, arXiv 1807.03247", flops=_flops, parameters=_parameters)
class PositionInjection(nn.Module):
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
        return self.conv.plus_still(x, lambda: self._maps(x), owner=self)

    def _maps(self, x: Tensor) -> Tensor:
        out = x.new_empty(1, 1, *strided(tuple(x.shape[2:]), self.conv.stride))
        with full_precision(x):
            return self.place.precise(coordinates(out)[None])
