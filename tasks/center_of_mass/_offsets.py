"""Pairs of pixels, one in each channel, a known distance apart: what is asked is how one lies from the other.

    canvas of 96, separation 24        a network whose last features see 15 or 31 pixels never has both in view
    . . . . . . . o . .
    . . . . . . . . . .                label: (7, 0) - (2, 2) = (5, -2), in units of half a canvas
    . . x . . . . . . .

This is the mechanism that Hosseini, Hosseini, "GeoPos", 2024, arXiv 2401.01951, claim for coordinates with a random
shift: both pixels know where they are up to the same shift, so their difference is known. The task is ours.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from coordbench.harness.core.problem import Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.scores import At
from coordbench.harness.core.seeds import seed_of
from coordbench.tasks._data.points import Field, Scattered
from coordbench.tasks._predict import predict

SEPARATIONS = (8, 16, 24, 32, 40, 48)
"""Distances of the two pixels that are scored apart [px]; those of more than half a canvas are left out."""
EXAMPLES = {"validation": 32, "test": 256}
"""Images of each separation."""
SHOWN = (0, -1)


def offsets(network: Network, seed: int, name: str, field: Field, batch: int, data: object) -> Problem:
    """Regress the offset of two pixels by the squared error, over the variance of the label at each separation."""
    known = tuple(separation for separation in SEPARATIONS if separation <= field.canvas // 2)

    def draw(separations: np.ndarray[tuple[int], np.dtype[np.int64]], *key: object) -> Scattered:
        return pairs(field, separations, name, seed, "offset", *key)

    @functools.cache
    def examples(part: str) -> Scattered:
        return draw(np.repeat(known, EXAMPLES[part]), part)

    def scale(separation: float) -> float:
        """The variance of a label on each axis."""
        return float((2 * separation / (field.canvas - 1)) ** 2 / field.dims)

    def loss(models: Models, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        images, labels, weights = batch
        errors: Tensor = (models["model"](images) - labels).square() * weights
        return errors.mean()

    def batches(step: int) -> tuple[Tensor, Tensor, Tensor]:
        separations = np.take(known, np.arange(step * batch, (step + 1) * batch), mode="wrap")
        drawn = draw(separations, "train", step)
        return drawn.images, drawn.labels, torch.tensor([[1 / scale(separation)] for separation in separations])

    def evaluate(models: Models, part: str) -> dict[str, float]:
        drawn = examples(part)
        errors = (predict(models["model"], drawn.images) - drawn.labels).square().mean(1)
        power = drawn.labels.square().mean(1)
        each = {s: float(errors[drawn.counts == s].mean() / power[drawn.counts == s].mean()) for s in known}
        apart = {At("normalized_mse", "separation", s): value for s, value in each.items()}
        return {"normalized_mse": float(np.mean(list(each.values())))} | apart

    def samples(models: Models) -> Sequence[Sample]:
        shown = [known[i] for i in SHOWN]
        drawn = draw(np.array(shown), "test", "shown")
        predicted = predict(models["model"], drawn.images)
        return [sample for i, s in enumerate(shown) for sample in _samples(f"{s} px apart", drawn, predicted, i)]

    models = {"model": network((2, *field.size), (field.dims,))}
    phases = (Phase(("model",), loss, Optimizer("Adam", 1e-3)),)
    return Problem(models, phases, batches, evaluate, samples, data=data)


def pairs(field: Field, separations: np.ndarray[tuple[int], np.dtype[np.int64]], *key: object) -> Scattered:
    """Draw two pixels each, `separations` apart up to rounding: images (N, 2, *size), their offset (N, dims), in -2..2.

    The first lies anywhere where the second fits on the canvas; the direction is drawn evenly.
    """
    random, last = np.random.default_rng(seed_of(*key)), field.canvas - 1
    images = torch.zeros(len(separations), 2, *field.size)
    labels = torch.zeros(len(separations), field.dims)
    for i, separation in enumerate(separations):
        direction = random.normal(size=field.dims)
        move = np.round(separation * direction / np.linalg.norm(direction)).astype(int)
        start = random.integers(np.maximum(0, -move), field.canvas - np.maximum(0, move))
        for channel, place in enumerate((start + move, start)):
            images[(i, channel, *place)] = 1
        labels[i] = torch.from_numpy(2 * move[::-1].copy() / last)  # x first, which is the last axis
    return Scattered(images, labels, torch.from_numpy(np.asarray(separations)))


def _samples(group: str, drawn: Scattered, predicted: Tensor, i: int) -> list[Sample]:
    """Both pixels, seen along the depth if there is one, and where the first would be by the predicted offset [px]."""
    image, canvas = drawn.images[i], drawn.images.shape[-1]
    picture = image.amax(0)
    picture = picture.amax(0) if picture.ndim == 3 else picture
    mark = image[1].nonzero()[0].flip(0)[:2].float()
    places = [mark + label[i, :2] * (canvas - 1) / 2 for label in (drawn.labels, predicted)]
    if image.ndim == 2:
        places = [torch.cat([place, torch.zeros(1)]) for place in places]
    return [
        Sample(group, "input", "line" if image.ndim == 2 else "image", picture.numpy()),
        Sample(group, "truth", "points", places[0][None].numpy()),
        Sample(group, "prediction", "points", places[1][None].numpy()),
    ]
