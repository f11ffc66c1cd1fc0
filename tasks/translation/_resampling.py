"""Turn, zoom and move pictures about their middle, by linear interpolation."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def resampled(
    x: Tensor, angle: Tensor | float = 0.0, scale: Tensor | float = 1.0, move: Tensor | None = None
) -> Tensor:
    """Turn pictures (N, C, n, n) counterclockwise by degrees, then zoom them, then move them by (y, x) [px].

    `angle` and `scale` are numbers or (N,), `move` is (N, 2); what comes in from outside is 0.
    """
    count, size = len(x), x.shape[-1]
    turns = torch.as_tensor(angle, dtype=x.dtype).expand(count) * (math.pi / 180)
    inverse = 1 / torch.as_tensor(scale, dtype=x.dtype).expand(count)
    cos, sin = turns.cos() * inverse, turns.sin() * inverse
    back = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)  # from the output's (x, y) to the input's
    start = torch.zeros(count, 2, 1, dtype=x.dtype)
    if move is not None:
        start = -back @ (2 * move.flip(1).to(x.dtype) / size)[:, :, None]
    where = functional.affine_grid(torch.cat([back, start], 2), list(x.shape), align_corners=False)
    return functional.grid_sample(x, where, align_corners=False)


def disk(size: tuple[int, ...], radius: float) -> Tensor:
    """Mark the pixels within `radius` half sides of the middle: (H, W), bool."""
    axes = [(2 * torch.arange(n) + 1) / n - 1 for n in size]
    down, right = torch.meshgrid(*axes, indexing="ij")
    return down.square() + right.square() <= radius**2
