"""Truth and prediction side by side, named by the position that was asked for."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from coordbench.harness.core.problem import Sample


def pairs(centers: Tensor, truth: Tensor, prediction: Tensor, kind: Literal["image", "heatmap"]) -> list[Sample]:
    """Make two samples of each position: (N, 2) [px] and two times (N, 1, H, W) -> 2 N samples."""
    samples = []
    for (x, y), true, predicted in zip(centers.tolist(), truth, prediction, strict=True):
        for role, image in (("truth", true), ("prediction", predicted)):
            samples.append(Sample(f"x={x}, y={y}", role, kind, image[0].numpy()))
    return samples
