"""Iterative restoration with the exact blur and its adjoint.

Both work on the whole scene, margin included, so light from outside the field is explained instead of smeared.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.registry import reference
from coordbench.tasks._data.optics.blur import Operator, norm
from coordbench.tasks.deblurring._restoration import TASKS
from coordbench.tasks.deblurring._tuning import Restorer, best

ROUNDS = (1, 2, 4, 8, 16, 32)
WEIGHTS = tuple(1e-3 * 2**i for i in range(6))
_FEW = 8
"""Validation images that choose a parameter: these methods are slow."""


@reference(task=TASKS, kind="anchor")
def richardson_lucy(problem: Problem) -> Models:
    """Richardson (1972) and Lucy (1974): climb the likelihood of counted photons; stops early, as chosen."""
    blur: Operator = problem.data.blur
    return {"restorer": best(lambda rounds: lucy(blur, int(rounds)), ROUNDS, few(problem))}


@reference(task=TASKS, kind="anchor")
def total_variation(problem: Problem) -> Models:
    """Beck and Teboulle, "Fast gradient-based algorithms for constrained total variation" (2009); weight as chosen."""
    blur: Operator = problem.data.blur
    step = 1 / norm(blur) ** 2
    return {"restorer": best(lambda weight: fista(blur, weight, step), WEIGHTS, few(problem))}


def few(problem: Problem) -> tuple[Tensor, Tensor]:
    """Return some of the validation images, evenly spread over all."""
    observed, truth = problem.data.validation
    every = max(1, len(observed) // _FEW)
    return observed[::every][:_FEW], truth[::every][:_FEW]


def lucy(blur: Operator, rounds: int) -> Restorer:
    """Return x <- x * A'(y / Ax) / A'1, repeated `rounds` times from the mirrored observation."""
    radius = blur.optic.radius

    def restore(observed: Tensor) -> Tensor:
        scene = functional.pad(observed, (radius,) * 4, mode="reflect").clamp_min(1e-3)
        seen = blur.adjoint(torch.ones_like(observed[:1, :1])).clamp_min(1e-6)
        for _ in range(rounds):
            ratio = observed.clamp_min(0) / blur.forward(scene).clamp_min(1e-6)
            scene = scene * blur.adjoint(ratio) / seen
        return scene[..., radius:-radius, radius:-radius]

    return restore


def fista(blur: Operator, weight: float, step: float, rounds: int = 40) -> Restorer:
    """Return the least |Ax - y|^2 / 2 + weight TV(x) by accelerated proximal gradient steps of size `step`."""
    radius = blur.optic.radius

    def restore(observed: Tensor) -> Tensor:
        scene = ahead = functional.pad(observed, (radius,) * 4, mode="reflect")
        momentum = 1.0
        for _ in range(rounds):
            before = scene
            descended = ahead - step * blur.adjoint(blur.forward(ahead) - observed)
            scene = denoise(descended, weight * step)
            after = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
            ahead = scene + (momentum - 1) / after * (scene - before)
            momentum = after
        return scene[..., radius:-radius, radius:-radius]

    return restore


def denoise(image: Tensor, weight: float, rounds: int = 10) -> Tensor:
    """Return the least |x - image|^2 / 2 + weight TV(x), isotropic, by projected gradients on the dual."""
    dual = image.new_zeros(*image.shape[:2], 2, *image.shape[2:])
    for _ in range(rounds):
        dual = dual + gradient(image + weight * divergence(dual)) / (8 * weight)
        dual = dual / dual.square().sum(2, keepdim=True).sqrt().clamp_min(1)
    return image + weight * divergence(dual)


def gradient(image: Tensor) -> Tensor:
    """Return the differences to the next row and column, (N, C, H, W) -> (N, C, 2, H, W); zero at the far border."""
    down = functional.pad(image.diff(dim=-2), (0, 0, 0, 1))
    right = functional.pad(image.diff(dim=-1), (0, 1))
    return torch.stack([down, right], dim=2)


def divergence(dual: Tensor) -> Tensor:
    """Return minus the adjoint of `gradient`, (N, C, 2, H, W) -> (N, C, H, W)."""
    down, right = dual[:, :, 0, :-1], dual[:, :, 1, :, :-1]
    rows = functional.pad(down, (0, 0, 0, 1)) - functional.pad(down, (0, 0, 1, 0))
    return rows + functional.pad(right, (0, 1)) - functional.pad(right, (1, 0))
