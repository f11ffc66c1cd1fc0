"""Coordinate classification: paint the one pixel that (x, y) names.

A sample on a canvas of 64 px: (-.27, .59) is the pixel (23, 50), one class of 4096.
Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.description import About, Axes
from coordbench.harness.core.options import Count
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import reference, task
from coordbench.tasks._data.draws import epoch_length, epochs
from coordbench.tasks._data.not_so_clevr import Canvas, NotSoClevr, Split, kept_for_test, not_so_clevr, one_hot, scale
from coordbench.tasks._predict import predict
from coordbench.tasks.positional_regression._closed_form import Painter
from coordbench.tasks.positional_regression._gallery import pairs

NAME = "coordinate_classification"
SHOWN = 3


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    canvas, held_out = options["canvas"], kept_for_test(options["split"])
    return About(
        f"Given (x, y), a network says which of {canvas} x {canvas} pixels it names; {held_out} is held out for "
        "the test.",
        "Truth: the pixel that is asked for. Prediction: the probability of each pixel, one scale for all.",
    )


@task(
    NAME,
    suite="positional_regression",
    metrics=(Metric("accuracy", least=0, most=1), Metric("euclidean_error", "px", "lower", 0.25, least=0)),
    backbones=("pixelwise", "deconv"),
    splits=("train", "validation", "test"),
    source="Liu et al. 2018, arXiv 1807.03247",
    about=about,
    axes={"prediction": Axes("x [px]", "y [px]", "probability")},
)
def coordinate_classification(
    network: Network, seed: int, *, canvas: Canvas = 64, split: Split = "uniform", batch: Count = 16
) -> Problem:
    """Classify (x, y) as one of all pixels of the canvas, by softmax cross entropy."""
    data = not_so_clevr(canvas, split, NAME, seed)
    train = data["train"]
    indices = epochs(len(train), batch, NAME, seed, "order")

    def loss(models: Models, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, pixels = batch
        return functional.cross_entropy(models["model"](inputs).flatten(1), pixels)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        centers = train[indices(step)]
        return scale(centers, canvas), centers[:, 1] * canvas + centers[:, 0]

    def evaluate(models: Models, part: str) -> dict[str, float]:
        centers = data[part]
        predicted = brightest(predict(models["model"], scale(centers, canvas), 16))
        distance = (predicted - centers).float().norm(dim=1)
        return {"accuracy": (distance == 0).float().mean().item(), "euclidean_error": distance.mean().item()}

    def samples(models: Models) -> Sequence[Sample]:
        centers = data["test"][:SHOWN]
        maps = predict(models["model"], scale(centers, canvas))
        shares = maps.flatten(1).softmax(1).view_as(maps)
        return pairs(centers, one_hot(centers, canvas), shares, "heatmap")

    models = {"model": network((2,), (1, canvas, canvas))}
    phases = (Phase(("model",), loss, Optimizer("Adam", 0.01, {"betas": (0.9, 0.99)}, "one_cycle")),)
    steps = epoch_length(len(train), batch)
    return Problem(models, phases, batches, evaluate, samples, data=data, epoch_steps=steps)


def brightest(maps: Tensor) -> Tensor:
    """Return the (x, y) of each map's largest pixel: (N, 1, H, W) -> (N, 2) [px]."""
    flat, width = maps.flatten(1).argmax(1), maps.shape[-1]
    return torch.stack([flat % width, flat // width], 1)


@reference(task=NAME, kind="floor", name="nearest_pixel")
def nearest_pixel(problem: Problem) -> Models:
    """Answer with the nearest other example that is known: never right, seldom far off."""
    data: NotSoClevr = problem.data
    return {"model": lambda x: one_hot(data.nearest(x), data.canvas)}


@reference(task=NAME, kind="ceiling", name="four_relu_units")
def four_relu_units(problem: Problem) -> Models:
    """Answer by -|dx| - |dy|, made of four ReLU units."""
    return {"model": Painter(problem.data.canvas, half=0)}
