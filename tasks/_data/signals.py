"""Random signals, and the linear maps whose kernel changes along them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Signals:
    """Stationary Gaussian signals of unit variance: white at `correlation` 0, else correlated over that length [px].

    They are white noise smoothed by a Gaussian, whose autocorrelation is exp(-d^2 / (2 correlation^2)).
    """

    length: int
    correlation: float = 0.0

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return signals (count, 1, length)."""
        smoothing = self._smoothing()
        noise = torch.randn(count, 1, self.length + len(smoothing) - 1, generator=generator)
        return functional.conv1d(noise, smoothing.float()[None, None])

    def covariance(self, length: int | None = None) -> Tensor:
        """Return the covariance (length, length) of neighboring samples, float64."""
        length = length or self.length
        smoothing = self._smoothing()
        overlap = functional.conv1d(smoothing[None, None], smoothing[None, None], padding=len(smoothing) - 1)[0, 0]
        lags = (torch.arange(length)[:, None] - torch.arange(length)).abs()
        reach = len(smoothing) - 1
        return torch.where(lags <= reach, overlap[reach + lags.clamp_max(reach)], 0.0)

    def _smoothing(self) -> Tensor:
        if self.correlation == 0:
            return torch.ones(1, dtype=torch.float64)
        reach = round(3 * self.correlation)
        steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
        smoothing = torch.exp(-((steps / self.correlation) ** 2))
        return smoothing / smoothing.square().sum().sqrt()


def drifting_gaussians(length: int, taps: int, widths: tuple[float, float], drift: float) -> Tensor:
    """Return kernels (length, taps), each summing to 1: Gaussians that widen from left to right while they drift.

    `widths` are their standard deviations at the ends [px], `drift` how far the center moves to either side [px].
    """
    share = torch.linspace(0, 1, length, dtype=torch.float64)[:, None]
    offsets = torch.arange(taps, dtype=torch.float64) - taps // 2
    width = widths[0] + (widths[1] - widths[0]) * share
    kernels = torch.exp(-0.5 * ((offsets - drift * (2 * share - 1)) / width) ** 2)
    return kernels / kernels.sum(1, keepdim=True)


def apply_kernels(kernels: Tensor, signals: Tensor) -> Tensor:
    """Gather: y(p) = sum_d kernels[p, d] x(p + d), with x zero beyond its ends; (N, 1, length) -> (N, 1, length)."""
    reach = kernels.shape[1] // 2
    windows = functional.pad(signals, (reach, kernels.shape[1] - 1 - reach)).unfold(2, kernels.shape[1], 1)
    return torch.einsum("ncpd,pd->ncp", windows, kernels.to(signals))


def as_matrix(kernels: Tensor) -> Tensor:
    """Return the matrix (length, length) that `apply_kernels` multiplies a signal by."""
    return apply_kernels(kernels, torch.eye(len(kernels), dtype=kernels.dtype)[:, None])[:, 0].T


def best_of_rank(kernels: Tensor, rank: int, covariance: Tensor) -> Tensor:
    """Return the kernels (length, taps) of at most `rank` that err least on signals of `covariance` (taps, taps).

    By Eckart and Young, they are the projection onto the leading left singular vectors of kernels C^(1/2).
    """
    left = torch.linalg.svd(kernels @ _root(covariance), full_matrices=False)[0][:, :rank]
    best: Tensor = left @ left.T @ kernels
    return best


def tail(kernels: Tensor, rank: int, covariance: Tensor) -> float:
    """Return the mean squared error of `best_of_rank`: the singular values beyond `rank`, squared, per position."""
    values: Tensor = torch.linalg.svdvals(kernels @ _root(covariance))
    return float(values[rank:].square().sum()) / len(kernels)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp_min(0).sqrt() @ vectors.T
    return root
