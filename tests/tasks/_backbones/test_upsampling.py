"""One way of doubling for every layer: what it computes, its fast form, its cost and its start."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.laws.specimens import count_flops
from coordbench.harness.measure.quantities.flops import count
from coordbench.tasks._backbones._parts.upsampling import Doubling, spread

FUSED = (
    "conv", "conv[padding=circular]", "coordconv", "coordconv[radius=true, shift=0.3]", "coordconv[padding=extended]",
    "coordconv[shift=0.5]", "coordconv[padding=circular]", "geoconv", "geoconv[per=batch]", "geoconv[gain=slope]",
    "geoconv[merge=sumsq, padding=extended]", "fourier_coordconv", "position_injection", "learned_position",
    "constant_channel", "noise_channel", "coordgate", "coordgate[combine=affine, encoder=map]", "unit_gate",
    "content_gate", "content_gate[kind=pixel]",
)  # fmt: skip
PLAIN = (
    "conv[padding=reflect]", "coordgate[order=gate_first]", "locally_connected", "low_rank_locally_connected",
    "tiled_conv", "involution", "deformable", "dynamic_conv", "pixel_adaptive", "relative_attention",
)  # fmt: skip


def doubling(selector: str, kernel: int, size: tuple[int, ...], *, fuse: bool) -> Doubling:
    torch.manual_seed(0)
    module = Doubling(registry.layer(selector), 4, 8, kernel, size=size, fuse=fuse)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return module.double()


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("selector", FUSED)
def test_the_fast_form_is_the_plain_one(selector: str, kernel: int) -> None:
    for size in ((5,), (4, 3), (2, 3, 2)):
        torch.manual_seed(2)
        x = torch.randn(3, 4, *size, dtype=torch.float64, requires_grad=True)
        for training in (True, False):
            results = []
            for fuse in (True, False):
                module = doubling(selector, kernel, size, fuse=fuse).train(training)
                assert module.fused is fuse
                torch.manual_seed(1)
                y = module(x)
                assert y.shape[2:] == tuple(2 * n for n in size)
                weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
                results.append([y, *torch.autograd.grad((y * weights).sum(), [x, *module.parameters()])])
                with torch.no_grad():
                    torch.manual_seed(1)
                    results[-1].append(module(x))
            torch.testing.assert_close(results[0], results[1], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("selector", PLAIN)
def test_any_other_layer_is_doubled_by_the_plain_form(selector: str) -> None:
    module = doubling(selector, 3, (4, 3), fuse=True)
    assert not module.fused
    assert module(torch.randn(2, 4, 4, 3, dtype=torch.float64)).shape == (2, 8, 8, 6)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_a_convolution_is_doubled_by_the_transposed_convolution_of_the_papers(kernel: int) -> None:
    module, x = doubling("conv", kernel, (4, 3), fuse=True), torch.randn(2, 4, 4, 3, dtype=torch.float64)
    transposed = nn.ConvTranspose2d(4, 8, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2).double()
    conv = module.layer.conv
    assert isinstance(conv, nn.Module)
    with torch.no_grad():
        transposed.weight.copy_(conv.weight.flip(2, 3).transpose(0, 1))
        transposed.bias.copy_(conv.bias)
    torch.testing.assert_close(module(x), transposed(x), rtol=1e-12, atol=1e-12)


def test_zeros_stand_after_each_pixel_or_before_it() -> None:
    x = torch.tensor([[[1.0, 2.0]]])
    assert spread(x, zero_first=False).tolist() == [[[1, 0, 2, 0]]]
    assert spread(x, zero_first=True).tolist() == [[[0, 1, 0, 2]]]


@pytest.mark.parametrize("selector", FUSED)
def test_the_fast_form_says_what_it_costs(selector: str) -> None:
    module, x = doubling(selector, 3, (4, 3), fuse=True).float(), torch.randn(3, 4, 4, 3)
    for training in (True, False):
        (layer,) = count(module.train(training), (x,)).layers
        assert count_flops(module, x) == layer.formula
        convolution = 2 * 3 * 8 * 4 * 9 * 12
        slow = doubling(selector, 3, (4, 3), fuse=False).float().train(training)
        (plain,) = count(slow, (x,)).layers
        if "circular" not in selector:  # which computes its margin as well
            assert plain.formula - layer.formula == 3 * convolution


def test_a_generator_of_coordconv_costs_little_more_than_one_of_convolutions() -> None:
    z, costs = torch.randn(16, 16), {}
    for name in ("conv", "coordconv", "geoconv", "coordgate"):
        model = registry.network("dcgan[width=8]", registry.layer(name))((16,), (1, 16, 16)).eval()
        costs[name] = count(model, (z,)).forward
    assert costs["conv"] < costs["geoconv"] < costs["coordconv"] < 1.2 * costs["conv"]
    assert costs["coordgate"] < 3 * costs["conv"]


@pytest.mark.parametrize("selector", ["conv", "conv[padding=circular]", "coordconv", "geoconv", "coordgate"])
def test_the_fast_form_is_compiled_lowered_and_stacked_as_any_layer(selector: str) -> None:
    module, x = doubling(selector, 4, (4, 3), fuse=True).float().eval(), torch.randn(2, 4, 4, 3)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=False)
    torch.testing.assert_close(compiled(x), module(x), rtol=1e-4, atol=1e-5)
    torch._dynamo.reset()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = module(x)
        low.float().square().mean().backward()
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), module(x), rtol=0.1, atol=0.1)
    parameters = {name: torch.stack([p, 2 * p]).detach() for name, p in module.named_parameters()}
    stacked = torch.func.vmap(lambda p: torch.func.functional_call(module, p, (x,)))(parameters)
    torch.testing.assert_close(stacked[0], module(x), rtol=1e-4, atol=1e-5)


def test_second_derivatives_of_the_fast_form() -> None:
    module = doubling("coordconv", 3, (2, 3), fuse=True)
    x = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(module, (x,), fast_mode=True)
