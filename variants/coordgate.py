"""CoordGate: the output of a convolution, multiplied by a gate that an encoder computes from each pixel's position.

Howard, Norreys, Doepp, "CoordGate: Efficiently Computing Spatially-Varying Convolutions in Convolutional Neural
Networks", 2024, arXiv 2401.04680.

No code of the authors is known to us: what is called "the code" here is an unofficial copy, in two versions. Its block
is a convolution of the gated input, `order=gate_first`. Encoders: `linear` (the early version: no activation anywhere,
so the gate is affine in position), `relu_out` (the later one: one ReLU, on the gate), `mlp` (ReLU between the layers,
as the paper's text says), `cnn` (3x3 instead of 1x1), `fourier` (an `mlp` on random Fourier features, arXiv
2006.10739), `map` (one free number per pixel and channel, read by its nearest neighbor at other sizes). The code puts a
ReLU on the map; here it has none, since a pixel once below zero would never learn again. Ours: `combine`, `fourier`,
any number of dimensions. The gate does not depend on the input: one for the whole batch.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import (
    Convolution,
    ConvolutionLayer,
    Padding,
    conv_flops,
    conv_parameters,
    strided,
)
from coordbench.variants._parts.coordinates import fourier_features
from coordbench.variants._parts.gate import gated
from coordbench.variants._parts.passes import full_precision, layout
from coordbench.variants._parts.place import coordinates_of
from coordbench.variants._parts.textbook import convolved, grid, padded
from coordbench.variants._parts.tricks import Memory

Kind = Literal["linear", "relu_out", "mlp", "cnn", "fourier", "map"]
Combine = Literal["multiply", "add", "affine"]


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int, bias: bool,
    encoder: Kind = "mlp", width: int = 64, depth: int = 3, combine: Combine = "multiply", project: bool = False,
    order: str = "conv_first", **_: object,
) -> int:  # fmt: skip
    """(k^d C_in + 1) C_out, and (d + 1) w + (w + 1) w + (w + 1) C_out for an mlp of width w, C_out H W for a map."""
    channels, grid = (in_channels, size) if order == "gate_first" else (out_channels, strided(size, stride))
    gates = channels * (2 if combine == "affine" else 1)
    if encoder == "map":
        gate = gates * math.prod(grid)
    else:
        widths = _widths(encoder, len(size), width, depth, gates)
        kernel = 3 if encoder == "cnn" else 1
        gate = sum(conv_parameters(i, o, kernel, size) for i, o in pairwise(widths))
    last = conv_parameters(out_channels, out_channels, 1, size) if project else 0
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias) + gate + last


def _flops(layer: CoordGate, shape: tuple[int, ...]) -> int:
    (images, channels, *size), weight = shape, layer.conv.weight
    out = layer.conv.out(tuple(size))
    grid, gated = (tuple(size), channels) if layer.gate_first else (out, len(weight))
    widths, kernel = layer.encoder.widths, 3 if layer.encoder.kind == "cnn" else 1
    encoder = sum(conv_flops(1, i, o, kernel, grid) for i, o in pairwise(widths))
    if layer.encoder.kind == "fourier":
        encoder += conv_flops(1, len(grid), widths[0] // 2, 1, grid)
    last = conv_flops(images, len(weight), len(weight), 1, out) if layer.project else 0
    products = 0 if layer.combine == "add" else images * gated * math.prod(grid)
    return layer.conv.flops(shape) + encoder + products + last


def textbook(layer: CoordGate, x: Tensor) -> Tensor:
    """Gate each pixel by what the encoder makes of its coordinates, before or after the convolution."""

    def gated(y: Tensor) -> Tensor:
        gate = _textbook_gate(layer.encoder, y)
        if layer.combine == "affine":
            return y * gate[:, : y.shape[1]] + gate[:, y.shape[1] :]
        return y * gate if layer.combine == "multiply" else y + gate

    y = convolved(layer.conv, gated(x)) if layer.gate_first else gated(convolved(layer.conv, x))
    return y if layer.project is None else functional.conv2d(y, layer.project.weight, layer.project.bias)


def _textbook_gate(encoder: Encoder, y: Tensor) -> Tensor:
    """(1, channels, H, W) out of a perceptron of each pixel, or out of a map."""
    if encoder.kind == "map":
        return encoder.map
    h = grid(*y.shape[2:]).to(y)[None]
    if encoder.kind == "fourier":
        phase = 2 * math.pi * torch.einsum("mc,nchw->nmhw", encoder.frequencies, h)
        h = torch.cat([phase.cos(), phase.sin()], 1)
    for i, module in enumerate(encoder.layers):
        stage = cast("Convolution", module)
        h = h.relu() if i and encoder.kind in ("mlp", "cnn", "fourier") else h
        h = functional.conv2d(padded(h, stage.weight.shape[-1]), stage.weight, stage.bias)
    return h.relu() if encoder.kind == "relu_out" else h


def _identity(layer: CoordGate, weight: Tensor, bias: Tensor | None) -> None:
    """A gate of 1, an offset of 0."""
    layer.conv.become(weight, bias)
    start = torch.full_like(layer.encoder.last, 0.0 if layer.combine == "add" else 1.0)
    if layer.combine == "affine":
        start.chunk(2, 0)[1].zero_()
    for parameter in layer.encoder.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        layer.encoder.last.copy_(start)
    if layer.project is not None:
        layer.project.pass_on()


@variant(
    "coordgate",
    source="Howard, Norreys and Doepp 2024, arXiv 2401.04680",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class CoordGate(ConvolutionLayer):
    """Convolution, gated pixel by pixel by a function of position."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, encoder: Kind = "mlp", width: int = 64, depth: int = 3, combine: Combine = "multiply",
        project: bool = False, order: Literal["conv_first", "gate_first"] = "conv_first", padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.combine, self.gate_first = combine, order == "gate_first"
        self.conv = Convolution(
            in_channels, out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )
        channels, grid = (in_channels, size) if self.gate_first else (out_channels, strided(size, stride))
        self.encoder, self.grid = Encoder(encoder, width, depth, channels, grid, combine), grid
        self.project = Convolution(out_channels, out_channels, 1, len(size)) if project else None
        self.memory = Memory()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        y = self.conv(self._gate(x, fresh=False)) if self.gate_first else self._gate(self.conv(x), fresh=True)
        return y if self.project is None else self.project(y)

    def fuse_doubling(self) -> bool:
        """As for any layer, unless it is the input that is gated."""
        return not self.gate_first and self.conv.fuse_doubling()

    def gate_map(self) -> Tensor:
        """The gate (1, channels, *size) at the size the layer was built for, to look at; twice as many if affine."""
        gate: Tensor = self.encoder(self.conv.weight.new_empty(1, 1, *self.grid))
        return gate

    def _gate(self, y: Tensor, *, fresh: bool) -> Tensor:
        form = layout(y)
        gate = self.memory.recall(
            self.encoder, (y.shape[1:], y.dtype, form), lambda: self.encoder(y).contiguous(memory_format=form)
        )
        match self.combine:
            case "multiply":
                return gated(y, gate, fresh=fresh)
            case "add":
                return gated(y, None, gate, fresh=fresh)
            case _:
                return gated(y, *gate.chunk(2, 1), fresh=fresh)


class Encoder(nn.Module):
    """Compute a gate (1, channels, *size) for the pixels of y (N, C, *size); twice the channels for an affine one.

    Raises ValueError for a depth or width below 1.
    """

    frequencies: Tensor

    def __init__(
        self, kind: Kind, width: int, depth: int, channels: int, size: tuple[int, ...], combine: Combine
    ) -> None:
        super().__init__()
        for name, value in {"width": width, "depth": depth}.items():
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        self.kind, gates = kind, channels * (2 if combine == "affine" else 1)
        self.widths = () if kind == "map" else _widths(kind, len(size), width, depth, gates)
        kernel_size = 3 if kind == "cnn" else 1
        self.layers = nn.ModuleList(Convolution(i, o, kernel_size, len(size)) for i, o in pairwise(self.widths))
        if kind == "map":  # a unit gate: the layer starts as the convolution
            start = torch.full((1, gates, *size), 0.0 if combine == "add" else 1.0)
            start[:, channels:] = 0
            self.map = nn.Parameter(start)
        if kind == "fourier":
            self.register_buffer("frequencies", torch.randn(self.widths[0] // 2, len(size)))

    @property
    def last(self) -> Tensor:
        """What is added last to the gates, channels first: the map itself, or the bias of the last layer."""
        if self.kind == "map":
            return self.map[0]
        bias = cast("Convolution", self.layers[-1]).bias
        assert bias is not None
        return bias

    def forward(self, y: Tensor) -> Tensor:
        """(N, C, *size) -> (1, channels, *size), in at least float32."""
        if self.kind == "map":
            fits = self.map.shape[2:] == y.shape[2:]
            return self.map if fits else functional.interpolate(self.map, y.shape[2:])
        with full_precision(y):
            return self._stack(coordinates_of(y))

    def _stack(self, place: Tensor) -> Tensor:
        h = fourier_features(place, self.frequencies) if self.kind == "fourier" else place
        h = h[None] if self.kind == "cnn" else h.flatten(1)  # (C, pixels)
        for i, layer in enumerate(self.layers):
            h = _applied(cast("Convolution", layer), h)
            if self.kind == "relu_out" if i == len(self.layers) - 1 else self.kind in ("mlp", "cnn", "fourier"):
                h = h.relu_()
        return h.view(1, -1, *place.shape[1:])


def _applied(layer: Convolution, h: Tensor) -> Tensor:
    """One layer, in the dtype of its input: a map (1, C, *size), or pixels (C, pixels)."""
    if h.dim() > 2:
        return layer.precise(h)
    assert layer.bias is not None
    return torch.addmm(layer.bias.to(h.dtype)[:, None], layer.weight.flatten(1).to(h.dtype), h)


def _widths(kind: Kind, dims: int, width: int, depth: int, gates: int) -> tuple[int, ...]:
    """Channels between the layers of the encoder, from the coordinates to the gates."""
    first = 2 * max(width // 2, 1) if kind == "fourier" else dims
    return (first, *(width,) * (depth - 1), gates)
