"""The U-Net: its parameters against published counts, the layer where it was asked to stand, any dimension."""

from __future__ import annotations

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError

PLAIN = {
    64: (402_113, 1_860_417, 7_693_377, 31_024_705),
    32: (100_705, 465_313, 1_923_617, 7_756_577),
    16: (25_265, 116_433, 481_041, 1_939_345),
}
GATED = (456_641, 2_030_913, 8_250_945, 33_003_073)


def parameters(selector: str, variant: str = "conv", channels: int = 1, size: int = 32) -> int:
    with torch.device("meta"):
        shape = (channels, size, size)
        network = registry.network(selector, registry.layer(variant))(shape, shape)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("width", PLAIN)
@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_plain_networks_have_the_published_number_of_parameters(width, depth):
    assert parameters(f"unet[depth={depth}, width={width}]") == PLAIN[width][depth - 2]


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_gated_networks_have_the_published_number_of_parameters(depth):
    gate = "coordgate[encoder=linear, order=gate_first]"
    assert parameters(f"unet[depth={depth}, width=64, where=gates]", gate) == GATED[depth - 2]


@pytest.mark.parametrize(("where", "added"), [("none", 0), ("first", 2 * 9 * 8), ("last", 2)])
def test_the_variant_stands_where_it_was_asked_to(where, added):
    plain = parameters("unet[depth=2, width=8]")
    assert parameters(f"unet[depth=2, width=8, where={where}]", "coordconv") == plain + added


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_any_dimension_keeps_its_size(dims, norm):
    shape = (2, *(8,) * dims)
    network = registry.network(f"unet[depth=3, width=4, norm={norm}]", registry.layer("conv"))(shape, shape)
    assert network(torch.randn(2, *shape)).shape == (2, *shape)


def test_a_residual_network_starts_as_the_identity_and_leaves_it_by_learning():
    network = registry.network("unet[depth=2, width=4, residual=true]", registry.layer("conv"))((1, 8, 8), (1, 8, 8))
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(network(x), x)
    network(x).square().sum().backward()
    assert network.share.grad.abs() > 0


def test_a_residual_network_adds_the_first_channels_of_a_wider_input():
    network = registry.network("unet[depth=2, width=4, residual=true]", registry.layer("conv"))((3, 8, 8), (1, 8, 8))
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(network(x), x[:, :1])
    with pytest.raises(UsageError, match="keeps the size"):
        registry.network("unet[residual=true]", registry.layer("conv"))((1, 8, 8), (3, 8, 8))


@pytest.mark.parametrize("width", [3, 8, 12, 14])
def test_channels_of_any_number_are_normalized_in_groups(width):
    """At most 8 groups of as many channels each, so that a width may be matched."""
    build = registry.network(f"unet[depth=1, width={width}, norm=group]", registry.layer("conv"))
    network = build((1, 8, 8), (1, 8, 8))
    groups = {module.num_groups for module in network.modules() if isinstance(module, torch.nn.GroupNorm)}
    assert groups == {{3: 3, 8: 8, 12: 6, 14: 7}[width]}


@pytest.mark.parametrize("padding", ["zeros", "circular"])
def test_only_circular_padding_makes_the_network_blind_to_position(padding):
    torch.manual_seed(0)
    selector = f"unet[depth=2, width=4, padding={padding}, where=none]"
    network = registry.network(selector, registry.layer("conv"))((1, 16, 16), (1, 16, 16))
    x = torch.randn(1, 1, 16, 16)
    moved = network(x.roll((4, 8), (2, 3))).roll((-4, -8), (2, 3))
    assert torch.allclose(moved, network(x), atol=1e-5) is (padding == "circular")


def test_a_size_that_cannot_be_halved_is_named():
    with pytest.raises(UsageError, match=r"depth=4.*\(12, 12\)"):
        parameters("unet[depth=4]", size=12)
