"""Gaussian fields: their stated law, and the estimator that no method beats."""

from __future__ import annotations

import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.tasks._data.fields import Fields
from coordbench.tasks.deblurring._gallery import gates

TASK = "field_deblurring[canvas=16, radius=3]"


@pytest.fixture(scope="module")
def problem():
    return registry.problem(TASK, lambda input_shape, output_shape: torch.nn.Conv2d(1, 1, 1), 0)


def test_fields_have_the_mean_and_covariance_they_state():
    fields = Fields(side=6, scale=4.0)
    drawn = fields.draw(40000, torch.Generator().manual_seed(0)).flatten(1).double()
    covariance = fields.covariance()
    assert covariance.diagonal().sqrt().mean().item() == pytest.approx(fields.deviation)
    assert covariance[0, 1] > 2 * covariance[0, 5] > 0  # nearer pixels are more alike
    torch.testing.assert_close(drawn.T.cov(), covariance, atol=6e-4, rtol=0)
    assert drawn.mean().item() == pytest.approx(fields.mean, abs=5e-3)


def test_the_estimator_errs_as_the_theory_says(problem):
    """The mean squared error of the conditional mean is the trace of C - C A' S^-1 A C."""
    blur, law = problem.data.blur, problem.data.extra
    matrix = blur.forward(torch.eye(22**2).reshape(-1, 1, 22, 22)).reshape(22**2, 16**2).T.double()
    prior = law.fields.covariance()
    observed = matrix @ prior @ matrix.T + law.noise**2 * torch.eye(256, dtype=torch.float64)
    posterior = prior - prior @ matrix.T @ torch.linalg.solve(observed, matrix @ prior)
    inside = posterior.diagonal().reshape(22, 22)[3:-3, 3:-3]
    expected = -10 * inside.mean().log10().item()
    scores = problem.evaluate(registry.solve("field_estimator", problem), "test")
    assert scores["psnr"] == pytest.approx(expected, abs=0.15)


def test_every_other_reference_is_between_floor_and_ceiling(problem):
    entries = registry.references(TASK)
    assert [e.name for e in entries][:2] == ["identity", "field_estimator"]
    scores = {e.name: problem.evaluate(registry.solve(e.name, problem), "test")["psnr"] for e in entries}
    assert max(scores, key=scores.__getitem__) == "field_estimator"
    assert min(scores, key=scores.__getitem__) == "identity"


def test_a_batch_is_a_function_of_seed_and_step(problem):
    assert all(torch.equal(a, b) for a, b in zip(problem.batches(5), problem.batches(5), strict=True))
    assert not torch.equal(problem.batches(5)[1], problem.batches(6)[1])


def test_gates_are_shown_as_pictures():
    layer = registry.layer("coordgate[encoder=map]")
    model = registry.network("unet[depth=2, width=4, where=gates]", layer)((1, 128, 128), (1, 128, 128))
    with torch.no_grad():
        model.gates[0].encoder.map[0, 2] = torch.arange(128.0).expand(128, 128)
    samples = gates(model)
    assert [sample.role for sample in samples] == ["gate 1", "gate 2", "gate 3"]
    assert all(max(sample.array.shape) <= 96 for sample in samples)
    assert samples[0].array[0, -1] > samples[0].array[0, 0] + 100
    assert gates(torch.nn.Identity()) == gates(lambda x: x) == []


@pytest.mark.parametrize("options", ["canvas=128", "canvas=4", "radius=0", "noise=0"])
def test_wrong_options_are_named(options):
    name, value = options.split("=")
    with pytest.raises(UsageError, match=rf"{name}='?{value}\b"):
        registry.problem(f"field_deblurring[{options}]", lambda i, o: torch.nn.Identity(), 0)
