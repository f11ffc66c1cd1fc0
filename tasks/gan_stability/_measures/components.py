"""Principal components of vectors, by whichever of the two Gram matrices is smaller."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def principal(vectors: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (d,), orthonormal components (d, count) and variances (count,) of vectors (n, d), largest variance first.

    Components that do not exist, where `count` exceeds n or d, are zero, as are their variances.
    """
    center = vectors.mean(0)
    rest = vectors - center
    wide = rest.shape[1] > rest.shape[0]
    variances, directions = torch.linalg.eigh((rest @ rest.T if wide else rest.T @ rest) / len(rest))
    rank = min(count, len(variances))
    variances, directions = variances.flip(0)[:rank].clamp_min(0), directions.flip(1)[:, :rank]
    if wide:
        lengths = (variances * len(rest)).sqrt().clamp_min(1e-12)
        directions = torch.where(variances > 1e-12, rest.T @ directions / lengths, 0)
    missing = (0, count - rank)
    return center, functional.pad(directions, missing), functional.pad(variances, missing)
