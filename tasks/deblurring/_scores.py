"""Scores of restored images: PSNR and SSIM, overall, of each photograph and by distance from the field's center."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from coordbench.harness.core.scores import At
from coordbench.tasks._data.optics.psf import eccentricity, field_positions

_WINDOW = 11
"""Side of the window of the structural similarity [px]: a Gaussian of 1.5 px."""
_RINGS = (0.0, 0.35, 0.7, 1.0)
"""Bounds of the rings of eccentricity (1 = corner) that are scored apart."""


def image_scores(restored: Tensor, truth: Tensor, names: Sequence[str], axis: str = "image") -> dict[str, float]:
    """Return mean PSNR [dB] and SSIM of images (N, C, H, W) in 0..1, then the same by name, and PSNR by ring.

    `names` holds the scene of each image, or what else `axis` says. A network is not punished for leaving 0..1: values
    are clipped.
    """
    restored = restored.clamp(0, 1)
    errors = (restored - truth).square().mean(1)
    quality = {"psnr": psnr(errors.flatten(1)), "ssim": ssim(restored, truth)}
    scores = {metric: values.mean().item() for metric, values in quality.items()}
    for name in dict.fromkeys(names):
        chosen = torch.tensor([other == name for other in names])
        scores |= {At(metric, axis, name): values[chosen].mean().item() for metric, values in quality.items()}
    return scores | {
        At("psnr", "radius", outer): psnr(errors[:, ring]).mean().item() for outer, ring in _rings(truth.shape[-1])
    }


def lens_scores(
    restored: Tensor, truth: Tensor, names: Sequence[str], difficulties: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Return the scores of images behind lenses of these `names`, by lens and by parts of lenses that are as hard.

    `difficulties` holds axis -> lens -> the mean difficulty of its part.
    """
    scores = image_scores(restored, truth, names, "lens")
    for axis, level in difficulties.items():
        parts: dict[float, list[float]] = {}
        for name in dict.fromkeys(names):
            parts.setdefault(level[name], []).append(scores[At("psnr", "lens", name)])
        scores |= {At("psnr", axis, mean): sum(values) / len(values) for mean, values in sorted(parts.items())}
    return scores


def field_scores(restored: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the PSNR [dB] of the mean squared error over all images (N, C, H, W), and by ring.

    It is the error's mean that an optimal estimator makes least, not the mean of its logarithm.
    """
    errors = (restored - truth).square().mean((0, 1))[None]
    return {"psnr": psnr(errors.flatten(1)).item()} | {
        At("psnr", "radius", outer): psnr(errors[:, ring]).item() for outer, ring in _rings(truth.shape[-1])
    }


def psnr(squared_errors: Tensor) -> Tensor:
    """Return the PSNR [dB] of each row of squared errors (N, pixels) of images in 0..1 -> (N,)."""
    return -10 * squared_errors.mean(1).log10()


def ssim(restored: Tensor, truth: Tensor) -> Tensor:
    """Return the structural similarity of each image (N, C, H, W) in 0..1 -> (N,), at least 11 pixels wide.

    As published (Wang et al. 2004): only pixels whose whole window of 11 x 11 lies within the image count.
    """
    _, each = structural_similarity_index_measure(
        restored, truth, data_range=1.0, reduction="none", return_full_image=True
    )
    inside = slice(_WINDOW // 2, -(_WINDOW // 2))
    return each[..., inside, inside].flatten(1).mean(1)


def _rings(size: int) -> list[tuple[float, Tensor]]:
    distance = eccentricity(field_positions(size)).reshape(size, size)
    return [(outer, (distance >= inner) & (distance < outer)) for inner, outer in pairwise(_RINGS)]
