"""Dynamic convolution: one kernel per image, mixed from a few by attention to the mean of the input.

Chen, Dai, Liu, Chen, Yuan, Liu, "Dynamic convolution: attention over convolution kernels", 2019, arXiv 1912.03458:
y = sum_k pi_k (W_k * x + b_k), pi = softmax(FC(relu(FC(mean x))) / T).

The same at all pixels of an image: the control for kernels that vary in space. As in the paper T falls from 30 to 1 in
equal steps, so that all kernels learn at first. Deviations: any number of dimensions; the fall takes the first `anneal`
forward passes of training, where the paper's takes ten epochs, since a layer knows no epochs; `anneal=0` leaves T as it
is given.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, Padding, conv_flops, conv_parameters, convolve, strided
from coordbench.variants._parts.textbook import padded


def _parameters(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    size: tuple[int, ...],
    bias: bool,
    kernels: int = 4,
    **_: object,
) -> int:
    """(k^d C_in + 1) n C_out, and h (C_in + 1) + n (h + 1) for the attention over n kernels with h = C_in / 4."""
    hidden = max(in_channels // 4, 1)
    attention = hidden * (in_channels + 1) + kernels * (hidden + 1)
    return conv_parameters(in_channels, kernels * out_channels, kernel_size, size, bias) + attention


def _flops(layer: DynamicConv, shape: tuple[int, ...]) -> int:
    (images, channels, *_), weight = shape, layer.conv.weight
    kernels, hidden = layer.excite.weight.shape
    out = strided(shape[2:], layer.conv.stride)
    numbers = weight.numel() + (0 if layer.conv.bias is None else layer.conv.bias.numel())
    attention = 2 * images * (hidden * channels + hidden * kernels + numbers)
    return attention + conv_flops(images, channels, len(weight) // kernels, weight.shape[-1], out)


def textbook(layer: DynamicConv, x: Tensor) -> Tensor:
    """Mix the kernels for each image, then convolve that image."""
    kernels, conv, temperature, images = layer.kernels, layer.conv, layer.temperature(), []
    layer.passed()
    for image in x:
        scores = layer.excite(layer.squeeze(image.mean((1, 2))).relu())
        shares = (scores / temperature).softmax(0)
        weight = torch.einsum("k,k...->...", shares, conv.weight.unflatten(0, (kernels, -1)))
        bias = None if conv.bias is None else shares @ conv.bias.unflatten(0, (kernels, -1))
        images.append(functional.conv2d(padded(image[None], weight.shape[-1], conv.padding), weight, bias, conv.stride))
    return torch.cat(images)


def _identity(layer: DynamicConv, weight: Tensor, bias: Tensor | None) -> None:
    """The same kernel, whichever an image chooses."""
    repeated = weight.repeat(layer.kernels, *(1,) * (weight.dim() - 1))
    layer.conv.become(repeated, None if bias is None else bias.repeat(layer.kernels))


@variant(
    "dynamic_conv",
    source="Chen et al. 2019, arXiv 1912.03458",
    flops=_flops,
    parameters=_parameters,
    textbook=textbook,
    identity=_identity,
)
class DynamicConv(nn.Module):
    """Convolution by a mixture of kernels that each image chooses as a whole."""

    passes: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, kernels: int = 4, temperature: float = 30.0, anneal: int = 100,
        padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        for name, value in {"kernels": kernels, "temperature": temperature}.items():
            if value <= 0:
                raise ValueError(f"{name}={value} must be above 0")
        if anneal < 0:
            raise ValueError(f"anneal={anneal} must be at least 0")
        self.kernels, self.start, self.anneal, hidden = kernels, temperature, anneal, max(in_channels // 4, 1)
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.conv = Convolution(
            in_channels, kernels * out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )
        self.squeeze, self.excite = nn.Linear(in_channels, hidden), nn.Linear(hidden, kernels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        conv, images = self.conv, x.shape[0]
        share = (self.excite(self.squeeze(x.flatten(2).mean(2)).relu()) / self.temperature()).softmax(1)
        self.passed()
        weight = share @ conv.weight.reshape(self.kernels, -1).to(share.dtype)
        weight = weight.view(-1, *conv.weight.shape[1:])  # (N C_out, C, *kernel): one group per image
        bias = None if conv.bias is None else (share @ conv.bias.view(self.kernels, -1).to(share.dtype)).flatten()
        if images == 0:
            weight, bias = conv.weight[: len(conv.weight) // self.kernels], None
        x = x.reshape(1, -1, *x.shape[2:]) if images else x
        y = convolve(x, weight, bias, stride=conv.stride, padding=conv.padding, groups=max(images, 1))
        return y.reshape(images, len(conv.weight) // self.kernels, *y.shape[2:])

    def temperature(self) -> Tensor | float:
        """T at the next call."""
        if not self.anneal:
            return self.start
        return self.start + (1 - self.start) * (self.passes / self.anneal).clamp(max=1)

    def passed(self) -> None:
        """Count a pass of training."""
        if self.training and self.anneal:
            self.passes = self.passes + 1  # in place, a compiled backward pass would see the count of the next call
