"""A GAN on any source of images: two players in turn, measured at fixed steps on fixed latents and fixed features.

    latents U(-1, 1) -> generator -> images in -1..1 -> discriminator -> logit of "real"

Latents are as in both DCGAN and the CoordConv paper. `narrow_from` is a control of the
measures: from that step on all real images are the same one, which makes any GAN that learns collapse.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from coordbench.harness.core.description import About, Axes
from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.scores import Course, Fate
from coordbench.tasks._data.draws import epoch_length, epochs, generator
from coordbench.tasks._data.pictures import Pictures
from coordbench.tasks._predict import predict
from coordbench.tasks.gan_stability._losses import Rules
from coordbench.tasks.gan_stability._measures.collapse import fate
from coordbench.tasks.gan_stability._measures.features import Features, projection
from coordbench.tasks.gan_stability._measures.fidelity import coverage, fidelity, near, nearest
from coordbench.tasks.gan_stability._sheets import path, sheet

METRICS = (
    Metric("coverage", margin=0.05, least=0, most=1),
    Metric("recall", margin=0.05, least=0, most=1),
    Metric("precision", margin=0.05, least=0, most=1),
    Metric("density", margin=0.1, least=0),
    Metric("mmd", "", "lower", 0.05, least=0),
    Metric("vendi", margin=1.0),
    Metric("nearest_training", margin=0.05),
)
Batch = Annotated[int, Range(2)]
"""Images of a batch: batch normalization needs two."""
Step = Annotated[int, Range(0)]
Momentum = Annotated[float, Range(0, 0.999)]
"""Adam's first decay rate."""
_MEASURED = {"validation": 500, "test": 1000}
_KNOWN = 1000
"""Training images that a generated one is compared with, to see whether it is a copy."""
_SHOWN, _WAYS = 32, 4

AXES = {"sheet": Axes("latents"), "strip": Axes("from one latent to another")}

Look = Callable[[Tensor, str], Mapping[str, float]]
"""(images, split) -> scores of the factors that a task knows."""


@dataclass(frozen=True)
class Game:
    """How the two players are trained; the defaults are DCGAN's."""

    latent: int
    batch: int
    narrow_from: int | None = None
    rules: Rules = field(default_factory=Rules)
    generator_rate: float = 2e-4
    discriminator_rate: float = 2e-4
    generator_steps: int = 1
    betas: tuple[float, float] = (0.5, 0.999)

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator moves first."""
        judging, fooling = (
            Optimizer("Adam", rate, {"betas": self.betas}) for rate in (self.discriminator_rate, self.generator_rate)
        )
        return (
            Phase(("discriminator",), self.rules.judge, judging, 1, "discriminator"),
            Phase(("generator",), self.rules.fool, fooling, self.generator_steps, "generator"),
        )


def gan_about(what: str, options: Mapping[str, object]) -> About:
    """Open the contests of a GAN that learns to make pictures of this kind."""
    return About(
        f"A generator learns to make {what} at {options['canvas']} x {options['canvas']} pixels out of random "
        "numbers, so that a discriminator takes them for real; they are compared with real images that neither "
        "has seen.",
        "What the generator makes of the same random numbers over training, and on the way from one to another.",
    )


def adversarial(
    network: Network, seed: int, name: str, pictures: Pictures, game: Game, *, features: Features,
    look: Look = lambda images, split: {},
) -> Problem:  # fmt: skip
    """Make the GAN of one seed; `name` is that of the task, of which data order and evaluation latents are drawn."""
    order = epochs(pictures.count, game.batch, name, seed, "order")
    epoch_steps = epoch_length(pictures.count, game.batch)
    known = pictures.first(_KNOWN)
    project = projection(features, known)
    real = {split: project(images[: _MEASURED[split]]) for split, images in pictures.held_out.items()}
    fixed = {split: latents(len(real[split]), game.latent, name, split) for split in real}
    copied = functools.cache(lambda: project(known))
    apart = functools.cache(lambda split: nearest(real[split], copied()).mean())

    def batches(step: int) -> dict[str, Tensor]:
        chosen = order(step)
        narrowed = game.narrow_from is not None and step >= game.narrow_from
        return {
            "real": pictures.take(torch.zeros_like(chosen) if narrowed else chosen),
            "latents": latents(len(chosen), game.latent, name, seed, "train", step),
        }

    def evaluate(models: Models, split: str) -> dict[str, float]:
        images = predict(models["generator"], fixed[split])
        if not images.isfinite().all():
            return {"coverage": math.nan}
        fake = project(images)
        memory = (nearest(fake, copied()).mean() / apart(split)).item()
        return fidelity(real[split], fake) | {"nearest_training": memory} | dict(look(images, split))

    def outcome(course: Course) -> Fate | None:
        covered = [(p.step / epoch_steps, p.value) for p in course.curves if p.metric == "validation/coverage"]
        died_at = course.steps / epoch_steps if course.status == "diverged" else None
        if not covered and died_at is None:
            return None
        perfect = project(memorized(pictures, pictures.count)(fixed["validation"]))
        return fate(covered, coverage(near(real["validation"], perfect)), died_at)

    def snapshots(models: Models) -> Sequence[Sample]:
        return [sheet("fixed latents", "sheet", predict(models["generator"], fixed["test"][:_SHOWN]))]

    def samples(models: Models) -> Sequence[Sample]:
        ways = predict(models["generator"], path(fixed["test"][: 2 * _WAYS]))
        truth = sheet("fixed latents", "truth", pictures.held_out["test"][:_SHOWN])
        return [truth, *snapshots(models), sheet("between latents", "strip", ways)]

    models = {"generator": network((game.latent,), pictures.shape), "discriminator": network(pictures.shape, (1,))}
    return Problem(
        models, game.phases(), batches, evaluate, samples, snapshots, outcome, epoch_steps,
        inputs=lambda: {"generator": (batches(0)["latents"],), "discriminator": (batches(0)["real"],)},
        data=pictures,
    )  # fmt: skip


def latents(count: int, dims: int, *key: object) -> Tensor:
    """Draw latents U(-1, 1) by their key alone: (count, dims)."""
    return 2 * torch.rand(count, dims, generator=generator(*key, "latents")) - 1


def memorized(pictures: Pictures, count: int) -> Callable[[Tensor], Tensor]:
    """A generator that answers each latent with one of the first `count` training images."""
    return lambda z: pictures.take(((z[:, 0].double() + 1) / 2 * count).long().clamp(0, count - 1))
