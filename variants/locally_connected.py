"""Locally connected layer: a convolution whose weights are not shared between pixels.

LeCun, "Generalization and network design strategies", 1989; Taigman et al., "DeepFace", CVPR 2014.

y_o(p) = b_{p,o} + sum_{i,d} W_{p,o,i,d} x_i(p + d). Deviations: any number of dimensions; initialized as a convolution
of the same fan-in would be. Fixed to the size that it was built for.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Padding, conv_flops, pad, patches, require_size, strided
from coordbench.variants._parts.gate import gated
from coordbench.variants._parts.passes import lowered
from coordbench.variants._parts.textbook import windows
from coordbench.variants._parts.tricks import blockwise
from coordbench.variants._parts.windows import LocalProduct


def _parameters(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    size: tuple[int, ...],
    stride: int,
    bias: bool,
    **_: object,
) -> int:
    """(k^d C_in + 1) C_out H W."""
    fan_in = in_channels * math.prod((kernel_size,) * len(size))
    return math.prod(strided(size, stride)) * out_channels * (fan_in + bias)


def _flops(layer: LocallyConnected, shape: tuple[int, ...]) -> int:
    out = strided(layer.size, layer.stride)
    return conv_flops(shape[0], shape[1], layer.weight.shape[-1], layer.kernel_size, out)


def textbook(layer: LocallyConnected, x: Tensor) -> Tensor:
    """Unfold the windows of all pixels, each times its matrix."""
    weight = layer.weight.unflatten(1, (layer.kernel_size**2, -1))
    y = torch.einsum("nitp,ptio->nop", windows(x, layer.kernel_size, layer.stride, layer.padding), weight)
    y = y.view(*y.shape[:2], *strided(layer.size, layer.stride))
    return y if layer.bias is None else y + layer.bias


def _identity(layer: LocallyConnected, weight: Tensor, bias: Tensor | None) -> None:
    """The same weights at every pixel."""
    with torch.no_grad():
        layer.weight.copy_(weight.movedim((0, 1), (-1, -2)).reshape(-1, len(weight)).expand_as(layer.weight))
        if layer.bias is not None:
            layer.bias.zero_()
            layer.bias.add_(0 if bias is None else bias.view(-1, *(1,) * len(layer.size)))


@variant(
    "locally_connected",
    source="LeCun 1989, Generalization and network design strategies",
    fixed_size=True,
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class LocallyConnected(nn.Module):
    """Convolution with weights and bias of its own for each output pixel."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.kernel_size, self.stride, self.padding = size, kernel_size, stride, padding
        out, taps = strided(size, stride), math.prod((kernel_size,) * len(size))
        bound = (in_channels * taps) ** -0.5
        weight = torch.empty(math.prod(out), taps * in_channels, out_channels)  # a matrix per output pixel
        self.weight = nn.Parameter(weight.uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels, *out).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        require_size(x, self.size)
        k, stride = self.kernel_size, self.stride
        x, weight = lowered(pad(x, k, self.padding), self.weight)
        formula = partial(local_product, kernel_size=k, stride=stride)
        fast = blockwise(x)
        y: Tensor = LocalProduct.apply(x, weight, k, stride, formula) if fast else formula(x, weight)  # type: ignore[no-untyped-call]
        return y if self.bias is None else gated(y, None, self.bias[None])


def local_product(x: Tensor, weight: Tensor, *, kernel_size: int, stride: int) -> Tensor:
    """Multiply each window of a padded x (N, C, *padded) by its own matrix (pixels, k^d C, C_out): (N, C_out, *out)."""
    dims = x.dim() - 2
    windows = patches(x, kernel_size, stride)  # (N, C, *out, *kernel)
    order = [*range(2, 2 + dims), 0, *range(2 + dims, 2 + 2 * dims), 1]
    y = windows.permute(order).reshape(len(weight), x.shape[0], weight.shape[1]) @ weight
    return y.permute(1, 2, 0).view(x.shape[0], weight.shape[2], *windows.shape[2 : 2 + dims])
