"""A generator out of transposed convolutions, each of which doubles the size.

Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247.
"""

from __future__ import annotations

from torch import nn

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.shapes import NORMS
from coordbench.tasks._backbones._parts.upsampling import Doubling
from coordbench.tasks._backbones._parts.width import scaled

CHANNELS = (64, 64, 64, 32, 32)


@backbone("deconv", source="Liu et al. 2018, arXiv 1807.03247")
def deconv(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, where: Where = "all",
    width: float = 1.0, kernel: int = 3,
) -> nn.Module:  # fmt: skip
    """Build (N, F) -> (N, C, *size) from a single pixel; each doubling but the last has batch norm and ReLU.

    A canvas of 64 px has six layers, of 64, 64, 64, 32, 32 and C channels; smaller ones leave out the first.
    Raises UsageError for a canvas that is no power of two, or larger.
    """
    (features,), (channels, *size) = input_shape, output_shape
    layers = size[0].bit_length() - 1
    if any(n != 2**layers for n in size) or not 1 <= layers <= len(CHANNELS) + 1:
        raise UsageError(f"backbone 'deconv' cannot make a canvas of {tuple(size)} px; valid: 2, 4, 8, 16, 32 or 64")
    layer, before = Placed(layer, where, layers), features
    modules: list[nn.Module] = []
    for level, after in enumerate([*CHANNELS[len(CHANNELS) - layers + 1 :], 0]):
        after = scaled(after, width) if after else channels
        modules.append(Doubling(layer, before, after, kernel, size=(2**level,) * len(size)))
        modules += [NORMS[len(size)](after), nn.ReLU()]
        before = after
    return nn.Sequential(nn.Unflatten(1, (features, *(1 for _ in size))), *modules[:-2])
