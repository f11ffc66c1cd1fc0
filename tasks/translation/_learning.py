"""What the tasks that look into a network train it for: telling digits apart, wherever they are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.problem import Models, Optimizer, Phase
from coordbench.tasks._data.digits import CLASSES, SIDE, split_digits
from coordbench.tasks._data.draws import generator
from coordbench.tasks._predict import Model, predict
from coordbench.tasks.translation._places import every_place, painted

Output = Literal["map", "vector"]
BATCH = 32
CHANNELS = 16
"""Channels of a map: more than classes, since some layers divide theirs among heads; the first are the classes."""
_ASKED = {"validation": 200, "test": 1000}

Drawn = tuple[Tensor, Tensor]


def output_shape(output: Output, size: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of features at every pixel, or of one score per class."""
    return (CHANNELS, *size) if output == "map" else (CLASSES,)


def logits(output: Tensor) -> Tensor:
    """The mean of each class over all pixels, where there are any: (N, F, ...) -> (N, classes)."""
    return output[:, :CLASSES].flatten(2).mean(2) if output.dim() > 2 else output


@dataclass(frozen=True)
class Digits:
    """Training digits (n, 8, 8) with labels (n,), places (m, 2) [px] where they are painted, on a canvas [px]."""

    images: Tensor
    labels: Tensor
    places: Tensor
    canvas: int

    def draw(self, count: int, *key: object) -> Drawn:
        """Draw digits at places: images (count, 1, canvas, canvas) and labels (count,)."""
        source = generator(*key)
        which = torch.randint(len(self.labels), (count,), generator=source)
        where = torch.randint(len(self.places), (count,), generator=source)
        return painted(self.images[which], self.places[where], self.canvas), self.labels[which]


def everywhere(canvas: int, split: str, *key: object) -> Digits:
    """The digits of a split, at every place of a canvas."""
    return Digits(*split_digits(split, *key), every_place(canvas, SIDE), canvas)


def cross_entropy(models: Models, batch: Drawn) -> Tensor:
    """Softmax cross entropy of the classes."""
    images, labels = batch
    return functional.cross_entropy(logits(models["model"](images)), labels)


def phases(*, trained: bool) -> tuple[Phase, ...]:
    """One phase of Adam, or none: a network as it was drawn."""
    return (Phase(("model",), cross_entropy, Optimizer("Adam", 1e-2, schedule="one_cycle")),) if trained else ()


def training(canvas: int, *key: object) -> Callable[[int], Drawn]:
    """Step -> digits at every place of the canvas."""
    digits = functools.cache(lambda: everywhere(canvas, "train", *key))
    return lambda step: digits().draw(BATCH, *key, "train", step)


def accuracy(model: Model, canvas: int, split: str, *key: object) -> float:
    """The share of a split's digits that are recognized, at random places of a canvas."""
    images, labels = everywhere(canvas, split, *key).draw(_ASKED[split], *key, split, canvas)
    answers = logits(predict(model, images)).argmax(1)
    return (answers == labels).float().mean().item()
