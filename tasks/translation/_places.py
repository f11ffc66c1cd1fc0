"""Small pictures painted at any place of a canvas."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from coordbench.harness.core.errors import UsageError

Places = Literal["one", "few", "all"]


def every_place(canvas: int, side: int) -> Tensor:
    """Return the upper left corners (y, x) of all places where a picture of `side` pixels fits, (n, 2) [px].

    Raises UsageError for a canvas without two places.
    """
    if canvas <= side:
        raise UsageError(f"canvas={canvas} is too small for pictures of {side} px; it must be at least {side + 1}")
    axis = torch.arange(canvas - side + 1)
    return torch.cartesian_prod(axis, axis)


def trained_places(which: Places, canvas: int, side: int) -> Tensor:
    """Return the places of training, (n, 2) [px]: the middle, the middles of the four quadrants, or all."""
    if which == "all":
        return every_place(canvas, side)
    last = canvas - side
    axis = torch.tensor([last // 2] if which == "one" else [last // 4, last - last // 4])
    return torch.cartesian_prod(axis, axis)


def distance(places: Tensor, trained: Tensor) -> Tensor:
    """Return how far each place is from the nearest trained one, on the farther axis: (n, 2), (m, 2) -> (n,) [px]."""
    return (places[:, None] - trained).abs().amax(2).amin(1)


def painted(images: Tensor, places: Tensor, canvas: int) -> Tensor:
    """Paint image i at place i: (n, side, side), (n, 2) -> (n, 1, canvas, canvas)."""
    count, side = images.shape[:2]
    steps = torch.arange(side)
    rows, columns = (places[:, axis, None] + steps for axis in (0, 1))
    out = torch.zeros(count, 1, canvas, canvas)
    out[torch.arange(count)[:, None, None], 0, rows[:, :, None], columns[:, None, :]] = images
    return out
