"""Deformable convolution with modulation: each tap looks where an offset computed from the input sends it.

Zhu, Hu, Lin, Dai, "Deformable ConvNets v2: more deformable, better results", 2018, arXiv 1811.11168:
y(p) = b + sum_d W_d m_d(p) x(p + d + offset_d(p)), read by linear interpolation, zero beyond the border; offsets start
at 0 and modulations at 1/2.

Deviations: any number of dimensions; one group of offsets.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, conv_flops, conv_parameters, strided
from coordbench.variants._parts.passes import full_precision
from coordbench.variants._parts.textbook import padded


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: object
) -> int:
    """(k^d C_in + 1) (C_out + (d + 1) k^d)."""
    steering = (len(size) + 1) * math.prod((kernel_size,) * len(size))
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias) + conv_parameters(
        in_channels, steering, kernel_size, size
    )


def _flops(layer: Deformable, shape: tuple[int, ...]) -> int:
    weight, out = layer.conv.weight, strided(shape[2:], layer.conv.stride)
    conv = conv_flops(shape[0], shape[1], len(weight) + len(layer.steer.weight), weight.shape[-1], out)
    read = shape[0] * weight[0].numel() * math.prod(out)
    corners = 4 if len(out) == 1 else 2 ** len(out)  # a line is read as a picture of one row
    return conv + read * (2 * corners + 1)


def textbook(layer: Deformable, x: Tensor) -> Tensor:
    """One tap after the other, each read by its four corners."""
    weight, stride = layer.conv.weight, layer.conv.stride
    k, (height, width) = weight.shape[-1], x.shape[2:]
    steer = functional.conv2d(padded(x, k), layer.steer.weight, layer.steer.bias, stride)
    down, right, fade = steer.unflatten(1, (3, k * k)).unbind(1)
    rows, columns = (torch.arange(n) * stride for n in steer.shape[2:])
    y = steer.new_zeros(())
    for tap in range(k * k):
        row = rows.view(-1, 1) + tap // k - (k - 1) // 2 + down[:, tap]
        column = columns + tap % k - (k - 1) // 2 + right[:, tap]
        read = torch.zeros_like(x[..., :1, :1])
        for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
            r, c = row.floor().detach() + corner[0], column.floor().detach() + corner[1]
            share = (1 - (row - r).abs()) * (1 - (column - c).abs())
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            index = (r.clamp(0, height - 1) * width + c.clamp(0, width - 1)).long()
            value = x.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, x.shape[1], -1))
            read = read + value.unflatten(2, row.shape[1:]) * (share * inside)[:, None]
        y = y + torch.einsum("nihw,oi->nohw", read * fade[:, tap, None].sigmoid(), weight[:, :, tap // k, tap % k])
    return y if layer.conv.bias is None else y + layer.conv.bias.view(-1, 1, 1)


def _identity(layer: Deformable, weight: Tensor, bias: Tensor | None) -> None:
    """No offsets; the modulations of 1/2 are made up for by twice the weight."""
    layer.conv.become(2 * weight, bias)
    for parameter in layer.steer.parameters():
        nn.init.zeros_(parameter)


@variant(
    "deformable",
    source="Zhu et al. 2018, arXiv 1811.11168",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class Deformable(nn.Module):
    """Convolution whose taps move and fade by what the input says."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        dims, taps = len(size), math.prod((kernel_size,) * len(size))
        self.conv = Convolution(in_channels, out_channels, kernel_size, dims, stride=stride, bias=bias)
        self.steer = Convolution(in_channels, (dims + 1) * taps, kernel_size, dims, stride=stride)
        for parameter in self.steer.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        weight, dims = self.conv.weight, x.dim() - 2
        steering = self.steer(x).unflatten(1, (dims + 1, -1))  # (N, d + 1, taps, *out)
        with full_precision(x):
            read = sampled(x, steering[:, :dims], self.conv.stride, weight.shape[-1])
        read = read * steering[:, dims].sigmoid().unsqueeze(1)  # (N, C, taps, *out)
        rows = weight.flatten(1).expand(len(x), -1, -1)  # a product per image: one for all would copy what was read
        y = torch.bmm(rows, read.to(x.dtype).flatten(1, 2).flatten(2)).view(len(x), len(weight), *read.shape[3:])
        return y if self.conv.bias is None else y + self.conv.bias.to(y.dtype).view(-1, *(1,) * dims)


def sampled(x: Tensor, offsets: Tensor, stride: int, kernel_size: int) -> Tensor:
    """Read x (N, C, *size) at each tap of each output pixel, moved by offsets (N, d, taps, *out) [px].

    Returns (N, C, taps, *out) in at least float32.
    """
    size, out, dims = x.shape[2:], offsets.shape[3:], x.dim() - 2
    dtype = torch.promote_types(x.dtype, torch.float32)
    steps = [torch.arange(n, device=x.device, dtype=dtype) * stride for n in out]
    taps = itertools.product(range(-((kernel_size - 1) // 2), kernel_size // 2 + 1), repeat=dims)
    start = torch.tensor(list(taps), device=x.device, dtype=dtype).t()  # (d, taps)
    place = torch.stack(torch.meshgrid(steps, indexing="ij")).unsqueeze(1) + start.view(dims, -1, *(1,) * dims)
    place = place + offsets.to(dtype)  # (N, d, taps, *out), in pixels
    grid = torch.stack([(2 * place[:, a] + 1) / n - 1 for a, n in enumerate(size)][::-1], -1)
    if dims == 1:  # grid_sample knows pictures and volumes only
        x, grid = x.unsqueeze(2), torch.cat([grid, torch.zeros_like(grid)], -1)
    else:
        grid = grid.flatten(1, 2)
    read = functional.grid_sample(x.to(dtype), grid, align_corners=False)
    return read.view(*read.shape[:2], *offsets.shape[2:])
