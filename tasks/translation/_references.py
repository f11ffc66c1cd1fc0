"""What can be told without a network: a guess, a template, an invariant eye; and a function that follows nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.registry import reference
from coordbench.tasks._data.digits import CLASSES, SIDE
from coordbench.tasks._data.draws import generator
from coordbench.tasks.translation._learning import Digits
from coordbench.tasks.translation._places import painted


def _seldom(options: Mapping[str, object]) -> bool:
    return options.get("places") != "all"


@reference(task=("unseen_places", "forgetting"), kind="floor", when=_seldom)
def template_at_trained_places(problem: Problem) -> Models:
    """Answer with the nearest mean digit among those painted at trained places: blind to all others."""
    data: Digits = problem.data
    means = torch.stack([data.images[data.labels == label].mean(0) for label in range(CLASSES)])
    places = data.places.repeat_interleave(CLASSES, 0)
    templates = painted(means.repeat(len(data.places), 1, 1), places, data.canvas).flatten(1)

    def scores(images: Tensor) -> Tensor:
        distances = torch.cdist(images.flatten(1), templates).unflatten(1, (-1, CLASSES))
        nearest: Tensor = distances.amin(1)
        return -nearest

    return {"model": scores}


@reference(
    task=("unseen_places", "unseen_size"), kind="floor", when=lambda options: options.get("places", "all") == "all"
)
def most_common_digit(problem: Problem) -> Models:
    """Answer with the most common label of training."""
    counts = torch.bincount(problem.data.labels, minlength=CLASSES).float()
    return {"model": lambda images: counts.expand(len(images), -1)}


@reference(task=("unseen_places", "forgetting", "unseen_size"), kind="ceiling")
def centered_digit(problem: Problem) -> Models:
    """Cut out what is on the canvas, center it, and answer by a support vector machine: exactly invariant.

    No bound that is proven, but what can be reached where nothing has to be learned about place.
    """
    from sklearn.svm import SVC  # a second of import that one reference needs

    data: Digits = problem.data
    machine = SVC(C=10.0).fit(_centered(painted(data.images, data.places[:1], data.canvas)), data.labels)

    def scores(images: Tensor) -> Tensor:
        return functional.one_hot(torch.from_numpy(machine.predict(_centered(images))), CLASSES).float()

    return {"model": scores}


def _centered(images: Tensor) -> Tensor:
    """Cut out the window around the middle of what is not empty: (N, 1, n, n) -> (N, SIDE * SIDE)."""
    filled = functional.pad(images[:, 0], (SIDE,) * 4)
    steps, starts = torch.arange(SIDE), []
    for axis in (2, 1):
        some = (filled.amax(axis) > 0).int()
        first, last = some.argmax(1), some.shape[1] - 1 - some.flip(1).argmax(1)
        starts.append((first + last + 1 - SIDE) // 2)
    rows, columns = (start[:, None] + steps for start in starts)
    return filled[torch.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]].flatten(1)


@reference(task=("equivariance", "scale_rotation"), kind="floor")
def random_dense(problem: Problem) -> Models:
    """Weigh all pixels of the input at random for each number of the output: nothing moves with anything."""
    canvas, output = problem.data
    shape = (1, canvas, canvas) if output == "map" else (CLASSES,)
    weights = torch.randn(canvas**2, math.prod(shape), dtype=torch.float64, generator=generator("dense"))

    def dense(x: Tensor) -> Tensor:
        result: Tensor = x.double().flatten(1) @ weights
        return result.view(-1, *shape)

    return {"model": dense}
