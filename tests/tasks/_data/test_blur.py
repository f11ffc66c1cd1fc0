"""The blur simulator: its operators against sums written out, their adjoints, and the noise against its own law."""

from __future__ import annotations

import pytest
import torch

from coordbench.tasks._data.optics.blur import Blur, Difference, LowRankBlur, norm, operator_error
from coordbench.tasks._data.optics.noise import poisson_gaussian
from coordbench.tasks._data.optics.psf import Optic, field_positions, taps

FAMILIES = ("radial", "asymmetric", "zernike", "relay", "invariant")


@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_hold_all_light_that_arrives_within_their_radius(family):
    kernels = Optic(family, 5, radius=4).kernels(field_positions(5, 2))
    assert kernels.shape == (81, 9, 9)
    assert kernels.min() >= 0
    light = kernels.sum((1, 2)).reshape(9, 9)
    assert light[4, 4].item() == pytest.approx(1)
    assert light.min().item() == pytest.approx(1) or (family == "relay" and 0.3 < light[2, 2] < 0.8)
    assert kernels.flatten(1)[:, taps(4).norm(dim=1) > 4.5].max() == 0


@pytest.mark.parametrize("family", ["radial", "zernike", "relay"])
def test_a_centered_optic_turns_with_the_field(family):
    corners = torch.tensor([[-0.9, 0.9], [-0.9, -0.9]], dtype=torch.float64)  # a quarter turn apart
    right, left = Optic(family, 8, radius=5).kernels(corners)
    torch.testing.assert_close(right.rot90(), left)
    assert (right - left).abs().max() > 0.1 * right.max()


def test_a_decentered_optic_does_not():
    corners = torch.tensor([[-0.9, 0.9], [-0.9, -0.9]], dtype=torch.float64)
    right, left = Optic("asymmetric", 8, radius=5).kernels(corners)
    assert (right.rot90() - left).abs().max() > 0.1 * right.max()


def test_the_tail_of_coma_points_outward_and_the_center_is_round():
    optic = Optic("radial", 8, radius=5)
    edge = optic.kernels(torch.tensor([[0.0, 1.0]], dtype=torch.float64))[0]
    assert edge[:, 6:].sum() > 1.2 * edge[:, :5].sum()
    torch.testing.assert_close(optic.center, optic.center.rot90())


def test_the_bare_lens_makes_an_airy_disk():
    optic = Optic("relay", 8, radius=7)
    distance = torch.hypot(*taps(7).T)[1:].clamp_min(1e-6) * 2 * torch.pi * 0.35
    airy = (2 * torch.special.bessel_j1(distance) / distance) ** 2
    kernel = optic.center.flatten()[1:]
    torch.testing.assert_close(kernel / kernel.max(), airy, atol=0.01, rtol=0)


def test_the_control_is_the_same_everywhere():
    kernels = Optic("invariant", 4, radius=3).kernels(field_positions(4))
    torch.testing.assert_close(kernels, kernels[:1].expand_as(kernels))


@pytest.mark.parametrize("family", FAMILIES)
def test_blur_spreads_each_point_source_by_the_kernel_of_its_own_position(family):
    optic = Optic(family, size=9, radius=2)
    spread = optic.kernels(field_positions(9, 2)).float().reshape(13, 13, 5, 5)
    for row, column in ((6, 6), (4, 8), (7, 5)):
        scene = torch.zeros(1, 1, 13, 13)
        scene[..., row, column] = 1
        expected = torch.zeros(13, 13)
        expected[row - 2 : row + 3, column - 2 : column + 3] = spread[row, column]
        torch.testing.assert_close(Blur(optic).forward(scene)[0, 0], expected[2:-2, 2:-2])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [Blur, LowRankBlur])
def test_the_adjoint_is_the_adjoint(family, make):
    blur = make(Optic(family, size=10, radius=3))
    generator = torch.Generator().manual_seed(0)
    scene = torch.randn(2, 3, 16, 16, generator=generator)
    image = torch.randn(2, 3, 10, 10, generator=generator)
    forth, back = (blur.forward(scene) * image).sum(), (scene * blur.adjoint(image)).sum()
    torch.testing.assert_close(forth, back, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["radial", "relay", "invariant"])
def test_the_low_rank_form_is_within_its_stated_error_which_falls_with_rank(family):
    optic = Optic(family, size=16, radius=4)
    exact = Blur(optic)
    errors = [operator_error(exact, LowRankBlur(optic, rank)) for rank in (1, 8)]
    assert errors[1] < 0.3 * errors[0] or max(errors) < 1e-5
    scene = torch.randn(4, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    difference = Difference(exact, LowRankBlur(optic, 8)).forward(scene)
    bound = errors[1] * norm(exact) * scene.flatten(1).norm(dim=1) + 1e-4
    assert (difference.flatten(1).norm(dim=1) <= bound).all()


def test_the_norm_is_the_largest_singular_value():
    optic = Optic("asymmetric", size=8, radius=2)
    blur = Blur(optic)
    columns = blur.forward(torch.eye(144).reshape(144, 1, 12, 12)).reshape(144, 64)
    assert norm(blur) == pytest.approx(torch.linalg.matrix_norm(columns, 2).item(), rel=1e-2)


def test_noise_has_the_variance_of_photons_and_readout():
    clean = torch.full((2000, 1, 8, 8), 0.4)
    noisy = poisson_gaussian(clean, torch.Generator().manual_seed(1))
    assert noisy.mean().item() == pytest.approx(0.4, abs=1e-3)
    inverse_peak = torch.log(torch.tensor(1050.0 / 50)).item() / 1000  # mean of 1 / U(50, 1050)
    readout = (0.025**3 - 0.005**3) / (3 * 0.02)  # mean square of U(.005, .025)
    assert noisy.var().item() == pytest.approx(0.4 * inverse_peak + readout, rel=0.05)
