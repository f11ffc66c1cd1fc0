"""Wiener filters: the least squares answer where the blur is taken to be one kernel, everywhere or in each patch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.registry import reference
from coordbench.tasks.deblurring._restoration import TASKS, kernel_grid
from coordbench.tasks.deblurring._tuning import Restorer, best

RATIOS = tuple(10 ** (-3 + 0.25 * i) for i in range(11))
PATCHES = 5


@reference(task=TASKS, kind="anchor")
def wiener(problem: Problem) -> Models:
    """Deconvolve with the kernel of the field's center; the noise-to-signal ratio is chosen on validation images."""
    kernels = problem.data.blur.optic.center.float()[None]
    return {"restorer": best(lambda ratio: wiener_filter(kernels, ratio), RATIOS, problem.data.validation)}


@reference(task=TASKS, kind="anchor")
def patchwise_wiener(problem: Problem) -> Models:
    """Deconvolve with the kernel of each of 5x5 patches, and blend the results by windows that sum to one."""
    optic = problem.data.blur.optic
    kernels = kernel_grid(optic, PATCHES, optic.radius).float()
    return {"restorer": best(lambda ratio: wiener_filter(kernels, ratio), RATIOS, problem.data.validation)}


def wiener_filter(kernels: Tensor, ratio: float) -> Restorer:
    """Return the filters conj(H) / (|H|^2 + ratio f^2) of kernels (n^2, k, k) of n x n patches, blended.

    Images are continued by their mirror images. The spectrum of the truth is taken to fall as 1 / f^2, with f in cycles
    per kernel side.
    """
    patches, side, radius = round(len(kernels) ** 0.5), kernels.shape[-1], kernels.shape[-1] // 2

    def restore(observed: Tensor) -> Tensor:
        padded = functional.pad(observed, (radius,) * 4, mode="reflect")
        torus = padded.shape[-2:]
        transfer = torch.fft.rfft2(_centered(kernels, torus))
        filters = transfer.conj() / (transfer.abs() ** 2 + ratio * _frequency(torus, side) ** 2)
        restored: Tensor = torch.fft.irfft2(torch.fft.rfft2(padded)[:, :, None] * filters, s=torus)
        inside = restored[..., radius:-radius, radius:-radius]
        return (inside * windows(patches, observed.shape[-1])).sum(2)

    return restore


def windows(patches: int, size: int) -> Tensor:
    """Return the weights (n^2, size, size) of n x n patches, which fall off linearly to the neighbors' centers."""
    position = ((torch.arange(size) + 0.5) * patches / size - 0.5).clamp(0, patches - 1)
    weights = (1 - (position - torch.arange(patches)[:, None]).abs()).clamp_min(0)
    return (weights[:, None, :, None] * weights[None, :, None, :]).reshape(-1, size, size)


def _centered(kernels: Tensor, torus: torch.Size) -> Tensor:
    """Lay kernels (R, k, k) on a torus, their centers at the origin."""
    side = kernels.shape[-1]
    laid = functional.pad(kernels, (0, torus[1] - side, 0, torus[0] - side))
    return laid.roll((-(side // 2),) * 2, (1, 2))


def _frequency(torus: torch.Size, scale: int) -> Tensor:
    """Return the frequency of each coefficient of `rfft2` [cycles per `scale` px]."""
    down, right = torch.fft.fftfreq(torus[0]), torch.fft.rfftfreq(torus[1])
    return scale * torch.hypot(down[:, None], right[None, :])
