"""A stack of layers of one width at full resolution: what depth and padding alone can do."""

from __future__ import annotations

from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where


@backbone("cnn")
def cnn(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, depth: int = 3,
    width: int = 16, kernel_size: int = 3, where: Where = "all",
) -> nn.Module:  # fmt: skip
    """Build `depth` layers with ReLU between them, and a plain 1x1 layer to read out.

    With depth 1 the network is linear in its input: the layer, then a mixing of its channels.
    """
    (channels, *size), (out_channels, *out_size) = input_shape, output_shape
    if size != out_size:
        raise UsageError(f"cnn keeps the size of its input; got {input_shape} to {output_shape}")
    if depth < 1 or width < 1:
        raise UsageError(f"cnn[depth={depth}, width={width}] needs at least one layer of one channel")
    place = Placed(layer, where, depth)
    modules: list[nn.Module] = []
    for index in range(depth):
        modules += [nn.ReLU()] if index else []
        modules.append(place(width if index else channels, width, kernel_size, size=tuple(size)))
    return nn.Sequential(*modules, registry.layer("conv")(width, out_channels, 1, size=tuple(size)))
