"""Convolutions with max pooling under dense layers, which know every place of the last map.

Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247.
"""

from __future__ import annotations

import math

from torch import nn

from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.start import he_start
from coordbench.tasks._backbones._parts.width import scaled

POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


@backbone("pooled", source="Liu et al. 2018, arXiv 1807.03247")
def pooled(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, where: Where = "all",
    width: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Build four 3x3 layers of 16 channels, three pooled, and dense layers of 64 and F: (N, C, *size) -> (N, F).

    `width` scales the channels, not the dense layer.
    """
    (before, *size), (features,) = input_shape, output_shape
    layer, channels, modules = Placed(layer, where, 4), scaled(16, width), list[nn.Module]()
    for level in range(4):
        modules += [layer(before, channels, 3, size=tuple(size)), nn.ReLU()]
        if level < 3:
            modules.append(POOLS[len(size)](2))
            size = [n // 2 for n in size]
        before = channels
    dense = [nn.Flatten(), nn.Linear(channels * math.prod(size), 64), nn.ReLU(), nn.Linear(64, features)]
    return he_start(nn.Sequential(*modules, *dense))
