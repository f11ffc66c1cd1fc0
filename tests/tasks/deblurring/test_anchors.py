"""Classical restoration: each method against an answer that is known without it."""

from __future__ import annotations

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.tasks._data.fields import Fields
from coordbench.tasks._data.optics.blur import Blur, norm
from coordbench.tasks._data.optics.psf import Optic
from coordbench.tasks.deblurring._tuning import best
from coordbench.tasks.deblurring.iterative import denoise, divergence, fista, gradient, lucy
from coordbench.tasks.deblurring.ring import Rings
from coordbench.tasks.deblurring.wiener import wiener_filter, windows

OPTIC = Optic("radial", size=24, radius=4)


@pytest.fixture(scope="module")
def clean():
    """A smooth scene through the lens, without noise: (blur, observed, truth)."""
    blur = Blur(OPTIC)
    scenes = Fields(OPTIC.side, slope=5.0).draw(4, torch.Generator().manual_seed(0))
    return blur, blur.forward(scenes), scenes[..., 4:-4, 4:-4]


def error(restored, truth):
    return (restored - truth)[..., 6:-6, 6:-6].square().mean().item()  # what the mirror images outside do not reach


def test_divergence_is_minus_the_adjoint_of_the_gradient():
    generator = torch.Generator().manual_seed(0)
    image, dual = torch.randn(2, 3, 5, 7, generator=generator), torch.randn(2, 3, 2, 5, 7, generator=generator)
    torch.testing.assert_close((gradient(image) * dual).sum(), -(image * divergence(dual)).sum())


def test_total_variation_moves_two_pixels_toward_each_other_by_its_weight():
    pair = torch.tensor([[[[0.0, 1.0]]]])
    torch.testing.assert_close(denoise(pair, 0.2, rounds=300), torch.tensor([[[[0.2, 0.8]]]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(denoise(pair, 0.9, rounds=300), torch.full((1, 1, 1, 2), 0.5), atol=1e-4, rtol=0)


def test_fista_descends_its_objective_and_undoes_a_clean_blur(clean):
    blur, observed, truth = clean
    step = 1 / norm(blur) ** 2
    errors = [error(fista(blur, 1e-5, step, rounds)(observed), truth) for rounds in (0, 5, 40)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_richardson_lucy_climbs_the_likelihood_of_photons(clean):
    blur, observed, _ = clean
    optic = OPTIC

    def likelihood(rounds):
        mirrored = torch.nn.functional.pad(lucy(blur, rounds)(observed), (optic.radius,) * 4, mode="reflect")
        seen = blur.forward(mirrored)[..., 8:-8, 8:-8]
        return (observed[..., 8:-8, 8:-8] * seen.log() - seen).sum().item()

    assert likelihood(0) < likelihood(2) < likelihood(16)


def test_windows_sum_to_one_and_belong_to_their_patch():
    weights = windows(3, 30)
    torch.testing.assert_close(weights.sum(0), torch.ones(30, 30))
    assert weights[4, 15, 15] > 0.9
    assert weights[0, 0, 0] == 1


def test_a_wiener_filter_undoes_an_even_blur():
    optic = Optic("invariant", size=32, radius=4)
    scenes = Fields(optic.side, slope=5.0).draw(4, torch.Generator().manual_seed(0))
    observed, truth = Blur(optic).forward(scenes), scenes[..., 4:-4, 4:-4]
    restored = wiener_filter(optic.center.float()[None], 1e-4)(observed)
    assert error(restored, truth) < 0.1 * error(observed, truth)


def test_rings_undo_a_blur_that_varies(clean):
    blur, observed, truth = clean
    restored = Rings(blur).restorer(1e-4)(observed)
    assert error(restored, truth) < 0.1 * error(observed, truth)


def test_rings_leave_an_even_brightness_as_it_is():
    blur = Blur(Optic("relay", size=24, radius=4))
    observed = blur.forward(torch.full((1, 1, 32, 32), 0.3))
    torch.testing.assert_close(Rings(blur).restorer(1e-2)(observed), torch.full((1, 1, 24, 24), 0.3))


def test_rings_stand_only_where_the_optic_is_symmetric():
    def names(task):
        return [entry.name for entry in registry.references(task)]

    assert "ring_deconvolution" in names("photo_deblurring[psf=zernike]")
    assert "ring_deconvolution" not in names("photo_deblurring[psf=asymmetric]")
    assert "ring_deconvolution" not in names("photo_deblurring[canvas=256]")


def test_the_candidate_of_least_error_is_chosen():
    observed, truth = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)
    chosen = best(lambda shift: lambda x: x + shift, (0.1, 0.4, 0.9), (observed, truth))
    assert chosen(observed).mean().item() == pytest.approx(0.4)
