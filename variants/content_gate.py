"""Content gates: attention that looks at what is there and knows no place; the control for gates that do.

`kind=se`: Hu, Shen, Sun, "Squeeze-and-excitation networks", 2017, arXiv 1709.01507. `kind=cbam`: Woo, Park, Lee, Kweon,
"CBAM: Convolutional block attention module", 2018, arXiv 1807.06521.

Deviations: any number of dimensions; at least one hidden channel; no batch normalization after CBAM's 7x7.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, Padding, conv_flops, conv_parameters, strided

Kind = Literal["se", "cbam"]


def _parameters(
    in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], bias: bool, kind: Kind = "se",
    reduction: int = 16, **_: Any,
) -> int:  # fmt: skip
    """(k^d C_in + 1) C_out, and h (2 C_out + 1) + C_out for the gate with h = C_out / reduction; 99 more for CBAM."""
    hidden = max(out_channels // reduction, 1)
    spatial = conv_parameters(2, 1, 7, size) if kind == "cbam" else 0
    channel = hidden * (out_channels + 1) + out_channels * (hidden + 1)
    return conv_parameters(in_channels, out_channels, kernel_size, size, bias) + channel + spatial


def _flops(layer: ContentGate, shape: tuple[int, ...]) -> int:
    weight, out, images = layer.conv.weight, strided(shape[2:], layer.conv.stride), shape[0]
    (hidden, channels), looks = layer.squeeze.weight.shape, 2 if layer.kind == "cbam" else 1
    gates = looks * (2 * images * 2 * hidden * channels + images * channels * math.prod(out))
    spatial = conv_flops(images, 2, 1, 7, out) if layer.kind == "cbam" else 0
    return conv_flops(images, shape[1], channels, weight.shape[-1], out) + gates + spatial


@variant(
    "content_gate",
    source="Hu et al. 2017, arXiv 1709.01507; Woo et al. 2018, arXiv 1807.06521",
    flops=_flops,
    parameters=_parameters,
)
class ContentGate(nn.Module):
    """Convolution, gated by a function of its own output."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, kind: Kind = "se", reduction: int = 16, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        if reduction < 1:
            raise ValueError(f"reduction={reduction} must be at least 1")
        dims, hidden, self.kind = len(size), max(out_channels // reduction, 1), kind
        self.conv = Convolution(in_channels, out_channels, kernel_size, dims, stride=stride, bias=bias, padding=padding)
        self.squeeze, self.excite = nn.Linear(out_channels, hidden), nn.Linear(hidden, out_channels)
        self.spatial = Convolution(2, 1, 7, dims, padding=padding) if kind == "cbam" else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        y: Tensor = self.conv(x)
        pixels = y.flatten(2)
        gate = self._excite(pixels.mean(2))
        if self.spatial is None:
            return _gated(y, gate)
        y = _gated(y, gate + self._excite(pixels.amax(2)))
        return _gated(y, self.spatial(torch.cat([y.mean(1, keepdim=True), y.amax(1, keepdim=True)], 1)))

    def _excite(self, seen: Tensor) -> Tensor:
        result: Tensor = self.excite(self.squeeze(seen).relu())
        return result


def _gated(y: Tensor, gate: Tensor) -> Tensor:
    return y * gate.sigmoid().view(*gate.shape, *(1,) * (y.dim() - gate.dim()))
