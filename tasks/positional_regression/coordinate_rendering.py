"""Coordinate rendering: paint the 9x9 square around (x, y).

A sample on a canvas of 64 px: (-.27, .59) is white from (19, 46) to (27, 54), black elsewhere.
Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.description import About, Axes
from coordbench.harness.core.options import Count
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import reference, task
from coordbench.tasks._data.draws import epoch_length, epochs
from coordbench.tasks._data.not_so_clevr import (
    HALF,
    Canvas,
    NotSoClevr,
    Split,
    kept_for_test,
    not_so_clevr,
    scale,
    squares,
)
from coordbench.tasks._predict import predict
from coordbench.tasks.positional_regression._closed_form import Painter
from coordbench.tasks.positional_regression._gallery import pairs

NAME = "coordinate_rendering"
SHOWN = 3


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    canvas, held_out = options["canvas"], kept_for_test(options["split"])
    return About(
        f"Given (x, y), a network paints the 9 x 9 square around it on {canvas} x {canvas} pixels; {held_out} "
        "is held out for the test.",
        "Truth: the square that is asked for. Prediction: how white the network paints each pixel.",
    )


@task(
    NAME,
    suite="positional_regression",
    metrics=(Metric("iou", least=0, most=1),),
    backbones=("pixelwise", "deconv"),
    splits=("train", "validation", "test"),
    source="Liu et al. 2018, arXiv 1807.03247",
    about=about,
    axes={"prediction": Axes("x [px]", "y [px]")},
)
def coordinate_rendering(
    network: Network, seed: int, *, canvas: Canvas = 64, split: Split = "uniform", batch: Count = 16
) -> Problem:
    """Render the square at (x, y), by binary cross entropy of each pixel; the score is the mean IoU of the images."""
    data = not_so_clevr(canvas, split, NAME, seed)
    train = data["train"]
    indices = epochs(len(train), batch, NAME, seed, "order")

    def loss(models: Models, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, images = batch
        return functional.binary_cross_entropy_with_logits(models["model"](inputs), images)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        centers = train[indices(step)]
        return scale(centers, canvas), squares(centers, canvas)

    def evaluate(models: Models, part: str) -> dict[str, float]:
        centers = data[part]
        painted = predict(models["model"], scale(centers, canvas), 16) > 0
        return {"iou": intersection_over_union(painted, squares(centers, canvas) > 0).mean().item()}

    def samples(models: Models) -> Sequence[Sample]:
        centers = data["test"][:SHOWN]
        painted = predict(models["model"], scale(centers, canvas)).sigmoid()
        return pairs(centers, squares(centers, canvas), painted, "image")

    models = {"model": network((2,), (1, canvas, canvas))}
    phases = (Phase(("model",), loss, Optimizer("Adam", 0.005, {"betas": (0.9, 0.99)}, "one_cycle")),)
    steps = epoch_length(len(train), batch)
    return Problem(models, phases, batches, evaluate, samples, data=data, epoch_steps=steps)


def intersection_over_union(painted: Tensor, truth: Tensor) -> Tensor:
    """Common over joint area of two masks, neither of them empty in `truth`: twice (N, ...) -> (N,)."""
    painted, truth = painted.flatten(1), truth.flatten(1)
    return (painted & truth).sum(1) / (painted | truth).sum(1)


@reference(task=NAME, kind="floor", name="nearest_square")
def nearest_square(problem: Problem) -> Models:
    """Paint the nearest other square that is known."""
    data: NotSoClevr = problem.data
    return {"model": lambda x: squares(data.nearest(x), data.canvas) - 0.5}


@reference(task=NAME, kind="ceiling", name="square_of_four_relu_units")
def square_of_four_relu_units(problem: Problem) -> Models:
    """Paint where |dx| and |dy| are at most four pixels, by four ReLU units."""
    return {"model": Painter(problem.data.canvas, HALF)}
