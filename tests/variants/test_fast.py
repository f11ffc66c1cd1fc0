"""The hand-written passes: second derivatives, what they hold in memory, what is cached, and where they stand back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch._inductor.config
from torch import nn
from torch.func import vmap
from torch.utils.flop_counter import FlopCounterMode

from coordbench.harness.core import registry
from coordbench.harness.measure.allocations import track
from coordbench.harness.measure.workload import LayerShape
from coordbench.variants._parts import tricks
from tests.benchmarks.limits import LIMITS, Operands


def make(selector: str, in_channels: int = 2, out_channels: int = 3, size: tuple[int, ...] = (4, 3)) -> Any:
    torch.manual_seed(0)
    return registry.layer(selector)(in_channels, out_channels, 3, size=size)


@pytest.mark.parametrize(
    "selector",
    ["coordconv", "geoconv", "coordgate[width=4]", "coordgate[combine=affine, encoder=map]", "locally_connected",
     "pixel_adaptive"],
)  # fmt: skip
def test_second_derivatives(selector: str) -> None:
    layer = make(selector).double()
    names, values = zip(*layer.named_parameters(), strict=True)
    torch.manual_seed(1)
    x = torch.randn(2, 2, 4, 3, dtype=torch.float64, requires_grad=True)

    def function(x: torch.Tensor, *values: torch.Tensor) -> Any:
        torch.manual_seed(2)
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradgradcheck(function, (x, *values), fast_mode=True)


@pytest.mark.parametrize("selector", ["coordconv", "geoconv[per=batch]", "position_injection", "constant_channel"])
def test_position_takes_no_more_memory_than_a_map(selector: str) -> None:
    peaks = []
    for name in (selector, "conv"):
        layer, x = make(name, 16, 16, (32, 32)), torch.randn(32, 16, 32, 32, requires_grad=True)
        inputs = [x, *layer.parameters()]
        torch.autograd.grad(layer(x).sum(), inputs)
        with track() as allocated:
            torch.autograd.grad(layer(x).square().mean(), inputs)
        peaks.append(allocated.peak)
    assert peaks[0] <= 1.05 * peaks[1]


def test_the_gate_is_computed_once_per_update(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = make("coordgate").eval(), torch.randn(2, 2, 4, 3)
    calls, forward = [], layer.encoder.forward
    monkeypatch.setattr(layer.encoder, "forward", lambda y: calls.append(1) or forward(y))
    with torch.no_grad():
        layer(x), layer(x), layer(x[:1])
        assert len(calls) == 1
        layer.encoder.layers[0].weight.data[0, 0] += 1
        layer(x), layer(x)
        assert len(calls) == 2
        layer(torch.randn(2, 2, 5, 3))
        assert len(calls) == 3
    layer(x), layer(x)
    assert len(calls) == 5  # with gradients each call needs a graph of its own


def test_fast_paths_stand_back_where_something_looks_on() -> None:
    seen = []

    def look(x: torch.Tensor) -> torch.Tensor:
        seen.append(tricks.eager())
        return x * 2

    look(torch.ones(1))
    vmap(look)(torch.ones(2, 1))
    with FlopCounterMode(display=False):
        look(torch.ones(1))
    assert seen == [True, False, False]


def test_a_layer_under_autocast_trains_in_float32_parameters() -> None:
    layer, x = make("coordconv"), torch.randn(2, 2, 4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
        y.float().square().mean().backward()  # inside, where products of the backward pass would be lowered too
    assert y.dtype == torch.bfloat16
    exact = make("coordconv")
    exact(x).square().mean().backward()
    for low, high in zip(layer.parameters(), exact.parameters(), strict=True):
        assert low.grad.dtype == torch.float32
        torch.testing.assert_close(low.grad, high.grad, rtol=0.1, atol=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own
@pytest.mark.parametrize("selector", ["coordconv", "coordgate"])
def test_inductor(selector: str) -> None:
    """One case each: every other layer meets the compiler without code generation in the laws."""
    torch._dynamo.reset()
    results = []
    with torch._inductor.config.patch(compile_threads=1):
        for wrap in (lambda layer: layer, lambda layer: torch.compile(layer, fullgraph=True, dynamic=False)):
            layer = make(selector)
            y = wrap(layer)(torch.linspace(-1, 1, 48).view(2, 2, 4, 3))
            results.append([y, *torch.autograd.grad(y.square().mean(), list(layer.parameters()))])
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)
    torch._dynamo.reset()


@pytest.mark.parametrize("selector", ["coordconv", "geoconv", "fourier_coordconv", "coordgate"])
def test_what_is_remembered_in_inference_can_be_trained_with(selector: str) -> None:
    layer, x = make(selector, size=(7, 5)), torch.randn(2, 2, 7, 5)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


@pytest.mark.parametrize("selector", ["coordconv", "geoconv", "coordgate"])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_an_expanded_gradient_gives_what_a_real_one_does(selector: str, form: torch.memory_format) -> None:
    layer, x = make(selector), torch.randn(3, 2, 4, 3).contiguous(memory_format=form).requires_grad_()
    gradients = []
    for seen in (torch.ones(()).expand(3, 3, 4, 3), torch.ones(3, 3, 4, 3).contiguous(memory_format=form)):
        torch.manual_seed(3)
        gradients.append(torch.autograd.grad(layer(x), [x, *layer.parameters()], seen))
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("name", sorted(entry.name for entry in registry.entries("variant") if 2 in entry.dims))
def test_a_layer_without_a_bias_has_the_gradients_of_one_whose_bias_is_zero(name: str) -> None:
    x = torch.randn(2, 4, 6, 6)

    def build(bias: bool) -> nn.Module:
        torch.manual_seed(0)
        return registry.layer(name)(4, 4, 3, size=(6, 6), bias=bias)

    def gradients(layer: nn.Module) -> dict[str, torch.Tensor]:
        torch.manual_seed(1)
        (layer(x) * torch.linspace(0, 1, 6)).sum().backward()
        return {key: p.grad for key, p in layer.named_parameters() if p.grad is not None}

    bare, whole = build(False), build(True)
    known = bare.state_dict()
    whole.load_state_dict(known, strict=False)
    with torch.no_grad():
        for key, parameter in whole.named_parameters():
            if key not in known:
                parameter.zero_()
    expected, actual = gradients(whole), gradients(bare)
    assert actual
    for key, gradient in actual.items():
        torch.testing.assert_close(gradient, expected[key])


@pytest.mark.parametrize("frozen", ["conv.weight", "conv.bias"])
@pytest.mark.parametrize("selector", ["coordconv", "geoconv", "geoconv[per=batch]", "constant_channel"])
def test_frozen_parameters_take_nothing_from_the_others(selector: str, frozen: str) -> None:
    x, gradients = torch.randn(2, 2, 4, 3), []
    for freeze in (False, True):
        layer = make(selector)
        layer.get_parameter(frozen).requires_grad_(not freeze)
        torch.manual_seed(1)
        layer(x).square().sum().backward()
        gradients.append({key: p.grad for key, p in layer.named_parameters() if p.grad is not None})
    assert set(gradients[0]) - set(gradients[1]) == {frozen}
    for key, gradient in gradients[1].items():
        torch.testing.assert_close(gradient, gradients[0][key])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", sorted(LIMITS.keys() - {"conv"}))
def test_what_is_called_the_least_is_the_whole_layer(name: str, channels_last: bool) -> None:
    """The operations that stand for a layer's limit give its output and the gradients of all that it adds."""
    torch.manual_seed(0)
    use = Operands.of(name, LayerShape(4, 3, (6, 5), channels_last=channels_last))
    torch.manual_seed(1)
    y = use.layer.train()(use.x)
    y.backward(use.grad)
    torch.manual_seed(1)
    rows, *gradients = LIMITS[name](use)()
    torch.testing.assert_close(rows, use.rows(y.detach()))
    grads = {name: p.grad for name, p in use.layer.named_parameters() if p.grad is not None}
    if name == "coordgate":
        expected = [grads[f"encoder.layers.{layer}.{part}"].flatten(1 if part == "weight" else 0)
                    for layer in (2, 1, 0) for part in ("weight", "bias")]  # fmt: skip
    else:
        expected = [torch.cat([grads["conv.weight"][:, 3:].flatten(1), grads["conv.bias"][:, None]], 1)]
        gradients = [gradients[0].t() if channels_last else gradients[0]]
    torch.testing.assert_close(gradients, expected)
