"""Layers that treat every pixel alike: blind to position unless the layer itself knows it.

Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247.
The paper has coordinates in the first layer alone, and so has the default: 7,553 parameters paint a pixel, 906 find it.
`where=all` is an arm of ours. The paper starts all kernels by He's law; so do the localizer and the renderer with a
tail, which do not learn otherwise. The painter of single pixels keeps PyTorch's narrower law, with which it
extrapolates better.
"""

from __future__ import annotations

import itertools

from torch import nn

from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.shapes import GlobalMax, SoftmaxOverPixels, Tile
from coordbench.tasks._backbones._parts.start import he_start
from coordbench.tasks._backbones._parts.width import scaled


@backbone("pixelwise", source="Liu et al. 2018, arXiv 1807.03247")
def pixelwise(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, where: Where = "first",
    width: float = 1.0, tail: float = 0.0, softmax: bool = True,
) -> nn.Module:  # fmt: skip
    """Build 1x1 layers over a tiled vector, (N, F) -> (N, C, *size), or a localizer (N, C, *size) -> (N, F).

    `width` scales all channels. A `tail` of m puts a softmax over the pixels (if `softmax`) and kernel-1 layers of
    8m, 8m, 16m, 16m channels between the map and the output, as the paper's renderer has.
    """
    if len(input_shape) > 1:
        return _localizer(layer, input_shape, output_shape, where, width)
    painter = [scaled(channels, width) for channels in (32, 32, 64, 64)]
    renderer = [scaled(channels, tail) for channels in (8, 8, 16, 16)] if tail else []
    layer, size = Placed(layer, where, len(painter) + 1 + bool(tail) * (len(renderer) + 1)), output_shape[1:]
    if not tail:
        return nn.Sequential(Tile(size), *_stack(layer, (*input_shape, *painter, output_shape[0]), size))
    to_map = _stack(layer, (*input_shape, *painter, 1), size)
    between = [SoftmaxOverPixels()] if softmax else [nn.ReLU()]
    return he_start(nn.Sequential(Tile(size), *to_map, *between, *_stack(layer, (1, *renderer, output_shape[0]), size)))


def _stack(layer: LayerFactory, channels: tuple[int, ...], size: tuple[int, ...]) -> list[nn.Module]:
    """1x1 layers from each number of channels to the next, ReLU between."""
    modules: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        modules += [layer(before, after, 1, size=size), nn.ReLU()]
    return modules[:-1]


def _localizer(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], where: Where, width: float
) -> nn.Module:
    """1x1 layers of 8, 8, 8 and 3x3 layers of 8 and F channels without activations, then the global maximum."""
    (channels, *size), (features,) = input_shape, output_shape
    hidden = scaled(8, width)
    layer = Placed(layer, where, 5)
    widths, kernels = (channels, hidden, hidden, hidden, hidden, features), (1, 1, 1, 3, 3)
    modules = [
        layer(before, after, kernel, size=tuple(size))
        for (before, after), kernel in zip(itertools.pairwise(widths), kernels, strict=True)
    ]
    return he_start(nn.Sequential(*modules, GlobalMax()))
