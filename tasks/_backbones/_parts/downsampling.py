"""Ways to halve a map, and how each of them treats a shift of its input.

`blur_pool` is that of Zhang (2019, arXiv 1904.11486), `aps` the adaptive polyphase sampling of Chaman and Dokmanic
(2020, arXiv 2011.14214): both stand in the registry as options of a plain convolution, here behind an identity.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from coordbench.harness.core import registry

Down = Literal["stride", "max_pool", "average_pool", "blur_pool", "aps"]
Padding = Literal["zeros", "circular", "reflect", "replicate"]

_ANTIALIAS = {"blur_pool": "blur", "aps": "aps"}
_POOLS: dict[str, tuple[type[nn.Module], ...]] = {
    "max_pool": (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    "average_pool": (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
}


def halving(down: Down, channels: int, size: tuple[int, ...], padding: Padding) -> nn.Module:
    """Build (N, C, *size) -> (N, C, *ceil(size / 2)) without trained parameters; "stride" keeps every second pixel."""
    if down in _POOLS:
        return _POOLS[down][len(size) - 1](2, ceil_mode=True)
    antialias = f", antialias={_ANTIALIAS[down]}" if down in _ANTIALIAS else ""
    factory = registry.layer(f"conv[groups={channels}, padding={padding}{antialias}]")
    identity = factory(channels, channels, 1, size=size, stride=2, bias=False)
    for weight in identity.parameters():
        weight.requires_grad_(False)
        torch.nn.init.ones_(weight)
    return identity
