"""The blur simulator: its operators against sums written out, their adjoints, and the noise against its own law."""

from __future__ import annotations

import pytest
import torch

from tasks._data.blur import Blur
from tasks._data.noise import poisson_gaussian
from tasks._data.psf import field_positions, kernels, taps

FAMILIES = ("radial", "asymmetric", "invariant")


@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_hold_all_light_within_their_radius(family):
    made = kernels(family, field_positions(5, 2), 4)
    assert made.shape == (81, 9, 9)
    assert made.min() >= 0
    torch.testing.assert_close(made.sum((1, 2)), torch.ones(81, dtype=torch.float64))
    assert made.flatten(1)[:, taps(4).norm(dim=1) > 4.5].max() == 0


def test_the_radial_family_turns_with_the_field_and_the_asymmetric_one_does_not():
    corners = torch.tensor([[-0.9, 0.9], [-0.9, -0.9]], dtype=torch.float64)  # a quarter turn apart
    right, left = kernels("radial", corners, 5)
    torch.testing.assert_close(right.rot90(), left)
    right, left = kernels("asymmetric", corners, 5)
    assert (right.rot90() - left).abs().max() > 0.01


def test_the_tail_of_coma_points_outward_and_the_center_is_round():
    edge, center = kernels("radial", torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64), 5)
    assert edge[:, 6:].sum() > 1.2 * edge[:, :5].sum()
    torch.testing.assert_close(center, center.rot90())


def test_the_control_is_the_same_everywhere():
    made = kernels("invariant", field_positions(4), 3)
    torch.testing.assert_close(made, made[:1].expand_as(made))


@pytest.mark.parametrize("family", FAMILIES)
def test_blur_spreads_each_point_source_by_the_kernel_of_its_own_position(family):
    blur = Blur(family, size=9, radius=2)
    spread = kernels(family, field_positions(9, 2), 2).float().reshape(13, 13, 5, 5)
    for row, column in ((6, 6), (4, 8), (7, 5)):
        scene = torch.zeros(1, 1, 13, 13)
        scene[..., row, column] = 1
        expected = torch.zeros(13, 13)
        expected[row - 2 : row + 3, column - 2 : column + 3] = spread[row, column]
        torch.testing.assert_close(blur.forward(scene)[0, 0], expected[2:-2, 2:-2])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_adjoint_is_the_adjoint(family):
    blur = Blur(family, size=10, radius=3)
    generator = torch.Generator().manual_seed(0)
    scene = torch.randn(2, 3, 16, 16, generator=generator)
    image = torch.randn(2, 3, 10, 10, generator=generator)
    forth, back = (blur.forward(scene) * image).sum(), (scene * blur.adjoint(image)).sum()
    torch.testing.assert_close(forth, back, rtol=1e-4, atol=1e-4)


def test_noise_has_the_variance_of_photons_and_readout():
    clean = torch.full((2000, 1, 8, 8), 0.4)
    noisy = poisson_gaussian(clean, torch.Generator().manual_seed(1))
    assert noisy.mean().item() == pytest.approx(0.4, abs=1e-3)
    inverse_peak = torch.log(torch.tensor(1050.0 / 50)).item() / 1000  # mean of 1 / U(50, 1050)
    readout = (0.025**3 - 0.005**3) / (3 * 0.02)  # mean square of U(.005, .025)
    assert noisy.var().item() == pytest.approx(0.4 * inverse_peak + readout, rel=0.05)
