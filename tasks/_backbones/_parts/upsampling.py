"""How a map is doubled: one operator for every layer, so that arms of a comparison differ by their layer alone.

A zero beside each pixel, then the layer at stride 1. For a plain convolution that is a transposed convolution of stride
2; its weights start by the law of any other convolution, of fan-in C_in k^d, and not by that of `nn.ConvTranspose2d`,
which counts C_out in place of C_in.
"""

from __future__ import annotations

from torch import Tensor, nn

from coordbench.harness.core.problem import FusesDoubling, LayerFactory


class Doubling(nn.Module):
    """(N, in_channels, *size) -> (N, out_channels, *(2 * size)), `size` being that of the input.

    A layer that can read the map without the zeros does so, at a quarter of the cost in two dimensions, unless `fuse`
    is False; the result is the same.
    """

    def __init__(
        self, layer: LayerFactory, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...],
        bias: bool = True, fuse: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        doubled = tuple(2 * n for n in size)
        self.layer = layer(in_channels, out_channels, kernel_size, size=doubled, bias=bias)
        self.fused = fuse and isinstance(self.layer, FusesDoubling) and self.layer.fuse_doubling()
        self.zero_first = kernel_size % 2 == 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the doubled map."""
        y: Tensor = self.layer(x if self.fused else spread(x, zero_first=self.zero_first))
        return y


def spread(x: Tensor, *, zero_first: bool) -> Tensor:
    """Put a zero after each pixel of each axis, or before it: (N, C, *size) -> (N, C, *(2 * size)).

    Before it for even kernels, which reach one pixel further ahead than back: the result then lies evenly around the
    map, as with the transposed convolutions of the papers.
    """
    out = x.new_zeros(*x.shape[:2], *(2 * n for n in x.shape[2:]))
    out[(slice(None), slice(None), *(slice(int(zero_first), None, 2) for _ in x.shape[2:]))] = x
    return out
