"""The vision transformer: any dimension, the layer where it should stand, and places that only layers tell."""

from __future__ import annotations

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError


def network(selector: str, variant: str, size: tuple[int, ...]) -> torch.nn.Module:
    return registry.network(selector, registry.layer(variant))((1, *size), (3,))


@pytest.mark.parametrize("size", [(32,), (16, 16), (8, 8, 8)])
@pytest.mark.parametrize("variant", ["conv", "coordconv"])
def test_it_takes_any_dimension(size: tuple[int, ...], variant: str) -> None:
    assert network("vit[patch=4]", variant, size)(torch.zeros(2, 1, *size)).shape == (2, 3)


def test_without_position_it_does_not_see_a_shift_by_whole_patches() -> None:
    model = network("vit[patch=4]", "conv[padding=circular]", (16, 16)).double()
    image = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    assert torch.allclose(model(image), model(image.roll((4, 8), (2, 3))))
    assert not torch.allclose(model(image), model(image.roll((2, 1), (2, 3))))


@pytest.mark.parametrize("selector", ["vit[patch=4, positions=learned]", "vit[patch=4]"])
def test_learned_positions_or_a_layer_tell_the_place(selector: str) -> None:
    variant = "conv[padding=circular]" if "learned" in selector else "coordconv"
    model = network(selector, variant, (16, 16)).double()
    image = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    assert not torch.allclose(model(image), model(image.roll(4, 2)))


def test_attention_equals_its_definition() -> None:
    from coordbench.tasks._backbones.vit import HEADS, Attention

    module, x = Attention(8).double(), torch.randn(2, 8, 3, 2, dtype=torch.float64)
    tokens = torch.nn.functional.layer_norm(x.flatten(2).mT, (8,))
    query, key, value = module.project(tokens).split(8, 2)
    heads = []
    for q, k, v in zip(*(part.split(8 // HEADS, 2) for part in (query, key, value)), strict=True):
        heads.append((q @ k.mT / (8 / HEADS) ** 0.5).softmax(2) @ v)
    assert torch.allclose(module(x), module.merge(torch.cat(heads, 2)).mT.reshape(x.shape))


@pytest.mark.parametrize(("where", "layers"), [("first", 1), ("last", 1), ("none", 0), ("all", 5)])
def test_the_variant_stands_where_it_is_wanted(where: str, layers: int) -> None:
    model = network(f"vit[patch=4, where={where}]", "coordconv", (16, 16))
    labels = [part.coordbench_layer.label for part in model.modules() if hasattr(part, "coordbench_layer")]
    assert len(labels) == 5
    assert labels.count("coordconv") == layers


def test_a_patch_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="patch=0"):
        network("vit[patch=0]", "conv", (16, 16))
