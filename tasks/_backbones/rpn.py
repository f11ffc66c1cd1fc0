"""A region proposal network: for each anchor of each cell, four box deltas and two scores.

Ren et al., 2015, arXiv 1506.01497, in the size that Liu et al., 2018, arXiv 1807.03247 give for digits. They put
coordinates in three places, the first layer and both layers of the box head, and so does the default: 83,838 parameters
against 81,590. `where=all`, the score layer included, is an arm of ours.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.start import scaled_start
from coordbench.tasks._backbones._parts.width import scaled

PLACES = {"all": range(6), "paper": (0, 3, 4), "first": (0,), "last": (5,), "none": ()}


@backbone("rpn", source="Liu et al. 2018, arXiv 1807.03247")
def rpn(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *,
    where: Literal["all", "paper", "first", "last", "none"] = "paper", width: float = 1.0,
) -> nn.Module:  # fmt: skip
    """Build a detector of stride 4: (N, C, H, W) -> (N, 6 * anchors, H / 4, W / 4), boxes before scores."""
    plain = registry.layer("conv")
    chosen = [layer if place in PLACES[where] else plain for place in range(6)]
    return RegionProposal(chosen, input_shape, output_shape[0] // 6, width)


class RegionProposal(nn.Module):
    """Three pooled layers, a box head of two layers that starts near the anchors themselves, and a score layer."""

    def __init__(self, layers: list[LayerFactory], input_shape: tuple[int, ...], anchors: int, width: float) -> None:
        super().__init__()
        channels, *full = input_shape
        few, many = scaled(32, width), scaled(64, width)
        half, quarter = (tuple(n // scale for n in full) for scale in (2, 4))
        self.trunk = nn.Sequential(
            layers[0](channels, few, 5, size=tuple(full)), nn.ReLU(), nn.MaxPool2d(2),
            layers[1](few, many, 5, size=half), nn.ReLU(), nn.MaxPool2d(2),
            layers[2](many, few, 3, size=quarter), nn.ReLU(),
        )  # fmt: skip
        last = scaled_start(layers[4](few, 4 * anchors, 1, size=quarter), 0.01)
        self.boxes = nn.Sequential(layers[3](few, few, 3, size=quarter), nn.ReLU(), last)
        self.scores = layers[5](few, 2 * anchors, 1, size=quarter)

    def forward(self, x: Tensor) -> Tensor:
        """Return deltas and scores side by side."""
        x = self.trunk(x)
        return torch.cat([self.boxes(x), self.scores(x)], 1)
