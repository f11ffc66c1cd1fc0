"""The convolution inside the layers: any number of dimensions, any padding, kernels odd or even."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.variants._parts.passes import Steps, convolve_plus, full_precision, layout, lowered
from coordbench.variants._parts.tricks import Memory

Padding = Literal["zeros", "circular", "reflect", "replicate"]


class Convolution(nn.Module):
    """Hold the weights of a convolution, initialized as `nn.ConvNd`, and apply them.

    A layer whose weights it has drawn by He's law says so by `starts_wide`.

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
        self.doubles = self.starts_wide = False
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

    def fuse_doubling(self) -> bool:
        """Read from now on maps without the zero that is meant to stand beside each pixel; False where it cannot."""
        self.doubles = self.stride == 1 and self.groups == 1 and self.padding in ("zeros", "extended", "circular")
        return self.doubles

    def canvas(self, x: Tensor) -> Tensor:
        """A map of the shape of x, zeros included, to ask for its size, device and dtype; it takes no memory."""
        if not self.doubles:
            return x
        return x.new_empty(()).expand(*x.shape[:2], *(2 * n for n in x.shape[2:]))

    def out(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """The size of the output for an input of a size, zeros left out."""
        return tuple(2 * n for n in size) if self.doubles else strided(size, self.stride)

    def flops(self, shape: tuple[int, ...]) -> int:
        """Cost of the convolution of an input (N, C, *size) alone, whatever stands beside it."""
        channels = shape[1] // self.groups
        if not self.doubles:
            return conv_flops(shape[0], channels, len(self.weight), self.weight.shape[-1], self.out(shape[2:]))
        reach = 2 * _around(self.weight.shape[-1]) if self.padding == "circular" else 0
        seen = tuple(n + reach for n in shape[2:])
        return conv_flops(shape[0], channels, len(self.weight), self.weight.shape[-1], seen)

    def become(self, weight: Tensor, bias: Tensor | None) -> None:
        """Take the weight (C_out, C, *kernel) and bias of a plain convolution; other input channels weigh nothing."""
        with torch.no_grad():
            self.weight.zero_()
            self.weight[:, : weight.shape[1]] = weight
            if self.bias is not None:
                self.bias.zero_() if bias is None else self.bias.copy_(bias)

    def pass_on(self) -> None:
        """Become the convolution that changes nothing: a weight of 1 from each channel to itself."""
        with torch.no_grad():
            self.weight.zero_()
            for channel in range(len(self.weight)):
                self.weight[(channel, channel, *((n - 1) // 2 for n in self.weight.shape[2:]))] = 1
            if self.bias is not None:
                self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride)), or (.., *(2 * size)) if it doubles."""
        if self.doubles:
            x, steps = self._steps(x)
            x, weight = lowered(x, steps.weight(self.weight))
            return steps.apply(x, weight, None if self.bias is None else self.bias.to(x.dtype))
        return convolve(x, self.weight, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)

    def precise(self, x: Tensor) -> Tensor:
        """Convolve one image in its own dtype, whatever that of the weights."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return convolve(x, self.weight.to(x.dtype), bias, stride=self.stride, padding=self.padding, groups=self.groups)

    def beside(self, x: Tensor, channels: Tensor, mix: Tensor | None = None) -> Tensor:
        """Convolve x with channels that do not depend on it appended, without ever appending them.

        The sum over input channels falls apart: conv([x, c]) = conv(x) + conv(c), and conv(c) is one map for the
        batch. `channels` is (B, G, *size); image n sees `channels[0] + sum_b mix[n, b] channels[1 + b]`, mix being
        (N, B - 1). Without `mix` B is 1 or N. With padding "extended" the channels hold their own margin.
        """
        maps = self._biased(self._maps(x, channels), mix)
        return self._add(x, self.weight[:, : x.shape[1]], maps, mix)

    def plus_still(self, x: Tensor, maps: Callable[[], Tensor], owner: nn.Module) -> Tensor:
        """Convolve x and add maps (1, out_channels, *out) of which the same holds, and the bias."""
        return self._still(x, self.weight, maps, owner)

    def _still(self, x: Tensor, weight: Tensor, maps: Callable[[], Tensor], owner: nn.Module) -> Tensor:
        """Add maps that are remembered while evaluating, bias and all, in the layout of x."""
        key = (x.shape[1:], x.dtype, layout(x))
        biased = self.memory.recall(owner, key, lambda: self._biased(maps()).contiguous(memory_format=layout(x)))
        return self._add(x, weight, biased)

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
        x, steps = self._steps(x)
        return convolve_plus(x, weight, maps, mix, steps)

    def _steps(self, x: Tensor) -> tuple[Tensor, Steps]:
        """x with the border that the operation does not put around it by itself, and how to go over it."""
        kernel_size, mode = self.weight.shape[-1], "zeros" if self.padding == "extended" else self.padding
        if self.doubles:
            reach = _around(kernel_size) if mode == "circular" else 0
            return pad(x, 2 * reach + 1, mode), Steps(2, (kernel_size - 1) // 2 + 2 * reach, doubles=True)
        built_in = kernel_size // 2 if mode == "zeros" and kernel_size % 2 else 0
        return (x if built_in else pad(x, kernel_size, mode)), Steps(self.stride, built_in)


class ConvolutionLayer(nn.Module):
    """A layer around one convolution, `conv`, which it does not take apart."""

    conv: Convolution

    def fuse_doubling(self) -> bool:
        """Read from now on maps without the zero that is meant to stand beside each pixel; False where it cannot."""
        return self.conv.fuse_doubling()


def _around(kernel_size: int) -> int:
    """How many pixels of a map that is to be doubled a kernel may meet beyond its border."""
    return (kernel_size + kernel_size % 2) // 4


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: str = "zeros", groups: int = 1
) -> Tensor:
    """Convolve (N, C_in, *size) with (C_out, C_in / groups, *kernel); padding "none" leaves the border out."""
    kernel_size = weight.shape[-1]
    built_in = kernel_size // 2 if padding == "zeros" and kernel_size % 2 else 0
    if padding != "none" and not built_in:
        x = pad(x, kernel_size, "zeros" if padding == "extended" else padding)
    return Steps(stride, built_in).apply(x, weight, bias, groups)


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
