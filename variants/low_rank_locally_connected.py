"""Low-rank locally connected layer: at each pixel a mixture of a few convolutions.

Elsayed, Ramachandran, Shlens, Kornblith, "Revisiting spatial invariance with low-rank local connectivity", 2020,
arXiv 2002.02959: y = sum_k a_k(p) conv_k(x)(p) + bias_channel + bias_row + bias_column with weights
a = softmax_k(row[r, k] + column[s, k]), equal at the start.

The kernels start by He's uniform law, as in the authors' code. Deviations: any number of dimensions, one table of
weights and biases per axis. Fixed to the size it was built for.
"""

from __future__ import annotations

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
    require_size,
    strided,
)
from coordbench.variants._parts.textbook import padded


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int, bias: bool,
    rank: int = 4, **_: object,
) -> int:  # fmt: skip
    """r k^d C_in C_out + (r + 1) (H + W) + C_out."""
    positions = sum(strided(size, stride))
    convolutions = conv_parameters(in_channels, rank * out_channels, kernel_size, size, bias=False)
    return convolutions + rank * positions + (out_channels + positions if bias else 0)


def _flops(layer: LowRankLocallyConnected, shape: tuple[int, ...]) -> int:
    weight, out = layer.conv.weight, strided(shape[2:], layer.conv.stride)
    mixture = shape[0] * len(weight) * math.prod(out)
    return conv_flops(shape[0], shape[1], len(weight), weight.shape[-1], out) + 2 * mixture


def textbook(layer: LowRankLocallyConnected, x: Tensor) -> Tensor:
    """Convolve by each of the kernels, then mix what they give at each pixel."""
    kernels = layer.conv.weight.chunk(layer.rank)
    padding, stride = layer.conv.padding, layer.conv.stride
    each = torch.stack([functional.conv2d(padded(x, k.shape[-1], padding), k, stride=stride) for k in kernels], 1)
    y = torch.einsum("nkohw,khw->nohw", each, (layer.weights[0] + layer.weights[1]).softmax(0))
    return y if layer.bias is None else y + layer.bias + layer.biases[0] + layer.biases[1]


def _identity(layer: LowRankLocallyConnected, weight: Tensor, bias: Tensor | None) -> None:
    """The same kernel, however mixed; no bias of rows and columns."""
    layer.conv.become(weight.repeat(layer.rank, *(1,) * (weight.dim() - 1)), None)
    for parameter in (*layer.weights, *layer.biases):
        nn.init.zeros_(parameter)
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(torch.zeros_like(layer.bias) if bias is None else bias.view_as(layer.bias))


@variant(
    "low_rank_locally_connected",
    source="Elsayed et al. 2020, arXiv 2002.02959",
    fixed_size=True,
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class LowRankLocallyConnected(nn.Module):
    """Convolutions mixed by weights that depend on the position alone."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, rank: int = 4, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank={rank} must be at least 1")
        self.size, self.rank, out = size, rank, strided(size, stride)
        self.conv = Convolution(
            in_channels, rank * out_channels, kernel_size, len(size), stride=stride, bias=False, padding=padding
        )
        nn.init.kaiming_uniform_(self.conv.weight, nonlinearity="relu")
        self.conv.starts_wide = True
        self.weights = nn.ParameterList(torch.zeros(rank, *_along(a, out)) for a in range(len(out)))
        self.biases = nn.ParameterList(torch.zeros(_along(a, out)) for a in range(len(out) if bias else 0))
        self.bias = nn.Parameter(torch.zeros(out_channels, *(1,) * len(out))) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        require_size(x, self.size)
        convolved = self.conv(x).unflatten(1, (self.rank, -1)).unbind(1)
        mixture = sum(self.weights, torch.zeros((), device=x.device)).softmax(0)
        y = torch.zeros_like(convolved[0]) if self.bias is None else sum(self.biases, self.bias).to(convolved[0].dtype)
        for one, weight in zip(convolved, mixture.to(y.dtype), strict=True):
            y = torch.addcmul(y, one, weight)
        return y


def _along(axis: int, size: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a table that varies along one axis."""
    return tuple(n if a == axis else 1 for a, n in enumerate(size))
