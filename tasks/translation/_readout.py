"""How much of absolute position a linear readout of a network's features recovers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from coordbench.tasks._predict import Model
from coordbench.tasks.translation._equivariance import AT_ONCE

_RIDGE = 1e-9
"""Share of the mean variance of the features that is added to each: enough for features that repeat one another."""


def features(model: Model, x: Tensor) -> list[Tensor]:
    """Return what each trained layer of the factory gives, in order, float64; a plain function is one layer itself."""
    if not isinstance(model, nn.Module):
        return [model(x)]
    twin, maps = copy.deepcopy(model).cpu().double().eval(), list[Tensor]()
    for module in twin.modules():
        if hasattr(module, "coordbench_layer") and any(p.requires_grad for p in module.parameters()):
            module.register_forward_hook(lambda module, inputs, output: maps.append(output.detach()))
    parts = x.double().split(AT_ONCE)
    for some in parts:
        twin(some)
    layers = len(maps) // len(parts)
    return [torch.cat(maps[i::layers]) for i in range(layers)]


def grid(size: tuple[int, ...]) -> Tensor:
    """The (x, y) of the pixels' centers, in -1 .. 1 from border to border: (H, W) -> (H * W, 2)."""
    height, width = ((2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1 for n in size)
    return torch.stack(torch.meshgrid(height, width, indexing="ij")[::-1], 2).flatten(0, 1)


def read_place(known: Tensor, asked: Tensor) -> Tensor:
    """Fit (x, y) of each pixel linearly to its features on `known`, and read them off `asked`.

    Both are (N, C, H, W); returns (N, H * W, 2).
    """
    place = grid(tuple(known.shape[2:]))
    pixels = known.flatten(2).movedim(1, 2).flatten(0, 1)
    mean, centered = pixels.mean(0), pixels - pixels.mean(0)
    gram = centered.T @ centered
    ridge = (_RIDGE * gram.diagonal().mean()).clamp_min(1e-30)
    gram += ridge * torch.eye(len(gram), dtype=gram.dtype)
    weights = torch.linalg.solve(gram, centered.T @ place.repeat(len(known), 1))
    result: Tensor = (asked.flatten(2).movedim(1, 2) - mean) @ weights
    return result


def r_squared(places: Tensor, size: tuple[int, ...]) -> float:
    """Return the share of the variance of position that is recovered, a mean over both axes: (N, H * W, 2) -> float."""
    place = grid(size)
    errors = (places - place).square().mean((0, 1))
    return float((1 - errors / place.square().mean(0)).mean())
