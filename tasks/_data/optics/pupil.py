"""Point spread functions by wave optics: the squared Fourier transform of a pupil that changes over the field.

Zernike polynomials as in Noll, "Zernike polynomials and atmospheric turbulence", J. Opt. Soc. Am. 66(3), 1976; their
growth with the field as in the theory of Seidel: defocus and astigmatism quadratic, coma linear, spherical constant.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SAMPLES = 24
"""Samples across the pupil: the kernel repeats after 24 / (2 * .35) = 34 px, beyond any radius in use."""
_CUTOFF = 0.35
"""Spatial frequency of the pupil's edge [cycles per px]: the Airy disk of the bare lens has a radius of 1.7 px."""


def zernike(positions: Tensor, taps: Tensor, strength: float) -> Tensor:
    """A lens of full aperture with the five lowest aberrations; maps (M, 2) and (k^2, 2) to (M, k^2)."""
    height, across, along, squared = pupil_of(positions)
    waves = (
        0.05 * 5**0.5 * (6 * squared**2 - 6 * squared + 1)
        + 0.22 * strength * height**2 * 3**0.5 * (2 * squared - 1)
        + 0.10 * strength * height**2 * 6**0.5 * (along**2 - across**2)
        + 0.12 * strength * height * 8**0.5 * (3 * squared - 2) * along
    )
    return spread((squared <= 1).to(waves), waves, taps)


def relay(positions: Tensor, taps: Tensor, strength: float) -> Tensor:
    """Two lenses in a row: off the axis the second one's rim cuts the pupil, and with it the light (vignetting)."""
    height, across, along, squared = pupil_of(positions)
    second = across**2 + (along - 0.7 * strength * height) ** 2
    open_share = ((squared <= 1) & (second <= 1)).to(squared)
    waves = 0.25 * strength * height**2 * 3**0.5 * (2 * squared - 1)
    return spread(open_share, waves.expand_as(open_share), taps)


def pupil_of(positions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Field height (M, 1, 1), 1 at a corner; pupil coordinates across and along it and their squared sum (M, S, S)."""
    height = positions.square().sum(1).div(2).sqrt()[:, None, None]
    angle = torch.atan2(positions[:, 0], positions[:, 1])[:, None, None]
    y, x = axis()[:, None], axis()[None, :]
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    return height, across, along, along**2 + across**2


def axis() -> Tensor:
    """Return the samples (S,) across the pupil, whose edge is at 1."""
    return (torch.arange(_SAMPLES, dtype=torch.float64) + 0.5) * 2 / _SAMPLES - 1


def spread(amplitude: Tensor, waves: Tensor, taps: Tensor) -> Tensor:
    """Intensity at `taps` of pupils (M, S, S) with wavefront errors [waves]; sums to the share of light let through."""
    field = torch.polar(amplitude, 2 * torch.pi * waves)
    steps = taps[:, 1].unique()
    phase = 2 * torch.pi * _CUTOFF * steps[:, None] * axis()
    transform = torch.polar(torch.ones_like(phase), phase)
    values = (transform @ field @ transform.T).abs().square().flatten(1)
    full = (axis()[:, None] ** 2 + axis() ** 2 <= 1).sum()
    share = amplitude.square().sum((1, 2)) / full
    return values * (share / values.sum(1))[:, None]
