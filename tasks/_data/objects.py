"""Two colored objects on white: one red and one blue, each a square or a disk, blue on top where corners overlap.

    64 x 64:  squares of 21 px, disks of radius 10 px, centers 10..53, at least 20 px apart

Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247,
after Sort-of-Clevr. Smaller canvases show the same scene, averaged over the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SCENE, LOW, HIGH, RADIUS, APART = 64, 10, 53, 10, 20
RED, BLUE = (1.0, -1.0, -1.0), (-1.0, -1.0, 1.0)


@dataclass(frozen=True)
class Objects:
    """Scenes as known factors: `centers` (N, 2, 2) [px of 64] of red and blue as (x, y), `round` (N, 2)."""

    centers: Tensor
    round: Tensor

    def __getitem__(self, indices: Tensor) -> Objects:
        """Some of the scenes."""
        return Objects(self.centers[indices], self.round[indices])


def objects(count: int, generator: torch.Generator) -> Objects:
    """Draw scenes: red anywhere, blue anywhere at least 20 px from it."""
    red = torch.randint(LOW, HIGH + 1, (count, 2), generator=generator)
    blue = torch.randint(LOW, HIGH + 1, (count, 2), generator=generator)
    while (close := (red - blue).square().sum(1) < APART**2).any():
        blue[close] = torch.randint(LOW, HIGH + 1, (int(close.sum()), 2), generator=generator)
    return Objects(torch.stack([red, blue], 1), torch.rand(count, 2, generator=generator) < 0.5)


def paint(scenes: Objects, canvas: int) -> Tensor:
    """Paint scenes as RGB images (N, 3, canvas, canvas) in -1..1."""
    axis, centers = torch.arange(SCENE, dtype=torch.int16), scenes.centers.to(torch.int16)
    across = axis[None, None, None, :] - centers[..., 0, None, None]
    down = axis[None, None, :, None] - centers[..., 1, None, None]
    square = (across.abs() <= RADIUS) & (down.abs() <= RADIUS)
    disk = across.square() + down.square() <= RADIUS**2
    masks = torch.where(scenes.round[..., None, None], disk, square)
    masks[:, 0] &= ~masks[:, 1]  # corners of squares may overlap: blue lies on top
    masks = masks.float()
    masks = functional.adaptive_avg_pool2d(masks, canvas) if canvas < SCENE else masks
    colors = torch.tensor([RED, BLUE])
    return 1 + torch.einsum("nohw,oc->nchw", masks, colors - 1)


def locate(images: Tensor) -> tuple[Tensor, Tensor]:
    """Find the red and the blue object of images (N, 3, H, W): centers (N, 2, 2) [px of 64] and areas (N, 2).

    The amount of a color in a pixel is that of the ink which turns white into it; areas are in [px of 64].
    """
    ink = 1 - images  # 0 for white, 2 where a channel is dark
    amounts = torch.stack([ink[:, 2] - ink[:, 0], ink[:, 0] - ink[:, 2]], 1).clamp(0, 2) / 2
    weights = torch.where(amounts > 0.25, amounts, 0).flatten(2)
    scale = SCENE / images.shape[-1]
    axis = (torch.arange(images.shape[-1]) + 0.5) * scale - 0.5
    down, across = torch.meshgrid(axis, axis, indexing="ij")
    total = weights.sum(2)
    centers = weights @ torch.stack([across.flatten(), down.flatten()], 1) / total.clamp_min(1e-9)[..., None]
    return centers, total * scale**2
