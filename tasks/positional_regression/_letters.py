"""Classify pictures with letters that are drawn on demand, in one place for training and in others for test."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.seeds import seed_of
from coordbench.tasks._data.glyphs import read
from coordbench.tasks._predict import predict

EXAMPLES = {"validation": 240, "test": 480}
"""Pictures of each condition."""
SHOWN = 4


@dataclass(frozen=True)
class Pictures:
    """Pictures of `classes` classes: how one is drawn under a condition, and read again from the letters on it."""

    name: str
    canvas: int
    classes: int
    heights: tuple[int, ...]
    draw: Callable[[np.random.Generator, int, str], Tensor]
    """(random, class, condition) -> (canvas, canvas) in 0..1."""
    classify: Callable[[list[tuple[str, float, float]]], int]
    """Letters and their middles -> class."""
    conditions: Mapping[str, Mapping[str, str]]
    """split -> score -> condition; training has the condition `train`."""

    def examples(self, count: int, condition: str, *key: object) -> tuple[Tensor, Tensor]:
        """Draw pictures (count, 1, canvas, canvas) and their classes (count,), each class equally often."""
        random = np.random.default_rng(seed_of(self.name, *key))
        classes = random.permutation(np.arange(count) % self.classes)
        pictures = torch.stack([self.draw(random, int(number), condition) for number in classes])
        return pictures[:, None], torch.from_numpy(classes)


def classification(pictures: Pictures, network: Network, seed: int, batch: int) -> Problem:
    """Make the problem of telling the classes of pictures apart, by softmax cross entropy."""

    @functools.cache
    def examples(part: str, condition: str) -> tuple[Tensor, Tensor]:
        return pictures.examples(EXAMPLES[part], condition, seed, part, condition)

    def loss(models: Models, batch: tuple[Tensor, Tensor]) -> Tensor:
        return functional.cross_entropy(models["model"](batch[0]), batch[1])

    def accuracy(models: Models, part: str, condition: str) -> float:
        images, classes = examples(part, condition)
        return (predict(models["model"], images).argmax(1) == classes).float().mean().item()

    def evaluate(models: Models, part: str) -> dict[str, float]:
        conditions = pictures.conditions[part]
        return {score: accuracy(models, part, condition) for score, condition in conditions.items()}

    def samples(models: Models) -> Sequence[Sample]:
        images, _ = examples("test", pictures.conditions["test"]["accuracy"])
        answers = predict(models["model"], images[:SHOWN]).argmax(1).tolist()
        return [sample for i in range(SHOWN) for sample in _samples(pictures, i, images[i, 0], answers[i])]

    return Problem(
        models={"model": network((1, pictures.canvas, pictures.canvas), (pictures.classes,))},
        phases=(Phase(("model",), loss, Optimizer("Adam", 2e-3, {}, "one_cycle")),),
        batches=lambda step: pictures.examples(batch, "train", seed, "train", step),
        evaluate=evaluate,
        samples=samples,
        data=pictures,
    )


def place(random: np.random.Generator, extent: tuple[int, int], canvas: int, quadrant: int | None) -> tuple[int, int]:
    """Draw the upper left corner (x, y) of what is (h, w) large, in one of four quadrants or anywhere.

    Raises UsageError if it does not fit.
    """
    side, column, row = (canvas, 0, 0) if quadrant is None else (canvas // 2, quadrant % 2, quadrant // 2)
    if max(extent) > side:
        raise UsageError(f"letters of {extent[1]} x {extent[0]} px do not fit {side} px; choose a larger canvas")
    y, x = random.integers(0, (side - extent[0] + 1, side - extent[1] + 1)).tolist()
    return x + column * side, y + row * side


def one_class(problem: Problem) -> Models:
    """Answer with the first class, whatever the picture."""
    classes = problem.data.classes
    return {"model": lambda images: torch.eye(classes)[:1].expand(len(images), -1)}


def known_shapes(problem: Problem) -> Models:
    """Compare each patch of ink with all pictures of letters there are, and name the class."""
    pictures: Pictures = problem.data

    def model(images: Tensor) -> Tensor:
        answers = [pictures.classify(read(image[0], pictures.heights)) for image in images]
        return torch.eye(pictures.classes)[answers]

    return {"model": model}


def _samples(pictures: Pictures, number: int, image: Tensor, answer: int) -> list[Sample]:
    """The picture, and a picture of the class that it was taken for."""
    group, random = f"picture {number + 1}", np.random.default_rng(number)
    meant = pictures.draw(random, answer, "same")
    return [Sample(group, "input", "image", image.numpy()), Sample(group, "prediction", "image", meant.numpy())]
