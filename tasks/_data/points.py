"""Points scattered over a line, a square or a cube, as binary images of any density."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coordbench.harness.core.seeds import seed_of

Region = Literal["everywhere", "corner", "elsewhere"]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Field:
    """An image of `canvas` pixels on each of `dims` axes."""

    canvas: int
    dims: int

    @property
    def size(self) -> tuple[int, ...]:
        """The shape of the image."""
        return (self.canvas,) * self.dims

    @cached_property
    def coordinates(self) -> Tensor:
        """The place of each pixel as (x, y, z), -1 .. 1 from its first to its last: (pixels, dims)."""
        axes = torch.meshgrid(*[torch.linspace(-1, 1, self.canvas)] * self.dims, indexing="ij")
        return torch.stack([axis.flatten() for axis in reversed(axes)], 1)

    def pixels(self, region: Region) -> Indices:
        """The flat indices of a region; the `corner` is the quadrant in which all coordinates are positive."""
        inside = (self.coordinates > 0).all(1).numpy()
        return np.flatnonzero({"everywhere": inside | ~inside, "corner": inside, "elsewhere": ~inside}[region])

    def variance(self, points: int = 1) -> float:
        """The variance, on each axis, of the mean of different pixels drawn from everywhere."""
        n, pixels = self.canvas, float(self.canvas**self.dims)
        return (n + 1) / (3 * (n - 1)) * (pixels - points) / ((pixels - 1) * points)


@dataclass(frozen=True)
class Scattered:
    """Binary images (N, channels, *size), labels (N, dims), and the number of points of each (N,)."""

    images: Tensor
    labels: Tensor
    counts: Tensor


def scatter(field: Field, pixels: Indices, counts: Indices, *key: object, marked: bool = False) -> Scattered:
    """Draw images of `counts` different `pixels`, labeled by their mean place.

    If `marked`, a second channel holds one more pixel, drawn alike, and the label is the offset from it.
    """
    random, coordinates = np.random.default_rng(seed_of(*key)), field.coordinates
    drawn, marks = [], []
    for count in counts:
        drawn.append(random.choice(len(pixels), count, replace=False, shuffle=False))
        marks.append(int(random.integers(len(pixels))) if marked else 0)
    rows = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
    points = torch.from_numpy(pixels[np.concatenate(drawn)])
    images = torch.zeros(len(counts), 1 + marked, field.canvas**field.dims)
    images[rows, 0, points] = 1
    sums = torch.zeros(len(counts), field.dims).index_add(0, rows, coordinates[points])
    labels = sums / torch.from_numpy(counts)[:, None]
    if marked:
        mark = torch.from_numpy(pixels[marks])
        images[torch.arange(len(counts)), 1, mark] = 1
        labels -= coordinates[mark]
    return Scattered(images.unflatten(2, field.size), labels, torch.from_numpy(counts))
