"""Camera noise: photons that are counted, and electronics that add to the count."""

from __future__ import annotations

import torch
from torch import Tensor

PEAK = (50.0, 1050.0)
"""Range of the photons that a pixel of brightness 1 counts; drawn evenly for each image."""
READOUT = (0.005, 0.025)
"""Range of the standard deviation of the readout noise, in units of brightness; drawn evenly for each image."""


def poisson_gaussian(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return noisy observations of `images` (N, C, H, W), each with its own photon count and readout noise."""
    peak, readout = (_uniform(bounds, len(images), generator) for bounds in (PEAK, READOUT))
    counted = torch.poisson(images.clamp_min(0) * peak, generator=generator) / peak
    return counted + readout * torch.randn(images.shape, generator=generator)


def _uniform(bounds: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)
