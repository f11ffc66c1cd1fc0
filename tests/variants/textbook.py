"""Each layer as its paper writes it, in two dimensions and as slow as need be: the oracles of the tests.

A form takes the layer, for its parameters, and an input (N, C, H, W), and shares no code with the layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Form = Callable[[Any, Tensor], Tensor]


def padded(x: Tensor, kernel_size: int, mode: str = "zeros") -> Tensor:
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    return functional.pad(x, (before, after, before, after), "constant" if mode == "zeros" else mode)


def grid(height: int, width: int) -> Tensor:
    """(2, H, W): x along the width, y along the height, from -1 to 1."""
    y = torch.linspace(-1, 1, height, dtype=torch.float64)[:, None].expand(height, width)
    x = torch.linspace(-1, 1, width, dtype=torch.float64)[None].expand(height, width)
    return torch.stack([x, y])


def windows(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """(N, C, k^2, pixels)."""
    return functional.unfold(padded(x, kernel_size), kernel_size, stride=stride).unflatten(1, (x.shape[1], -1))


def conv(layer: Any, x: Tensor) -> Tensor:
    weight = layer.conv.weight
    return functional.conv2d(padded(x, weight.shape[-1]), weight, layer.conv.bias, layer.conv.stride)


def coordconv(layer: Any, x: Tensor) -> Tensor:
    place = grid(*x.shape[2:]).to(x).expand(len(x), -1, -1, -1)
    if layer.shift.active:
        place = place + layer.shift(x).view(-1, 2, 1, 1)
    if layer.radius:
        place = torch.cat([place, place.square().sum(1, keepdim=True).sqrt()], 1)
    return conv(layer, torch.cat([x, place], 1))


def geoconv(layer: Any, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    place = grid(height, width).to(x)[None]
    if layer.shift.active:
        place = place + layer.shift(x).view(-1, 2, 1, 1)
    i, j = place.expand(len(x), -1, -1, -1).unbind(1)
    row, column = (j + 1) * (height - 1) / 2, (i + 1) * (width - 1) / 2
    g = {
        "product": i * j,
        "sumsq": i * i + j * j,
        "sum": i + j,
        "hypot": (i * i + j * j).sqrt(),
        "radix": 2 * (row * width + column) / (height * width - 1) - 1,
    }[layer.merge]
    gain = (max(height, width) - 1) / 2 if layer.gain == "slope" else layer.gain
    return conv(layer, torch.cat([x, gain * g[:, None]], 1))


def coordgate(layer: Any, x: Tensor) -> Tensor:
    """The default: a convolution times a perceptron of three layers with ReLU between them."""
    y = conv(layer, x)
    h = grid(*y.shape[2:]).to(x).flatten(1).t()
    for i, stage in enumerate(layer.encoder.layers):
        h = functional.linear(h if i == 0 else h.relu(), stage.weight.flatten(1), stage.bias)
    return y * h.t().view(1, -1, *y.shape[2:])


def locally_connected(layer: Any, x: Tensor) -> Tensor:
    taps = layer.kernel_size**2
    weight = layer.weight.unflatten(1, (taps, -1))
    y = torch.einsum("nitp,ptio->nop", windows(x, layer.kernel_size, layer.stride), weight)
    return y.view(len(x), *layer.bias.shape) + layer.bias


def low_rank_locally_connected(layer: Any, x: Tensor) -> Tensor:
    kernels = layer.conv.weight.chunk(layer.rank)
    convolved = torch.stack(
        [functional.conv2d(padded(x, k.shape[-1]), k, stride=layer.conv.stride) for k in kernels], 1
    )
    shares = (layer.weights[0] + layer.weights[1]).softmax(0)
    return torch.einsum("nkohw,khw->nohw", convolved, shares) + layer.bias + layer.biases[0] + layer.biases[1]


def pixel_adaptive(layer: Any, x: Tensor) -> Tensor:
    weight, stride = layer.conv.weight, layer.conv.stride
    seen = windows(x, weight.shape[-1], stride)
    guide = seen
    if layer.guidance == "coordinates":  # beyond the border only a zero is weighted, whatever its coordinates
        guide = windows(grid(*x.shape[2:]).to(x)[None], weight.shape[-1], stride)
    middle = (weight.shape[-1] - 1) // 2 * (weight.shape[-1] + 1)
    alike = torch.exp(-(guide - guide[:, :, middle : middle + 1]).square().sum(1, keepdim=True) / 2)
    y = torch.einsum("nitp,oit->nop", seen * alike, weight.flatten(2)) + layer.conv.bias[:, None]
    return y.unflatten(2, tuple(-(-n // stride) for n in x.shape[2:]))


def involution(layer: Any, x: Tensor) -> Tensor:
    """Without a stride."""
    x = x if layer.first is None else functional.conv2d(x, layer.first.weight)
    hidden = functional.conv2d(x, layer.reduce.weight, layer.reduce.bias)
    kernels = functional.conv2d(layer.norm(hidden).relu(), layer.span.weight, layer.span.bias)
    kernels = kernels.flatten(2).unflatten(1, (layer.groups, 1, -1))
    seen = windows(x, layer.kernel_size, 1).unflatten(1, (layer.groups, -1))
    return (kernels * seen).sum(3).view(x.shape) + layer.bias.view(-1, 1, 1)


def deformable(layer: Any, x: Tensor) -> Tensor:
    weight, bias, stride = layer.conv.weight, layer.conv.bias, layer.conv.stride
    k, (height, width) = weight.shape[-1], x.shape[2:]
    steer = functional.conv2d(padded(x, k), layer.steer.weight, layer.steer.bias, stride)
    down, right, fade = steer.unflatten(1, (3, k * k)).unbind(1)
    rows = torch.arange(steer.shape[2]).view(-1, 1) * stride
    columns = torch.arange(steer.shape[3]) * stride
    y: Any = bias.view(1, -1, 1, 1)
    for tap in range(k * k):
        row = rows + tap // k - (k - 1) // 2 + down[:, tap]
        column = columns + tap % k - (k - 1) // 2 + right[:, tap]
        read: Any = 0
        for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
            r, c = row.floor().detach() + corner[0], column.floor().detach() + corner[1]
            share = (1 - (row - r).abs()) * (1 - (column - c).abs())
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            index = (r.clamp(0, height - 1) * width + c.clamp(0, width - 1)).long()
            value = (
                x.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, x.shape[1], -1)).unflatten(2, row.shape[1:])
            )
            read = read + value * (share * inside)[:, None]
        y = y + torch.einsum("nihw,oi->nohw", read * fade[:, tap, None].sigmoid(), weight[:, :, tap // k, tap % k])
    return y


def dynamic_conv(layer: Any, x: Tensor) -> Tensor:
    kernels, biases = layer.conv.weight.chunk(layer.kernels), layer.conv.bias.chunk(layer.kernels)
    images = []
    for image in x:
        scores = layer.excite(layer.squeeze(image.mean((1, 2))).relu())
        shares = (scores / layer.temperature).softmax(0)
        weight = sum(s * w for s, w in zip(shares, kernels, strict=True))
        bias = sum(s * b for s, b in zip(shares, biases, strict=True))
        images.append(functional.conv2d(padded(image[None], weight.shape[-1]), weight, bias, layer.conv.stride))
    return torch.cat(images)


def tiled_conv(layer: Any, x: Tensor) -> Tensor:
    weights, biases = layer.conv.weight.chunk(layer.tile**2), layer.conv.bias.chunk(layer.tile**2)
    y = None
    for phase, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        full = functional.conv2d(padded(x, weight.shape[-1]), weight, bias, layer.stride)
        mask = torch.zeros_like(full)
        mask[..., phase // layer.tile :: layer.tile, phase % layer.tile :: layer.tile] = 1
        y = full * mask if y is None else y + full * mask
    assert y is not None
    return y


def relative_attention(layer: Any, x: Tensor) -> Tensor:
    """One query at a time, without a stride."""
    height, width = x.shape[2:]
    projected = functional.conv2d(x, layer.split.weight)
    q, k, v = projected.flatten(2).unflatten(1, (3, layer.heads, -1)).unbind(1)  # (N, heads, channels, pixels)
    row, column = torch.arange(height * width) // width, torch.arange(height * width) % width
    columns = []
    for p in range(height * width):
        down, right = row - row[p], column - column[p]
        down, right = (down % height, right % width) if layer.circular else (down + height - 1, right + width - 1)
        r = layer.distances[0][down] + layer.distances[1][right]  # (pixels, channels)
        query = q[..., p] / math.sqrt(q.shape[2])
        scores = torch.einsum("nhc,nhcp->nhp", query, k) + torch.einsum("nhc,pc->nhp", query, r)
        columns.append(torch.einsum("nhp,nhcp->nhc", scores.softmax(-1), v).flatten(1))
    y = torch.stack(columns, -1).unflatten(2, (height, width))
    return functional.conv2d(y, layer.join.weight, layer.join.bias)


def learned_position(layer: Any, x: Tensor) -> Tensor:
    embedding = layer.embeddings[0] if len(layer.embeddings) == 1 else layer.embeddings[0] + layer.embeddings[1]
    return conv(layer, x + embedding)


def fourier_coordconv(layer: Any, x: Tensor) -> Tensor:
    phase = 2 * math.pi * torch.einsum("mc,chw->mhw", layer.frequencies, grid(*x.shape[2:]).to(x))
    features = torch.cat([phase.cos(), phase.sin()]).expand(len(x), -1, -1, -1)
    return conv(layer, torch.cat([x, features], 1))


def position_injection(layer: Any, x: Tensor) -> Tensor:
    y = conv(layer, x)
    return y + torch.einsum("oc,chw->ohw", layer.place.weight.flatten(1), grid(*y.shape[2:]).to(x))


def content_gate(layer: Any, x: Tensor) -> Tensor:
    y = conv(layer, x)
    attend = lambda seen: layer.excite(layer.squeeze(seen).relu())  # noqa: E731
    if layer.kind == "se":
        return y * attend(y.mean((2, 3))).sigmoid()[:, :, None, None]
    y = y * (attend(y.mean((2, 3))) + attend(y.amax((2, 3)))).sigmoid()[:, :, None, None]
    look = torch.stack([y.mean(1), y.amax(1)], 1)
    return y * functional.conv2d(look, layer.spatial.weight, layer.spatial.bias, padding=3).sigmoid()


def constant_channel(layer: Any, x: Tensor) -> Tensor:
    return conv(layer, torch.cat([x, torch.ones_like(x[:, :1])], 1))


def noise_channel(layer: Any, x: Tensor) -> Tensor:
    noise = torch.randn(len(x), 1, *x.shape[2:]).to(x) if layer.training else torch.zeros_like(x[:, :1])
    return conv(layer, torch.cat([x, noise], 1))


def unit_gate(layer: Any, x: Tensor) -> Tensor:
    return functional.conv2d(conv(layer, x), layer.project.weight, layer.project.bias)


FORMS: dict[str, Form] = {
    "conv": conv,
    "coordconv": coordconv,
    "coordconv[radius=true]": coordconv,
    "coordconv[shift=0.5]": coordconv,
    "coordconv[per=batch, radius=true, shift=0.5]": coordconv,
    "geoconv": geoconv,
    "geoconv[per=batch]": geoconv,
    "geoconv[gain=slope, merge=sumsq]": geoconv,
    "geoconv[merge=sum]": geoconv,
    "geoconv[merge=radix]": geoconv,
    "geoconv[merge=hypot]": geoconv,
    "coordgate": coordgate,
    "content_gate": content_gate,
    "content_gate[kind=cbam]": content_gate,
    "position_injection": position_injection,
    "learned_position": learned_position,
    "learned_position[form=separable]": learned_position,
    "fourier_coordconv": fourier_coordconv,
    "tiled_conv": tiled_conv,
    "tiled_conv[tile=3]": tiled_conv,
    "locally_connected": locally_connected,
    "low_rank_locally_connected": low_rank_locally_connected,
    "pixel_adaptive": pixel_adaptive,
    "pixel_adaptive[guidance=coordinates]": pixel_adaptive,
    "involution": involution,
    "deformable": deformable,
    "dynamic_conv": dynamic_conv,
    "relative_attention": relative_attention,
    "relative_attention[circular=true]": relative_attention,
    "constant_channel": constant_channel,
    "noise_channel": noise_channel,
    "unit_gate": unit_gate,
}
"""Selector -> its form."""
