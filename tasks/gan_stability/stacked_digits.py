"""Generate three digits at once, one in each color channel: a thousand known modes out of real images.

    red 7, green 0, blue 4  ->  the mode 704 of 1,000, read by a machine that was trained on real digits

The little sister of Stacked MNIST (Metz et al., "Unrolled generative adversarial networks", 2016, arXiv 1611.02163),
out of the digits of 8 x 8 pixels that ship with scikit-learn. A network that paints only some combinations has
collapsed, however well it paints them: `modes` counts those that occur among 5,000 images, of which even images drawn
at random from the training set miss a few.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count, NotNegative
from coordbench.harness.core.problem import Metric, Models, Network, Problem
from coordbench.harness.core.registry import task
from coordbench.tasks._data.draws import generator
from coordbench.tasks._data.pictures import Pictures
from coordbench.tasks._predict import predict
from coordbench.tasks.gan_stability._adversarial import (
    AXES,
    METRICS,
    Batch,
    Game,
    Step,
    adversarial,
    gan_about,
    latents,
)
from coordbench.tasks.gan_stability._digit_reader import CLASSES, accuracy, read
from coordbench.tasks.gan_stability._losses import Loss, Penalty, Rules
from coordbench.tasks.gan_stability._measures.factors import entropy
from coordbench.tasks.gan_stability._measures.features import Features
from coordbench.tasks.gan_stability._sources import DRAWN, HELD_OUT, Canvas, digits_of

NAME = "stacked_digits"
MODES = CLASSES**3
_COUNTED = 5000
"""Images among which modes are counted: as many at random miss seven of a thousand."""


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return gan_about("three handwritten digits, one in each color channel,", options)


@task(
    NAME,
    suite="gan_stability",
    metrics=(*METRICS, Metric("modes", margin=20.0), Metric("reverse_kl", "nats", "lower", 0.1)),
    backbones=("dcgan", "coordgan"),
    source="After Stacked MNIST: Metz et al. 2016, arXiv 1611.02163",
    about=about,
    axes=AXES,
)
def stacked_digits(
    network: Network, seed: int, *, canvas: Canvas = 16, latent: Count = 64, batch: Batch = 64,
    features: Features = "pca", loss: Loss = "non_saturating", penalty: Penalty = "none", gamma: NotNegative = 1.0,
    narrow_from: Step | None = None,
) -> Problem:  # fmt: skip
    """Play a GAN over triples of handwritten digits, and count which of the 1,000 combinations it paints."""
    game = Game(latent, batch, narrow_from, Rules(loss, penalty, gamma))
    problem = adversarial(network, seed, NAME, stacks(canvas), game, features=features)
    fidelity, fixed = problem.evaluate, latents(_COUNTED, latent, NAME, "modes")

    def evaluate(models: Models, split: str) -> dict[str, float]:
        scores = fidelity(models, split)
        if split != "test" or math.isnan(scores["coverage"]):
            return scores
        return scores | count_modes(predict(models["generator"], fixed))

    problem.evaluate = evaluate
    return problem


def stacks(canvas: int) -> Pictures:
    """Three digits of one split, drawn at random, as the channels of images (N, 3, canvas, canvas) in -1..1."""
    digits = {split: digits_of(split, canvas)[0][:, 0] for split in ("train", "validation", "test")}
    counts = {"train": DRAWN, "validation": HELD_OUT, "test": HELD_OUT}
    chosen = {
        split: torch.randint(len(images), (counts[split], 3), generator=generator(NAME, split))
        for split, images in digits.items()
    }
    held_out = {split: digits[split][chosen[split]] for split in ("validation", "test")}
    return Pictures(DRAWN, lambda indices: digits["train"][chosen["train"][indices]], held_out)


def count_modes(images: Tensor) -> dict[str, float]:
    """Score images (N, 3, H, W): how many of the 1,000 modes occur, and KL(generated || uniform) [nats].

    `reader_accuracy` is the share of real triples that are read right in all channels.
    """
    hundreds, tens, ones = (read(channel[:, None]) for channel in images.unbind(1))
    modes = (hundreds * CLASSES + tens) * CLASSES + ones
    return {
        "modes": float(len(modes.unique())),
        "reverse_kl": math.log(MODES) - entropy(modes, MODES),
        "reader_accuracy": accuracy() ** 3,
    }
