"""Layers against their textbook forms, values and gradients, in float64 and in both memory layouts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from coordbench.harness.core import registry
from coordbench.harness.core.selector import Selector


def _load(name: str) -> ModuleType:
    """A module that lies beside this file; the tests are no package."""
    specification = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


FORMS = _load("textbook").FORMS
NO_STRIDE = ("involution", "relative_attention")


def _run(function: Any, layer: Any, x: Tensor) -> list[Tensor]:
    """Output, then gradients of input and parameters, of a loss that weighs every output differently."""
    torch.manual_seed(1)  # for layers that draw a shift or noise
    x = x.detach().requires_grad_()
    y = function(x)
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("selector", FORMS)
@pytest.mark.parametrize(("kernel_size", "stride", "size"), [(3, 1, (6, 7)), (2, 2, (7, 4)), (5, 2, (6, 5))])
def test_textbook(selector: str, kernel_size: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    stride = 1 if selector.startswith(NO_STRIDE) else stride
    layer = registry.layer(selector)(4, 8, kernel_size, size=size, stride=stride).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.3 * torch.randn_like(p))  # away from the start, where gates are 1 and offsets 0
    x = torch.randn(3, 4, *size, dtype=torch.float64)
    for training in (True, False):
        layer.train(training)
        expected = _run(lambda x: FORMS[selector](layer, x), layer, x)
        for layout in (torch.contiguous_format, torch.channels_last):
            actual = _run(layer, layer, x.contiguous(memory_format=layout))
            torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)
        with torch.no_grad():
            torch.testing.assert_close(_seeded(layer, x), expected[0].detach(), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(_seeded(layer, x), expected[0].detach(), rtol=1e-12, atol=1e-12)  # from caches


def _seeded(layer: Any, x: Tensor) -> Tensor:
    torch.manual_seed(1)
    y: Tensor = layer(x)
    return y


def test_every_variant_has_a_textbook_form() -> None:
    names = {Selector.parse(selector).name for selector in FORMS}
    assert names == {entry.name for entry in registry.entries("variant")}
