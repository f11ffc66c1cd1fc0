"""Spatially varying blur of a scene, exact and as a low-rank sum, each with its adjoint.

A point source at pixel q spreads as h_q, the kernel of its own position (scattering, as light does), so a camera that
looks at the scene x records b(p) = sum_d h_{p-d}(d) x(p-d). Scenes carry a margin of the kernel's radius r around the
field, whose light falls into it: (N, C, H + 2r, W + 2r) -> (N, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tasks._data.psf import Family, field_positions, kernels, taps

_CHUNK = 8192
"""Kernels computed at once, which bounds the memory of building an operator."""


class Blur:
    """The exact operator of a `size` x `size` field: one map of the scene for each tap of the kernels, gathered."""

    def __init__(self, family: Family, size: int, radius: int = 7, strength: float = 1.0) -> None:
        self.family, self.size, self.radius, self.strength = family, size, radius, strength
        positions = field_positions(size, radius)
        table = [kernels(family, part, radius, strength).float().flatten(1).T for part in positions.split(_CHUNK)]
        maps = torch.cat(table, dim=1).reshape(-1, size + 2 * radius, size + 2 * radius)
        reached = maps.amax((1, 2)) > 0
        self.taps = maps[reached]
        self.moves: list[list[int]] = taps(radius)[reached].int().tolist()

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

    def _windows(self) -> Iterator[tuple[Tensor, Any]]:
        """For each tap its map over the sources that it moves into the field, and where they lie in the scene."""
        for tap, (down, right) in zip(self.taps, self.moves, strict=True):
            top, left = self.radius - down, self.radius - right
            window = (slice(top, top + self.size), slice(left, left + self.size))
            yield tap[window], (..., *window)
