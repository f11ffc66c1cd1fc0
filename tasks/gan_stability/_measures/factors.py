"""How evenly known factors are spread: cells of a grid, or classes."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 8


def cells(positions: Tensor, low: float, high: float, bins: int = BINS) -> Tensor:
    """The number of the grid cell of each position (n, 2) in low..high on both axes: (n,), 0 .. bins^2 - 1."""
    grid = ((positions - low) / (high - low) * bins).long().clamp(0, bins - 1)
    return grid[:, 1] * bins + grid[:, 0]


def entropy(labels: Tensor, classes: int) -> float:
    """The entropy [nats] of the labels (n,) as counted, for comparison at equal n only; 0 if there are none."""
    shares = torch.bincount(labels, minlength=classes).double() / max(len(labels), 1)
    return float(torch.special.entr(shares).sum())


def occupied(labels: Tensor, classes: int) -> float:
    """The share of the classes that occur at all."""
    return (torch.bincount(labels, minlength=classes) > 0).double().mean().item()
