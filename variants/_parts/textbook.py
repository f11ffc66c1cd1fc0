"""Words of the textbook forms: what the papers write down, in two dimensions, and nothing that a fast form uses.

A form takes a layer, for its parameters, and an input (N, C, H, W). It shares no code with the layer: it is what the
tests compare the layer with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from coordbench.variants._parts.convolution import Convolution


def padded(x: Tensor, kernel_size: int, mode: str = "zeros") -> Tensor:
    """Pad both axes by (k - 1) // 2 before and k // 2 after."""
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    return functional.pad(x, (before, after, before, after), "constant" if mode in ("zeros", "extended") else mode)


def grid(height: int, width: int, before: int = 0, after: int = 0) -> Tensor:
    """(2, H, W): x along the width, y along the height, from -1 to 1, and on beyond the border."""
    rows, columns = (
        torch.linspace(-1 - 2 * before / (n - 1), 1 + 2 * after / (n - 1), n + before + after, dtype=torch.float64)
        for n in (height, width)
    )
    return torch.stack([columns.expand(len(rows), -1), rows[:, None].expand(-1, len(columns))])


def windows(x: Tensor, kernel_size: int, stride: int, mode: str = "zeros") -> Tensor:
    """(N, C, k^2, pixels)."""
    return unfolded(padded(x, kernel_size, mode), kernel_size, stride)


def unfolded(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """The windows of a map without padding: (N, C, k^2, pixels)."""
    rows: Tensor = functional.unfold(x, kernel_size, stride=stride)
    return rows.view(len(x), x.shape[1], kernel_size**2, -1)


def convolved(conv: Convolution, x: Tensor) -> Tensor:
    """The convolution of x, padded first."""
    x = padded(x, conv.weight.shape[-1], conv.padding)
    return functional.conv2d(x, conv.weight, conv.bias, conv.stride, groups=conv.groups)


def beside(conv: Convolution, x: Tensor, channels: Callable[[Tensor], Tensor]) -> Tensor:
    """The convolution of x with `channels(coordinates)` appended, coordinates being (1, 2, H, W)."""
    kernel_size = conv.weight.shape[-1]
    if conv.padding != "extended":
        return convolved(conv, _appended(x, channels(grid(*x.shape[2:]).to(x)[None])))
    height, width = x.shape[2:]
    place = grid(height, width, (kernel_size - 1) // 2, kernel_size // 2).to(x)
    return functional.conv2d(
        _appended(padded(x, kernel_size), channels(place[None])), conv.weight, conv.bias, conv.stride
    )


def _appended(x: Tensor, channels: Tensor) -> Tensor:
    return torch.cat([x, channels.expand(len(x), -1, -1, -1)], 1)
