"""Coordinate regression: tell (x, y) of the one white pixel.

A sample on a canvas of 64 px: an image whose pixel (23, 50) is one and all others zero has the label (.36, .78).
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
from coordbench.tasks._data.not_so_clevr import Canvas, NotSoClevr, Split, kept_for_test, not_so_clevr, one_hot
from coordbench.tasks._predict import predict

NAME = "coordinate_regression"
SHOWN = 24


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    canvas, held_out = options["canvas"], kept_for_test(options["split"])
    return About(
        f"Given {canvas} x {canvas} pixels of which one is white, a network tells its x and y; {held_out} is held "
        "out for the test.",
        "Rings: the true places of test pixels. Dots: where the network says they are.",
    )


@task(
    NAME,
    suite="positional_regression",
    metrics=(Metric("euclidean_error", "px", "lower", 0.25, least=0),),
    backbones=("pixelwise", "pooled", "fully_conv", "strided", "vit"),
    splits=("train", "validation", "test"),
    source="Liu et al. 2018, arXiv 1807.03247",
    about=about,
    axes={"prediction": Axes("x [px]", "y [px]")},
)
def coordinate_regression(
    network: Network, seed: int, *, canvas: Canvas = 64, split: Split = "uniform", batch: Count = 16
) -> Problem:
    """Regress the place of a pixel, as a share of the canvas, by the squared error."""
    data = not_so_clevr(canvas, split, NAME, seed)
    train = data["train"]
    indices = epochs(len(train), batch, NAME, seed, "order")

    def loss(models: Models, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, places = batch
        return functional.mse_loss(models["model"](images), places)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        centers = train[indices(step)]
        return one_hot(centers, canvas), centers / canvas

    def evaluate(models: Models, part: str) -> dict[str, float]:
        centers = data[part]
        predicted = canvas * predict(models["model"], one_hot(centers, canvas), 64)
        return {"euclidean_error": (predicted - centers).norm(dim=1).mean().item()}

    def samples(models: Models) -> Sequence[Sample]:
        centers = data["test"][:SHOWN]
        predicted = canvas * predict(models["model"], one_hot(centers, canvas))
        places = (("truth", centers.float()), ("prediction", predicted))
        return [Sample(f"{len(centers)} test pixels", role, "points", array.numpy()) for role, array in places]

    models = {"model": network((1, canvas, canvas), (2,))}
    phases = (Phase(("model",), loss, Optimizer("Adam", 0.01, {"betas": (0.9, 0.99)}, "one_cycle")),)
    steps = epoch_length(len(train), batch)
    return Problem(models, phases, batches, evaluate, samples, data=data, epoch_steps=steps)


@reference(task=NAME, kind="floor", name="mean_position")
def mean_position(problem: Problem) -> Models:
    """Answer with the mean of all known positions."""
    data: NotSoClevr = problem.data
    mean = data["known"].float().mean(0) / data.canvas
    return {"model": lambda images: mean.expand(len(images), -1)}


@reference(task=NAME, kind="ceiling", name="largest_coordinate")
def largest_coordinate(problem: Problem) -> Models:
    """Add twice the image to each coordinate, take the maximum over all pixels, subtract two: eight parameters."""
    canvas = problem.data.canvas
    axis = torch.arange(canvas) / canvas
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"))
    weight, bias = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]]), torch.full((2,), -2.0)

    def model(images: Tensor) -> Tensor:
        pixels = torch.cat([grid.expand(len(images), -1, -1, -1), images], 1)
        return functional.conv2d(pixels, weight[:, :, None, None], bias).amax((2, 3))

    return {"model": model}
