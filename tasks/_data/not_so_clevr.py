"""Not-so-Clevr: one 9x9 square on a black canvas, at every place where it fits.

Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247.
The paper knows no validation split: here a tenth of what is not test is set aside for it, by the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from coordbench.harness.core.options import Range
from coordbench.tasks._data.draws import permutation

HALF = 4
"""Pixels of the square on each side of its center."""

Split = Literal["uniform", "quadrant"]
Canvas = Annotated[int, Range(16, 512)]
"""Sides that leave a place for squares in each quadrant [px]."""


@dataclass(frozen=True)
class NotSoClevr:
    """The centers of all squares as (x, y), (n, 2) [px], and which of them belong to each split."""

    canvas: int
    centers: Tensor
    splits: Mapping[str, Tensor]

    def __getitem__(self, split: str) -> Tensor:
        """The centers of a split, (n, 2) [px]; `known` are those of train and validation."""
        return self.centers[self.splits[split]]

    def nearest(self, positions: Tensor) -> Tensor:
        """The nearest known centers that are not the positions themselves: (N, 2) in -1 .. 1 -> (N, 2) [px]."""
        known = self["known"]
        distances = torch.cdist(positions, scale(known, self.canvas))
        distances[distances < 1 / self.canvas] = torch.inf
        return known[distances.argmin(1)]


def not_so_clevr(canvas: int, split: Split, *key: object) -> NotSoClevr:
    """Enumerate all squares and split them 80 to 20 at random, or by the lower right quadrant."""
    axis = torch.arange(HALF, canvas - HALF)
    centers = torch.cartesian_prod(axis, axis)
    order = permutation(len(centers), *key, "split")
    if split == "uniform":
        test = torch.arange(len(centers)) < round(0.2 * len(centers))
    else:
        test = (centers[order] > canvas // 2).all(1)
    known = order[~test]
    validation, train = known[: len(known) // 10], known[len(known) // 10 :]
    return NotSoClevr(canvas, centers, {"train": train, "validation": validation, "test": order[test], "known": known})


def kept_for_test(split: object) -> str:
    """Which places a split keeps for the test, in words."""
    return "the lower right quadrant" if split == "quadrant" else "a fifth of all places, drawn at random,"


def scale(centers: Tensor, canvas: int) -> Tensor:
    """Map pixels 0 .. canvas - 1 to -1 .. 1."""
    return 2 * centers / (canvas - 1) - 1


def squares(centers: Tensor, canvas: int) -> Tensor:
    """Paint squares of ones: (n, 2) [px] -> (n, 1, canvas, canvas)."""
    return _boxes(centers, canvas, HALF)


def one_hot(centers: Tensor, canvas: int) -> Tensor:
    """Paint single pixels: (n, 2) [px] -> (n, 1, canvas, canvas)."""
    return _boxes(centers, canvas, 0)


def _boxes(centers: Tensor, canvas: int, half: int) -> Tensor:
    near = (torch.arange(canvas) - centers[:, :, None]).abs() <= half
    return (near[:, 0, None, :] & near[:, 1, :, None]).float()[:, None]
