"""Principal components of vectors, by whichever of the two Gram matrices is smaller."""

from __future__ import annotations

import torch
from torch import Tensor


def principal(vectors: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (d,), orthonormal components (d, count) and variances (count,) of vectors (n, d), largest variance first.

    Components that do not exist, where `count` exceeds n or d, are zero, as are their variances.
    """
    center = vectors.mean(0)
    rest = vectors - center
    wide = rest.shape[1] > rest.shape[0]
    variances, found = torch.linalg.eigh((rest @ rest.T if wide else rest.T @ rest) / len(rest))
    kept = min(count, len(variances))
    variances, found = variances.flip(0)[:kept].clamp_min(0), found.flip(1)[:, :kept]
    if wide:
        found = torch.where(variances > 1e-12, rest.T @ found / (variances * len(rest)).sqrt().clamp_min(1e-12), 0)
    missing = count - kept
    return (
        center,
        torch.nn.functional.pad(found, (0, missing)),
        torch.nn.functional.pad(variances, (0, missing)),
    )
