"""Lenses drawn at random, against what wave optics knows: Airy's disk, Strehl's ratio, Fourier's transform, energy."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coordbench.tasks._data.optics.blur import Blur, LowRankBlur, operator_error
from coordbench.tasks._data.optics.lens import NUMBERS, SEIDEL, Kind, Lens, draw_lens, open_pupil, rms
from coordbench.tasks._data.optics.psf import field_positions, taps

KINDS: tuple[Kind, ...] = ("seidel", "zernike")
CENTER = torch.zeros(1, 2, dtype=torch.float64)
CORNER = torch.ones(1, 2, dtype=torch.float64)


def lens(**numbers: float) -> Lens:
    """A lens of 16 px with these numbers by their place, such as n5 for the constant defocus."""
    values = [0.0] * NUMBERS
    for name, value in numbers.items():
        values[int(name[1:])] = value
    return Lens(16, 12, tuple(values))


def draw(kind: Kind, severity: float, seed: int = 0, size: int = 24, radius: int = 6) -> Lens:
    return draw_lens(kind, severity, torch.Generator().manual_seed(seed), size=size, radius=radius)


def test_the_bare_lens_makes_an_airy_disk_everywhere() -> None:
    distance = taps(12).norm(dim=1).clamp_min(1e-6) * 2 * torch.pi * 0.35
    airy = (2 * torch.special.bessel_j1(distance) / distance) ** 2
    inside = taps(12).norm(dim=1) < 8
    for place in (CENTER, CORNER):
        kernel = lens().kernels(place).flatten()
        torch.testing.assert_close((kernel / kernel.max())[inside], airy[inside], atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_light_is_that_of_a_fast_fourier_transform_of_the_pupil(kind: Kind) -> None:
    drawn = draw(kind, 0.15)
    waves = drawn.wavefront(CORNER)[0]
    pupil = torch.polar(open_pupil().double(), 2 * torch.pi * waves)
    # 24 samples over frequencies of .7 per px, padded to 240: seven points a pixel
    plane = torch.fft.fftshift(torch.fft.ifft2(pupil, s=(240, 240)).abs().square())[120 % 7 :: 7, 120 % 7 :: 7]
    middle = 120 // 7
    expected = plane[middle - 6 : middle + 7, middle - 6 : middle + 7]
    light = drawn.light(CORNER, taps(6)).reshape(13, 13)
    torch.testing.assert_close(light, expected / expected.sum())


@pytest.mark.parametrize("number", range(NUMBERS))
def test_small_errors_dim_the_peak_by_strehls_ratio(number: int) -> None:
    """Exp(-(2 pi sigma)^2), sigma being what piston and tilt cannot take away; tilt alone moves the light."""
    aberrated = lens(**{f"n{number}": 1.0})
    sigma = rms(aberrated.wavefront(CORNER)).item()
    if number == SEIDEL - 1:
        assert sigma < 1e-9
        return
    scale = 0.04 / sigma
    aberrated = lens(**{f"n{number}": scale})
    waves = aberrated.wavefront(CORNER)[0]
    # The peak lies where the tilt sends it: without tilt it is the squared mean over the pupil.
    inside = open_pupil()
    flat = waves[inside] - _tilt(waves)[inside]
    strehl = torch.polar(torch.ones_like(flat), 2 * torch.pi * flat).mean().abs().square().item()
    assert strehl == pytest.approx(math.exp(-((2 * math.pi * 0.04) ** 2)), abs=2e-3)
    if number > SEIDEL:  # no tilt in Zernike's terms but for coma's, which is balanced: the peak stays on its pixel
        peak, bare = (one.light(CORNER, taps(12)).reshape(25, 25)[12, 12].item() for one in (aberrated, lens()))
        assert peak / bare == pytest.approx(strehl, abs=0.02)


def _tilt(waves: Tensor) -> Tensor:
    """Plane of least squares through wavefront errors (S, S)."""
    inside = open_pupil()
    axis = torch.linspace(-1, 1, len(waves), dtype=torch.float64)
    plane = torch.stack([torch.ones_like(waves), axis.expand_as(waves), axis[:, None].expand_as(waves)], dim=-1)
    weights = torch.linalg.lstsq(plane[inside], waves[inside][:, None]).solution
    tilted: Tensor = (plane @ weights)[..., 0]
    return tilted


def test_zernike_terms_are_of_mean_square_one_and_seidels_are_as_published() -> None:
    place = CENTER
    assert [round(rms(lens(**{f"n{SEIDEL + i}": 1.0}).wavefront(place)).item(), 1) for i in range(6)] == [1.0] * 6
    # Known variances over the disk: rho^4 has 4/45, of which tilt takes nothing; rho^2 1/12; rho^3 cos less tilt 1/72
    expected = {0: 4 / 45, 1: 1 / 72, 2: 1 / 16, 3: 1 / 12}
    for number, variance in expected.items():
        measured = rms(lens(**{f"n{number}": 1.0}).wavefront(CORNER)).square().item()
        assert measured == pytest.approx(variance, rel=0.06), number


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawn_lens_has_its_severity_and_keeps_all_light(kind: Kind) -> None:
    for severity in (0.04, 0.2):
        drawn = draw(kind, severity)
        assert drawn.severity() == pytest.approx(severity, rel=1e-5)
        kernels = drawn.kernels(field_positions(3))
        torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(9, dtype=torch.float64))
        assert kernels.min() >= 0
    assert draw(kind, 0.1, seed=1).numbers != draw(kind, 0.1, seed=2).numbers


def test_harder_lenses_blur_more_and_vary_more() -> None:
    for kind in KINDS:
        mild, hard = draw(kind, 0.04), draw(kind, 0.2)
        assert hard.variation() > mild.variation()
        assert hard.kernels(CORNER).amax() < mild.kernels(CORNER).amax()
    assert lens().variation() < 1e-12
    assert lens(n0=0.3).variation() < 1e-12  # spherical aberration is the same all over the field


def test_a_centered_lens_turns_with_the_field_and_a_decentered_one_does_not() -> None:
    corners = torch.tensor([[-0.9, 0.9], [-0.9, -0.9]], dtype=torch.float64)  # a quarter turn apart
    right, left = draw("seidel", 0.15).kernels(corners)
    torch.testing.assert_close(right.rot90(), left)
    right, left = draw("zernike", 0.15).kernels(corners)
    assert (right.rot90() - left).abs().max() > 0.1 * right.max()


@pytest.mark.parametrize("kind", KINDS)
def test_twelve_convolutions_stand_for_all_kernels_of_a_lens(kind: Kind) -> None:
    drawn = draw(kind, 0.2, size=24, radius=6)
    assert operator_error(Blur(drawn), LowRankBlur(drawn, 12)) < 0.1
