"""Four ReLU units and 25 parameters that paint a pixel or a square exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.tasks._data.not_so_clevr import scale


class Painter(nn.Module):
    """Map (N, 2) in [-1, 1] to logits (N, 1, canvas, canvas), positive up to `half` pixels from the center.

    With u = 2 / (canvas - 1), the width of a pixel: u / 2 - relu(|dx| - half u) - relu(|dy| - half u), by two 1x1
    layers over the coordinates of each pixel and those that are wanted.
    """

    def __init__(self, canvas: int, half: int) -> None:
        super().__init__()
        axis, unit = scale(torch.arange(canvas), canvas), 2 / (canvas - 1)
        self.grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"))
        away = torch.cat([torch.eye(2), -torch.eye(2)])  # dx, dy, -dx, -dy
        weights = {"hidden": torch.cat([away, -away], 1), "out": -torch.ones(1, 4)}
        biases = {"hidden_bias": torch.full((4,), -half * unit), "out_bias": torch.full((1,), unit / 2)}
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(value, False) for name, value in (weights | biases).items()}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        wanted = x[:, :, None, None].expand(-1, -1, *self.grid.shape[1:])
        pixels = torch.cat([self.grid.expand_as(wanted), wanted], 1).movedim(1, 3)
        hidden = functional.linear(pixels, self.weights["hidden"], self.weights["hidden_bias"]).relu()
        return functional.linear(hidden, self.weights["out"], self.weights["out_bias"]).movedim(3, 1)
