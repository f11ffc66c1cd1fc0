"""Spatially varying blur of a scene, exact and as a low-rank sum, each with its adjoint.

A point source at pixel q spreads as h_q, the kernel of its own position (scattering, as light does), so a camera that
looks at the scene x records b(p) = sum_d h_{p-d}(d) x(p-d). Scenes carry a margin of the kernel's radius r around the
field, whose light falls into it: (N, C, H + 2r, W + 2r) -> (N, C, H, W).
"""

from __future__ import annotations

from types import EllipsisType
from typing import Protocol

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

from coordbench.tasks._data.optics.psf import PointSpread, field_positions, taps

_CHUNK = 4096
"""Kernels computed at once, which bounds the memory of building an operator."""


class Operator(Protocol):
    """A linear map of scenes to images, and the way back along the same rays: <Ax, y> = <x, A'y>."""

    optic: PointSpread

    def forward(self, scene: Tensor) -> Tensor:
        """(N, C, H + 2r, W + 2r) -> (N, C, H, W)."""

    def adjoint(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H + 2r, W + 2r)."""


class Blur(Operator):
    """The exact operator. Each image pixel gathers its taps: one map of the scene for each displacement."""

    def __init__(self, optic: PointSpread) -> None:
        self.optic = optic
        positions = field_positions(optic.size, optic.radius)
        table = [optic.kernels(part).float().flatten(1).T for part in positions.split(_CHUNK)]
        maps = torch.cat(table, dim=1).reshape(-1, optic.side, optic.side)
        sources = [self._sources(*move) for move in taps(optic.radius).int().tolist()]
        self.taps = [
            (source, tap[source].contiguous()) for source, tap in zip(sources, maps, strict=True) if tap.amax() > 0
        ]

    def forward(self, scene: Tensor) -> Tensor:
        """Blur scenes (N, C, H + 2r, W + 2r) -> (N, C, H, W)."""
        image = scene.new_zeros(*scene.shape[:2], self.optic.size, self.optic.size)
        for source, tap in self.taps:
            image.addcmul_(tap, scene[source])
        return image

    def adjoint(self, image: Tensor) -> Tensor:
        """Send images back (N, C, H, W) -> (N, C, H + 2r, W + 2r)."""
        scene = image.new_zeros(*image.shape[:2], self.optic.side, self.optic.side)
        for source, tap in self.taps:
            scene[source].addcmul_(tap, image)
        return scene

    def _sources(self, down: int, right: int) -> tuple[EllipsisType, slice, slice]:
        """Where in the scene the light comes from that moves so far [px] to fall into the field."""
        top, left = self.optic.radius - down, self.optic.radius - right
        return ..., slice(top, top + self.optic.size), slice(left, left + self.optic.size)


class LowRankBlur(Operator):
    """The sum b = sum_r u_r * (w_r x), in scattering form, of `rank` kernels u_r with weights w_r over the scene.

    Kernels on a `grid` x `grid` lattice over the scene give the u_r by a singular value decomposition; the weights
    between the knots are interpolated. Convolutions are done by FFT.
    """

    def __init__(self, optic: PointSpread, rank: int = 8, grid: int = 8) -> None:
        self.optic, self.rank = optic, min(rank, grid**2)
        reach = 1 + (2 * optic.radius - 1) / optic.size
        knots = torch.linspace(-reach, reach, grid, dtype=torch.float64)
        lattice = optic.kernels(torch.cartesian_prod(knots, knots)).flatten(1)
        left, strengths, right = torch.linalg.svd(lattice, full_matrices=False)
        weights = (left * strengths).T[: self.rank].reshape(1, -1, grid, grid)
        side = (optic.side, optic.side)
        self.weights = functional.interpolate(weights, side, mode="bicubic", align_corners=True)[0].float()
        self.torus = (next_fast_len(optic.side, real=True),) * 2
        kernel_side = 2 * optic.radius + 1
        kernels = right[: self.rank].reshape(-1, kernel_side, kernel_side).float()
        self.transfer = torch.fft.rfft2(kernels, s=self.torus)

    def forward(self, scene: Tensor) -> Tensor:
        """Blur scenes (N, C, H + 2r, W + 2r) -> (N, C, H, W)."""
        spectrum = torch.fft.rfft2(self.weights * scene[:, :, None], s=self.torus)
        image: Tensor = torch.fft.irfft2((spectrum * self.transfer).sum(2), s=self.torus)
        return image[..., 2 * self.optic.radius : self.optic.side, 2 * self.optic.radius : self.optic.side]

    def adjoint(self, image: Tensor) -> Tensor:
        """Send images back (N, C, H, W) -> (N, C, H + 2r, W + 2r)."""
        margin = 2 * self.optic.radius
        spectrum = torch.fft.rfft2(functional.pad(image, (margin, 0, margin, 0)), s=self.torus)
        scene: Tensor = torch.fft.irfft2(spectrum[:, :, None] * self.transfer.conj(), s=self.torus)
        return (scene[..., : self.optic.side, : self.optic.side] * self.weights).sum(2)


class Difference(Operator):
    """The operator a - b."""

    def __init__(self, a: Operator, b: Operator) -> None:
        self.optic, self.a, self.b = a.optic, a, b

    def forward(self, scene: Tensor) -> Tensor:
        """Return (a - b) x."""
        return self.a.forward(scene) - self.b.forward(scene)

    def adjoint(self, image: Tensor) -> Tensor:
        """Return (a - b)' y."""
        return self.a.adjoint(image) - self.b.adjoint(image)


def norm(operator: Operator, iterations: int = 20) -> float:
    """Return the largest singular value, by power iteration from a fixed start; it is approached from below."""
    scene = torch.rand(1, 1, operator.optic.side, operator.optic.side, generator=torch.Generator().manual_seed(0))
    for _ in range(iterations):
        scene = operator.adjoint(operator.forward(scene / torch.linalg.vector_norm(scene)))
    return float(torch.linalg.vector_norm(scene).sqrt())


def operator_error(exact: Operator, other: Operator) -> float:
    """Return the largest singular value of the difference over that of the exact operator."""
    return norm(Difference(exact, other)) / norm(exact)
