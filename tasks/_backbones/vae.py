"""The two halves of an image autoencoder, of the shapes of DCGAN: an encoder that halves and a decoder that doubles.

Kingma, Welling, "Auto-encoding variational Bayes", 2013, arXiv 1312.6114; networks after Radford et al., 1511.06434.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Where
from coordbench.tasks._backbones.dcgan import Upsample, critic, grow, plain


@backbone("vae", source="Kingma and Welling 2013, arXiv 1312.6114")
def vae(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, width: int = 32,
    kernel: int = 4, upsample: Upsample = "transposed", half: Literal["both", "decoder", "encoder"] = "both",
    where: Where = "all",
) -> nn.Module:  # fmt: skip
    """Build the decoder (N, F) -> (N, C, *size), or the encoder (N, C, *size) -> (N, F).

    `half` names the network that gets the variant, the other one gets plain convolutions.
    """
    if len(input_shape) > 1:
        return critic(layer if half != "decoder" else plain(), input_shape, output_shape, width, kernel, where)
    painter = layer if half != "encoder" else plain()
    return nn.Sequential(*grow(painter, input_shape, output_shape, width, kernel, upsample, where))
