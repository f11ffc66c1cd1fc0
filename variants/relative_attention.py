"""Self-attention over the whole input with relative positions.

Bello, Zoph, Vaswani, Shlens, Le, "Attention augmented convolutional networks", 2019, arXiv 1904.09925:
softmax(q k + q r) v, r the sum of one embedding per axis of how far key and query lie apart.

Deviations: any number of dimensions; attention alone, without the convolution beside it, so that `kernel_size` does not
matter; a stride thins out the queries. `circular=true` measures distances around the border: the layer then commutes
with circular shifts, exactly. Quadratic in the number of pixels. Fixed to the size that it was built for.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, conv_flops, conv_parameters, require_size, strided


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, circular: bool = False,
    heads: int = 4, **_: object,
) -> int:  # fmt: skip
    """3 C_in C_out + (C_out + 1) C_out + C_out / heads (2 H + 2 W - 2)."""
    distances = sum(n if circular else 2 * n - 1 for n in size)
    projections = conv_parameters(in_channels, 3 * out_channels, 1, size, bias=False)
    return (
        projections + distances * (out_channels // heads) + conv_parameters(out_channels, out_channels, 1, size, bias)
    )


def _flops(layer: RelativeAttention, shape: tuple[int, ...]) -> int:
    images, out, channels = shape[0], strided(shape[2:], layer.stride), len(layer.join.weight)
    pixels, queries = math.prod(shape[2:]), math.prod(out)
    projections = conv_flops(images, shape[1], 3 * channels, 1, shape[2:]) + conv_flops(
        images, channels, channels, 1, out
    )
    return projections + 2 * images * queries * channels * (2 * pixels + sum(shape[2:]))


def textbook(layer: RelativeAttention, x: Tensor) -> Tensor:
    """One query at a time."""
    height, width = x.shape[2:]
    projected = functional.conv2d(x, layer.split.weight)
    q, k, v = projected.flatten(2).unflatten(1, (3, layer.heads, -1)).unbind(1)  # (N, heads, channels, pixels)
    row, column = torch.arange(height * width) // width, torch.arange(height * width) % width
    columns = []
    for p in range(height * width):
        if row[p] % layer.stride or column[p] % layer.stride:
            continue
        down, right = row - row[p], column - column[p]
        down, right = (down % height, right % width) if layer.circular else (down + height - 1, right + width - 1)
        r = layer.distances[0][down] + layer.distances[1][right]  # (pixels, channels)
        query = q[..., p] / math.sqrt(q.shape[2])
        scores = torch.einsum("nhc,nhcp->nhp", query, k) + torch.einsum("nhc,pc->nhp", query, r)
        columns.append(torch.einsum("nhp,nhcp->nhc", scores.softmax(-1), v).flatten(1))
    y = torch.stack(columns, -1).unflatten(2, [-(-n // layer.stride) for n in (height, width)])
    return functional.conv2d(y, layer.join.weight, layer.join.bias)


@variant(
    "relative_attention",
    source="Bello et al. 2019, arXiv 1904.09925",
    fixed_size=True,
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity="weights of a softmax are above zero and sum to one, those of a kernel do not",
)
class RelativeAttention(nn.Module):
    """Weighted sum over all pixels, by likeness and by distance along each axis."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, circular: bool = False, heads: int = 4,
    ) -> None:  # fmt: skip
        super().__init__()
        if heads < 1 or out_channels % heads:
            raise ValueError(f"heads={heads} does not divide out_channels={out_channels}")
        self.size, self.stride, self.circular, self.heads = size, stride, circular, heads
        self.split = Convolution(in_channels, 3 * out_channels, 1, len(size), bias=False)
        self.join = Convolution(out_channels, out_channels, 1, len(size), bias=bias)
        width = out_channels // heads
        self.distances = nn.ParameterList(width**-0.5 * torch.randn(n if circular else 2 * n - 1, width) for n in size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        require_size(x, self.size)
        out, dims = strided(self.size, self.stride), len(self.size)
        q, k, v = self.split(x).unflatten(1, (3, self.heads, -1)).unbind(1)  # (N, heads, C / heads, *size)
        q = q[(..., *(slice(None, None, self.stride),) * dims)] * q.shape[2] ** -0.5
        logits = (q.flatten(3).transpose(2, 3) @ k.flatten(3)).unflatten(2, out).unflatten(-1, self.size)
        for axis, table in enumerate(self.distances):
            logits = logits + self._along(axis, table, q)
        shares = logits.flatten(2 + dims).flatten(2, 1 + dims).softmax(-1)
        y = v.flatten(3) @ shares.transpose(2, 3).to(v.dtype)
        result: Tensor = self.join(y.flatten(1, 2).unflatten(2, out))
        return result

    def _along(self, axis: int, table: Tensor, q: Tensor) -> Tensor:
        """The products of queries and embedded distances along one axis: (N, heads, *out, 1.., n, ..1)."""
        n, dims = self.size[axis], len(self.size)
        distance = torch.arange(n, device=q.device) - torch.arange(0, n, self.stride, device=q.device)[:, None]
        embedded = table[distance % n if self.circular else distance + n - 1]  # (queries, n, C / heads)
        rows = q.movedim(3 + axis, 0).movedim(3, -1).flatten(1, -2)  # (queries, the rest, C / heads)
        products = rows @ embedded.transpose(1, 2).to(rows.dtype)
        rest = [s for a, s in enumerate(q.shape[3:]) if a != axis]
        products = products.view(len(products), *q.shape[:2], *rest, n).movedim(0, 2 + axis)
        return products.view(*products.shape[:-1], *(n if a == axis else 1 for a in range(dims)))
