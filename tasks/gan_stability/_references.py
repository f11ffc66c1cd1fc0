"""What a GAN's measures say of real images at the same n, and of a total collapse."""

from __future__ import annotations

from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.registry import reference
from coordbench.tasks.gan_stability._adversarial import memorized

GANS = ("object_gan", "hand_gan", "digit_gan", "face_gan", "stacked_digits")


@reference(task=GANS, kind="floor")
def five_images(problem: Problem) -> Models:
    """Answer every latent with one of five training images: precise, dense, and collapsed."""
    return {"generator": memorized(problem.data, 5)}


@reference(task=GANS, kind="ceiling")
def real_images(problem: Problem) -> Models:
    """Answer every latent with some training image: real against real."""
    return {"generator": memorized(problem.data, problem.data.count)}
