"""A chain of equal layers, ReLU between: the smallest network of a given depth."""

from __future__ import annotations

from torch import nn

from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone


@backbone("stack")
def stack(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, depth: int = 1,
    kernel_size: int = 3,
) -> nn.Module:  # fmt: skip
    """Build `depth` layers over a map of unchanged size: (N, C_in, *size) -> (N, C_out, *size)."""
    (channels, *size), inner = input_shape, output_shape[0]
    modules: list[nn.Module] = []
    for i in range(depth):
        modules += [layer(channels if i == 0 else inner, inner, kernel_size, size=tuple(size)), nn.ReLU()]
    return nn.Sequential(*modules[:-1])
