"""Boxes as x0, y0, x1, y1 [px]: their overlaps, anchors, and what a detector says about each anchor.

Ren et al., "Faster R-CNN: towards real-time object detection with region proposal networks", 2015, arXiv 1506.01497.
"""

from __future__ import annotations

import torch
from torch import Tensor


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of each box with each other: (..., n, 4) and (..., m, 4) -> (..., n, m)."""
    a, b = first[..., :, None, :], second[..., None, :, :]
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    common = sides.clamp_min(0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp_min(0).prod(-1) for box in (a, b)]
    return common / (areas[0] + areas[1] - common).clamp_min(1e-9)


def anchors(cells: int, stride: int, sides: tuple[int, ...]) -> Tensor:
    """Boxes of all pairs of sides around the center of each cell, rows of cells first: (cells^2 * sides^2, 4)."""
    centers = (torch.arange(cells) + 0.5) * stride
    places = torch.cartesian_prod(centers, centers).flip(1)  # x before y, x fastest
    shapes = torch.cartesian_prod(*[torch.tensor(sides, dtype=torch.float32)] * 2)
    places, shapes = places[:, None].expand(-1, len(shapes), 2), shapes.expand(len(places), -1, 2)
    return torch.cat([places - shapes / 2, places + shapes / 2], 2).flatten(0, 1)


def encode(boxes: Tensor, base: Tensor) -> Tensor:
    """What turns each anchor of `base` into a box: shift over size, and log of the ratio of sizes, (..., 4)."""
    size, wanted = base[..., 2:] - base[..., :2], boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + boxes[..., 2:] - base[..., :2] - base[..., 2:]) / 2
    return torch.cat([shift / size, (wanted / size).log()], -1)


def decode(deltas: Tensor, base: Tensor) -> Tensor:
    """Undo `encode`; a box grows at most e^4 times, so that wild deltas stay finite."""
    size = base[..., 2:] - base[..., :2]
    center = (base[..., :2] + base[..., 2:]) / 2 + deltas[..., :2] * size
    half = size * deltas[..., 2:].clamp(max=4).exp() / 2
    return torch.cat([center - half, center + half], -1)


def suppress(boxes: Tensor, scores: Tensor, keep: int, most: float = 0.5) -> Tensor:
    """Keep the best boxes that overlap no better one by more than `most`: (N, A, 4), (N, A) -> (N, keep, 4)."""
    scores, best_boxes = scores.clone(), []
    for _ in range(keep):
        best = boxes[torch.arange(len(boxes)), scores.argmax(1)][:, None]
        scores[overlaps(best, boxes)[:, 0] > most] = -torch.inf
        best_boxes.append(best)
    return torch.cat(best_boxes, 1)
