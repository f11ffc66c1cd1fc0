"""Dynamic convolution: one kernel per image, mixed from a few by attention to the mean of the input.

Chen, Dai, Liu, Chen, Yuan, Liu, "Dynamic convolution: attention over convolution kernels", 2019, arXiv 1912.03458:
y = sum_k pi_k (W_k * x + b_k), pi = softmax(FC(relu(FC(mean x))) / T).

The same at all pixels of an image: the control for kernels that vary in space. Deviations: any number of dimensions; T
stays as given instead of falling from 30 to 1 during the first epochs.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from coordbench.harness.core.registry import variant
from coordbench.variants._parts.convolution import Convolution, Padding, conv_flops, conv_parameters, convolve, strided


def _parameters(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    size: tuple[int, ...],
    bias: bool,
    kernels: int = 4,
    **_: Any,
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


@variant("dynamic_conv", source="Chen et al. 2019, arXiv 1912.03458", flops=_flops, parameters=_parameters)
class DynamicConv(nn.Module):
    """Convolution by a mixture of kernels that each image chooses as a whole."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, kernels: int = 4, temperature: float = 30.0, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        for name, value in {"kernels": kernels, "temperature": temperature}.items():
            if value <= 0:
                raise ValueError(f"{name}={value} must be above 0")
        self.kernels, self.temperature, hidden = kernels, temperature, max(in_channels // 4, 1)
        self.conv = Convolution(
            in_channels, kernels * out_channels, kernel_size, len(size), stride=stride, bias=bias, padding=padding
        )
        self.squeeze, self.excite = nn.Linear(in_channels, hidden), nn.Linear(hidden, kernels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        conv, images = self.conv, x.shape[0]
        share = (self.excite(self.squeeze(x.flatten(2).mean(2)).relu()) / self.temperature).softmax(1)
        weight = share @ conv.weight.reshape(self.kernels, -1).to(share.dtype)
        weight = weight.view(-1, *conv.weight.shape[1:])  # (N C_out, C, *kernel): one group per image
        bias = None if conv.bias is None else (share @ conv.bias.view(self.kernels, -1).to(share.dtype)).flatten()
        if images == 0:
            weight, bias = conv.weight[: len(conv.weight) // self.kernels], None
        x = x.reshape(1, -1, *x.shape[2:]) if images else x
        y = convolve(x, weight, bias, stride=conv.stride, padding=conv.padding, groups=max(images, 1))
        return y.reshape(images, len(conv.weight) // self.kernels, *y.shape[2:])
