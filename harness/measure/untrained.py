"""What can be said of layers and networks by building them alone, at any size, in a moment: counts and identities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.measure.quantities import flops
from coordbench.harness.measure.quantities.parameters import count

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Blueprint:
    """A network from `input` (C, *size) to `output`; without a backbone, a layer from C to `output[0]` channels."""

    variant: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    backbone: str = ""
    kernel_size: int = 3

    def build(self) -> nn.Module:
        """Build it, as untrained as it gets."""
        layer = registry.layer(self.variant)
        if self.backbone:
            return registry.network(self.backbone, layer)(self.input, self.output)
        channels, *size = self.input
        return layer(channels, self.output[0], self.kernel_size, size=tuple(size))


def parameters(blueprint: Blueprint) -> int:
    """Count the trainable parameters; nothing is allocated, however large the network is."""
    with torch.device("meta"):
        return count([blueprint.build()])["trainable"]


def forward_flops(blueprint: Blueprint) -> int:
    """Count the FLOPs of a forward pass over one image."""
    return flops.count(blueprint.build(), (torch.zeros(1, *blueprint.input),)).forward


def residual(left: Blueprint, right: Blueprint) -> float:
    """The share of the right layer's response to place that no weights of the left layer can reproduce.

    That is what a layer of weights that add, such as CoordConv, answers to an empty image, away from its borders. The
    worst over the right layer's weights: 0 where the left can do all that the right can, about 1 where it is blind.
    """
    basis, wanted = (_responses(side, max(left.kernel_size, right.kernel_size)) for side in (left, right))
    wanted = wanted - wanted.mean(axis=0)
    sizes = np.linalg.norm(wanted, axis=0)
    wanted = wanted[:, sizes > 1e-9] / sizes[sizes > 1e-9]
    solution, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(basis)), basis]), wanted, rcond=None)
    missing = wanted - np.column_stack([np.ones(len(basis)), basis]) @ solution
    return float(np.linalg.norm(missing, axis=0).max())


@torch.no_grad()
def _responses(blueprint: Blueprint, border: int) -> Floats:
    """(places, weights): the answer to an empty image with one weight at 1 and all others at 0, borders cut off."""
    module = blueprint.build().double().eval()
    weights = list(module.parameters())
    for weight in weights:
        weight.zero_()
    empty = torch.zeros(1, *blueprint.input, dtype=torch.float64)
    inside = (0, 0, *(slice(border, n - border) for n in blueprint.input[1:]))
    columns = []
    for weight in weights:
        flat = weight.view(-1)
        for i in range(len(flat)):
            flat[i] = 1.0
            columns.append(module(empty)[inside].flatten().numpy())
            flat[i] = 0.0
    return cast(Floats, np.stack(columns, axis=1))
