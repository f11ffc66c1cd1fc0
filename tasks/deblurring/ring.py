"""Ring deconvolution: the least squares answer for optics that are symmetric about the center of their field.

Kohli, Angelopoulos, McAllister, et al., "Ring deconvolution microscopy: exploiting symmetry for efficient spatially
varying aberration correction", arXiv 2206.08928. Written from its idea: in polar coordinates such a blur is the same
all along a ring, so a Fourier transform around the rings splits it into one small matrix for each angular order.
Deviates: the penalty is the squared gradient, as in our Wiener filters, and images are continued by their mirror images
up to the circle through their corners.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.registry import reference
from coordbench.tasks._data.optics.blur import Operator
from coordbench.tasks.deblurring._restoration import TASKS
from coordbench.tasks.deblurring._tuning import Restorer, best

_PENALTIES = tuple(10 ** (-2.5 + 0.25 * i) for i in range(12))
_STEP = 0.75
"""Distance of the rings, and of the points along the outermost one [px]."""
_FINE = 3
"""Samples of a kernel per pixel, where it is read between them."""
_SYMMETRIC = ("radial", "zernike", "relay")
_LARGEST = 128
"""Largest field [px]: time and memory grow with its cube."""


@reference(
    task=TASKS, kind="anchor", when=lambda options: options["psf"] in _SYMMETRIC and options["canvas"] <= _LARGEST
)
def ring_deconvolution(problem: Problem) -> Models:
    """Solve the blur ring by ring, as symmetry allows; the weight of smoothness is chosen on validation images."""
    rings = Rings(problem.data.blur)
    return {"restorer": best(rings.restorer, _PENALTIES, problem.data.validation)}


class Rings:
    """A symmetric blur in polar coordinates: for each angular order a matrix from the scene's rings to the image's."""

    def __init__(self, blur: Operator) -> None:
        self.optic = optic = blur.optic
        self.constant = blur.forward(torch.ones(1, 1, optic.side, optic.side))
        self.seen, self.sources = _radii(optic.size / math.sqrt(2)), _radii(optic.side / math.sqrt(2))
        self.angles = (
            torch.arange(count := 2 * math.ceil(math.pi * self.sources[-1].item() / _STEP)) * 2 * math.pi / count
        )
        area = self.sources * _STEP * 2 * math.pi / count
        spread = torch.stack([self._ring(float(radius)) for radius in self.sources], dim=1) * area[:, None]
        self.matrices = torch.fft.rfft(spread).movedim(2, 0).to(torch.complex128)  # (orders, seen, sources)

    def restorer(self, penalty: float) -> Restorer:
        """Return the least |y - Hx|^2 + penalty |grad x|^2, each ring weighted by its length."""
        weighted = self.matrices.mH * self.seen
        smooth = penalty * _gradient_penalty(self.sources, len(self.matrices))
        inverse = torch.linalg.solve(weighted @ self.matrices + smooth, weighted).to(torch.complex64)

        def restore(observed: Tensor) -> Tensor:
            level = observed.mean((2, 3), keepdim=True) / self.constant.mean()
            orders = torch.fft.rfft(self._to_rings(observed - level * self.constant))
            rings = torch.fft.irfft(torch.einsum("msr,ncrm->ncsm", inverse, orders), n=len(self.angles))
            return level + self._to_field(rings)

        return restore

    def _ring(self, radius: float) -> Tensor:
        """The light [1 / px^2] of a source at (radius, angle 0) at all points of the image, (seen, angles)."""
        position = torch.tensor([[0.0, radius * 2 / self.optic.size]], dtype=torch.float64)
        kernel = self.optic.kernels(position, oversampling=_FINE).float() * _FINE**2
        right = self.seen[:, None] * self.angles.cos() - radius
        down = self.seen[:, None] * self.angles.sin()
        return _read(kernel[None], right / self.optic.radius, down / self.optic.radius)[0, 0]

    def _to_rings(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, seen, angles)."""
        margin = min(math.ceil(self.seen[-1].item() - self.optic.size / 2) + 2, self.optic.size - 1)
        mirrored = functional.pad(images, (margin,) * 4, mode="reflect")
        reach = (mirrored.shape[-1] - 1) / 2
        return _read(
            mirrored, self.seen[:, None] * self.angles.cos() / reach, self.seen[:, None] * self.angles.sin() / reach
        )

    def _to_field(self, rings: Tensor) -> Tensor:
        """(N, C, sources, angles) -> (N, C, H, W); the rings go on through the center to the opposite angle."""
        count, opposite = len(self.sources), rings.flip(2).roll(len(self.angles) // 2, 3)
        whole = functional.pad(torch.cat([opposite, rings], dim=2), (2, 2, 0, 0), mode="circular")
        axis = torch.arange(self.optic.size) - (self.optic.size - 1) / 2
        radius, angle = torch.hypot(axis[:, None], axis), torch.atan2(axis[:, None], axis) % (2 * math.pi)
        row = radius / _STEP - 0.5 + count
        column = angle / (2 * math.pi) * len(self.angles) + 2
        return _read(whole, column * 2 / (whole.shape[-1] - 1) - 1, row * 2 / (whole.shape[-2] - 1) - 1)


def _radii(reach: float) -> Tensor:
    return (torch.arange(math.ceil(reach / _STEP)) + 0.5) * _STEP


def _read(images: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Read (N, C, H, W) at points (H', W') whose coordinates are -1..1 between the outer pixels; zero beyond."""
    points = torch.stack([right, down], dim=-1)[None].expand(len(images), -1, -1, -1)
    return functional.grid_sample(images, points, mode="bicubic", align_corners=True)


def _gradient_penalty(radii: Tensor, orders: int) -> Tensor:
    """Return the matrices (orders, R, R) of the squared gradient of each angular order, weighted by ring length."""
    steps = torch.eye(len(radii), dtype=torch.float64).diff(dim=0) / _STEP
    along = steps.T * ((radii[1:] + radii[:-1]) / 2) @ steps
    around = torch.arange(orders)[:, None].double() ** 2 / radii
    return along + torch.diag_embed(around)
