"""A small vision transformer whose patches and feed-forward layers are convolutions.

Dosovitskiy et al., "An image is worth 16x16 words", 2020, arXiv 2010.11929; convolutions in the feed-forward layers as
in Guo et al., "CMT: convolutional neural networks meet vision transformers", 2021, arXiv 2107.06263. Attention alone
sees a set of patches: what tells their places are the layers, or the learned positions that are standard.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.shapes import GlobalMean
from coordbench.tasks._backbones._parts.width import scaled

HEADS = 4


@backbone("vit", source="Dosovitskiy et al. 2020, arXiv 2010.11929")
def vit(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, where: Where = "all",
    width: float = 1.0, depth: int = 2, patch: int = 8, positions: Literal["none", "learned"] = "none",
) -> nn.Module:  # fmt: skip
    """Build patches, `depth` blocks of self-attention and feed-forward, and a mean: (N, C, *size) -> (N, F).

    Channels are 48 times `width`, rounded to a multiple of the four heads.
    """
    (channels, *size), (features,) = input_shape, output_shape
    if depth < 1 or patch < 1:
        raise UsageError(f"backbone 'vit': depth={depth}, patch={patch} must be at least 1")
    layer, inner = Placed(layer, where, 1 + 2 * depth), HEADS * scaled(12, width)
    cells = tuple(math.ceil(n / patch) for n in size)
    modules = [layer(channels, inner, patch, size=tuple(size), stride=patch)]
    modules += [LearnedPositions(inner, cells)] if positions == "learned" else []
    for _ in range(depth):
        modules += [Residual(Attention(inner)), Residual(_feed_forward(layer, inner, cells))]
    return nn.Sequential(*modules, ChannelNorm(inner), GlobalMean(), nn.Linear(inner, features))


def _feed_forward(layer: LayerFactory, channels: int, cells: tuple[int, ...]) -> nn.Module:
    first, last = layer(channels, 2 * channels, 3, size=cells), layer(2 * channels, channels, 1, size=cells)
    return nn.Sequential(ChannelNorm(channels), first, nn.GELU(), last)


class Residual(nn.Module):
    """Add to a map what a module makes of it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *size) -> (N, C, *size)."""
        change: Tensor = self.module(x)
        return x + change


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each position."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *size) -> (N, C, *size)."""
        normed: Tensor = super().forward(x.movedim(1, -1))
        return normed.movedim(-1, 1)


class LearnedPositions(nn.Module):
    """Add a learned vector to each position."""

    def __init__(self, channels: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(channels, *size))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *size) -> (N, C, *size)."""
        return x + self.table


class Attention(nn.Module):
    """Self-attention of all positions, after a norm: (N, C, *size) -> (N, C, *size)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.project, self.merge = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return what each position gathers from the others."""
        tokens = self.norm(x).flatten(2).mT
        heads = self.project(tokens).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        gathered = functional.scaled_dot_product_attention(*heads)
        merged: Tensor = self.merge(gathered.transpose(1, 2).flatten(2))
        return merged.mT.reshape(x.shape)
