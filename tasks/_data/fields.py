"""Gaussian random fields with the spectrum of natural images, and their exact covariance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Fields:
    """Stationary Gaussian fields of `side` x `side` pixels, cut out of a torus twice as wide.

    Their power falls as (f0^2 + f^2)^(-slope / 2), f in cycles per pixel and f0 = 1 / `scale` [px].
    """

    side: int
    mean: float = 0.5
    deviation: float = 0.15
    slope: float = 2.5
    scale: float = 24.0

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return fields (count, 1, side, side), float32: real and imaginary parts of half as many complex ones."""
        torus = 2 * self.side
        noise = torch.view_as_complex(torch.randn(-(-count // 2), torus, torus, 2, generator=generator))
        shaped = torch.fft.fft2(noise * self._power().sqrt().float(), norm="ortho")[:, : self.side, : self.side]
        return torch.cat([shaped.real, shaped.imag])[:count, None] + self.mean

    def covariance(self) -> Tensor:
        """Return the covariance (side^2, side^2) of the pixels, row by row, float64."""
        by_lag = torch.fft.ifft2(self._power()).real
        index = torch.arange(self.side)
        lag = (index[:, None] - index) % (2 * self.side)
        blocks: Tensor = by_lag[lag[:, None, :, None], lag[None, :, None, :]]  # rows, columns, rows', columns'
        return blocks.reshape(self.side**2, self.side**2)

    def _power(self) -> Tensor:
        """The eigenvalues (2 side, 2 side) of the torus's covariance."""
        frequency = torch.fft.fftfreq(2 * self.side, dtype=torch.float64)
        squared = frequency[:, None] ** 2 + frequency**2
        power: Tensor = (squared + 1 / self.scale**2) ** (-self.slope / 2)
        return self.deviation**2 * power / power.mean()
