"""What a region proposal network learns and answers: a class and four deltas of each anchor.

Ren et al., "Faster R-CNN: towards real-time object detection with region proposal networks", 2015, arXiv 1506.01497.
"""

from __future__ import annotations

import torch
from torch import Tensor

from coordbench.tasks._data import boxes
from coordbench.tasks._data.draws import generator

STRIDE = 4
SIDES = (15, 20, 25)
ANCHORS = len(SIDES) ** 2
OBJECT, NOTHING = 0.7, 0.3
"""IoU with an object from which on an anchor is one, and below which it is none; between them it does not count."""
SAMPLED = 64
"""Anchors of each image that count in the loss, at most half of them objects."""


def split(output: Tensor) -> tuple[Tensor, Tensor]:
    """Part a map: (N, 6 A, h, w) -> deltas (N, h w A, 4) and logits of nothing and object (N, h w A, 2)."""
    flat = output.movedim(1, 3)
    return flat[..., : 4 * ANCHORS].reshape(len(output), -1, 4), flat[..., 4 * ANCHORS :].reshape(len(output), -1, 2)


def join(deltas: Tensor, logits: Tensor, cells: int) -> Tensor:
    """Undo `split`."""
    maps = [part.reshape(len(part), cells, cells, -1).movedim(3, 1) for part in (deltas, logits)]
    return torch.cat(maps, 1)


def assign(truth: Tensor, base: Tensor, *key: object) -> tuple[Tensor, Tensor]:
    """Tell each anchor what it is: (N, n, 4), (A, 4) -> classes (N, A), -1 where it does not count, deltas (N, A, 4).

    An object that no anchor covers well takes its best anchor. Of too many, those that count are drawn at random.
    """
    shared = boxes.overlaps(base, truth)
    best, owner = shared.max(2)
    objects = (best >= OBJECT) | ((shared == shared.amax(1, keepdim=True)) & (shared > 0)).any(2)
    lottery = torch.rand(best.shape, generator=generator(*key))
    objects = _first(lottery, objects, SAMPLED // 2)
    nothing = _first(lottery, ~objects & (best < NOTHING), SAMPLED - objects.sum(1, keepdim=True))
    classes = torch.full(best.shape, -1).masked_fill(nothing, 0).masked_fill(objects, 1)
    return classes, boxes.encode(truth.gather(1, owner.unsqueeze(2).expand(-1, -1, 4)), base)


def answer(wanted: list[Tensor], base: Tensor, cells: int) -> Tensor:
    """Make the map that proposes given boxes, the first of each image with the highest score: N of (n, 4) -> a map."""
    deltas, logits = torch.zeros(len(wanted), len(base), 4), torch.zeros(len(wanted), len(base), 2)
    for image, boxes_wanted in enumerate(wanted):
        for rank, box in enumerate(boxes_wanted):
            shared = boxes.overlaps(base, box[None])[:, 0] - logits[image, :, 1]  # an anchor answers once
            best = shared.argmax()
            deltas[image, best] = boxes.encode(box, base[best])
            logits[image, best, 1] = 1000 - rank
    return join(deltas, logits, cells)


def _first(lottery: Tensor, allowed: Tensor, count: Tensor | int) -> Tensor:
    """Choose `count` (at most SAMPLED) of those allowed in each row, by the smallest numbers drawn."""
    drawn = lottery.masked_fill(~allowed, torch.inf)
    smallest = drawn.topk(SAMPLED, largest=False).values
    last = torch.as_tensor(count).expand(len(drawn), 1) - 1
    return (drawn <= smallest.gather(1, last.clamp_min(0))) & allowed & (last >= 0)
