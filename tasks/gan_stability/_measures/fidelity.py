"""Measures of generated against real features: one small pure function each, all on (n, d) tensors.

`near` and `radii` are shared by four of them. Naeem et al., "Reliable fidelity and diversity metrics for generative
models", 2020, arXiv 2002.09797: precision and density reward a collapse onto real images, recall and coverage do not.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBORS = 5


def fidelity(real: Tensor, fake: Tensor, k: int = NEIGHBORS) -> dict[str, float]:
    """All measures at once of features (n, d) and (m, d); raise ValueError for sets of k or fewer."""
    around_real = near(real, fake, k)
    return {
        "precision": precision(around_real),
        "recall": precision(near(fake, real, k)),
        "density": density(around_real, k),
        "coverage": coverage(around_real),
        "mmd": mmd(real, fake),
        "vendi": vendi(fake),
    }


def near(centers: Tensor, others: Tensor, k: int = NEIGHBORS) -> Tensor:
    """Whether each of `others` (m, d) lies within the k-th neighbor's distance of each of `centers` (n, d): (n, m)."""
    return distances(centers, others) < radii(centers, k)[:, None]


def radii(points: Tensor, k: int = NEIGHBORS) -> Tensor:
    """The distance of each of `points` (n, d) to its k-th neighbor among the others: (n,)."""
    if len(points) <= k:
        raise ValueError(f"{len(points)} points have no {k}-th neighbor; expected at least {k + 1}")
    return distances(points, points).topk(k + 1, largest=False).values[:, k]


def precision(around_real: Tensor) -> float:
    """Share of fakes within reach of any real one; recall is the same with the roles exchanged."""
    return around_real.any(0).double().mean().item()


def density(around_real: Tensor, k: int = NEIGHBORS) -> float:
    """Mean number of real neighborhoods that hold a fake, over k: 1 for equal distributions."""
    return around_real.sum(0).double().mean().item() / k


def coverage(around_real: Tensor) -> float:
    """Share of real ones with a fake within reach: 1 - 2^-k for equal distributions and sizes."""
    return around_real.any(1).double().mean().item()


def mmd(real: Tensor, fake: Tensor) -> float:
    """Squared maximum mean discrepancy, unbiased, with the kernel (x.y / d + 1)^3 (Binkowski et al., arXiv 1801.01401).

    Not a KID: that name belongs to Inception features. Zero on average for equal distributions.
    """

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: Tensor) -> Tensor:
        values = kernel(x, x)
        return (values.sum() - values.diagonal().sum()) / (len(x) * (len(x) - 1))

    return (within(real) + within(fake) - 2 * kernel(real, fake).mean()).item()


def vendi(points: Tensor) -> float:
    """The effective number of different points, 1..min(n, d), by cosine similarity (Friedman and Dieng, 2210.02410).

    Comparable at equal n only. Points at the origin are like nothing but each other: they count as one direction.
    """
    directions = torch.nn.functional.normalize(points, dim=1)
    null = (directions.norm(dim=1, keepdim=True) == 0).to(directions)
    directions = torch.cat([directions, null], 1)
    shares = torch.linalg.eigvalsh(directions.T @ directions / len(points)).clamp_min(0)
    return float(torch.special.entr(shares).sum().exp())


def nearest(points: Tensor, known: Tensor) -> Tensor:
    """The distance of each of `points` (n, d) to the nearest of `known` (m, d): (n,)."""
    return distances(points, known).amin(1)


def distances(points: Tensor, others: Tensor) -> Tensor:
    """The distances (n, m) of points (n, d) and (m, d), exactly 0 where two are equal: no matrix product rounds it."""
    return torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist")
