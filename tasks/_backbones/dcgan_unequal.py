"""DCGAN with a discriminator that is wider than the generator, so that it can learn a finite set of images by heart.

One of the levers by which `gan_pilot` looks for a regime in which GANs collapse.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones.dcgan import dcgan


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
