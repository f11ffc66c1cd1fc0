"""The generator of the CoordConv paper: a vector tiled over the canvas, then 1x1 layers that only position tells apart.

Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247:
444,931 parameters with CoordConv first and 256 latents, against 6,413,315 of `dcgan[kernel=5]`.

And a DCGAN whose discriminator is wider than its generator, so that it can learn a finite set of images by heart: one
of the levers by which `gan_pilot` looks for a regime in which GANs collapse.
"""

from __future__ import annotations

import itertools
from typing import Literal

from torch import nn

from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.shapes import Tile
from coordbench.tasks._backbones._parts.width import scaled
from coordbench.tasks._backbones.dcgan import Player, critic, dcgan, plain

WIDTHS, KERNELS = (512, 256, 256, 128, 64, 64, 64), (1, 1, 1, 1, 1, 3, 3, 1)


@backbone("coordgan", source="Liu et al. 2018, arXiv 1807.03247")
def coordgan(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, width: float = 1.0,
    player: Player = "generator", where: Where = "first",
) -> nn.Module:  # fmt: skip
    """Build the generator (N, F) -> (N, C, *size) in -1..1, or the 5x5 discriminator (N, C, *size) -> (N, 1).

    `width` scales all channels; `player` names the network that gets the variant.
    """
    if len(input_shape) > 1:
        factory = layer if player != "generator" else plain()
        return critic(factory, input_shape, output_shape, scaled(64, width), 5, where)
    (features,), (channels, *size) = input_shape, output_shape
    widths = [features, *(scaled(w, width) for w in WIDTHS), channels]
    place = Placed(layer if player != "discriminator" else plain(), where, len(KERNELS))
    modules: list[nn.Module] = [Tile(tuple(size))]
    for (before, after), kernel in zip(itertools.pairwise(widths), KERNELS, strict=True):
        modules += [place(before, after, kernel, size=tuple(size)), nn.ReLU()]
    return nn.Sequential(*modules[:-1], nn.Tanh())


@backbone("dcgan_unequal", source="Radford et al. 2015, arXiv 1511.06434; widths of ours")
def dcgan_unequal(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, width: int = 8,
    discriminator_width: int = 64, norm: Literal["batch", "none"] = "batch",
) -> nn.Module:  # fmt: skip
    """Build the generator (N, F) -> (N, C, *size) of `width`, or the discriminator (N, C, *size) -> (N, 1) of its own.

    Both get the variant. Raises UsageError for a canvas that is no power of two from 8 on.
    """
    return dcgan(
        layer, input_shape, output_shape, width=discriminator_width if len(input_shape) > 1 else width, norm=norm
    )
