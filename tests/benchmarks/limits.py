"""The least that a layer of place can take: its operations alone, called one after another, no modules, no autograd.

What a layer adds to a convolution has to be computed by some operation of torch, and where maps are small each costs
more than what it computes. Here each layer's are called bare, in place where torch can, with weights that lie as the
operation wants them, and nothing is checked, remembered or looked up: no layer of torch's operations can take less than
this. The convolution beside it is called bare as well. A test holds that they come to the same as the layer.
`python -m tests.benchmarks.layers --part limits` prints their times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core import registry
from coordbench.harness.measure.workload import LayerShape, build_layer
from coordbench.variants._parts.coordinates import coordinates
from coordbench.variants._parts.place import Channels, Coordinates, Windows, matrices
from coordbench.variants.geoconv import Geometry

Results = tuple[Tensor, ...]
"""The rows of the output, then gradients of what the layer has beside its convolution."""
Run = Callable[[], Results]


@dataclass(frozen=True)
class Operands:
    """What the operations of one step read: a layer, an input, the gradient of the output, the layer's weights."""

    layer: nn.Module
    x: Tensor
    grad: Tensor
    weight: Tensor
    bias: Tensor
    share: Tensor
    """The weights of the channels beside the input, (C_out, G k^d); none for a gate."""
    last: bool

    @classmethod
    def of(cls, name: str, shape: LayerShape) -> Operands:
        """Those of a layer, in the layout of a shape."""
        layer = build_layer(registry.layer(name), shape)
        form = torch.channels_last if shape.channels_last else torch.contiguous_format
        x, grad = (torch.randn(shape.input_shape).contiguous(memory_format=form) for _ in range(2))
        weight, bias = (dict(layer.named_parameters())[f"conv.{part}"].detach() for part in ("weight", "bias"))
        kernels = weight[:, : shape.channels].contiguous(memory_format=form)
        return cls(layer, x, grad, kernels, bias, weight[:, shape.channels :].flatten(1), shape.channels_last)

    @property
    def ones(self) -> Tensor:
        """(1, N): times the rows it is their sum."""
        return torch.ones(1, len(self.x))

    def convolve(self) -> Tensor:
        """The convolution of a layer, forward."""
        return functional.conv2d(self.x, self.weight, self.bias, 1, self.weight.shape[-1] // 2)

    def backward(self, grad: Tensor, *, bias: bool = True) -> None:
        """Its gradients, that of the bias where nothing else gives it."""
        reach = self.weight.shape[-1] // 2
        ends = [1, 1], [reach, reach], [1, 1], False, [0, 0], 1, [True, True, bias]
        torch.ops.aten.convolution_backward(grad, self.x, self.weight, [len(self.weight)], *ends)

    def rows(self, maps: Tensor) -> Tensor:
        """Each image as a row, in the order of memory."""
        return (maps.movedim(1, -1) if self.last else maps).view(len(maps), -1)

    def place(self, channels: Channels) -> tuple[Tensor, Tensor]:
        """The windows of channels, (B, G k^d, pixels), then the same with the ones of a bias; channels last: turned."""
        size, k = tuple(self.x.shape[2:]), self.weight.shape[-1]
        both = matrices(Windows(channels, size, torch.float32, self.x.device, k), self.last)
        return (both[..., :-1].contiguous() if self.last else both[:, :-1]), both

    def map(self, windows: Tensor) -> Tensor:
        """The share of the output that windows have, in the order of memory."""
        return windows @ self.share.t() if self.last else self.share @ windows

    def share_gradient(self, windows: Tensor, summed: Tensor) -> Tensor:
        """The gradient of the share, and of the bias, out of that of one map: (C_out, G k^d + 1)."""
        if self.last:
            return windows.t() @ summed.view(-1, len(self.share))
        return summed.view(len(self.share), -1) @ windows.t()


def conv(use: Operands) -> Run:
    """A plain convolution."""

    def step() -> Results:
        y = use.convolve()
        use.backward(use.grad)
        return (use.rows(y),)

    return step


def one_map(use: Operands, channels: Channels) -> Run:
    """CoordConv: one map for all images, a product of its weights with windows."""
    (windows,), (both,), ones = *use.place(channels), use.ones

    def step() -> Results:
        rows = use.rows(use.convolve())
        rows.add_(use.map(windows).view(-1))
        use.backward(use.grad, bias=False)
        return rows, use.share_gradient(both, ones @ use.rows(use.grad))

    return step


def geoconv(use: Operands, *, per_batch: bool) -> Run:
    """GeoConv with a shift drawn at each step, mixing four maps: one mixture for all images, or one for each."""
    (windows, both), ones = use.place(Geometry("product", 1.0, shifted=True)), use.ones
    images = 1 if per_batch else len(use.x)
    one, channels = torch.ones(images, 1), len(use.weight)

    def step() -> Results:
        shift = torch.rand(images, 2).mul_(4).sub_(2)
        mix = torch.cat([one, shift.flip(1), shift.prod(1, keepdim=True)], 1)
        rows = use.rows(use.convolve())
        use.backward(use.grad, bias=False)
        if per_batch:
            mixed = (mix @ both.flatten(1)).view(both.shape[1:])
            rows.add_(use.map(mixed[:, :-1] if use.last else mixed[:-1]).view(-1))
            return rows, use.share_gradient(mixed, ones @ use.rows(use.grad))
        rows.addmm_(mix, use.map(windows).flatten(1))
        summed = mix.t() @ use.rows(use.grad)
        if use.last:
            return rows, both.flatten(0, 1).t() @ summed.view(-1, channels)
        return rows, (summed.view(len(both), channels, -1) @ both.transpose(1, 2)).sum(0)

    return step


def coordgate(use: Operands) -> Run:
    """CoordGate: a perceptron of each pixel, its output times that of the convolution, and all their gradients."""
    place, channels, ones = coordinates(use.x).flatten(1).t().contiguous(), len(use.weight), use.ones
    names = dict(use.layer.named_parameters())
    weights = [p.detach().flatten(1) for name, p in names.items() if name.startswith("encoder") and p.dim() > 1]
    biases = [p.detach() for name, p in names.items() if name.startswith("encoder") and p.dim() == 1]

    def step() -> Results:
        hidden = [place]
        for weight, bias in zip(weights[:2], biases[:2], strict=True):
            hidden.append(torch.addmm(bias, hidden[-1], weight.t()).relu_())
        if use.last:
            gate = torch.addmm(biases[2], hidden[2], weights[2].t()).view(-1)
        else:
            gate = torch.addmm(biases[2][:, None], weights[2], hidden[2].t()).view(-1)
        rows, grad = use.rows(use.convolve()), use.rows(use.grad)
        y = rows * gate
        use.backward((grad * gate).as_strided(use.grad.shape, use.grad.stride()))
        summed = ones @ rows.mul_(grad)
        late = summed.view(-1, channels) if use.last else summed.view(channels, -1).t()  # (pixels, channels)
        gradients = []
        for depth in (2, 1, 0):
            gradients += [late.t() @ hidden[depth], late.sum(0)]
            if depth:
                late = torch.ops.aten.threshold_backward(late @ weights[depth], hidden[depth], 0)
        return y, *gradients

    return step


LIMITS: dict[str, Callable[[Operands], Run]] = {
    "conv": conv,
    "coordconv": lambda use: one_map(use, Coordinates()),
    "geoconv[per=batch]": lambda use: geoconv(use, per_batch=True),
    "geoconv": lambda use: geoconv(use, per_batch=False),
    "coordgate": coordgate,
}


def bare(name: str, shape: LayerShape) -> Run:
    """The operations of a layer, forward and backward, as a function to be called again and again."""
    torch.manual_seed(0)
    run = LIMITS[name](Operands.of(name, shape))

    def quietly() -> Results:
        with torch.no_grad():
            return run()

    return quietly
