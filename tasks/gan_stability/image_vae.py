"""Encode and decode images by a variational autoencoder, reconstruction and divergence scored apart.

    image -> encoder -> mean, log variance -> latent -> decoder -> image;  loss = reconstruction + KL [nats per image]

Kingma, Welling, "Auto-encoding variational Bayes", 2013, arXiv 1312.6114. The decoder's noise is Gaussian of fixed
spread, so the best linear autoencoder is known in closed form: probabilistic principal components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count, Positive, Range
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import reference, task
from coordbench.tasks._data.draws import epoch_length, epochs, generator
from coordbench.tasks._predict import predict
from coordbench.tasks.gan_stability._measures.components import principal
from coordbench.tasks.gan_stability._measures.features import projection
from coordbench.tasks.gan_stability._measures.fidelity import coverage, near, vendi
from coordbench.tasks.gan_stability._sheets import sheet
from coordbench.tasks.gan_stability._sources import Canvas, Source, pictures

NAME = "image_vae"
_FITTED, _SHOWN = 2000, 16
_LOG_VARIANCE = 10.0
"""Bound of the encoder's log variance, without which a first step may overflow."""


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return About(
        f"An encoder puts {options['data']} of {options['canvas']} x {options['canvas']} pixels into "
        f"{options['latent']} numbers and a decoder draws them again; both are scored on images that they have "
        "not seen.",
        "Images of the test and what came back of them; below, what the decoder draws of random numbers.",
    )


@task(
    NAME,
    suite="gan_stability",
    metrics=(
        Metric("loss", "nats", "lower", 1.0), Metric("reconstruction", "nats", "lower", 1.0),
        Metric("kl", "nats", "lower", 1.0, least=0), Metric("prior_coverage", margin=0.05, least=0, most=1),
        Metric("prior_vendi", margin=1.0, least=1),
    ),
    backbones=("vae",),
    source="After Hosseini and Hosseini 2024, arXiv 2401.01951",
    about=about,
)  # fmt: skip
def image_vae(
    network: Network, seed: int, *, data: Source = "digits", canvas: Canvas = 16, latent: Count = 16, batch: Count = 64,
    noise: Positive = 0.25, images: Annotated[int, Range(16, 50000)] | None = None, folder: Path | None = None,
    color: bool = False,
) -> Problem:  # fmt: skip
    """Train an autoencoder whose decoder adds Gaussian noise of spread `noise` to pixels in -1..1.

    With `images` there are so many drawn ones (objects, hands); else 50,000. What the decoder draws of random numbers
    is scored by its coverage of the images held out, and by its diversity (Vendi score), as a GAN's images are.
    """
    source = pictures(data, canvas, folder, color=color, images=images)
    order = epochs(source.count, batch, NAME, seed, "order")

    def batches(step: int) -> dict[str, Tensor]:
        images = source.take(order(step))
        return {"images": images, "draws": _draws(len(images), latent, seed, "train", step)}

    def terms(models: Models, images: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = split_code(models["encoder"](images))
        decoded = models["decoder"](mean + draws * (log_variance / 2).exp())
        return reconstruction(decoded, images, noise), divergence(mean, log_variance)

    def loss(models: Models, batch: Mapping[str, Tensor]) -> Tensor:
        apart, kl = terms(models, batch["images"], batch["draws"])
        return apart.mean() + kl.mean()

    def evaluate(models: Models, split: str) -> dict[str, float]:
        images = source.held_out[split]
        mean, log_variance = split_code(predict(models["encoder"], images))
        latents = mean + _draws(len(images), latent, split) * (log_variance / 2).exp()
        apart = reconstruction(predict(models["decoder"], latents), images, noise).mean().item()
        kl = divergence(mean, log_variance).mean().item()
        scores = {"loss": apart + kl, "reconstruction": apart, "kl": kl}
        return scores | prior(models, images) if split == "test" else scores

    def prior(models: Models, images: Tensor) -> dict[str, float]:
        drawn = predict(models["decoder"], _draws(len(images), latent, "prior", "test"))
        if not drawn.isfinite().all():
            return {"prior_coverage": math.nan}
        project = projection("pca", source.first(_FITTED))
        real, fake = project(images), project(drawn)
        return {"prior_coverage": coverage(near(real, fake)), "prior_vendi": vendi(fake)}

    def samples(models: Models) -> Sequence[Sample]:
        images = source.held_out["test"][:_SHOWN]
        decoded = predict(models["decoder"], split_code(predict(models["encoder"], images))[0])
        prior = predict(models["decoder"], _draws(_SHOWN, latent, "prior"))
        return [
            sheet("reconstructions", "truth", images), sheet("reconstructions", "decoded", decoded),
            sheet("prior", "drawn", prior),
        ]  # fmt: skip

    models = {"encoder": network(source.shape, (2 * latent,)), "decoder": network((latent,), source.shape)}
    return Problem(
        models, (Phase(("encoder", "decoder"), loss, Optimizer("Adam", 1e-3)),), batches, evaluate, samples,
        inputs=lambda: {"encoder": (batches(0)["images"],), "decoder": (batches(0)["draws"],)},
        data=(source.first(_FITTED), latent, noise), epoch_steps=epoch_length(source.count, batch),
    )  # fmt: skip


def split_code(code: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and bounded log variance of a code (N, 2 latent)."""
    mean, log_variance = code.chunk(2, dim=1)
    return mean, log_variance.clamp(-_LOG_VARIANCE, _LOG_VARIANCE)


def reconstruction(decoded: Tensor, images: Tensor, noise: float) -> Tensor:
    """|decoded - image|^2 / (2 noise^2) [nats]: the negative log likelihood up to its constant, (N,)."""
    return (decoded - images).square().flatten(1).sum(1) / (2 * noise**2)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The KL divergence [nats] of the encoder's Gaussian from the standard normal: (N,)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2


@reference(task=NAME, kind="floor")
def mean_image(problem: Problem) -> Models:
    """Say nothing about the image, and decode the mean of all."""
    images, latent, _ = problem.data
    return {
        "encoder": lambda x: x.new_zeros(len(x), 2 * latent),
        "decoder": lambda z: images.mean(0).expand(len(z), *images.shape[1:]),
    }


@reference(task=NAME, kind="anchor")
def probabilistic_pca(problem: Problem) -> Models:
    """The best linear autoencoder (Tipping and Bishop 1999; Lucas et al. 2019, arXiv 1911.02469)."""
    images, latent, noise = problem.data
    center, components, variances = principal(images.flatten(1).double(), latent)
    variances = variances.clamp_min(noise**2)  # a direction below the noise is left to the prior
    weights = components * (variances - noise**2).sqrt()
    log_variance = (noise**2 / variances).log()

    def encode(x: Tensor) -> Tensor:
        mean = (x.flatten(1).double() - center) @ weights / variances
        return torch.cat([mean, log_variance.expand_as(mean)], 1)

    return {"encoder": encode, "decoder": lambda z: (z.double() @ weights.T + center).view(-1, *images.shape[1:])}


def _draws(count: int, dims: int, *key: object) -> Tensor:
    return torch.randn(count, dims, generator=generator(NAME, *key, "draws"))
