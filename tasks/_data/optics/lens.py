"""Lenses drawn at random, by the wavefront errors that Seidel's theory and Zernike's polynomials allow.

A centered lens has Seidel's five aberrations, at a field height h (1 in a corner) and a place rho, theta of the pupil:

    W = W040 rho^4 + W131 h rho^3 cos + W222 h^2 rho^2 cos^2 + W220 h^2 rho^2 + W311 h^3 rho cos      [waves]

(Welford, "Aberrations of optical systems", 1986): spherical, coma, astigmatism, field curvature, distortion. In a lens
whose parts are tilted and decentered no point of the field is special (Shack, Thompson, Proc. SPIE 251, 1980): here
each Zernike coefficient from defocus to spherical is linear in the place (x, y) of the field.

Severity is the root mean square of the wavefront error, mean over the field [waves]; piston and tilt, which blur
nothing, count not. At .07 the light's peak is at 80 % of the bare lens (Strehl ratio exp(-(2 pi sigma)^2)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from coordbench.tasks._data.optics.psf import PointSpread, field_positions
from coordbench.tasks._data.optics.pupil import axis, pupil_of, spread

Kind = Literal["seidel", "zernike"]
SEIDEL = 5
ZERNIKE = 6
"""Terms 4 to 8 and 11 in Noll's order: defocus, astigmatism twice, coma twice, spherical."""
NUMBERS = SEIDEL + 3 * ZERNIKE
"""All that tells a lens from another."""
_DISTORTION = 0.3
"""Size of W311 beside the others: it moves the light instead of spreading it, by a pixel where it is .35 waves."""
_COARSE = 5
"""Places along a side of the field at which a lens is measured."""


@dataclass(frozen=True)
class Lens(PointSpread):
    """A lens of full aperture, by its `numbers`: Seidel's, then a constant, an x and a y part of each Zernike term."""

    size: int
    radius: int
    numbers: tuple[float, ...]

    def light(self, positions: Tensor, places: Tensor) -> Tensor:
        """Return the light (M, P) by wave optics, which sums to 1."""
        waves = self.wavefront(positions)
        return spread(open_pupil().to(waves).expand_as(waves), waves, places)

    def wavefront(self, positions: Tensor) -> Tensor:
        """Return the wavefront errors [waves] over the pupil (M, S, S), for places of the field (M, 2)."""
        height, _, along, squared = pupil_of(positions)
        spherical, coma, astigmatism, curvature, distortion = self.numbers[:SEIDEL]
        seidel = (
            spherical * squared**2
            + coma * height * squared * along
            + height**2 * (astigmatism * along**2 + curvature * squared)
            + distortion * height**3 * along
        )
        parts = positions.new_tensor(self.numbers[SEIDEL:]).reshape(3, ZERNIKE)
        place = torch.cat([torch.ones_like(positions[:, :1]), positions.flip(1)], dim=1)
        return seidel + torch.einsum("mp,pz,zrc->mrc", place, parts, _terms())

    def severity(self) -> float:
        """Return the root mean square of the wavefront error, mean over the field [waves]."""
        return float(rms(self.wavefront(field_positions(_COARSE))).mean())

    def variation(self) -> float:
        """Return how far the kernels are from their mean over the field, in norms of that mean."""
        kernels = self.kernels(field_positions(_COARSE)).flatten(1)
        mean = kernels.mean(0)
        return float((kernels - mean).norm(dim=1).mean() / mean.norm())


def draw_lens(kind: Kind, severity: float, generator: torch.Generator, *, size: int, radius: int) -> Lens:
    """Draw a lens of this severity [waves]: normal coefficients, scaled by one factor."""
    normal = torch.randn(NUMBERS, generator=generator, dtype=torch.float64)
    if kind == "seidel":
        normal[SEIDEL:] = 0
        normal[SEIDEL - 1] *= _DISTORTION
    else:
        normal[:SEIDEL] = 0
    drawn = Lens(size, radius, tuple(normal.tolist()))
    factor = severity / drawn.severity()
    return Lens(size, radius, tuple((normal * factor).float().tolist()))  # as they fit into a channel of an image


def open_pupil() -> Tensor:
    """Return where the pupil is open (S, S)."""
    inside: Tensor = axis()[:, None] ** 2 + axis() ** 2 <= 1
    return inside


def rms(waves: Tensor) -> Tensor:
    """Return the root mean square of wavefront errors (M, S, S) within the pupil, without piston and tilt, (M,)."""
    inside = open_pupil()
    y, x = torch.meshgrid(axis(), axis(), indexing="ij")
    plane: Tensor = torch.stack([torch.ones_like(x), x, y])[:, inside]
    plane = plane / plane.norm(dim=1, keepdim=True)  # orthogonal, since the samples are symmetric
    values = waves[:, inside]
    bare: Tensor = values - values @ plane.T @ plane
    return bare.square().mean(1).sqrt()


def _terms() -> Tensor:
    """Return the Zernike polynomials (Z, S, S), of mean square 1 over the disk, in Noll's order."""
    y, x = torch.meshgrid(axis(), axis(), indexing="ij")
    squared = x**2 + y**2
    return torch.stack([
        math.sqrt(3) * (2 * squared - 1),
        2 * math.sqrt(6) * x * y,
        math.sqrt(6) * (x**2 - y**2),
        math.sqrt(8) * (3 * squared - 2) * y,
        math.sqrt(8) * (3 * squared - 2) * x,
        math.sqrt(5) * (6 * squared**2 - 6 * squared + 1),
    ])  # fmt: skip
