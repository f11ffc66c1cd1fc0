"""Parts of a backbone that every variant shares: steps between vectors and maps, norms by their dimensions."""

from __future__ import annotations

import math

from torch import Tensor, nn

NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class Tile(nn.Module):
    """Repeat a vector at every pixel: (N, F) -> (N, F, *size)."""

    def __init__(self, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return a view, not a copy."""
        return x.reshape(*x.shape, *(1 for _ in self.size)).expand(*x.shape, *self.size)


class SoftmaxOverPixels(nn.Module):
    """Softmax over all positions of each channel, times the root of their number: (N, C, *size) -> (N, C, *size).

    So a map of one pixel has a root mean square of 1; what follows hardly sees one whose values sum to 1, nor learns.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of mean 1 / sqrt(positions)."""
        flat = x.flatten(2)
        return (flat.softmax(2) * math.sqrt(flat.shape[2])).view_as(x)


class GlobalMax(nn.Module):
    """Maximum over all positions: (N, C, *size) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return one value per channel."""
        return x.flatten(2).amax(2)


class GlobalMean(nn.Module):
    """Mean over all positions: (N, C, *size) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return one value per channel."""
        return x.flatten(2).mean(2)
