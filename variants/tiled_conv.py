"""Tiled convolution: weights repeat every `tile` pixels along each axis instead of every pixel.

Le, Ngiam, Chen, Chia, Koh, Ng, "Tiled convolutional neural networks", NeurIPS 2010.

Deviations: any number of dimensions, a bias per tile, no pooling and no pretraining. `tile=1` is a convolution, a tile
as large as the output a locally connected layer. Each of the tile^d phases is a convolution of that stride, so that the
layer costs what a convolution costs.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import (
    Convolution,
    Padding,
    conv_flops,
    conv_parameters,
    convolve,
    pad,
    strided,
)
from coordbench.variants._parts.textbook import padded


def _parameters(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    size: tuple[int, ...],
    bias: bool,
    tile: int = 2,
    **_: object,
) -> int:
    """(k^d C_in + 1) t^d C_out."""
    return conv_parameters(in_channels, out_channels * math.prod((tile,) * len(size)), kernel_size, size, bias)


def _flops(layer: TiledConv, shape: tuple[int, ...]) -> int:
    whole = tuple(-(-n // layer.tile) * layer.tile for n in strided(shape[2:], layer.stride))
    weight = layer.conv.weight
    return conv_flops(shape[0], shape[1], len(weight), weight.shape[-1], whole) // math.prod((layer.tile,) * len(whole))


def textbook(layer: TiledConv, x: Tensor) -> Tensor:
    """Convolve everywhere by each of the kernels, and take from each its tiles."""
    weights, conv, y = layer.conv.weight.chunk(layer.tile**2), layer.conv, x.new_zeros(())
    for phase, weight in enumerate(weights):
        bias = None if conv.bias is None else conv.bias.chunk(len(weights))[phase]
        full = functional.conv2d(padded(x, weight.shape[-1], layer.padding), weight, bias, layer.stride)
        mask = torch.zeros_like(full)
        mask[..., phase // layer.tile :: layer.tile, phase % layer.tile :: layer.tile] = 1
        y = y + full * mask
    return y


def _identity(layer: TiledConv, weight: Tensor, bias: Tensor | None) -> None:
    """The same kernel for every tile."""
    phases = len(layer.conv.weight) // len(weight)
    layer.conv.become(weight.repeat(phases, *(1,) * (weight.dim() - 1)), None if bias is None else bias.repeat(phases))


@variant(
    "tiled_conv",
    source="Le et al. 2010, Tiled convolutional neural networks",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class TiledConv(nn.Module):
    """Convolution whose weights are shared `tile` output pixels apart."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, tile: int = 2, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        if tile < 1:
            raise ValueError(f"tile={tile} must be at least 1")
        self.stride, self.tile, self.padding = stride, tile, padding
        self.conv = Convolution(in_channels, out_channels * tile ** len(size), kernel_size, len(size), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        out, dims = strided(tuple(x.shape[2:]), self.stride), x.dim() - 2
        missing = [(-n) % self.tile * self.stride for n in reversed(out)]  # fill up to whole tiles, cut off at the end
        x = functional.pad(pad(x, self.conv.weight.shape[-1], self.padding), [p for m in missing for p in (0, m)])
        starts = itertools.product([slice(i * self.stride, None) for i in range(self.tile)], repeat=dims)
        weights = self.conv.weight.chunk(self.tile**dims)
        biases = [None] * len(weights) if self.conv.bias is None else self.conv.bias.chunk(len(weights))
        tiles = [
            convolve(x[:, :, *start], weight, bias, stride=self.stride * self.tile, padding="none")
            for start, weight, bias in zip(starts, weights, biases, strict=True)
        ]
        return interleaved(torch.stack(tiles), self.tile)[:, :, *(slice(n) for n in out)]


def interleaved(phases: Tensor, tile: int) -> Tensor:
    """Put the phases (tile^d, N, C, *coarse) back between each other: (N, C, *coarse * tile)."""
    dims = phases.dim() - 3
    grid = phases.view(*(tile,) * dims, *phases.shape[1:])
    order = [dims, dims + 1, *(axis for a in range(dims) for axis in (dims + 2 + a, a))]
    return grid.permute(order).reshape(*phases.shape[1:3], *(n * tile for n in phases.shape[3:]))
