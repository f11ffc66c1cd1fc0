"""Center of mass: the mean place of the white points of an image, from two of them to hundreds.

A sample of 4 x 4 pixels: (0, 0) and (3, 1), x before y, have their mean at (0, -2/3) in coordinates of -1 .. 1.
Hosseini, Hosseini, "GeoPos: A Minimal Positional Encoding for Enhanced Fine-Grained Details in Image Synthesis Using
Convolutional Neural Networks", arXiv 2401.01951, has a task of this name; sizes, densities and labels here are ours.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from coordbench.harness.core.contest import Contest
from coordbench.harness.core.description import About, Axes
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.options import Count, Range
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import task
from coordbench.harness.core.scores import At
from coordbench.tasks._data.points import Field, Indices, Region, Scattered, scatter
from coordbench.tasks._predict import predict
from coordbench.tasks.center_of_mass._offsets import SEPARATIONS, offsets

NAME = "center_of_mass"
SEEN = (2, 4, 8, 16, 32, 64, 128, 256)
UNSEEN = (3, 6, 12, 24, 48, 96, 192)
UNSEEN_COUNTS = At("normalized_mse", "counts", "unseen")
EXAMPLES = {"validation": 32, "test": 256}
"""Images of each density."""
SHOWN = (4, 32)

Split = Literal["uniform", "quadrant"]
Label = Literal["absolute", "relative", "offset"]


@dataclass(frozen=True)
class Points:
    """What images hold: where points fall in training and in test, how many, and whether one pixel is marked."""

    field: Field
    regions: tuple[Region, Region]
    marked: bool
    seen: tuple[int, ...]
    unseen: tuple[int, ...]

    @property
    def known(self) -> Indices:
        """The pixels on which points fall in training."""
        return self.field.pixels(self.regions[0])

    def variance(self, count: int) -> float:
        """The variance of a label, on each axis, of images with `count` points that fall everywhere."""
        return self.field.variance(count) + self.marked * self.field.variance()


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    if options["label"] == "offset":
        return About(
            f"Given two pixels on an image of {options['dims']} axes, 8 to 48 pixels apart, a network tells how "
            "one lies from the other; pairs of the test are drawn apart from those of training.",
            "The pair, with a ring where the first pixel is and a dot where the network's answer would put it.",
        )
    mark = ", as the offset from a marked pixel" if options["label"] == "relative" else ""
    split = "anywhere" if options["split"] == "uniform" else "in the quadrant that training leaves empty"
    return About(
        f"Given an image of {options['dims']} axes with few to many white points, a network tells their mean "
        f"place{mark}; test points fall {split}, also in numbers that were never trained.",
        "The points, with a ring at their true mean place and a dot where the network says it is.",
    )


def refuse(contest: Contest) -> str:
    """Refuse an empty quadrant where a pair may lie anywhere."""
    if (contest.task["label"], contest.task["split"]) == ("offset", "quadrant"):
        return "with label=offset a pair lies anywhere, so split=quadrant holds nothing back; leave it out"
    return ""


@task(
    NAME,
    suite="center_of_mass",
    metrics=(
        Metric("normalized_mse", "", "lower", least=0),
        Metric(UNSEEN_COUNTS, "", "lower"),
        *(Metric(At("normalized_mse", "m", count), "", "lower", 0.05, least=0) for count in sorted(SEEN + UNSEEN)),
        *(Metric(At("normalized_mse", "separation", s), "", "lower", 0.05, least=0) for s in SEPARATIONS),
    ),
    backbones=("strided", "vit"),
    source="Hosseini, Hosseini 2024, arXiv 2401.01951",
    about=about,
    axes={
        "m": Axes("points in the image", "squared error over the variance of the label"),
        "separation": Axes("distance of the two pixels [px]", "squared error over the variance of the label"),
        "prediction": Axes("x [px]", "y [px]"),
    },
    refuse=refuse,
)
def center_of_mass(
    network: Network, seed: int, *, canvas: Annotated[int, Range(8, 512)] = 64, dims: Literal[1, 2, 3] = 2,
    split: Split = "uniform", label: Label = "absolute", batch: Count = 32,
) -> Problem:  # fmt: skip
    """Regress the mean place of points, or its offset from a marked pixel (`label=relative`), at many densities.

    The squared error is divided by the variance of the label at each density before densities are averaged.
    With `split=quadrant` training has no point in one quadrant, and test has points nowhere else. With `label=offset`
    there are two pixels alone, a known distance apart, and the label is how one lies from the other.
    """
    points = _points(canvas, dims, split, label)
    if label == "offset":
        return offsets(network, seed, NAME, points.field, batch, points)

    def draw(counts: Indices, part: str, *key: object) -> Scattered:
        pixels = points.field.pixels(points.regions[part == "test"])
        return scatter(points.field, pixels, counts, NAME, seed, part, *key, marked=points.marked)

    @functools.cache
    def examples(part: str) -> Scattered:
        counts = points.seen + (points.unseen if part == "test" else ())
        return draw(np.repeat(counts, EXAMPLES[part]), part)

    def loss(models: Models, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        images, labels, scales = batch
        errors: Tensor = (models["model"](images) - labels).square() * scales
        return errors.mean()

    def batches(step: int) -> tuple[Tensor, Tensor, Tensor]:
        counts = np.take(points.seen, np.arange(step * batch, (step + 1) * batch), mode="wrap")
        drawn = draw(counts, "train", step)
        return drawn.images, drawn.labels, torch.tensor([[1 / points.variance(count)] for count in counts])

    def evaluate(models: Models, part: str) -> dict[str, float]:
        drawn = examples(part)
        errors = predict(models["model"], drawn.images) - drawn.labels
        each = {m: _share(errors, drawn.labels, drawn.counts == m) for m in drawn.counts.unique().tolist()}
        scores = {"normalized_mse": float(np.mean([each[m] for m in points.seen]))}
        if part == "test":
            scores[UNSEEN_COUNTS] = float(np.mean([each[m] for m in points.unseen]))
        return scores | {At("normalized_mse", "m", m): value for m, value in each.items()}

    def samples(models: Models) -> Sequence[Sample]:
        shown = [count for count in SHOWN if count in points.seen]
        drawn = draw(np.array(shown), "test", "shown")
        predicted = predict(models["model"], drawn.images)
        return [sample for i, m in enumerate(shown) for sample in _samples(f"m={m}", drawn, predicted, i)]

    models = {"model": network((1 + points.marked, *points.field.size), (dims,))}
    phases = (Phase(("model",), loss, Optimizer("Adam", 1e-3)),)
    return Problem(models, phases, batches, evaluate, samples, data=points)


def _points(canvas: int, dims: int, split: Split, label: str) -> Points:
    field = Field(canvas, dims)
    most = canvas**dims // 8  # a quadrant of three dimensions holds no more
    seen, unseen = (tuple(count for count in counts if count <= most) for counts in (SEEN, UNSEEN))
    if not unseen:
        raise UsageError(f"canvas={canvas} is too small for points on {dims} axes; it must have at least 24 pixels")
    regions: tuple[Region, Region] = ("everywhere", "everywhere") if split == "uniform" else ("elsewhere", "corner")
    return Points(field, regions, label != "absolute", seen, unseen)


def _share(errors: Tensor, labels: Tensor, chosen: Tensor) -> float:
    """The mean squared error over the variance of the labels, both of the chosen examples and means over axes."""
    return float(errors[chosen].square().mean() / labels[chosen].var(0, correction=0).mean())


def _samples(group: str, drawn: Scattered, predicted: Tensor, i: int) -> list[Sample]:
    """The image, seen along its depth if it has one, and the true and the predicted place [px]."""
    image, canvas = drawn.images[i].amax(0), drawn.images.shape[-1]
    truth, prediction = ((canvas - 1) * (place[i : i + 1, :2] + 1) / 2 for place in (drawn.labels, predicted))
    if image.ndim == 1:
        truth, prediction = (torch.cat([place, torch.zeros(1, 1)], 1) for place in (truth, prediction))
    picture = image.amax(0) if image.ndim == 3 else image
    return [
        Sample(group, "input", "line" if image.ndim == 1 else "image", picture.numpy()),
        Sample(group, "truth", "points", truth.numpy()),
        Sample(group, "prediction", "points", prediction.numpy()),
    ]
