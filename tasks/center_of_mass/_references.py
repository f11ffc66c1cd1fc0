"""What can be answered without a network: the mean of all labels, the sum over pixels, a place known modulo 16."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.registry import reference
from coordbench.tasks._data.points import Field
from coordbench.tasks.center_of_mass.center_of_mass import NAME, Points

PERIOD = 16
"""Pixels by which four layers of stride 2 may be shifted unnoticed."""


@reference(task=NAME, kind="floor", name="mean_label")
def mean_label(problem: Problem) -> Models:
    """Answer with the mean of all training labels."""
    points: Points = problem.data
    mean = points.field.coordinates[points.known].mean(0) * (not points.marked)
    return {"model": lambda images: mean.expand(len(images), -1)}


@reference(task=NAME, kind="ceiling", name="sum_over_pixels")
def sum_over_pixels(problem: Problem) -> Models:
    """Add the coordinates of all points and divide by their number."""
    points: Points = problem.data
    return {"model": lambda images: _center(images, points.field.coordinates)}


def _circular(options: Mapping[str, object]) -> bool:
    return options["split"] == "uniform" and options["label"] != "offset" and int(str(options["canvas"])) % PERIOD == 0


@reference(task=NAME, kind="anchor", name="place_modulo_16", when=_circular)
def place_modulo_16(problem: Problem) -> Models:
    """Answer as well as can be done when places are known modulo 16 alone.

    No network of four circular layers of stride 2 and a global mean can do better: a shift by 16 pixels of its input
    shifts its last map by one pixel, which the mean does not see.
    """
    field: Field = problem.data.field
    steps = torch.arange(field.canvas) % PERIOD
    axis = 2 * (steps + (field.canvas - PERIOD) / 2) / (field.canvas - 1) - 1  # the mean over all that look alike
    pixel = ((field.coordinates + 1) * (field.canvas - 1) / 2).round().long()
    return {"model": lambda images: _center(images, axis[pixel])}


def _center(images: Tensor, coordinates: Tensor) -> Tensor:
    """The mean coordinate of the points, minus that of the mark if there is one: (N, C, *size) -> (N, dims)."""
    masses = images.flatten(2)
    means = masses @ coordinates / masses.sum(2, keepdim=True)
    return means[:, 0] - means[:, 1] if images.shape[1] == 2 else means[:, 0]
