"""Handwritten digits scattered over a canvas, with their boxes.

Each is cropped to its ink and stretched to a box of its own. No digit is shared by two splits.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.seeds import seed_of
from coordbench.tasks._data.digits import split_digits

SIDES = (15, 25)
"""Smallest and largest side of a scattered digit [px]."""
TOUCH = 0.1
"""Largest IoU of two digits on a canvas."""


@dataclass(frozen=True)
class Scattered:
    """Images (N, 1, canvas, canvas) in 0..1 and the boxes of their digits, (N, digits, 4) as x0, y0, x1, y1 [px]."""

    images: Tensor
    boxes: Tensor


def scatter(split: str, count: int, canvas: int, digits: int, *key: object, overlap: bool = False) -> Scattered:
    """Draw `count` canvases, each with `digits` digits of a split, which hardly touch unless they may `overlap`."""
    random, inks = np.random.default_rng(seed_of(*key)), crops(split)
    images, boxes = torch.zeros(count, 1, canvas, canvas), torch.empty(count, digits, 4)
    for image, row in zip(images, boxes, strict=True):
        row[:] = _boxes(random, canvas, digits, 1.0 if overlap else TOUCH)
        for (x0, y0, x1, y1), chosen in zip(row.int().tolist(), random.integers(len(inks), size=digits), strict=True):
            ink = functional.interpolate(inks[chosen][None], (y1 - y0, x1 - x0), mode="bilinear")[0]
            patch = image[:, y0:y1, x0:x1]
            torch.maximum(patch, ink, out=patch)
    return Scattered(images, boxes)


@functools.cache
def crops(split: str) -> tuple[Tensor, ...]:
    """The digits of a split, each cropped to its ink, (1, h, w) in 0..1."""
    return tuple(_crop(image)[None] for image in split_digits(split)[0])


def _crop(image: Tensor) -> Tensor:
    rows, columns = (image.amax(axis) > 0 for axis in (1, 0))
    return image[rows.nonzero().min() : rows.nonzero().max() + 1, columns.nonzero().min() : columns.nonzero().max() + 1]


def numbered(indices: Tensor, split: str, canvas: int, digits: int, *key: object, overlap: bool = False) -> Scattered:
    """The canvases of these numbers (N,) out of a set that is drawn by its key alone, and never stored."""
    drawn = [scatter(split, 1, canvas, digits, *key, index, overlap=overlap) for index in indices.tolist()]
    return Scattered(torch.cat([each.images for each in drawn]), torch.cat([each.boxes for each in drawn]))


def _boxes(random: np.random.Generator, canvas: int, digits: int, touch: float) -> Tensor:
    """Draw boxes one by one, each anew until it overlaps no other by more; all anew where that does not end."""
    while True:
        sides = random.integers(SIDES[0], SIDES[1] + 1, (100, 2))
        corners = random.integers(0, canvas - sides + 1)
        boxes: list[list[int]] = []
        for box in np.concatenate([corners, corners + sides], 1).tolist():
            if all(_overlap(box, other) <= touch for other in boxes):
                boxes.append(box)
            if len(boxes) == digits:
                return torch.tensor(boxes)


def _overlap(a: list[int], b: list[int]) -> float:
    """Intersection over union, of plain numbers: the tensors of `boxes.overlaps` cost too much for one pair."""
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return common / (sum(areas) - common)
