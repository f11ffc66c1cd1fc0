"""What the papers prove, or should have: identities between layers, as golden tests in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.tasks._backbones._parts.start import he_start
from coordbench.variants.geoconv import expanded, merged, mixture

N = 32


def make(
    selector: str, in_channels: int, out_channels: int, kernel_size: int, size: tuple[int, ...], **more: Any
) -> Any:
    torch.manual_seed(0)
    return registry.layer(selector)(in_channels, out_channels, kernel_size, size=size, **more).double()


def image(*shape: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(*shape, dtype=torch.float64)


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def axes(n: int = N) -> Tensor:
    """(2, n, n): coordinates x and y."""
    line = torch.linspace(-1, 1, n, dtype=torch.float64)
    return torch.stack([line.expand(n, n), line[:, None].expand(n, n)])


# Convolution


def test_convolution_is_its_definition() -> None:
    layer, x = make("conv", 2, 3, 3, (5, 6)), image(1, 2, 5, 6)
    y = layer(x)
    for o, r, c in itertools.product(range(3), range(1, 4), range(1, 5)):  # the valid region
        terms = (
            layer.conv.weight[o, i, a, b] * x[0, i, r + a - 1, c + b - 1]
            for i, a, b in itertools.product(range(2), range(3), range(3))
        )
        close(y[0, o, r, c], layer.conv.bias[o] + sum(terms))


def test_convolution_by_hand_for_kernels_0_to_8() -> None:
    layer = make("conv", 1, 1, 3, (3, 3), bias=False)
    layer.conv.weight.data = torch.arange(9.0, dtype=torch.float64).view(1, 1, 3, 3)
    y = layer(torch.ones(1, 1, 3, 3, dtype=torch.float64))
    assert y.flatten().tolist() == [24, 33, 20, 27, 36, 21, 12, 15, 8]  # sums of the taps that lie inside


@pytest.mark.parametrize(("padding", "wrapped"), [("circular", True), ("zeros", False)])
def test_convolution_is_a_matrix(padding: str, wrapped: bool) -> None:
    n, layer = 7, make(f"conv[padding={padding}]", 1, 1, 3, (7,), bias=False)
    matrix = torch.zeros(n, n, dtype=torch.float64)
    for row, tap in itertools.product(range(n), range(3)):
        column = row + tap - 1
        if wrapped or 0 <= column < n:
            matrix[row, column % n] = layer.conv.weight[0, 0, tap]
    x = image(4, 1, n)
    close(layer(x)[:, 0], x[:, 0] @ matrix.t())


def test_pointwise_convolution_is_a_linear_map_of_each_pixel() -> None:
    layer, x = make("conv", 5, 3, 1, (4, 6)), image(2, 5, 4, 6)
    linear = nn.functional.linear(x.movedim(1, -1), layer.conv.weight.flatten(1), layer.conv.bias)
    close(layer(x), linear.movedim(-1, 1))


@pytest.mark.parametrize("padding", ["reflect", "circular", "replicate"])
def test_padding_goes_around_short_axes_as_numpy_says(padding: str) -> None:
    modes = {"reflect": "reflect", "circular": "wrap", "replicate": "edge"}
    for n in range(1, 5):
        layer, x = make(f"conv[padding={padding}]", 1, 1, 7, (n,), bias=False), image(1, 1, n)
        expected = np.pad(x[0, 0].numpy(), (3, 3), modes[padding])  # type: ignore[call-overload]
        filled = nn.functional.conv1d(torch.from_numpy(expected)[None, None], layer.conv.weight)
        close(layer(x), filled)


def test_grouped_convolution_never_mixes_its_groups() -> None:
    layer, x = make("conv[groups=2]", 4, 6, 3, (5, 5)), image(1, 4, 5, 5)
    changed = x.clone()
    changed[:, 2:] = 0
    close(layer(changed)[:, :3], layer(x)[:, :3])
    with pytest.raises(ValueError, match="groups=3 does not divide in_channels=4"):
        make("conv[groups=3]", 4, 6, 3, (5, 5))


# Anti-aliasing


def test_blur_keeps_constants_and_weighs_1_3_3_1() -> None:
    layer = make("conv[antialias=blur, padding=circular]", 1, 1, 1, (8,), stride=2, bias=False)
    layer.conv.weight.data.fill_(1)
    x = torch.arange(8.0, dtype=torch.float64).view(1, 1, 8)
    taps = [
        (x[0, 0, (i - 1) % 8] + 3 * x[0, 0, i] + 3 * x[0, 0, i + 1] + x[0, 0, (i + 2) % 8]) / 8 for i in (0, 2, 4, 6)
    ]
    close(layer(x)[0, 0], torch.stack(taps))
    close(layer(torch.ones_like(x)), torch.ones(1, 1, 4, dtype=torch.float64))


@pytest.mark.parametrize(("selector", "consistent"), [("aps", True), ("blur", False), ("none", False)])
def test_only_polyphase_selection_commutes_with_every_shift(selector: str, consistent: bool) -> None:
    layer, x = make(f"conv[antialias={selector}, padding=circular]", 2, 3, 3, (8, 8), stride=2), image(1, 2, 8, 8)
    y, moved = layer(x), layer(x.roll((1, 3), (2, 3)))
    fits = [torch.allclose(moved, y.roll(s, (2, 3))) for s in itertools.product(range(4), repeat=2)]
    assert any(fits) is consistent


# CoordConv


def test_coordinates_by_hand() -> None:
    layer = make("coordconv[radius=true]", 1, 3, 1, (2, 4), bias=False)
    layer.conv.weight.data = torch.eye(4, dtype=torch.float64)[1:].view(3, 4, 1, 1)  # show the extra channels
    x, y, radius = layer(torch.zeros(1, 1, 2, 4, dtype=torch.float64))[0]
    line = torch.tensor([-1, -1 / 3, 1 / 3, 1], dtype=torch.float64)
    close(x, line.expand(2, 4))
    close(y, torch.tensor([[-1.0], [1.0]], dtype=torch.float64).expand(2, 4))
    close(radius, (line**2 + 1).sqrt().expand(2, 4))
    assert layer(torch.zeros(1, 1, 1, 1, dtype=torch.float64)).abs().max() == 0  # one pixel lies in the center


@pytest.mark.parametrize("selector", ["coordconv[radius=true]", "geoconv", "fourier_coordconv", "constant_channel"])
def test_zero_weights_on_the_extra_channels_leave_the_convolution(selector: str) -> None:
    layer, conv, x = make(selector, 3, 4, 3, (5, 6)), make("conv", 3, 4, 3, (5, 6)), image(2, 3, 5, 6)
    with torch.no_grad():
        layer.conv.weight[:, 3:] = 0
        conv.conv.weight.copy_(layer.conv.weight[:, :3])
        conv.conv.bias.copy_(layer.conv.bias)
    close(layer(x), conv(x))


def test_coordconv_adds_an_affine_function_inside_the_border_and_a_pointwise_one_does_everywhere() -> None:
    for selector, kernel_size, border in (("coordconv", 3, 1), ("position_injection", 3, 0), ("coordconv", 1, 0)):
        layer = make(selector, 1, 1, kernel_size, (N, N), bias=False)
        added = layer(torch.zeros(1, 1, N, N, dtype=torch.float64))[0, 0].detach()
        inside = slice(border, N - border)
        assert residual(added[inside, inside], [*axes(), torch.ones(N, N)], inside) < 1e-12


# GeoConv


def residual(target: Tensor, features: Any, inside: slice) -> float:
    """What of a target no weighted sum of the features and a constant can tell, as a share of its deviation."""
    columns = [torch.ones_like(target), *(f[inside, inside] for f in features)]
    basis = torch.stack([c.double().flatten() for c in columns], 1)
    left = target.flatten() - basis @ torch.linalg.lstsq(basis, target.flatten(), driver="gelsd").solution.flatten()
    return float(left.norm() / (target - target.mean()).norm())


def shifts(g: Tensor, rows: tuple[int, ...], columns: tuple[int, ...]) -> list[Tensor]:
    return [g.roll((-r, -c), (0, 1)) for r in rows for c in columns]


THREE = (-1, 0, 1)


@pytest.mark.parametrize(
    ("merge", "expected"),
    [("product", (0, 0)), ("sumsq", (0, 0)), ("sum", (0.71, 0.71)), ("radix", (1.0, 0.03)), ("hypot", (0.33, 0.33))],
)
def test_which_directions_a_merge_can_tell(merge: str, expected: tuple[float, float]) -> None:
    g, inside = merged(axes()[None], merge, (N, N))[0, 0], slice(1, N - 1)
    left = [residual(axis[inside, inside], shifts(g, THREE, THREE), inside) for axis in axes()]
    assert left == pytest.approx(expected, abs=5e-3 if any(expected) else 1e-9)


@pytest.mark.parametrize(("rows", "columns", "seen"), [((0, 1), (0, 1), "xy"), ((0,), (0,), ""), ((0,), THREE, "y")])
def test_which_kernels_a_product_needs(rows: tuple[int, ...], columns: tuple[int, ...], seen: str) -> None:
    g, inside = axes().prod(0), slice(1, N - 1)
    for name, axis in zip("xy", axes(), strict=True):
        left = residual(axis[inside, inside], shifts(g, rows, columns), inside)
        assert left < 1e-9 if name in seen else left > 0.9


@pytest.mark.parametrize("merge", ["product", "sumsq"])
@pytest.mark.parametrize(("padding", "border"), [("zeros", 1), ("extended", 0)])
def test_geoconv_reproduces_any_coordconv(merge: str, padding: str, border: int) -> None:
    """Inside the border exactly; at the border too where the channel goes on beyond it, and far off where not."""
    size, x = (9, 9), image(2, 3, 9, 9)
    geo = make(f"geoconv[merge={merge}, padding={padding}]", 3, 4, 3, size).eval()
    coord = make(f"coordconv[padding={padding}]", 3, 4, 3, size)
    with torch.no_grad():
        wanted = coord(torch.zeros_like(x[:1]))[0]
        geo.conv.weight.zero_()
        geo.conv.bias.zero_()
        maps = []
        for tap in range(9):
            geo.conv.weight[0, 3].view(-1)[tap] = 1
            maps.append(geo(torch.zeros_like(x[:1]))[0, 0].clone())
            geo.conv.weight[0, 3].view(-1)[tap] = 0
        basis = torch.stack([torch.ones_like(maps[0]), *maps])[:, 1:-1, 1:-1].flatten(1).t()
        for channel in range(4):
            solved = torch.linalg.lstsq(basis, wanted[channel, 1:-1, 1:-1].flatten(), driver="gelsd").solution
            geo.conv.bias[channel] = solved[0]
            geo.conv.weight[channel, 3] = solved[1:].view(3, 3)
            geo.conv.weight[channel, :3] = coord.conv.weight[channel, :3]
        inside = slice(border, 9 - border)
        close(geo(x)[..., inside, inside], coord(x)[..., inside, inside], 1e-9)
        if border:
            assert (geo(x) - coord(x)).abs().max() > 0.1


def test_in_3d_the_sum_of_squares_needs_four_taps_and_the_product_eight() -> None:
    n, inside = 8, slice(0, 7)
    line = torch.linspace(-1, 1, n, dtype=torch.float64)
    place = torch.stack(torch.meshgrid(line, line, line, indexing="ij"))
    corner = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    cube = list(itertools.product((0, 1), repeat=3))
    for merge, taps, enough in (("sumsq", corner, True), ("product", corner, False), ("product", cube, True)):
        g = merged(place[None], merge, (n, n, n))[0, 0]
        moved = [g.roll([-t for t in tap], (0, 1, 2)) for tap in taps]
        columns = [torch.ones_like(g), *moved]
        basis = torch.stack([c[inside, inside, inside].flatten() for c in columns], 1)
        target = place[0][inside, inside, inside].flatten()
        left = target - basis @ torch.linalg.lstsq(basis, target, driver="gelsd").solution
        assert bool(left.norm() < 1e-9 * target.norm()) is enough


@pytest.mark.parametrize("merge", ["product", "sumsq", "sum", "radix"])
@pytest.mark.parametrize("size", [(7,), (5, 6), (3, 4, 2)])
def test_a_polynomial_merge_is_closed_under_shifts(merge: str, size: tuple[int, ...]) -> None:
    place, shift = image(len(size), *size), image(3, len(size))
    maps, mix = expanded(place, merge, size), mixture(shift, merge, size)
    moved = place + shift.view(3, len(size), *(1,) * len(size))
    close(torch.einsum("nb,b...->n...", mix, maps), merged(moved, merge, size)[:, 0])


def test_a_zero_sum_filter_makes_shifted_geoconv_a_shifted_coordconv() -> None:
    """x y moved by (s, t), filtered by taps that differ along the width, is a constant times y + t: CoordConv's y."""
    h = 2 / (N - 1)
    geo, coord = (
        make("geoconv[shift=0.5]", 1, 1, 3, (N, N), bias=False),
        make("coordconv[shift=0.5]", 1, 1, 3, (N, N), bias=False),
    )
    with torch.no_grad():
        geo.conv.weight.zero_()
        geo.conv.weight[0, 1, 1, 0], geo.conv.weight[0, 1, 1, 2] = -1 / (2 * h), 1 / (2 * h)
        coord.conv.weight.zero_()
        coord.conv.weight[0, 2, 1, 1] = 1
        x = image(4, 1, N, N)
        torch.manual_seed(5)
        moved = geo(x)
        torch.manual_seed(5)
        close(moved[..., 1:-1, 1:-1], coord(x)[..., 1:-1, 1:-1])
        geo.conv.weight[0, 1, 1, 1] = 1  # a nonzero sum leaves the quadratic term
        left = residual(geo.eval()(x[:1] * 0)[0, 0, 1:-1, 1:-1], axes(), slice(1, N - 1))
    assert left > 0.01


@pytest.mark.parametrize(("n", "weight"), [(8, 0.583), (64, 5.25), (256, 21.25)])
def test_weights_for_a_unit_slope_grow_with_the_input_unless_the_gain_grows(n: int, weight: float) -> None:
    taps = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64) * 2 / (n - 1)
    for gain, expected in ((1.0, weight), ((n - 1) / 2, 1 / 6)):
        # gain * sum_d w_d (x + d_x)(y + d_y) = x: no sum of w, none of w d_x or w d_x d_y, and one of w d_y
        dy, dx = torch.meshgrid(taps, taps, indexing="ij")
        rows = torch.stack([torch.ones(9, dtype=torch.float64), dx.flatten(), (dx * dy).flatten(), dy.flatten()])
        w = torch.linalg.pinv(gain * rows) @ torch.tensor([0, 0, 0, 1.0], dtype=torch.float64)
        assert w.abs().max().item() == pytest.approx(expected, rel=1e-3)
    layer = make("geoconv[gain=slope, shift=0]", 1, 1, 1, (n, n), bias=False)
    layer.conv.weight.data = torch.tensor([0, 1.0], dtype=torch.float64).view(1, 2, 1, 1)
    g = layer(torch.zeros(1, 1, n, n, dtype=torch.float64))[0, 0]
    close(g[0, 0] - g[0, 1], torch.tensor(1.0, dtype=torch.float64))


def test_radix_numbers_the_pixels_row_by_row() -> None:
    place = torch.stack(torch.meshgrid(torch.tensor([-1.0, 1]), torch.tensor([-1.0, 0, 1]), indexing="ij")[::-1])
    close(merged(place[None], "radix", (2, 3)).flatten(), torch.linspace(-1, 1, 6), 1e-6)


@pytest.mark.parametrize(("reach", "share"), [(0.5, 1 - 0.25 + 0.0625), (1.0, 0.5), (2.0, 0.25)])
def test_a_shift_leaves_this_share_of_position(reach: float, share: float) -> None:
    """A pixel at p of U(-1, 1) shows p + s: the error of the best guess of p from that, against none at all."""
    shift = make(f"geoconv[shift={reach}]", 1, 1, 1, (4,)).shift
    moved = shift(torch.zeros(200_000, 1, 4))[:, 0].double()
    torch.manual_seed(2)
    seen = 2 * torch.rand(len(moved), dtype=torch.float64) - 1 + moved
    low, high = (seen - reach).clamp(min=-1), (seen + reach).clamp(max=1)  # p given what is seen is uniform here
    variance_left = ((high - low) ** 2 / 12).mean() / (1 / 3)
    assert 1 - variance_left.item() == pytest.approx(share, abs=4e-3)


@pytest.mark.parametrize(("reach", "share"), [(0, 1), (0.25, 0.941), (0.5, 0.8), (1, 0.5), (2, 0.2)])
def test_a_window_tells_1_over_1_plus_s_squared_of_position_and_the_means_of_the_channel_tell_the_rest(
    reach: float, share: float
) -> None:
    """A linear readout of x from 3x3 windows of the shifted product; then with the mean of its slopes beside them."""
    shift = make(f"geoconv[shift={reach}]", 1, 1, 3, (N, N)).shift(torch.zeros(10_000, 1, 4, 4))
    shift = torch.zeros(10_000, 2) if shift is None else shift
    x, y = (axes()[a][None] + shift.double()[:, a, None, None] for a in range(2))
    g, images = x * y, torch.arange(len(shift))
    row, column = torch.randint(1, N - 1, (2, len(shift)))
    window = torch.stack([g[images, row + i, column + j] for i in THREE for j in THREE], 1)
    slopes = torch.stack([g.diff(dim=a).mean((1, 2)) for a in (1, 2)], 1)
    for features, expected in ((window, share), (torch.cat([window, slopes], 1), 1)):
        basis = torch.cat([torch.ones(len(window), 1), features], 1).double()
        target = axes()[0][row, column]
        left = target - basis @ torch.linalg.lstsq(basis, target[:, None], driver="gelsd").solution[:, 0]
        explained = 1 - left.var().item() / target.var().item()
        assert explained == pytest.approx(expected, abs=0.04 if expected < 1 else 1e-6)


def test_shared_layers_draw_one_shift_and_others_their_own() -> None:
    x = torch.zeros(3, 1, 4, 4)
    for shared in (True, False):
        torch.manual_seed(3)
        first, second = (registry.layer(f"geoconv[shared={str(shared).lower()}]")(1, 2, 3, size=(4, 4)) for _ in "ab")
        draws = [first.shift(x), second.shift(x), first.shift(x)]  # type: ignore[operator]
        assert torch.equal(draws[0], draws[1]) is shared
        assert not torch.equal(draws[0], draws[2])
        assert draws[0].abs().max() <= 2
        assert len(set(draws[0].flatten().tolist())) == 6
    assert first.eval().shift(x) is None  # type: ignore[operator]


def test_a_geometry_channel_saves_n_minus_1_kernels() -> None:
    for size in ((8, 8), (4, 4, 4)):
        counts = [sum(p.numel() for p in make(s, 3, 5, 3, size).parameters()) for s in ("coordconv", "geoconv")]
        assert counts[0] - counts[1] == (len(size) - 1) * 3 ** len(size) * 5


def test_along_one_axis_geometry_is_the_coordinate_and_saves_nothing() -> None:
    (geo, coord), x = (make(s, 3, 4, 3, (7,)) for s in ("geoconv", "coordconv[shift=2]")), image(2, 3, 7)
    coord.load_state_dict(geo.state_dict())
    for training in (True, False):
        outputs = []
        for layer in (geo.train(training), coord.train(training)):
            torch.manual_seed(4)
            outputs.append(layer(x))
        close(*outputs)


# CoordGate


def test_parameters_of_the_published_block() -> None:
    layer = make("coordgate[encoder=linear, order=gate_first]", 64, 64, 1, (8, 8))
    assert sum(p.numel() for p in layer.encoder.parameters()) == 8_512
    assert sum(p.numel() for p in layer.conv.parameters()) == 4_160


@pytest.mark.parametrize(("project", "same"), [("false", "conv"), ("true", "unit_gate")])
def test_a_unit_gate_is_no_gate(project: str, same: str) -> None:
    gate, plain = make(f"coordgate[encoder=map, project={project}]", 3, 4, 3, (5, 6)), make(same, 3, 4, 3, (5, 6))
    gate.load_state_dict(plain.state_dict(), strict=False)
    close(gate(image(2, 3, 5, 6)), plain(image(2, 3, 5, 6)))


def test_free_gates_on_one_hot_kernels_are_a_locally_connected_layer() -> None:
    size, taps = (4, 5), 2 * 9
    local, gate = (
        make("locally_connected", 2, 1, 3, size),
        make("coordgate[encoder=map, project=true]", 2, taps, 3, size),
    )
    with torch.no_grad():
        gate.conv.weight.copy_(torch.eye(taps).view(taps, 2, 3, 3))
        gate.conv.bias.zero_()
        weight = local.weight.view(*size, 9, 2).transpose(2, 3).flatten(2)  # taps last, as in the one-hot kernels
        gate.encoder.map.copy_(weight.movedim(-1, 0)[None])
        gate.project.weight.fill_(1)
        gate.project.bias.zero_()
    close(gate(image(2, 2, *size))[:, :1] + local.bias, local(image(2, 2, *size)))


def test_the_effective_kernel_of_a_gate_with_projection() -> None:
    """K_p[o, i, d] = sum_c W_oc g_c(p) k_c[i, d], bias v_o + sum_c W_oc b_c g_c(p)."""
    layer, x = make("coordgate[project=true, width=8]", 2, 3, 3, (5, 5)), image(1, 2, 5, 5)
    with torch.no_grad():
        gates = layer.encoder(x)[0, :, 2, 3]
        mixing = layer.project.weight.flatten(1) * gates
        kernel = torch.einsum("oc,cidk->oidk", mixing, layer.conv.weight)
        bias = layer.project.bias + mixing @ layer.conv.bias
        close(layer(x)[0, :, 2, 3], (kernel * x[:, :, 1:4, 2:5]).sum((1, 2, 3)) + bias)


@pytest.mark.parametrize(("encoder", "affine"), [("linear", True), ("mlp", False), ("relu_out", False), ("cnn", False)])
def test_only_a_linear_encoder_stays_affine(encoder: str, affine: bool) -> None:
    gate = make(f"coordgate[encoder={encoder}]", 1, 8, 3, (N, N)).encoder(image(1, 8, N, N))[0]
    left = max(residual(g, axes(), slice(0, N)) for g in gate.detach() if g.std() > 0)
    assert (left < 1e-9) is affine


def test_a_map_is_read_by_nearest_neighbor_at_other_sizes() -> None:
    encoder = make("coordgate[encoder=map]", 1, 1, 1, (2, 2)).encoder
    encoder.map.data = torch.arange(4.0, dtype=torch.float64).view(1, 1, 2, 2)
    assert encoder(image(1, 1, 4, 4))[0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]


# Local, adaptive and dynamic layers


def test_low_rank_starts_as_the_mean_of_its_convolutions() -> None:
    layer, conv, x = (
        make("low_rank_locally_connected[rank=3]", 2, 4, 3, (5, 6)),
        make("conv", 2, 4, 3, (5, 6)),
        image(2, 2, 5, 6),
    )
    with torch.no_grad():
        conv.conv.weight.copy_(layer.conv.weight.view(3, 4, 2, 3, 3).mean(0))
        conv.conv.bias.zero_()
    close(layer(x), conv(x))


def test_low_rank_kernels_start_by_the_uniform_law_of_he() -> None:
    weight = make("low_rank_locally_connected", 16, 16, 3, (4, 4)).conv.weight * (16 * 9) ** 0.5
    assert weight.abs().max().item() == pytest.approx(6**0.5, rel=0.01)
    assert weight.std().item() == pytest.approx(2**0.5, rel=0.02)
    module = he_start(nn.Sequential(make("low_rank_locally_connected", 16, 16, 3, (4, 4))))
    close(module[0].conv.weight * (16 * 9) ** 0.5, weight)


def test_a_gate_of_content_is_as_wide_for_each_pixel_as_one_of_position() -> None:
    content, place = (make(s, 8, 8, 1, (4, 4)) for s in ("content_gate[kind=pixel]", "coordgate"))
    shapes = [[tuple(p.shape[:2]) for p in gate.parameters()] for gate in (content.gate, place.encoder)]
    assert shapes[0][0] == (64, 8)
    assert shapes[1][0] == (64, 2)
    assert shapes[0][1:] == shapes[1][1:]


def test_tiles_reach_from_convolution_to_locally_connected() -> None:
    x = image(2, 2, 4, 4)
    one, conv = make("tiled_conv[tile=1]", 2, 3, 3, (4, 4)), make("conv", 2, 3, 3, (4, 4))
    conv.load_state_dict(one.state_dict())
    close(one(x), conv(x))
    whole, local = make("tiled_conv[tile=4]", 2, 3, 3, (4, 4)), make("locally_connected", 2, 3, 3, (4, 4))
    with torch.no_grad():
        weight = whole.conv.weight.view(4, 4, 3, 2, 3, 3)  # (*tile, C_out, C, *kernel)
        local.weight.copy_(weight.permute(0, 1, 4, 5, 3, 2).reshape(local.weight.shape))
        local.bias.copy_(whole.conv.bias.view(4, 4, 3).movedim(-1, 0))
    close(whole(x), local(x))


def test_a_shared_weight_makes_locally_connected_a_convolution() -> None:
    local, conv, x = make("locally_connected", 2, 3, 3, (4, 5)), make("conv", 2, 3, 3, (4, 5)), image(2, 2, 4, 5)
    with torch.no_grad():
        local.weight.copy_(conv.conv.weight.permute(2, 3, 1, 0).reshape(18, 3).expand_as(local.weight))
        local.bias.copy_(conv.conv.bias.view(3, 1, 1).expand_as(local.bias))
    close(local(x), conv(x))


def test_pixel_adaptive_on_equal_pixels_is_a_convolution_inside() -> None:
    layer, conv = make("pixel_adaptive", 2, 3, 3, (5, 5)), make("conv", 2, 3, 3, (5, 5))
    conv.load_state_dict(layer.state_dict())
    x = image(2, 2, 1, 1).expand(2, 2, 5, 5)
    close(layer(x)[..., 1:-1, 1:-1], conv(x)[..., 1:-1, 1:-1])


def test_deformable_starts_as_half_a_convolution_and_reads_where_it_is_sent() -> None:
    layer, conv, x = (
        make("deformable", 2, 3, 3, (6, 6), bias=False),
        make("conv", 2, 3, 3, (6, 6), bias=False),
        image(1, 2, 6, 6),
    )
    conv.conv.load_state_dict(layer.conv.state_dict())
    close(layer(x), conv(x) / 2)
    layer.steer.bias.data[:9] = 1  # every tap one pixel down
    layer.steer.bias.data[9:18] = -2  # and two to the left
    close(layer(x)[..., 1:4, 3:5], conv(x.roll((-1, 2), (2, 3)))[..., 1:4, 3:5] / 2)


def test_dynamic_convolution_with_equal_kernels_is_a_convolution() -> None:
    layer, conv, x = (
        make("dynamic_conv[temperature=1]", 4, 3, 3, (5, 5)),
        make("conv", 4, 3, 3, (5, 5)),
        image(3, 4, 5, 5),
    )
    with torch.no_grad():
        layer.conv.weight.copy_(conv.conv.weight.repeat(4, 1, 1, 1))
        layer.conv.bias.copy_(conv.conv.bias.repeat(4))
    close(layer(x), conv(x))


def test_dynamic_convolution_cools_from_30_to_1_and_stays_there() -> None:
    layer, x = make("dynamic_conv[anneal=10]", 4, 3, 3, (5, 5)), image(1, 4, 5, 5)
    temperatures = []
    for _ in range(12):
        temperatures.append(float(layer.temperature()))
        layer(x)
    assert temperatures[:2] == pytest.approx([30, 27.1])
    assert temperatures[10:] == [1, 1]
    layer.eval()(x)
    assert layer.passes == 12  # evaluation does not count
    constant = make("dynamic_conv[anneal=0, temperature=5]", 4, 3, 3, (5, 5))
    constant(x)
    assert constant.temperature() == 5


def test_involution_with_the_same_kernel_everywhere_is_a_depthwise_convolution() -> None:
    layer, x = make("involution", 4, 4, 3, (5, 5)).eval(), image(2, 4, 5, 5)
    with torch.no_grad():
        layer.span.weight.zero_()
        kernel = layer.span.bias.view(1, 1, 3, 3).expand(4, 1, 3, 3)
    close(layer(x), nn.functional.conv2d(x, kernel, layer.bias, padding=1, groups=4))


@pytest.mark.parametrize(
    "selector", ["conv[padding=circular]", "relative_attention[circular=true]", "dynamic_conv[padding=circular]"]
)
def test_layers_without_place_commute_with_circular_shifts(selector: str) -> None:
    layer, x = make(selector, 2, 4, 3, (5, 6)).eval(), image(2, 2, 5, 6)
    close(layer(x.roll((2, 3), (2, 3))), layer(x).roll((2, 3), (2, 3)))


REFUSED: dict[str, Callable[[], Any]] = {
    "shift=-0.1 must be at least 0": lambda: make("geoconv[shift=-0.1]", 1, 1, 1, (4,)),
    "tile=0 must be at least 1": lambda: make("tiled_conv[tile=0]", 1, 1, 1, (4,)),
    "rank=0 must be at least 1": lambda: make("low_rank_locally_connected[rank=0]", 1, 1, 1, (4,)),
    "depth=0 must be at least 1": lambda: make("coordgate[depth=0]", 1, 1, 1, (4,)),
    "features=0 must be at least 1": lambda: make("fourier_coordconv[features=0]", 1, 1, 1, (4,)),
    "heads=3 does not divide out_channels=4": lambda: make("relative_attention[heads=3]", 1, 4, 1, (4,)),
    "temperature=0.0 must be above 0": lambda: make("dynamic_conv[temperature=0]", 1, 1, 1, (4,)),
    "reduction=0 must be at least 1": lambda: make("content_gate[reduction=0]", 1, 1, 1, (4,)),
    "width=0 must be at least 1": lambda: make("content_gate[kind=pixel, width=0]", 1, 1, 1, (4,)),
    "anneal=-1 must be at least 0": lambda: make("dynamic_conv[anneal=-1]", 1, 1, 1, (4,)),
    "group_channels=0 must be at least 1": lambda: make("involution[group_channels=0]", 1, 1, 1, (4,)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_options_out_of_range_are_refused_by_name_and_value(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()
