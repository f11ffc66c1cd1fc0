"""Where in a backbone the variant stands, and how it is upsampled."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.problem import LayerFactory

Where = Literal["all", "first", "last", "none"]


class Placed:
    """A layer factory that builds the variant in some of a backbone's `layers` layers and `plain` in the rest."""

    def __init__(self, layer: LayerFactory, where: Where, layers: int, plain: LayerFactory | None = None) -> None:
        self.variant, self.plain = layer, plain or registry.layer("conv")
        self.chosen = {"all": range(layers), "first": (0,), "last": (layers - 1,), "none": ()}[where]
        self.built = 0

    def __call__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        """Build the next layer of the backbone."""
        factory = self.next()
        return factory(in_channels, out_channels, kernel_size, size=size, stride=stride, bias=bias)

    def next(self) -> LayerFactory:
        """The factory of the backbone's next layer."""
        self.built += 1
        return self.variant if self.built - 1 in self.chosen else self.plain


def upsampling(
    layer: LayerFactory, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...],
    bias: bool = True,
) -> nn.Module:  # fmt: skip
    """Double each axis: a transposed convolution for `conv`, zero insertion and the layer at stride 1 for any other.

    `size` is the spatial size of the input; (N, in_channels, *size) -> (N, out_channels, *(2 * size)).
    """
    if isinstance(layer, Placed):
        layer = layer.next()
    if getattr(layer, "label", "") == "conv":
        transposed = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[len(size)]
        padding = max(0, (kernel_size - 1) // 2)
        extra = 2 - kernel_size + 2 * padding
        return transposed(in_channels, out_channels, kernel_size, 2, padding, output_padding=max(extra, 0), bias=bias)
    doubled = tuple(2 * n for n in size)
    return nn.Sequential(ZeroInsertion(), layer(in_channels, out_channels, kernel_size, size=doubled, bias=bias))


class ZeroInsertion(nn.Module):
    """Put a zero after each pixel: (N, C, *size) -> (N, C, *(2 * size))."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the upsampled map."""
        out = x.new_zeros(*x.shape[:2], *(2 * n for n in x.shape[2:]))
        out[(slice(None), slice(None), *(slice(None, None, 2) for _ in x.shape[2:]))] = x
        return out
