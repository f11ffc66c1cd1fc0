"""Faces: the hundred that scikit-image ships, or any folder of images.

Huang et al., "Labeled Faces in the Wild", 2007; scikit-image's `lfw_subset` holds 100 gray faces of 25 x 25 pixels.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.errors import UsageError
from coordbench.tasks._data.photographs import photographs
from coordbench.tasks._data.pictures import Pictures, dealt

_FACES = 100
_LEAST = 6


def faces(canvas: int, folder: Path | None = None, *, color: bool = False) -> Pictures:
    """Return faces (C, canvas, canvas) in -1..1, split by image, each beside its mirror image.

    Raises UsageError for a folder whose images are too few to be compared by nearest neighbors.
    """
    if folder is None:
        from skimage.data import lfw_subset

        shipped = torch.from_numpy(lfw_subset()[:_FACES]).float()[:, None]  # type: ignore[no-untyped-call]
        resized = functional.interpolate(shipped, (canvas, canvas), mode="bilinear", antialias=True)
        splits = dealt(resized.repeat(1, 3 if color else 1, 1, 1) * 2 - 1, "lfw_subset")
    else:
        splits = {
            split: torch.stack([_center(photo.pixels, canvas) for photo in photos]) * 2 - 1
            for split, photos in photographs(folder, side=canvas, crop=canvas, color=color).items()
        }
    splits = {split: torch.cat([images, images.flip(3)]) for split, images in splits.items()}
    smallest = min(splits, key=lambda split: len(splits[split]))
    if len(splits[smallest]) < _LEAST:
        raise UsageError(
            f"folder={str(folder)!r} leaves {len(splits[smallest]) // 2} images for {smallest}; expected 3"
        )
    return Pictures.of(splits)


def _center(pixels: Tensor, canvas: int) -> Tensor:
    top, left = ((n - canvas) // 2 for n in pixels.shape[1:])
    return pixels[:, top : top + canvas, left : left + canvas]
