"""Where a pixel is: coordinates in [-1, 1] along each axis, and the random shifts of them."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from coordbench.variants._parts.convolution import Convolution, Padding, conv_flops

PositionPadding = Literal[Padding, "extended"]
"""Padding of the input and of the position channels; "extended": zeros for the input, true positions beyond the border
for the channels."""
Per = Literal["sample", "batch"]


def coordinates(x: Tensor, before: int = 0, after: int = 0) -> Tensor:
    """The position of each pixel of x (N, C, *size) as (d, *size): x along the width first, then y, then z.

    Each axis runs linearly from -1 to 1 at the centers of its outer pixels; an axis of one pixel is 0. `before` and
    `after` continue it beyond the border [px]. At least float32, whatever the dtype of x.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    axes = [_axis(n, before, after, x.device, dtype) for n in x.shape[2:]]
    return torch.stack(torch.meshgrid(axes, indexing="ij")[::-1])


def _axis(n: int, before: int, after: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    doubled = 2 * torch.arange(-before, n + after, device=device, dtype=dtype) - (n - 1)
    return doubled / max(n - 1, 1)


def fourier_features(place: Tensor, frequencies: Tensor) -> Tensor:
    """[cos, sin](2 pi B v) of coordinates v (d, *size) and frequencies B (m, d): (2 m, *size)."""
    phase = (2 * math.pi * frequencies.to(place.dtype)) @ place.flatten(1)
    return torch.cat([phase.cos(), phase.sin()]).view(-1, *place.shape[1:])


def moved(place: Tensor, shift: Tensor | None) -> Tensor:
    """Coordinates (1, d, *size) moved by a shift (n, d): (n, d, *size)."""
    return place if shift is None else place + shift.view(*shift.shape, *(1,) * (place.dim() - 2))


class Shift(nn.Module):
    """Draw a shift of the coordinates, each axis uniform in (-reach, reach), per sample or one for the batch.

    Draws while training, and at evaluation only where `at_evaluation`. Layers that are `shared` draw alike: the shift
    is then a function of the seed that torch's global generator had when the layer was built and of the number of
    calls, both of which layers of one network have in common. Raises ValueError for a negative reach.
    """

    seed: Tensor
    calls: Tensor

    def __init__(self, dims: int, reach: float, per: Per, *, shared: bool, at_evaluation: bool) -> None:
        super().__init__()
        if reach < 0:
            raise ValueError(f"shift={reach} must be at least 0")
        self.dims, self.reach, self.per, self.shared, self.at_evaluation = dims, reach, per, shared, at_evaluation
        if shared:
            self.register_buffer("seed", torch.tensor(torch.initial_seed() % 2**31))
            self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    @property
    def active(self) -> bool:
        """Whether the next call draws."""
        return self.reach > 0 and (self.training or self.at_evaluation)

    def forward(self, x: Tensor) -> Tensor | None:
        """(N, C, *size) -> (N or 1, d), in units of the coordinates; None where nothing shifts."""
        if not self.active:
            return None
        rows = x.shape[0] if self.per == "sample" else 1
        uniform = self._counted(rows) if self.shared else torch.rand(rows, self.dims, device=x.device)
        return 2 * self.reach * uniform.to(torch.promote_types(x.dtype, torch.float32)) - self.reach

    def _counted(self, rows: int) -> Tensor:
        """Hash (seed, call, row, axis) to [0, 1): 32-bit integer mixing, so that a compiler can follow."""
        index = torch.arange(rows * self.dims, device=self.seed.device).view(rows, self.dims)
        mixed = _mix(_mix(_mix(self.seed) + self.calls) + index)
        self.calls.add_(1)
        return mixed / 2**32


def _mix(h: Tensor) -> Tensor:
    """Scramble 32-bit integers held in int64 (Wellons, "Hash function prospector", 2018: lowbias32)."""
    h = h & 0xFFFFFFFF
    h = _times(h ^ (h >> 16), 0x21F0AAAD)
    h = _times(h ^ (h >> 15), 0x735A2D97)
    return h ^ (h >> 15)


def _times(h: Tensor, factor: int) -> Tensor:
    """Multiply modulo 2^32 without leaving the range of int64."""
    low, high = factor & 0xFFFF, factor >> 16
    return (h * low + (((h * high) & 0xFFFF) << 16)) & 0xFFFFFFFF


def position_flops(conv: Convolution, shift: Shift, shape: tuple[int, ...], terms: int | None) -> int:
    """Cost of a convolution beside place: the input, the maps of the channels, and their mixture by the shift.

    `terms` is how many maps the shift mixes into the first, None where it has no closed form. One shift for all mixes
    the channels, one for each image the maps that come of them.
    """
    weight, out, channels = conv.weight, conv.out(shape[2:]), conv.weight.shape[1] - shape[1]
    samples = shape[0] if shift.active and shift.per == "sample" else 1
    maps, products = samples, 0
    if terms is not None and samples > 1:
        maps, products = 1 + terms, 2 * samples * (1 + terms) * len(weight) * math.prod(out)
    elif terms is not None and shift.active:
        canvas = out if conv.doubles else shape[2:]
        products = (1 + terms) * channels * math.prod(n + sum(conv.margin) for n in canvas)
    return conv.flops(shape) + conv_flops(maps, channels, len(weight), weight.shape[-1], out) + products
