"""Layers of growing width that halve the size, under a head that keeps or drops the place of what they found.

The network of a standard regressor: a global mean tells no place by itself, a flattened map tells every place.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

from coordbench.harness.core.contest import Contest, one_pixel
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.shapes import GlobalMean
from coordbench.tasks._backbones._parts.width import scaled

CHANNELS = (32, 64, 64, 128)


def refuse(contest: Contest) -> str:
    """Refuse a global mean over one pixel, which knows every place."""
    stride = contest.network["stride"]
    strides = (stride,) * len(CHANNELS) if isinstance(stride, int) else ()
    return one_pixel(contest, strides) if contest.network["head"] == "global_mean" else ""


@backbone("strided", refuse=refuse)
def strided(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, where: Where = "all",
    width: float = 1.0, stride: int = 2, head: Literal["global_mean", "flatten"] = "global_mean",
) -> nn.Module:  # fmt: skip
    """Build four 3x3 layers of 32, 64, 64, 128 channels with ReLU and a linear head: (N, C, *size) -> (N, F)."""
    (before, *size), (features,) = input_shape, output_shape
    layer = Placed(layer, where, len(CHANNELS))
    modules: list[nn.Module] = []
    for channels in (scaled(c, width) for c in CHANNELS):
        modules += [layer(before, channels, 3, size=tuple(size), stride=stride), nn.ReLU()]
        before, size = channels, [math.ceil(n / stride) for n in size]
    if head == "flatten":
        return nn.Sequential(*modules, nn.Flatten(), nn.Linear(before * math.prod(size), features))
    return nn.Sequential(*modules, GlobalMean(), nn.Linear(before, features))
