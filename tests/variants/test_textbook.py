"""Layers against the textbook forms of their files, values and gradients, in float64 and in both memory layouts."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry

MORE = (
    "coordconv[shift=0.5]",
    "coordconv[per=batch, radius=true, shift=0.5]",
    "coordconv[padding=extended, shift=0.5]",
    "coordconv[padding=extended, radius=true]",
    "geoconv[gain=slope, merge=sumsq]",
    "geoconv[merge=radix, padding=extended]",
    "coordgate[combine=affine, encoder=map, order=gate_first]",
    "coordgate[combine=add, encoder=fourier, order=gate_first, project=true]",
    "tiled_conv[tile=3]",
)
"""Options that are numbers, or that meet each other in the code."""


def selectors() -> Iterator[str]:
    """Each variant, then each choice that its options offer, one at a time."""
    for entry in registry.entries("variant"):
        yield entry.name
        for option in entry.options:
            for choice in _choices(option.annotation):
                if choice != option.default:
                    yield f"{entry.name}[{option.name}={str(choice).lower()}]"
    yield from MORE


def _choices(annotation: object) -> list[str | bool]:
    if annotation is bool:
        return [True, False]
    parts = typing.get_args(annotation)
    return [part for part in parts if isinstance(part, str)] + [c for part in parts for c in _choices(part)]


def textbook(selector: str) -> Callable[[nn.Module, Tensor], Tensor]:
    form: Callable[[nn.Module, Tensor], Tensor] = registry.select("variant", selector).entry.textbook
    return form


def _run(function: Callable[[Tensor], Tensor], layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, then gradients of input and parameters, of a loss that weighs every output differently."""
    torch.manual_seed(1)  # for layers that draw a shift or noise
    x = x.detach().requires_grad_()
    y = function(x)
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("selector", [*dict.fromkeys(selectors())])
@pytest.mark.parametrize(("kernel_size", "stride", "size"), [(3, 1, (6, 7)), (2, 2, (7, 4)), (5, 2, (6, 5))])
def test_textbook(selector: str, kernel_size: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer, form = registry.layer(selector)(4, 8, kernel_size, size=size, stride=stride).double(), textbook(selector)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.3 * torch.randn_like(p))  # away from the start, where gates are 1 and offsets 0
    x = torch.randn(3, 4, *size, dtype=torch.float64)
    for training in (True, False):
        layer.train(training)
        start = {name: buffer.clone() for name, buffer in layer.named_buffers()}
        expected = _run(lambda x: form(layer, x), layer, x)
        for layout in (torch.contiguous_format, torch.channels_last):
            layer.load_state_dict(start, strict=False)
            actual = _run(layer, layer, x.contiguous(memory_format=layout))
            torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)
        with torch.no_grad():
            for _ in range(2):  # the second is remembered from the first
                layer.load_state_dict(start, strict=False)
                torch.testing.assert_close(_seeded(layer, x), expected[0].detach(), rtol=1e-12, atol=1e-12)


def _seeded(layer: nn.Module, x: Tensor) -> Tensor:
    torch.manual_seed(1)
    y: Tensor = layer(x)
    return y


def test_every_variant_of_ours_has_a_textbook_form() -> None:
    assert [entry.name for entry in registry.entries("variant") if entry.textbook is None] == []
