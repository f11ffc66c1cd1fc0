"""Wiener filters: the least squares answer where the blur is taken to be one kernel, everywhere or in each patch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from harness.registry import reference
from harness.spec import Models, Problem
from tasks.deblurring._restoration import TASKS
from tasks.deblurring._tuning import Restorer, best

_NOISE_TO_SIGNAL = tuple(10 ** (-3 + 0.25 * i) for i in range(11))


@reference(task=TASKS, kind="anchor")
def wiener(problem: Problem) -> Models:
    """Deconvolve with the kernel of the field's center; the noise-to-signal ratio is chosen on validation images."""
    center = problem.data.blur.optic.center.float()
    return {"restorer": best(lambda ratio: wiener_filter(center, ratio), _NOISE_TO_SIGNAL, problem.data.validation)}


def wiener_filter(kernel: Tensor, ratio: float) -> Restorer:
    """Return the filter conj(H) / (|H|^2 + ratio / f^2) for images continued by their mirror images.

    The spectrum of the truth is taken to fall as 1 / f^2, f = 1 at the kernel's first zero [cycles per kernel side].
    """
    radius = len(kernel) // 2

    def restore(observed: Tensor) -> Tensor:
        padded = functional.pad(observed, (radius,) * 4, mode="reflect")
        size = padded.shape[-2:]
        transfer = torch.fft.rfft2(_centered(kernel, size))
        quiet = transfer.abs() ** 2 + ratio * _frequency(size, len(kernel)) ** 2
        restored: Tensor = torch.fft.irfft2(torch.fft.rfft2(padded) * transfer.conj() / quiet, s=size)
        return restored[..., radius:-radius, radius:-radius]

    return restore


def _centered(kernel: Tensor, size: torch.Size) -> Tensor:
    """Lay a kernel on a torus of `size`, its center at the origin."""
    torus = kernel.new_zeros(size)
    torus[: len(kernel), : len(kernel)] = kernel
    return torus.roll((-(len(kernel) // 2),) * 2, (0, 1))


def _frequency(size: torch.Size, scale: int) -> Tensor:
    """Frequency of each coefficient of `rfft2` [cycles per `scale` px]."""
    down, right = torch.fft.fftfreq(size[0]), torch.fft.rfftfreq(size[1])
    return scale * torch.hypot(down[:, None], right[None, :])
