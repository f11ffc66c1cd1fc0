"""Known answers of the measures of translation: what follows a shift exactly, what does not, and by how much."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.tasks._backbones._parts.downsampling import halving
from coordbench.tasks.translation._equivariance import (
    Function,
    circular_errors,
    exactly,
    lie_derivative,
    mismatch,
    shift,
    window_errors,
)
from coordbench.tasks.translation._readout import features, grid, r_squared, read_place
from coordbench.tasks.translation._resampling import disk, resampled
from coordbench.tasks.translation._scenes import scenes
from coordbench.tasks.translation.scale_rotation import change_error

SIZE = 16
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def x() -> Tensor:
    return scenes(4, (SIZE, SIZE), "test", "measures")


@pytest.fixture(scope="module")
def field() -> Tensor:
    return scenes(4, (SIZE, 2 * SIZE), "test", "measures")


def circular_error(f: Function, x: Tensor, pixels: float, axis: int = -1) -> float:
    return circular_errors(f, x, [pixels], axis)[0]


def window_error(f: Function, field: Tensor, pixels: int, size: int, margin: float = 0.0) -> float:
    return window_errors(f, field, [pixels], size, [margin])[0][0]


def layer(selector: str, *, stride: int = 1, channels: int = 1) -> nn.Module:
    torch.manual_seed(1)
    return registry.layer(selector)(channels, 6, 3, size=(SIZE, SIZE), stride=stride).double().eval()


def test_a_circular_convolution_follows_every_shift_to_rounding(x: Tensor) -> None:
    f = exactly(layer("conv[padding=circular]"))
    for pixels in (*range(SIZE // 2 + 1), 0.5, 1.25, 7.5):
        assert circular_error(f, x, pixels) < ROUNDING, pixels
        assert circular_error(f, x, pixels, axis=-2) < ROUNDING, pixels
    assert lie_derivative(f, x) < 1e-6


@pytest.mark.parametrize("padding", ["zeros", "reflect", "replicate"])
def test_a_border_is_seen_at_the_border_only(padding: str, x: Tensor, field: Tensor) -> None:
    f = exactly(layer(f"conv[padding={padding}]"))
    assert circular_error(f, x, 3) > 0.01
    assert window_error(f, field, 3, SIZE) > 0.01
    assert window_error(f, field, 3, SIZE, margin=1 / 8) < ROUNDING


@pytest.mark.parametrize("selector", ["coordconv", "geoconv", "coordgate"])
def test_a_layer_with_coordinates_is_seen_everywhere(selector: str, field: Tensor) -> None:
    assert window_error(exactly(layer(selector)), field, 4, SIZE, margin=1 / 8) > 0.05


def test_coordconv_without_coordinate_weights_is_the_convolution(x: Tensor) -> None:
    module, plain = layer("coordconv"), layer("conv")
    with torch.no_grad():
        next(module.parameters())[:, 1:] = 0
        next(plain.parameters()).copy_(next(module.parameters())[:, :1])
    for pixels in (1, 2.5, 8):
        ours, theirs = (circular_error(exactly(m), x, pixels) for m in (module, plain))
        assert ours == pytest.approx(theirs, rel=1e-9)
        assert theirs > 0.01


def halved(how: str) -> nn.Module:
    convolution = layer("conv[padding=circular]")
    return nn.Sequential(convolution, nn.ReLU(), halving(how, 6, (SIZE, SIZE), "circular").double())  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["stride", "max_pool", "average_pool", "blur_pool", "aps"])
def test_only_adaptive_polyphase_sampling_is_exact_through_a_stride(how: str, x: Tensor) -> None:
    f = exactly(halved(how))
    errors = {pixels: circular_error(f, x, pixels) for pixels in range(1, SIZE // 2 + 1)}
    assert all(error < ROUNDING for pixels, error in errors.items() if pixels % 2 == 0)
    if how == "aps":
        assert all(error < ROUNDING for error in errors.values())
    else:
        assert all(error > 0.01 for pixels, error in errors.items() if pixels % 2)


def test_strides_alias_more_than_pools_and_blurs_least(x: Tensor) -> None:
    order = [circular_error(exactly(halved(how)), x, 1) for how in ("blur_pool", "average_pool", "max_pool", "stride")]
    assert order[0] == min(order)
    assert order[-1] == max(order)


@pytest.mark.parametrize("how", ["none", "aps", "blur"])
def test_the_variants_own_downsampling_is_told_apart(how: str, x: Tensor) -> None:
    f = exactly(layer(f"conv[padding=circular, antialias={how}]", stride=2))
    error = circular_error(f, x, 3)
    assert (error < ROUNDING) == (how == "aps")


def test_a_nonlinearity_follows_whole_pixels_but_not_half_ones(x: Tensor) -> None:
    f = exactly(nn.Sequential(layer("conv[padding=circular]"), nn.ReLU()))
    assert circular_error(f, x, 5) < ROUNDING
    assert circular_error(f, x, 0.5) > 0.01


def test_the_mean_of_a_circular_convolution_does_not_move(x: Tensor) -> None:
    f = exactly(nn.Sequential(layer("conv[padding=circular]"), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert circular_error(f, x, 5) < ROUNDING
    assert circular_error(exactly(nn.Flatten()), x, 5) > 0.5


def test_the_lie_derivative_of_a_wave_that_stays_is_its_wave_number() -> None:
    wave = torch.cos(2 * math.pi * 3 * torch.arange(SIZE, dtype=torch.float64) / SIZE)
    ones = torch.ones(2, 1, SIZE, SIZE, dtype=torch.float64)
    assert lie_derivative(lambda x: x * wave, ones) == pytest.approx(2 * math.pi * 3 / SIZE, rel=1e-6)
    assert lie_derivative(lambda x: x**2, ones + wave) < 1e-6


def test_shifts_compose_and_agree_with_the_wave() -> None:
    x = torch.arange(SIZE, dtype=torch.float64) / SIZE * 2 * math.pi
    wave = torch.cos(2 * x)[None, None]
    torch.testing.assert_close(shift(wave, 0.5), torch.cos(2 * (x - math.pi / SIZE))[None, None])
    torch.testing.assert_close(shift(shift(wave, 0.75), 0.25), wave.roll(1, -1))


def test_mismatch_is_0_for_equals_1_for_strangers_and_at_most_the_root_of_2() -> None:
    a, b = torch.randn(2, 8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert mismatch(a, [b, a]) == 0
    assert mismatch(a, [b]) == pytest.approx(1, abs=0.02)
    assert mismatch(a, [-a]) == pytest.approx(math.sqrt(2), rel=1e-4)
    assert mismatch(a, [a + 100]) == pytest.approx(math.sqrt(2), rel=1e-2)
    assert mismatch(0 * a, [0 * a]) == 0


def test_resampling_keeps_turns_zooms_and_moves(x: Tensor) -> None:
    torch.testing.assert_close(resampled(x), x)
    torch.testing.assert_close(resampled(x, angle=90.0), x.rot90(1, (2, 3)))
    torch.testing.assert_close(resampled(x, move=torch.tensor([[2, -3]]).expand(4, 2))[..., 2:, :-3], x[..., :-2, 3:])
    square = torch.zeros(1, 1, SIZE, SIZE)
    square[..., 6:10, 6:10] = 1
    assert resampled(square, scale=2.0).sum().item() == pytest.approx(4 * 16, rel=0.05)
    moved = resampled(square, angle=torch.tensor([90.0]), scale=torch.tensor([2.0]), move=torch.tensor([[3, -2]]))
    torch.testing.assert_close(moved[..., 3:, :-2], resampled(square, scale=2.0)[..., :-3, 2:], atol=1e-5, rtol=0)


def test_what_looks_at_single_pixels_follows_turns_and_zooms_and_a_kernel_does_not(x: Tensor) -> None:
    pointwise, kernel = nn.Conv2d(1, 4, 1).double(), layer("conv[padding=circular]")
    even = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False).double()
    with torch.no_grad():
        even.weight.copy_(torch.tensor([[1.0, 2, 1], [2, 5, 2], [1, 2, 1]]))
    for change in ({"angle": 30.0}, {"angle": 90.0}, {"scale": 0.5}, {"scale": 1.5}):
        assert change_error(exactly(pointwise), x, **change) < 1e-7, change
    assert change_error(exactly(even), x, angle=90.0) < 1e-7
    assert change_error(exactly(kernel), x, angle=90.0) > 0.1


def test_the_disk_holds_the_middle() -> None:
    expected = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]).bool()
    assert torch.equal(disk((4, 4), 0.8), expected)  # corners at .75 * sqrt(2) = 1.06, edges at .79, the middle at .35


def test_coordinates_tell_place_and_noise_does_not() -> None:
    place = grid((8, 8)).T.reshape(1, 2, 8, 8)
    noise = torch.randn(2, 40, 5, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mixed = torch.cat([noise[0][:, :3], place + 0 * noise[0][:, :2]], 1)
    assert r_squared(read_place(mixed, mixed), (8, 8)) == pytest.approx(1, abs=1e-6)
    assert abs(r_squared(read_place(noise[0], noise[1]), (8, 8))) < 0.02
    assert r_squared(read_place(0 * noise[0], noise[1]), (8, 8)) == pytest.approx(0, abs=1e-9)
    half = torch.cat([noise[0][:, :3], (place + 0 * noise[0][:, :2])[:, :1]], 1)
    assert r_squared(read_place(half, half), (8, 8)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("selector", "low", "high"), [("conv[padding=circular]", -0.1, 0.05), ("coordconv", 0.8, 1.0)])
def test_features_of_each_layer_are_read_in_order(selector: str, low: float, high: float) -> None:
    torch.manual_seed(0)
    network = registry.network("stack[depth=3]", registry.layer(selector))((1, SIZE, SIZE), (6, SIZE, SIZE))
    known, asked = (features(network, scenes(24, (SIZE, SIZE), part, "readout")) for part in ("train", "test"))
    shares = [r_squared(read_place(k, a), (SIZE, SIZE)) for k, a in zip(known, asked, strict=True)]
    assert len(shares) == 3
    assert all(low < value <= high for value in shares), shares


def test_scenes_look_alike_everywhere() -> None:
    drawn = scenes(400, (SIZE, SIZE), "train", "stationary")
    share = drawn.mean((0, 1))
    assert share.std() / share.mean() < 0.15
    assert drawn.min() == 0
    assert drawn.max() == 1
