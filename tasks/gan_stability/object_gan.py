"""Generate two colored objects, whose places are known, so that their spread can be counted.

    white 64 x 64 with a red and a blue square or disk; scored by the cells of an 8 x 8 grid that their centers reach

Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018, arXiv 1807.03247.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count, NotNegative
from coordbench.harness.core.problem import Metric, Network, Problem
from coordbench.harness.core.registry import task
from coordbench.tasks._data.objects import HIGH, LOW, locate
from coordbench.tasks.gan_stability._adversarial import AXES, METRICS, Batch, Game, Step, adversarial, gan_about
from coordbench.tasks.gan_stability._losses import Loss, Penalty, Rules
from coordbench.tasks.gan_stability._measures.factors import BINS, cells, entropy, occupied
from coordbench.tasks.gan_stability._measures.features import Features
from coordbench.tasks.gan_stability._sources import Canvas, pictures

NAME = "object_gan"
_AREA = (150, 600)
"""Areas [px of 64] that an object may have: a disk has 317, a square 441, half hidden or blurred ones less."""


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return gan_about("one red and one blue object on white", options)


@task(
    NAME,
    suite="gan_stability",
    metrics=(
        *METRICS,
        Metric("valid", margin=0.05, least=0, most=1),
        Metric("occupied", margin=0.05, least=0, most=1),
        Metric("position_entropy", "nats"),
    ),
    backbones=("dcgan", "coordgan"),
    source="Liu et al. 2018, arXiv 1807.03247",
    about=about,
    axes=AXES,
)
def object_gan(
    network: Network, seed: int, *, canvas: Canvas = 64, latent: Count = 256, batch: Batch = 64,
    features: Features = "pca", recipe: Literal["dcgan", "coordconv"] = "dcgan", loss: Loss = "non_saturating",
    penalty: Penalty = "none", gamma: NotNegative = 1.0, narrow_from: Step | None = None,
) -> Problem:  # fmt: skip
    """Play a GAN over scenes of one red and one blue object."""
    rules = Rules(loss, penalty, gamma)
    game = Game(latent, batch, narrow_from, rules)
    if recipe == "coordconv":  # one step of the discriminator to two of the generator, at the paper's rates
        game = Game(latent, batch, narrow_from, rules, 5e-4, 1e-4, 2, (0.9, 0.99))
    return adversarial(network, seed, NAME, pictures("objects", canvas), game, features=features, look=count_places)


def count_places(images: Tensor, split: str = "test") -> dict[str, float]:
    """Score scenes (N, 3, H, W): the share with two objects of credible size, and the spread of those.

    `occupied` is the share of 64 cells that centers reach, `position_entropy` its entropy [nats], both the mean of red
    and blue; `offset_entropy` is that of red minus blue.
    """
    centers, areas = locate(images)
    valid = ((areas > _AREA[0]) & (areas < _AREA[1])).all(1)
    red, blue = centers[valid].unbind(1)
    places = [cells(where, LOW, HIGH + 1) for where in (red, blue)]
    reach = HIGH - LOW
    apart = cells(red - blue, -reach, reach)
    return {
        "valid": valid.double().mean().item(),
        "occupied": sum(occupied(place, BINS**2) for place in places) / 2,
        "position_entropy": sum(entropy(place, BINS**2) for place in places) / 2,
        "offset_entropy": entropy(apart, BINS**2),
    }
