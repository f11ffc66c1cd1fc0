"""MultiWienerNet: its filters undo the blur they hold, and start from the kernels of the task's field."""

from __future__ import annotations

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.tasks._data.optics.psf import Optic, field_positions


def build(selector: str, shape=(1, 32, 32)):
    return registry.network(selector, registry.layer("conv"))(shape, shape)


def test_without_noise_each_filter_undoes_its_own_kernel():
    model = build("multiwiener[grid=2, radius=2, depth=1, width=2]").double()
    kernels = Optic("asymmetric", 32, radius=2).kernels(field_positions(2))
    model.start_from(kernels)
    model.kernels.requires_grad_(False)
    model.log_noise.data.fill_(-18)
    scene = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    scene[..., 8:24, 8:24] = torch.rand(16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for index, kernel in enumerate(kernels):
        blurred = torch.nn.functional.conv2d(scene, kernel.flip(0, 1)[None, None], padding=2)
        torch.testing.assert_close(model.deconvolve(blurred)[:, index], scene[0], atol=1e-3, rtol=0)


def test_kernels_and_noise_are_learned():
    model = build("multiwiener[depth=1, width=2]")
    model(torch.rand(1, 1, 32, 32)).square().sum().backward()
    assert model.kernels.shape == (9, 15, 15)
    assert model.kernels.grad.abs().sum() > 0
    assert (model.log_noise.grad != 0).all()


def test_the_task_hands_over_the_kernels_of_its_field():
    network = registry.network("multiwiener[radius=5, depth=2, width=2, residual=true]", registry.layer("conv"))
    problem = registry.problem("field_deblurring[canvas=16, radius=3]", network, 0)
    model = problem.models["restorer"]
    optic = Optic("radial", 16, radius=5)
    torch.testing.assert_close(model.kernels[4].data, optic.center.float())
    assert not torch.allclose(model.kernels[0], model.kernels[4])
    observed, _ = problem.batches(0)
    torch.testing.assert_close(model(observed), observed)  # a residual network starts as the identity


@pytest.mark.parametrize(("selector", "shape"), [("multiwiener", (1, 64)), ("multiwiener[grid=0]", (1, 32, 32))])
def test_what_it_cannot_do_is_named(selector, shape):
    with pytest.raises(UsageError, match="multiwiener"):
        build(selector, shape)
