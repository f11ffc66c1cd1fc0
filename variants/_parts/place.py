"""Channels beside the input of a convolution that are functions of place: their windows are laid out once.

The sum over input channels falls apart: conv([x, c]) = conv(x) + conv(c). Where c is a function of place alone, conv(c)
is one small matrix product of its weights with the windows of c, the same for the whole batch, and so are its
gradients. What is remembered are the windows, never what depends on a parameter.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from coordbench.variants._parts.convolution import Convolution, convolve, pad, patches
from coordbench.variants._parts.coordinates import coordinates, moved
from coordbench.variants._parts.passes import (
    Context,
    Steps,
    convolution_gradients,
    full_precision,
    is_channels_last,
    layout,
    lowered,
)
from coordbench.variants._parts.tricks import eager


class Channels(Protocol):
    """Channels as a function of place; as keys, equal ones give equal channels."""

    def __call__(self, place: Tensor, size: tuple[int, ...]) -> Tensor:
        """Coordinates (d, *grid) of a map of a size, its margin included, -> (B, G, *grid)."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Coordinates:
    """The channels of coordinates; if shifted, as many maps more, with a constant in one channel each."""

    radius: bool = False
    shifted: bool = False

    def __call__(self, place: Tensor, size: tuple[int, ...]) -> Tensor:
        """(d, *grid) -> (1 or 1 + d, G, *grid)."""
        place = place[None]
        if self.shifted:
            axes = torch.eye(place.shape[1], dtype=place.dtype, device=place.device)
            return torch.cat([place, moved(torch.zeros_like(place), axes)])
        return with_radius(place) if self.radius else place


def with_radius(place: Tensor) -> Tensor:
    """Coordinates (n, d, *grid) and their distance from the center: (n, d + 1, *grid)."""
    return torch.cat([place, torch.linalg.vector_norm(place, dim=1, keepdim=True)], 1)


@dataclass(frozen=True)
class Windows:
    """The windows of channels over a map of a size, as a kernel goes over it."""

    channels: Channels
    size: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    kernel_size: int = 1
    stride: int = 1
    padding: str = "zeros"
    margin: tuple[int, int] = (0, 0)

    def maps(self) -> Tensor:
        """The channels: (B, G, *size), or with their margin."""
        like = torch.empty((), dtype=self.dtype, device=self.device).expand(1, 1, *self.size)
        return self.channels(coordinates(like, *self.margin), self.size)


def coordinates_of(x: Tensor) -> Tensor:
    """As `coordinates`, remembered: not to be written to."""
    if not eager():
        return coordinates(x)
    return _coordinates(tuple(x.shape[2:]), torch.promote_types(x.dtype, torch.float32), x.device)


@functools.lru_cache(maxsize=64)
def _coordinates(size: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return Windows(Coordinates(), size, dtype, device).maps()[0]


@functools.lru_cache(maxsize=64)
def matrices(windows: Windows, pixels_first: bool) -> Tensor:
    """Windows as (B, G k^d + 1, pixels), or (B, pixels, G k^d + 1).

    The last of them, where a bias counts, are ones in the first map.
    """
    with torch.inference_mode(False), torch.no_grad():
        maps, padding = windows.maps(), windows.padding
        maps = maps if padding == "extended" else pad(maps, windows.kernel_size, padding)
        dims = maps.dim() - 2
        rows = patches(maps, windows.kernel_size, windows.stride).flatten(2, 1 + dims).flatten(3)  # (B, G, pixels, k^d)
        rows = rows.transpose(2, 3).flatten(1, 2)
        one = rows.new_zeros(len(rows), 1, rows.shape[2])
        one[0] = 1
        rows = torch.cat([rows, one], 1)
        return rows.transpose(1, 2).contiguous() if pixels_first else rows


def beside_place(conv: Convolution, x: Tensor, channels: Channels, mix: Tensor | None = None) -> Tensor:
    """Convolve x with channels of place appended, without ever appending them.

    Image n sees `sum_b mix[n, b] channels[b]`, mix being (N or 1, B) with ones first; without it B is 1.
    """
    size, dtype = tuple(conv.canvas(x).shape[2:]), torch.promote_types(x.dtype, torch.float32)
    kernel_size = conv.weight.shape[-1]
    windows = Windows(channels, size, dtype, x.device, kernel_size, conv.stride, conv.padding, conv.margin)
    if eager() and x.shape[0]:
        return _beside(conv, x, None, mix, windows)
    maps = windows.maps()
    if mix is not None and len(mix) == 1:
        maps, mix = (mix.view(-1, *(1,) * (maps.dim() - 1)) * maps).sum(0, keepdim=True), None
    return conv.beside(x, maps, None if mix is None else mix[:, 1:])


def plus_place(conv: Convolution, x: Tensor, channels: Channels, share: Tensor) -> Tensor:
    """Convolve x and add channels of the place of each output pixel, weighed by `share` (C_out, G, *1)."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    windows = Windows(channels, conv.out(tuple(x.shape[2:])), dtype, x.device)
    if eager() and x.shape[0]:
        return _beside(conv, x, share, None, windows)
    with full_precision(x):
        maps = convolve(windows.maps(), share.to(dtype))
    return conv.plus_still(x, lambda: maps, conv)


def _beside(conv: Convolution, x: Tensor, share: Tensor | None, mix: Tensor | None, windows: Windows) -> Tensor:
    x, steps = conv._steps(x)
    (x,) = lowered(x)  # padding may lift it
    with full_precision(x):
        result: Tensor = _Beside.apply(x, conv.weight, conv.bias, share, mix, windows, steps)  # type: ignore[no-untyped-call]
    return result


class _BesideContext(Context, Protocol):
    steps: Steps
    place: Tensor
    mix: Tensor | None
    form: torch.memory_format


class _Beside(torch.autograd.Function):
    """As few operations as can be: where maps are small, each costs more than what it computes."""

    @staticmethod
    def forward(
        ctx: _BesideContext, x: Tensor, weight: Tensor, bias: Tensor | None, share: Tensor | None, mix: Tensor | None,
        windows: Windows, steps: Steps,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(x, weight, share)
        own, share = _parts(x, weight, share)
        y = steps.apply(x, steps.weight(own).to(x.dtype), None if bias is None else bias.to(x.dtype))
        rows, pixels_first = _rows(y)
        place, mix = _mixed(matrices(windows, pixels_first), mix)
        ctx.steps, ctx.place, ctx.mix, ctx.form = steps, place, mix, layout(y)
        share = share.flatten(1).to(place.dtype)
        width = share.shape[1]
        if mix is None:
            maps = place.narrow(1, 0, width) @ share.t() if pixels_first else share @ place.narrow(0, 0, width)
            rows.add_(maps.view(-1))
        else:
            maps = place.narrow(2, 0, width) @ share.t() if pixels_first else share @ place.narrow(1, 0, width)
            rows.addmm_(mix.to(y.dtype), maps.flatten(1).to(y.dtype))
        return y

    @staticmethod
    def backward(ctx: _BesideContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, share = ctx.saved_tensors
        own, _ = _parts(x, weight, share)
        needs_x, needs_weight, needs_bias, needs_share = ctx.needs_input_grad[:4]
        grad = grad.contiguous(memory_format=ctx.form)
        grad_share = grad_bias = None
        with full_precision(grad):
            if needs_share or needs_bias or needs_weight:
                both = _small_gradients(grad, ctx.place, ctx.mix).to(weight.dtype)
                grad_share, grad_bias = both.narrow(1, 0, both.shape[1] - 1), both.select(1, -1) if needs_bias else None
            steps, needs = ctx.steps, (needs_x, needs_weight)
            grad_x, grad_weight = convolution_gradients(grad, x, steps.weight(own).to(x.dtype), steps, needs)
        if grad_weight is not None:
            grad_weight = steps.weight(grad_weight).to(weight.dtype)
        if share is not None:
            grad_share = None if grad_share is None else grad_share.reshape(share.shape)
            return grad_x, grad_weight, grad_bias, grad_share, None, None, None
        if grad_weight is not None and grad_share is not None:
            grad_weight = torch.cat([grad_weight, grad_share.reshape(len(weight), -1, *weight.shape[2:])], 1)
        return grad_x, grad_weight, grad_bias, None, None, None, None


def _parts(x: Tensor, weight: Tensor, share: Tensor | None) -> tuple[Tensor, Tensor]:
    """The weights of x and those of the channels beside it."""
    if share is not None:
        return weight, share
    channels = x.shape[1]
    return weight.narrow(1, 0, channels), weight.narrow(1, channels, weight.shape[1] - channels)


def _rows(y: Tensor) -> tuple[Tensor, bool]:
    """Each image as a row, in the order of memory, and whether pixels come before channels in it."""
    pixels_first = is_channels_last(y)
    return (y.movedim(1, -1) if pixels_first else y).reshape(len(y), -1), pixels_first


def _mixed(place: Tensor, mix: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Matrices of windows and their mixtures, or the one matrix that all images have in common."""
    if mix is None:
        return place[0], None
    if len(mix) > 1:
        return place, mix
    return (mix.to(place.dtype) @ place.flatten(1)).view(place.shape[1:]), None


def _small_gradients(grad: Tensor, place: Tensor, mix: Tensor | None) -> Tensor:
    """Those of the share and of the bias: (C_out, G k^d + 1)."""
    rows, pixels_first = _rows(grad)
    summed = (_ones(len(rows), grad.dtype, grad.device) if mix is None else mix.to(grad.dtype).t()) @ rows
    summed = summed.to(place.dtype)  # (B, C_out pixels)
    if pixels_first:
        return (place.flatten(0, -2).t() @ summed.view(-1, grad.shape[1])).t()
    if mix is None:
        return summed.view(grad.shape[1], -1) @ place.t()
    return (summed.view(len(place), grad.shape[1], -1) @ place.transpose(1, 2)).sum(0)


@functools.lru_cache(maxsize=64)
def _ones(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(1, n)."""
    with torch.inference_mode(False):
        return torch.ones(1, n, dtype=dtype, device=device)
