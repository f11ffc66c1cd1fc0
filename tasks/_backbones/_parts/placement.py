"""Where in a backbone the variant stands."""

from __future__ import annotations

from typing import Literal

from torch import nn

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
