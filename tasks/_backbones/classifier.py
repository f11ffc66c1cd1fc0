"""A classifier whose every means of knowing or forgetting place is an option: how it halves, its head, its padding."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.downsampling import Down, Padding, halving
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.shapes import GlobalMax, GlobalMean
from coordbench.tasks._backbones._parts.width import scaled

Head = Literal["global_mean", "fully_conv", "dense"]
CHANNELS = (16, 32, 32, 64)


@backbone("classifier")
def classifier(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, where: Where = "all",
    width: float = 1.0, depth: int = 3, down: Down = "stride", head: Head = "global_mean",
    padding: Padding = "zeros",
) -> nn.Module:  # fmt: skip
    """Build `depth` 3x3 layers with ReLU, each but the first halving the size, and a head: (N, C, *size) -> (N, F).

    Heads: the global mean of each channel, then a linear layer; a 1x1 layer to F maps, then the maximum of each
    (`fully_conv`); one linear layer over all pixels (`dense`). Where the output is a map, F maps of the reduced size
    stand without a head. `padding` is that of the layers which are no variant.
    """
    (channels, *size), (features, *pixels) = input_shape, output_shape
    plain = registry.layer("conv" if padding == "zeros" else f"conv[padding={padding}]")
    layer, modules = Placed(layer, where, depth, plain), []
    for level in range(depth):
        after = scaled(CHANNELS[min(level, len(CHANNELS) - 1)], width)
        stride = 2 if level and down == "stride" else 1
        modules += [layer(channels, after, 3, size=tuple(size), stride=stride), nn.ReLU()]
        if level and down != "stride":
            modules.append(halving(down, after, tuple(size), padding))
        channels, size = after, [math.ceil(n / 2) for n in size] if level else size
    if pixels:
        return nn.Sequential(*modules, registry.layer("conv")(channels, features, 1, size=tuple(size)))
    return nn.Sequential(*modules, *_head(head, channels, tuple(size), features))


def _head(head: Head, channels: int, size: tuple[int, ...], features: int) -> list[nn.Module]:
    match head:
        case "dense":
            return [Flatten(size), nn.Linear(channels * math.prod(size), features)]
        case "fully_conv":
            return [registry.layer("conv")(channels, features, 1, size=size), GlobalMax()]
        case _:
            return [GlobalMean(), nn.Linear(channels, features)]


class Flatten(nn.Module):
    """Put all pixels in a row: (N, C, *size) -> (N, C * prod(size)); raises ValueError for another size."""

    def __init__(self, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return one vector per image."""
        if x.shape[2:] != torch.Size(self.size):
            raise ValueError(f"a dense head built for maps of {self.size} px was given {tuple(x.shape[2:])} px")
        return x.flatten(1)
