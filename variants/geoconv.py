"""GeoConv: one geometry channel, merged from all coordinates and randomly shifted, beside the input.

Hosseini, Hosseini, "GeoPos: A Minimal Positional Encoding for Enhanced Fine-Grained Details in Image Synthesis Using
Convolutional Neural Networks", arXiv 2401.01951.

What the paper says: one channel, random shifts, concatenation, convolution. Ours, where its text was not at hand: the
merges, coordinates in [-1, 1], a uniform shift per sample while training and none at evaluation, the gain.
`merge=auto` is x in 1-D, the product in 2-D and the sum of squares in 3-D. In 1-D nothing is merged, so that no weight
is saved either: the layer is a shifted CoordConv, as (n - 1) l fewer parameters say for n = 1.
A uniform shift of up to s hides less than it seems: of one pixel's position the share 1 - s^2 + s^3 / 2 can still be
guessed (1 / (2 s) from s = 1 on): 0.25 at the default of 2, 0.81 at 0.5. The mean slopes of the channel are the shift
itself, which a network that averages over the canvas can undo (`docs/layers.md` has the table).
A polynomial merge stays closed under the shift, for example (x + s)(y + t) = xy + t x + s y + s t, so that the shifted
channel is a mixture of a few fixed maps. A sum or radix merge knows one direction only, whatever the kernel; product
and sum of squares reproduce any CoordConv inside the border, with weights that grow as the input does (hence `gain`;
"slope" makes neighboring pixels differ by about 1).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, ConvolutionLayer, conv_parameters
from coordbench.variants._parts.coordinates import Per, PositionPadding, Shift, coordinates, moved, position_flops
from coordbench.variants._parts.place import beside_place
from coordbench.variants._parts.textbook import beside

Merge = Literal["auto", "product", "sumsq", "sum", "radix", "hypot"]


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, **_: object
) -> int:
    """(k^d (C_in + 1) + 1) C_out."""
    return conv_parameters(in_channels + 1, out_channels, kernel_size, size, bias)


def _flops(layer: GeoConv, shape: tuple[int, ...]) -> int:
    dims = len(shape) - 2
    terms = {"product": 2**dims - 1, "sumsq": dims + 1, "sum": 1, "radix": 1}
    return position_flops(layer.conv, layer.shift, shape, terms.get(layer.merge))


def textbook(layer: GeoConv, x: Tensor) -> Tensor:
    """Shift the coordinates, merge them into one channel, concatenate it, then convolve."""
    height, width = x.shape[2:]
    gain = (max(height, width) - 1) / 2 if layer.gain == "slope" else layer.gain
    shift = layer.shift(x).view(-1, 2, 1, 1) if layer.shift.active else 0

    def channel(place: Tensor) -> Tensor:
        i, j = (place + shift).unbind(1)
        row, column = (j + 1) * (height - 1) / 2, (i + 1) * (width - 1) / 2
        g = {
            "product": i * j,
            "sumsq": i * i + j * j,
            "sum": i + j,
            "hypot": (i * i + j * j).sqrt(),
            "radix": 2 * (row * width + column) / (height * width - 1) - 1,
        }[layer.merge]
        return gain * g[:, None]

    return beside(layer.conv, x, channel)


def _identity(layer: GeoConv, weight: Tensor, bias: Tensor | None) -> None:
    layer.conv.become(weight, bias)


@variant(
    "geoconv",
    source="Hosseini and Hosseini 2024, arXiv 2401.01951",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class GeoConv(ConvolutionLayer):
    """Convolution of the input beside one channel of merged coordinates."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, merge: Merge = "auto", padding: PositionPadding = "zeros", shift: float = 2.0,
        per: Per = "sample", shared: bool = False, shift_at_evaluation: bool = False,
        gain: Literal["slope"] | float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        dims, self.gain = len(size), gain
        self.merge = ("sumsq" if dims == 3 else "product") if merge == "auto" else merge
        self.conv = Convolution(
            in_channels + 1, out_channels, kernel_size, dims, stride=stride, bias=bias, padding=padding
        )
        self.shift = Shift(dims, shift, per, shared=shared, at_evaluation=shift_at_evaluation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        shift, size = self.shift(x), tuple(self.conv.canvas(x).shape[2:])
        geometry = Geometry(self.merge, (max(size) - 1) / 2 if self.gain == "slope" else float(self.gain))
        if shift is None:
            return beside_place(self.conv, x, geometry)
        if self.merge != "hypot":
            return beside_place(self.conv, x, replace(geometry, shifted=True), mixture(shift, self.merge, size))
        place = coordinates(self.conv.canvas(x), *self.conv.margin)[None]
        return self.conv.beside(x, geometry.gain * merged(moved(place, shift), self.merge, size))


@dataclass(frozen=True)
class Geometry:
    """The channel of merged coordinates; if shifted, as one map and those that a shift mixes into it."""

    merge: str
    gain: float
    shifted: bool = False

    def __call__(self, place: Tensor, size: tuple[int, ...]) -> Tensor:
        """(d, *grid) -> (B, 1, *grid)."""
        if not self.shifted:
            return self.gain * merged(place[None], self.merge, size)
        return self.gain * expanded(place, self.merge, size)[:, None]


def merged(place: Tensor, merge: str, size: tuple[int, ...]) -> Tensor:
    """Merge coordinates (n, d, *grid) into one channel (n, 1, *grid)."""
    match merge:
        case "product":
            return place.prod(1, keepdim=True)
        case "sumsq":
            return place.square().sum(1, keepdim=True)
        case "hypot":
            return place.square().sum(1, keepdim=True).sqrt()
        case _:
            return _weighted(place, merge, size)


def expanded(place: Tensor, merge: str, size: tuple[int, ...]) -> Tensor:
    """What a shift of coordinates (d, *grid) makes of their merge, as maps (B, *grid) to be mixed by `mixture`."""
    base, one = merged(place[None], merge, size)[0], torch.ones_like(place[:1])
    if merge == "product":
        chosen = itertools.product((True, False), repeat=len(place))  # the axes that are not shifted
        return torch.stack([place[list(axes)].prod(0) for axes in chosen])
    return torch.cat([base, 2 * place, one] if merge == "sumsq" else [base, one])


def mixture(shift: Tensor, merge: str, size: tuple[int, ...]) -> Tensor:
    """How shifts (n, d) mix those maps: (n, B), ones first."""
    if merge == "product":
        chosen = torch.tensor([*itertools.product((False, True), repeat=shift.shape[1])], device=shift.device)
        return shift[:, None].where(chosen, 1).prod(2)
    terms = torch.cat([shift, shift.square().sum(1, keepdim=True)], 1) if merge == "sumsq" else None
    return functional.pad(_weighted(shift, merge, size) if terms is None else terms, (1, 0), value=1)


def _weighted(place: Tensor, merge: str, size: tuple[int, ...]) -> Tensor:
    """Sum (n, d, ...) over its axes, x first: by weights of 1, or those that number the pixels row by row, -1 to 1."""
    weights = [1.0] * len(size)
    if merge == "radix":
        widths = size[::-1]
        weights = [math.prod(widths[:a]) * (n - 1) / max(math.prod(size) - 1, 1) for a, n in enumerate(widths)]
    return torch.stack([w * place[:, a] for a, w in enumerate(weights)], 1).sum(1, keepdim=True)
