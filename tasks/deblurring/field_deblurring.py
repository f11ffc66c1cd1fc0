"""Restore Gaussian random fields under the blur of `photo_deblurring`: here the best possible answer is known.

    field (a cloud, a texture)  ->  blur h_q, Gaussian noise  ->  network  ->  PSNR [dB] of the mean squared error

Field and noise are Gaussian and the blur is linear, so the conditional mean is a linear estimator that can be written
down; no method whatever has a smaller mean squared error. What a network lacks to it is what it has yet to learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from coordbench.harness.core.description import About, Axes
from coordbench.harness.core.options import Count, NotNegative, Positive, Range
from coordbench.harness.core.problem import Metric, Models, Network, Problem
from coordbench.harness.core.registry import reference, task
from coordbench.tasks._data.fields import Fields
from coordbench.tasks._data.optics.blur import Blur
from coordbench.tasks._data.optics.psf import Family, Optic
from coordbench.tasks.deblurring._restoration import (
    Camera,
    Held,
    Pair,
    Restoration,
    restoration_problem,
    started,
    stream,
)
from coordbench.tasks.deblurring._scores import field_scores

NAME = "field_deblurring"
_HELD_OUT = 64


@dataclass(frozen=True)
class Law:
    """How fields and noise are distributed."""

    fields: Fields
    noise: float


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return About(
        "Given random textures that a lens blurred more toward the corners and a camera made noisy, a network "
        f"restores them on {options['canvas']} x {options['canvas']} pixels; those of the test are drawn apart.",
        "The same crops of what the camera saw, of the truth and of what the network gives, and the absolute error.",
    )


@task(
    NAME,
    suite="deblurring",
    metrics=(Metric("psnr", "dB", margin=0.2),),
    backbones=("unet", "cnn", "multiwiener"),
    source="After the deblurring experiment of Howard, Norreys, Doepp, CoordGate, arXiv 2401.04680",
    about=about,
    axes={
        "radius": Axes("distance from the center, up to (1 = corner)", "PSNR [dB]"),
        "error": Axes("x [px]", "y [px]", "absolute error"),
    },
)
def field_deblurring(
    network: Network, seed: int, *, canvas: Annotated[int, Range(8, 64)] = 32, psf: Family = "radial",
    strength: NotNegative = 1.0, radius: Count = 5, noise: Positive = 0.01, batch: Count = 16,
) -> Problem:  # fmt: skip
    """Deblur Gaussian random fields of brightness 0.5 +- 0.15 under additive noise of standard deviation `noise`.

    A canvas has at most 64 pixels, since the estimator holds a matrix of its fourth power.
    """
    optic = Optic(psf, canvas, radius, strength)
    law = Law(Fields(optic.side), noise)
    camera = Camera(Blur(optic), lambda image, generator: image + noise * torch.randn(image.shape, generator=generator))

    def draw(count: int, *key: object) -> Pair:
        generator = stream(NAME, *key)
        return camera.observe(law.fields.draw(count, generator), generator)

    names = [f"field {i + 1}" for i in range(_HELD_OUT)]
    splits = {split: Held(draw(_HELD_OUT, split), names) for split in ("validation", "test")}
    data = Restoration(camera.blur, splits["validation"].pair, law)
    return restoration_problem(
        started(network, optic), lambda step: draw(batch, seed, "train", step), splits, data, _score
    )


@reference(task=NAME, kind="ceiling")
def field_estimator(problem: Problem) -> Models:
    """Return the conditional mean m + C A' (A C A' + s^2 I)^-1 (y - A m), the least error of any method on average."""
    blur, law = problem.data.blur, problem.data.extra
    side, size, radius = blur.optic.side, blur.optic.size, blur.optic.radius
    impulses = torch.eye(side**2).reshape(-1, 1, side, side)
    columns = blur.forward(impulses).reshape(side**2, size**2).double()  # A'
    inside = torch.arange(side**2).reshape(side, side)[radius:-radius, radius:-radius].flatten()
    cross = law.fields.covariance() @ columns
    observed = columns.T @ cross + law.noise**2 * torch.eye(size**2, dtype=torch.float64)
    gain = torch.linalg.solve(observed, cross[inside], left=False).float()
    expected = law.fields.mean * columns.sum(0).float()

    def restore(image: Tensor) -> Tensor:
        restored: Tensor = law.fields.mean + (image.flatten(1) - expected) @ gain.T
        return restored.reshape_as(image)

    return {"restorer": restore}


def _score(restored: Tensor, truth: Tensor, names: Sequence[str]) -> dict[str, float]:
    return field_scores(restored, truth)
