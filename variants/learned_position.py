"""Learned position: one free number per pixel and channel, added to the input of a convolution.

Gehring et al., "Convolutional sequence to sequence learning", 2017, arXiv 1705.03122 (added position embeddings).
`form=separable` adds one embedding per axis, C (H + W) numbers instead of C H W.

Deviations: any number of dimensions. conv(x + e) = conv(x) + conv(e), so that the embedding costs one map per batch.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import (
    Convolution,
    ConvolutionLayer,
    Padding,
    conv_flops,
    conv_parameters,
    convolve,
    require_size,
)
from coordbench.variants._parts.textbook import convolved


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, form: str = "full",
    **_: object,
) -> int:  # fmt: skip
    """(k^d C_in + 1) C_out + C_in H W; separable C_in (H + W)."""
    embedding = in_channels * (math.prod(size) if form == "full" else sum(size))
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias) + embedding


def _flops(layer: LearnedPosition, shape: tuple[int, ...]) -> int:
    weight = layer.conv.weight
    embedding = conv_flops(1, shape[1], len(weight), weight.shape[-1], layer.conv.out(shape[2:]))
    return layer.conv.flops(shape) + embedding


def textbook(layer: LearnedPosition, x: Tensor) -> Tensor:
    """Add the embedding of each pixel, then convolve."""
    for embedding in layer.embeddings:
        x = x + embedding
    return convolved(layer.conv, x)


def _identity(layer: LearnedPosition, weight: Tensor, bias: Tensor | None) -> None:
    layer.conv.become(weight, bias)
    for embedding in layer.embeddings:
        nn.init.zeros_(embedding)


@variant(
    "learned_position",
    source="Gehring et al. 2017, arXiv 1705.03122",
    fixed_size=True,
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class LearnedPosition(ConvolutionLayer):
    """Convolution of the input plus a learned embedding of each pixel."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, form: Literal["full", "separable"] = "full", padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = size
        self.conv = Convolution(
            in_channels, out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )
        shapes = [size] if form == "full" else [
            tuple(n if a == b else 1 for b in range(len(size))) for a, n in enumerate(size)
        ]  # fmt: skip
        self.embeddings = nn.ParameterList(0.02 * torch.randn(1, in_channels, *shape) for shape in shapes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        require_size(self.conv.canvas(x), self.size)
        return self.conv.plus_still(x, lambda: self._maps(x), owner=self)

    def _maps(self, x: Tensor) -> Tensor:
        embedding = sum(self.embeddings, torch.zeros((), device=x.device, dtype=x.dtype)).expand(1, -1, *self.size)
        return convolve(embedding, self.conv.weight, stride=self.conv.stride, padding=self.conv.padding)
