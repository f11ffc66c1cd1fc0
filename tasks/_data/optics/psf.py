"""Point spread functions that change over the field, by family.

A family maps field positions (M, 2), as (y, x) with the field's pixel centers in -1..1, and a radius r [px] to kernels
(M, k^2), k = 2r + 1, indexed by the displacement (dy, dx) of the light from its source. Each kernel sums to the share
of light that arrives: 1, but for vignetting. Widths are in pixels, whatever the size of the field.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.tasks._data.optics.pupil import relay, zernike

Family = Literal["radial", "asymmetric", "zernike", "relay", "invariant"]


class PointSpread(ABC):
    """A lens before a field of `size` x `size` pixels, whose light spreads no further than `radius` [px]."""

    size: int
    radius: int

    @abstractmethod
    def light(self, positions: Tensor, places: Tensor) -> Tensor:
        """Return the light (M, P) at displacements (P, 2) [px] from sources at positions (M, 2)."""

    @property
    def side(self) -> int:
        """The side of a scene [px]: the field and a margin, from where light still falls into the field."""
        return self.size + 2 * self.radius

    def kernels(self, positions: Tensor, oversampling: int = 1, radius: int | None = None) -> Tensor:
        """Return the kernels (M, k, k) at `positions` (M, 2), float64; they are zero beyond the radius.

        With `oversampling` they have so many samples per pixel, which still sum to the share of light that arrives.
        """
        radius = self.radius if radius is None else radius
        places = taps(radius * oversampling) / oversampling
        values = self.light(positions, places)
        inside = values * (places.square().sum(1) <= (radius + 0.5) ** 2)
        side = 2 * radius * oversampling + 1
        return (inside * (values.sum(1) / inside.sum(1))[:, None]).reshape(-1, side, side)

    @property
    def center(self) -> Tensor:
        """The kernel (k, k) of the field's center."""
        return self.kernels(torch.zeros(1, 2, dtype=torch.float64))[0]


@dataclass(frozen=True)
class Optic(PointSpread):
    """A lens of one of the families; `strength` scales what varies over the field."""

    family: Family
    size: int
    radius: int = 7
    strength: float = 1.0

    def light(self, positions: Tensor, places: Tensor) -> Tensor:
        """Return the light (M, P) as the family spreads it."""
        return _FAMILIES[self.family](positions, places, self.strength)


def field_positions(size: int, margin: int = 0) -> Tensor:
    """Return the positions ((size + 2 margin)^2, 2) of the pixels of a field and of a margin around it [px]."""
    axis = (torch.arange(-margin, size + margin, dtype=torch.float64) + 0.5) * 2 / size - 1
    return torch.cartesian_prod(axis, axis)


def eccentricity(positions: Tensor) -> Tensor:
    """Return the distance from the field's center, 1 at its corners."""
    return positions.square().sum(1).div(2).sqrt()


def taps(radius: int) -> Tensor:
    """Return the displacements (k^2, 2) of a kernel's taps, as (dy, dx) [px], row by row."""
    axis = torch.arange(-radius, radius + 1, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


def _radial(positions: Tensor, taps: Tensor, strength: float) -> Tensor:
    """A lens: Gaussians that widen toward the corners, more across the radius than along it, with a tail outward."""
    rho = eccentricity(positions)
    outward = functional.normalize(positions, dim=1)
    outward[rho == 0] = positions.new_tensor([1.0, 0.0])  # where nothing is outward, the kernel is round
    across, along = 0.7 + 1.6 * strength * rho**2, 0.7 + 0.9 * strength * rho**2
    return _split_normal(outward, taps, across, along, coma=(0.5 * strength * rho).clamp_max(0.9))


def _asymmetric(positions: Tensor, taps: Tensor, strength: float) -> Tensor:
    """A decentered lens before a tilted sensor: no rotation maps this field onto itself."""
    axis = positions.new_tensor([-0.4, 0.3])
    rho = eccentricity(positions - axis)
    direction = positions.new_tensor([0.6, 0.8]).expand_as(positions)
    across = 0.7 + 0.6 * strength * (1 + positions[:, 1]).clamp_min(0)
    along = 0.7 + 0.9 * strength * rho**2
    return _split_normal(direction, taps, across, along, coma=(0.5 * strength * rho).clamp_max(0.9))


def _invariant(positions: Tensor, taps: Tensor, strength: float) -> Tensor:
    """The control: everywhere the kernel that the radial family has halfway to a corner."""
    halfway = positions.new_tensor([[0.5, 0.5]])
    return _radial(halfway, taps, strength).expand(len(positions), -1)


def _split_normal(direction: Tensor, taps: Tensor, across: Tensor, along: Tensor, *, coma: Tensor) -> Tensor:
    """Gaussians with axes along `direction` (M, 2); widths [px] times 1 + coma ahead and 1 - coma behind."""
    ahead = direction @ taps.T
    aside = direction.flip(1) * direction.new_tensor([1.0, -1.0]) @ taps.T
    width = along[:, None] * (1 + coma[:, None] * ahead.sign())
    values = torch.exp(-0.5 * ((ahead / width) ** 2 + (aside / across[:, None]) ** 2))
    return values / values.sum(1, keepdim=True)


_FAMILIES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "radial": _radial,
    "asymmetric": _asymmetric,
    "zernike": zernike,
    "relay": relay,
    "invariant": _invariant,
}
