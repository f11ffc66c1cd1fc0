"""The convolution inside the layers: any number of dimensions, any padding, kernels odd or even."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.variants._parts.passes import Memory, convolve_plus, full_precision, layout

Padding = Literal["zeros", "circular", "reflect", "replicate"]

_CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


class Convolution(nn.Module):
    """Hold the weights of a convolution, initialized as `nn.ConvNd`, and apply them.

    Raises ValueError where `groups` does not divide the channels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dims: int, *, stride: int = 1, bias: bool = True,
        padding: str = "zeros", groups: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        for name, channels in {"in_channels": in_channels, "out_channels": out_channels}.items():
            if groups < 1 or channels % groups:
                raise ValueError(f"groups={groups} does not divide {name}={channels}")
        self.stride, self.padding, self.groups, self.memory = stride, padding, groups, Memory()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *(kernel_size,) * dims))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            nn.init.uniform_(self.bias, *(sign * self.weight[0].numel() ** -0.5 for sign in (-1, 1)))

    @property
    def margin(self) -> tuple[int, int]:
        """How far position channels reach beyond the border, before and after [px]: nowhere unless "extended"."""
        kernel_size = self.weight.shape[-1]
        return ((kernel_size - 1) // 2, kernel_size // 2) if self.padding == "extended" else (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        return convolve(x, self.weight, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)

    def precise(self, x: Tensor) -> Tensor:
        """Convolve one image in its own dtype, whatever that of the weights."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if self.weight.shape[-1] == 1:  # a matrix product, several times as fast as a convolution of one image
            weight, pixels = self.weight.flatten(1).to(x.dtype), x[0].flatten(1)
            y = weight @ pixels if bias is None else torch.addmm(bias[:, None], weight, pixels)
            return y.view(1, -1, *x.shape[2:])
        return convolve(x, self.weight.to(x.dtype), bias, stride=self.stride, padding=self.padding, groups=self.groups)

    def beside(self, x: Tensor, channels: Tensor, mix: Tensor | None = None) -> Tensor:
        """Convolve x with channels that do not depend on it appended, without ever appending them.

        The sum over input channels falls apart: conv([x, c]) = conv(x) + conv(c), and conv(c) is one map for the
        batch. `channels` is (B, G, *size); image n sees `channels[0] + sum_b mix[n, b] channels[1 + b]`, mix being
        (N, B - 1). Without `mix` B is 1 or N. With padding "extended" the channels hold their own margin.
        """
        maps = self._biased(self._maps(x, channels), mix)
        return self._add(x, self.weight[:, : x.shape[1]], maps, mix)

    def beside_still(self, x: Tensor, channels: Callable[[], Tensor], owner: nn.Module | None = None) -> Tensor:
        """As `beside`, for channels that are a function of the shape of x and of the state of `owner` alone."""
        return self._still(x, self.weight[:, : x.shape[1]], lambda: self._maps(x, channels()), owner or self)

    def plus_still(self, x: Tensor, maps: Callable[[], Tensor], owner: nn.Module) -> Tensor:
        """Convolve x and add maps (1, out_channels, *out) of which the same holds, and the bias."""
        return self._still(x, self.weight, maps, owner)

    def _still(self, x: Tensor, weight: Tensor, maps: Callable[[], Tensor], owner: nn.Module) -> Tensor:
        """Add maps that are kept while evaluating, bias and all, in the layout of x."""
        key = (x.shape[1:], x.dtype, layout(x))
        kept = self.memory.recall(owner, key, lambda: self._biased(maps()).contiguous(memory_format=layout(x)))
        return self._add(x, weight, kept)

    def _maps(self, x: Tensor, channels: Tensor) -> Tensor:
        """The share of channels that do not depend on x in the convolution of both."""
        other, padding = self.weight[:, x.shape[1] :], "none" if self.padding == "extended" else self.padding
        with full_precision(x):
            return convolve(channels, other.to(channels.dtype), stride=self.stride, padding=padding)

    def _biased(self, maps: Tensor, mix: Tensor | None = None) -> Tensor:
        """Add the bias to what each image sees once."""
        if self.bias is None:
            return maps
        with_bias = maps[: None if mix is None else 1] + self.bias.to(maps.dtype).view(-1, *(1,) * (maps.dim() - 2))
        return with_bias if mix is None else torch.cat([with_bias, maps[1:]])

    def _add(self, x: Tensor, weight: Tensor, maps: Tensor, mix: Tensor | None = None) -> Tensor:
        kernel_size, mode = weight.shape[-1], "zeros" if self.padding == "extended" else self.padding
        built_in = kernel_size // 2 if mode == "zeros" and kernel_size % 2 else 0
        x = x if built_in else pad(x, kernel_size, mode)
        return convolve_plus(x, weight, maps, mix, self.stride, built_in)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: str = "zeros", groups: int = 1
) -> Tensor:
    """Convolve (N, C_in, *size) with (C_out, C_in / groups, *kernel); padding "none" leaves the border out."""
    kernel_size = weight.shape[-1]
    built_in = kernel_size // 2 if padding == "zeros" and kernel_size % 2 else 0
    if padding != "none" and not built_in:
        x = pad(x, kernel_size, "zeros" if padding == "extended" else padding)
    return _CONVOLVE[x.dim() - 2](x, weight, bias, stride, built_in, 1, groups)


def pad(x: Tensor, kernel_size: int, mode: str) -> Tensor:
    """Pad each spatial axis by (k - 1) // 2 before and k // 2 after; axes may be shorter than the kernel."""
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    if after == 0:
        return x
    if mode in ("circular", "reflect") and after > min(x.shape[2:]) - (mode == "reflect"):
        for axis in range(2, x.dim()):
            x = x.index_select(axis, _wrapped(x.shape[axis], before, after, mode, x.device))
        return x
    return functional.pad(x, (before, after) * (x.dim() - 2), "constant" if mode == "zeros" else mode)


def _wrapped(n: int, before: int, after: int, mode: str, device: torch.device) -> Tensor:
    """Where each pixel of a padded axis of n pixels comes from, however often the padding goes around."""
    period = n if mode == "circular" else max(2 * (n - 1), 1)
    index = torch.arange(-before, n + after, device=device) % period
    return torch.where(index < n, index, period - index)


def patches(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """View a padded x (N, C, *padded) as the windows of a convolution: (N, C, *out, *kernel)."""
    for axis in range(2, x.dim()):
        x = x.unfold(axis, kernel_size, stride)
    return x


def require_size(x: Tensor, size: tuple[int, ...]) -> None:
    """Raise ValueError where x (N, C, *) is not of the size that a layer was built for."""
    if tuple(x.shape[2:]) != size:
        raise ValueError(f"built for size {size}, called with size {tuple(x.shape[2:])}")


def strided(size: tuple[int, ...], stride: int) -> tuple[int, ...]:
    """The spatial size after a stride: ceil(size / stride)."""
    return tuple(-(-n // stride) for n in size)


def conv_parameters(
    in_channels: int, out_channels: int, kernel_size: int, size: tuple[int, ...], bias: bool = True, groups: int = 1
) -> int:
    """Weights and biases of a convolution."""
    return out_channels * (in_channels // groups * math.prod((kernel_size,) * len(size)) + bias)


def conv_flops(images: int, in_channels: int, out_channels: int, kernel_size: int, size: tuple[int, ...]) -> int:
    """2 per multiply-add of a convolution whose output has the given size; `in_channels` are those of one group."""
    return 2 * images * out_channels * math.prod(size) * in_channels * math.prod((kernel_size,) * len(size))
