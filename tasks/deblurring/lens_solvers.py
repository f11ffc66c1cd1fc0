"""Restoration with the exact blur of each image's own lens, and with the average of all lenses."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.registry import reference
from coordbench.tasks._data.optics.blur import norm
from coordbench.tasks._data.optics.lens import NUMBERS, Lens
from coordbench.tasks.deblurring._lenses import Library, blur_of, by_lens
from coordbench.tasks.deblurring._restoration import LENSES, kernel_grid
from coordbench.tasks.deblurring._tuning import Restorer, best
from coordbench.tasks.deblurring.iterative import ROUNDS, WEIGHTS, few, fista, lucy
from coordbench.tasks.deblurring.wiener import PATCHES, RATIOS, wiener_filter

_AVERAGED = 64
"""Lenses of the training whose kernels are averaged."""


@reference(task=LENSES, kind="anchor")
def average_wiener(problem: Problem) -> Models:
    """Deconvolve with the mean kernel of 64 lenses of the training: what is possible without knowing the lens."""
    library: Library = problem.data.library
    lenses = [library.lens("train", number) for number in range(_AVERAGED)]
    kernel = torch.stack([kernel_grid(lens, PATCHES, lens.radius) for lens in lenses]).mean((0, 1))[None].float()

    def make(ratio: float) -> Restorer:
        restore = wiener_filter(kernel, ratio)
        return lambda observed: restore(observed[:, :-NUMBERS])

    return {"restorer": best(make, RATIOS, problem.data.validation)}


@reference(task=LENSES, kind="anchor")
def lens_wiener(problem: Problem) -> Models:
    """Deconvolve with the kernel of each of 5x5 patches of the own lens, and blend the results."""
    library: Library = problem.data.library

    def make(ratio: float) -> Restorer:
        return by_lens(library, lambda lens: wiener_filter(_kernels(lens), ratio))

    return {"restorer": best(make, RATIOS, problem.data.validation)}


@reference(task=LENSES, kind="anchor")
def lens_richardson_lucy(problem: Problem) -> Models:
    """Climb the likelihood of counted photons with the exact blur of the own lens; stops early, as chosen."""
    library: Library = problem.data.library

    def make(rounds: float) -> Restorer:
        return by_lens(library, lambda lens: lucy(blur_of(lens), int(rounds)))

    return {"restorer": best(make, ROUNDS, few(problem))}


@reference(task=LENSES, kind="anchor")
def lens_total_variation(problem: Problem) -> Models:
    """Minimize total variation and misfit with the exact blur of the own lens; weight as chosen."""
    library: Library = problem.data.library

    def make(weight: float) -> Restorer:
        return by_lens(library, lambda lens: fista(blur_of(lens), weight, _step(lens)))

    return {"restorer": best(make, WEIGHTS, few(problem))}


@functools.lru_cache(maxsize=256)
def _kernels(lens: Lens) -> Tensor:
    return kernel_grid(lens, PATCHES, lens.radius).float()


@functools.lru_cache(maxsize=256)
def _step(lens: Lens) -> float:
    return 1 / norm(blur_of(lens)) ** 2
