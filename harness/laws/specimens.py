"""A layer under examination: build it, run it with its gradients, compare what comes out, count its FLOPs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from coordbench.harness.core.entries import Layer
from coordbench.harness.core.errors import UsageError

CHANNELS = 4, 8
SIZES: dict[int, tuple[int, ...]] = {1: (9,), 2: (6, 5), 3: (4, 3, 5)}
"""Number of dimensions -> the spatial size that laws use where one is enough."""
SMALL_SIZES: dict[int, tuple[int, ...]] = {1: (5,), 2: (4, 3), 3: (3, 2, 3)}
SEED = 2


def count_flops(module: nn.Module, x: Tensor) -> int:
    """Count what the formulas of layers count, by watching the forward pass.

    Convolutions and matrix products at 2 FLOPs per multiply-add, products of two tensors at 1 per element, linear
    interpolation at 2 per corner. Sums, scalar factors and activations do not count, as is the custom.
    """
    contractions = FlopCounterMode(display=False)
    with contractions, _Products() as products, torch.no_grad():
        module(x)
    total: int = contractions.get_total_flops() + products.total
    return total


class _Products(TorchDispatchMode):
    """Count the elementwise products and interpolations that FlopCounterMode passes over in silence."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("mul", "mul_") and all(isinstance(a, Tensor) and a.dim() for a in args[:2]):
            self.total += result.numel() if result.is_floating_point() else 0
        if name == "addcmul":
            self.total += 2 * result.numel()
        if name.startswith("grid_sampler"):
            self.total += 2 * 2 ** (args[0].dim() - 2) * result.numel()
        return result


def dims_of(layer: Layer) -> int:
    dims: tuple[int, ...] = layer.selected.entry.dims
    return 2 if 2 in dims else dims[0]


def module_of(
    layer: Layer, dims: int | None = None, kernel_size: int = 3, stride: int = 1, size: tuple[int, ...] | None = None
) -> nn.Module:
    """Build a layer at evaluation, its parameters moved off their start, where gates are 1 and offsets 0."""
    module = layer(*CHANNELS, kernel_size, size=size or SIZES[dims or dims_of(layer)], stride=stride).eval()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return module


def run(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Call a layer with the global generator in a known state, for layers that draw."""
    torch.manual_seed(SEED)
    return module(x)


def loaded(layer: Layer, module: nn.Module) -> nn.Module:
    """A fresh layer with the state of another."""
    fresh = layer(*CHANNELS, 3, size=SIZES[dims_of(layer)]).eval()
    fresh.load_state_dict(module.state_dict())
    return fresh


def bare(module: nn.Module) -> nn.Module:
    """The layer without its link to the factory, whose function a plug-in's pickle could not find again."""
    twin = copy.deepcopy(module)
    del twin.coordbench_layer
    return twin


def pure(module: nn.Module, names: tuple[str, ...]) -> Callable[..., Tensor]:
    """The layer as a function of input and parameters: same random numbers and same buffers at every call."""
    buffers = dict(module.named_buffers())
    start = torch.Generator().manual_seed(SEED).get_state()

    def function(x: Tensor, *values: Tensor) -> Tensor:
        torch.set_rng_state(start)
        state = {name: b.clone() for name, b in buffers.items()} | dict(zip(names, values, strict=True))
        result: Tensor = functional_call(module, state, (x,))
        return result

    return function


def with_gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, gradient of the input and gradients of the parameters of a fixed loss."""
    module, x = copy.deepcopy(module), x.detach().requires_grad_()
    y = run(module, x)
    weights = torch.randn(y.shape)
    values = [x, *module.parameters()]
    gradients = torch.autograd.grad((y * weights).sum(), values, allow_unused=True)
    return [y.detach(), *(torch.zeros_like(v) if g is None else g for g, v in zip(gradients, values, strict=True))]


def close_all(actual: list[Tensor], expected: list[Tensor], what: str, tolerance: float) -> None:
    for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
        close(a, b, f"{what}, {'output' if i == 0 else 'gradient'}", tolerance)


def close(actual: Tensor, expected: Tensor, what: str, tolerance: float) -> None:
    """Require that two tensors differ by at most `tolerance` times the largest value of the expected one, or 0.1."""
    scale = max(expected.abs().max().item(), 0.1) if expected.numel() else 1.0
    error = (actual - expected).abs().max().item() if expected.numel() else 0.0
    require(actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)} instead of {tuple(expected.shape)}")
    require(math.isfinite(error) and error <= tolerance * scale, f"{what}: off by {error:.3g} of {scale:.3g}")


def require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def error_of(call: Callable[[], object]) -> str:
    """The message of the ValueError that a call raises, or empty where it raises none."""
    try:
        call()
    except (ValueError, UsageError) as error:
        return str(error)
    return ""
