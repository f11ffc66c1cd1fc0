"""The autoencoder's two losses against oracles, and its references against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import Problem
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks.gan_stability.image_vae import divergence, reconstruction

NOISE = 0.5
SELECTOR = f"image_vae[canvas=8, latent=6, noise={NOISE}]"


def make(selector: str) -> Problem:
    return registry.problem(selector, lambda before, after: nn.Identity(), 0)


def test_divergence_matches_torch() -> None:
    mean, log_variance = torch.randn(2, 5, 3).double()
    exact = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(divergence(mean, log_variance), exact)


def test_reconstruction_is_a_likelihood_up_to_its_constant() -> None:
    decoded, images = torch.randn(2, 5, 1, 3, 3).double()
    likelihood = Normal(decoded, NOISE).log_prob(images).flatten(1).sum(1)
    constant = -Normal(0.0, NOISE).log_prob(torch.tensor(0.0)) * 9
    assert torch.allclose(reconstruction(decoded, images, NOISE), -likelihood - constant)


def test_the_mean_image_says_nothing() -> None:
    problem = make(SELECTOR)
    scores = problem.evaluate(registry.solve("mean_image", problem), "test")
    assert scores["kl"] == 0
    assert scores["loss"] == scores["reconstruction"] > 0


def test_probabilistic_components_reach_the_exact_likelihood_of_their_model() -> None:
    problem = make(SELECTOR)
    models = registry.solve("probabilistic_pca", problem)
    scores = problem.evaluate(models, "test")
    columns = torch.eye(6).double()
    decode = models["decoder"]
    center = decode(torch.zeros(1, 6)).flatten()
    weights = (decode(columns).flatten(1) - center).T
    model = MultivariateNormal(center, weights @ weights.T + NOISE**2 * torch.eye(64).double())
    test = encoded(problem)
    constant = Normal(0.0, NOISE).log_prob(torch.tensor(0.0)).double() * 64
    exact = (constant - model.log_prob(test.flatten(1).double())).mean().item()
    assert scores["loss"] == pytest.approx(exact, rel=0.02)  # one draw of the latents each
    floor = problem.evaluate(registry.solve("mean_image", problem), "test")
    assert scores["loss"] < floor["loss"] / 1.5


def encoded(problem: Problem) -> torch.Tensor:
    """The test images, as an encoder is shown them."""
    seen = []

    def spy(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return images.new_zeros(len(images), 12)

    problem.evaluate({"encoder": spy, "decoder": lambda z: torch.zeros(len(z), 1, 8, 8)}, "test")
    return torch.cat(seen)


def test_training_beats_the_mean_image() -> None:
    selector = "image_vae[canvas=8, latent=6]"
    record = train.run(Trial(Cell.of(selector, "vae[width=8]", "coordconv", budget=Budget(150, evaluations=2)), 0))
    problem = make(selector)
    floor = problem.evaluate(registry.solve("mean_image", problem), "test")
    scores = record.scores["test"]
    assert scores["loss"] == pytest.approx(scores["reconstruction"] + scores["kl"])
    assert scores["loss"] < floor["loss"]
    assert floor["prior_coverage"] < scores["prior_coverage"]
    assert floor["prior_vendi"] == pytest.approx(1)
    assert scores["prior_vendi"] > 3
    assert {sample.role for sample in record.samples} == {"truth", "decoded", "drawn"}


@pytest.mark.parametrize("wrong", ["noise=0", "latent=0"])
def test_options_out_of_range_are_named(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"expected a number above 0|expected an integer of at least 1"):
        make(f"image_vae[{wrong}]")
