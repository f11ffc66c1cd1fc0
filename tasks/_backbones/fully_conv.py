"""Convolutions down to a small map and its global mean: no dense layer that could know a place.

Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247.
"""

from __future__ import annotations

import math

from torch import nn

from coordbench.harness.core.contest import Contest, one_pixel
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.shapes import NORMS, GlobalMean
from coordbench.tasks._backbones._parts.start import he_start
from coordbench.tasks._backbones._parts.width import scaled

LAYERS = (
    (5, 2, "relu"),
    (1, 1, "relu batch_norm"),
    (3, 1, "relu"),
    (3, 2, "relu"),
    (3, 2, "batch_norm relu"),
    (3, 2, "relu"),
    (1, 1, "relu"),
    (3, 2, "relu"),
    (3, 1, "relu"),
)
"""Kernel and stride of each layer, and what follows it, in this order."""


def refuse(contest: Contest) -> str:
    """Refuse a global mean over one pixel, which knows every place."""
    return one_pixel(contest, tuple(stride for _, stride, _ in LAYERS))


@backbone("fully_conv", source="Liu et al. 2018, arXiv 1807.03247", refuse=refuse)
def fully_conv(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, where: Where = "all",
    width: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Build nine layers of 16 channels, five of stride 2, and a global mean: (N, C, *size) -> (N, F)."""
    (before, *size), (features,) = input_shape, output_shape
    layer, modules = Placed(layer, where, len(LAYERS)), list[nn.Module]()
    for level, (kernel, stride, then) in enumerate(LAYERS):
        channels = features if level == len(LAYERS) - 1 else scaled(16, width)
        modules.append(layer(before, channels, kernel, size=tuple(size), stride=stride))
        modules += [nn.ReLU() if name == "relu" else NORMS[len(size)](channels) for name in then.split()]
        before, size = channels, [math.ceil(n / stride) for n in size]
    return he_start(nn.Sequential(*modules, GlobalMean()))
