"""Sheets of images: what the same latents become over time, and the way between two of them."""

from __future__ import annotations

import torch
from torch import Tensor

from coordbench.harness.core.problem import Sample


def sheet(group: str, role: str, images: Tensor, columns: int = 8) -> Sample:
    """Lay images (N, C, H, W) in -1..1 out row by row, `columns` to a row."""
    rows = [torch.cat(list(row), dim=2) for row in images.split(columns) if len(row) == columns]
    pixels = ((torch.cat(rows, dim=1) + 1) / 2).clamp(0, 1).float().cpu()
    array = pixels[0] if len(pixels) == 1 else pixels.movedim(0, 2)
    return Sample(group, role, "image", array.numpy())


def path(latents: Tensor, steps: int = 8) -> Tensor:
    """Points on the straight ways from the first half of the latents (2 n, d) to the second: (n * steps, d)."""
    starts, ends = latents.chunk(2)
    share = torch.linspace(0, 1, steps, dtype=latents.dtype)[None, :, None]
    return torch.lerp(starts[:, None], ends[:, None], share).flatten(0, 1)
