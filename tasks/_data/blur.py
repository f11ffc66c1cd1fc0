"""Spatially varying blur of a scene, exact and as a low-rank sum, each with its adjoint.

A point source at pixel q spreads as h_q, the kernel of its own position (scattering, as light does), so a camera that
looks at the scene x records b(p) = sum_d h_{p-d}(d) x(p-d). Scenes carry a margin of the kernel's radius r around the
field, whose light falls into it: (N, C, H + 2r, W + 2r) -> (N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tasks._data.psf import Family, field_positions, kernels

_CHUNK = 8192
"""Kernels computed at once, which bounds the memory of building an operator."""


class Blur:
    """The exact operator of a `size` x `size` field: one map of the scene for each tap of the kernels, gathered."""

    def __init__(self, family: Family, size: int, radius: int = 7, strength: float = 1.0) -> None:
        self.family, self.size, self.radius, self.strength = family, size, radius, strength
        positions = field_positions(size, radius)
        table = [kernels(family, part, radius, strength).float().flatten(1) for part in positions.split(_CHUNK)]
        scene = size + 2 * radius
        self.taps = torch.cat(table).T.reshape(-1, scene, scene).contiguous()

    def forward(self, scene: Tensor) -> Tensor:
        """Blur scenes (N, C, H + 2r, W + 2r) -> (N, C, H, W)."""
        image = scene.new_zeros(*scene.shape[:2], self.size, self.size)
        for tap, window in self._windows():
            image.addcmul_(tap, scene[window])
        return image

    def adjoint(self, image: Tensor) -> Tensor:
        """Send images (N, C, H, W) back along the same rays -> (N, C, H + 2r, W + 2r): <Ax, y> = <x, A'y>."""
        side = self.size + 2 * self.radius
        scene = image.new_zeros(*image.shape[:2], side, side)
        for tap, window in self._windows():
            scene[window].addcmul_(tap, image)
        return scene

    def _windows(self) -> Iterator[tuple[Tensor, tuple[object, ...]]]:
        """For each tap its map over the sources that it moves into the field, and where they lie in the scene."""
        starts = range(2 * self.radius, -1, -1)
        corners = [(top, left) for top in starts for left in starts]
        for tap, (top, left) in zip(self.taps, corners, strict=True):
            window = (slice(top, top + self.size), slice(left, left + self.size))
            yield tap[window], (..., *window)
