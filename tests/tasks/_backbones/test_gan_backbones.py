"""Networks of generators, discriminators and autoencoders: the papers' parameter counts, shapes, placement."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError

CANVAS = (3, 64, 64)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def build(backbone: str, variant: str, before: tuple[int, ...], after: tuple[int, ...]) -> nn.Module:
    return registry.network(backbone, registry.layer(variant))(before, after)


def test_the_generators_of_the_coordconv_paper() -> None:
    assert count(build("dcgan[kernel=5]", "conv", (256,), CANVAS)) == 6_413_315
    assert count(build("coordgan", "coordconv", (256,), CANVAS)) == 444_931


@pytest.mark.parametrize("upsample", ["transposed", "resize"])
@pytest.mark.parametrize("variant", ["conv", "conv[padding=circular]", "coordconv", "geoconv"])
@pytest.mark.parametrize(("canvas", "kernel"), [(8, 3), (16, 4), (32, 5)])
def test_shapes_and_range(variant: str, canvas: int, kernel: int, upsample: str) -> None:
    options = f"[width=4, kernel={kernel}, upsample={upsample}]"
    images = build("dcgan" + options, variant, (5,), (3, canvas, canvas))(torch.randn(2, 5))
    assert images.shape == (2, 3, canvas, canvas)
    assert images.abs().max() <= 1
    assert build("dcgan" + options, variant, (3, canvas, canvas), (1,))(images).shape == (2, 1)
    assert build("vae" + options, variant, (5,), (3, canvas, canvas))(torch.randn(2, 5)).shape == images.shape


@pytest.mark.parametrize(
    ("player", "painter", "critic"), [("both", True, True), ("generator", True, False), ("discriminator", False, True)]
)
@pytest.mark.parametrize("backbone", ["dcgan[width=4, player={}]", "coordgan[width=0.1, where=all, player={}]"])
def test_the_variant_stands_in_the_player_that_is_named(
    backbone: str, player: str, painter: bool, critic: bool
) -> None:
    def more(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
        chosen = backbone.format(player)
        return count(build(chosen, "coordconv", before, after)) > count(build(chosen, "conv", before, after))

    assert more((5,), (3, 16, 16)) == painter
    assert more((3, 16, 16), (1,)) == critic


def test_a_discriminator_of_another_width_leaves_the_generator_as_it_is() -> None:
    sides = [((5,), (1, 16, 16)), ((1, 16, 16), (1,))]
    unequal = [count(build("dcgan_unequal[width=4, discriminator_width=16]", "coordconv", *side)) for side in sides]
    equal = [count(build(f"dcgan[width={width}]", "coordconv", *sides[i])) for i, width in enumerate((4, 16))]
    assert unequal == equal


def test_a_plain_coordgan_cannot_tell_pixels_apart() -> None:
    torch.manual_seed(0)
    z = torch.randn(2, 5)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # the two 3x3 layers see their padding further out
    blind = build("coordgan[width=0.1]", "conv", (5,), (3, 16, 16))(z)[inner]
    seeing = build("coordgan[width=0.1]", "coordconv", (5,), (3, 16, 16))(z)[inner]
    assert blind.std((2, 3)).max() < 1e-7
    assert seeing.std((2, 3)).max() > 1e-5


@pytest.mark.parametrize("size", [(12, 12), (4, 4), (16, 8)])
def test_a_canvas_that_cannot_be_grown_is_named(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"cannot make a canvas of \(\d+, \d+\) px; valid: 8, 16"):
        build("dcgan", "conv", (5,), (1, *size))


def test_without_normalization_nothing_looks_at_the_batch() -> None:
    """An image is judged, and a latent painted, alike whatever stands beside it; the weights are drawn alike."""
    for before, after in (((3, 16, 16), (1,)), ((8,), (3, 16, 16))):
        bare, whole = (
            registry.network(f"dcgan[norm={norm}, width=4]", registry.layer("conv"))(before, after)
            for norm in ("none", "batch")
        )
        assert not any(isinstance(module, nn.BatchNorm2d) for module in bare.modules())
        assert any(isinstance(module, nn.BatchNorm2d) for module in whole.modules())
        x = torch.randn(5, *before)
        torch.testing.assert_close(bare.train()(x)[:2], bare(x[:2]))
