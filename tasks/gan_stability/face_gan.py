"""Generate real faces: the hundred that scikit-image ships, or a folder of one's own.

With so few faces a generator may well learn them by heart: `nearest_training`, the distance to the nearest training
image over that of unseen real ones, is 1 for a generator of new faces and 0 for one that copies. With 50 faces to
compare with, of which each generated one may cover five, coverage tells a collapse onto one face, not one onto five:
see the floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count, NotNegative
from coordbench.harness.core.problem import Network, Problem
from coordbench.harness.core.registry import task
from coordbench.tasks.gan_stability._adversarial import AXES, METRICS, Batch, Game, Step, adversarial, gan_about
from coordbench.tasks.gan_stability._losses import Loss, Penalty, Rules
from coordbench.tasks.gan_stability._measures.features import Features
from coordbench.tasks.gan_stability._sources import Canvas, pictures

NAME = "face_gan"


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return gan_about("faces", options)


@task(
    NAME,
    suite="gan_stability",
    metrics=METRICS,
    backbones=("dcgan", "coordgan"),
    source="After Hosseini and Hosseini 2024, arXiv 2401.01951",
    about=about,
    axes=AXES,
)
def face_gan(
    network: Network, seed: int, *, canvas: Canvas = 32, latent: Count = 100, batch: Batch = 64,
    features: Features = "pca", folder: Path | None = None, color: bool = False, loss: Loss = "non_saturating",
    penalty: Penalty = "none", gamma: NotNegative = 1.0, narrow_from: Step | None = None,
) -> Problem:  # fmt: skip
    """Play a GAN over faces, mirrored ones included."""
    game = Game(latent, batch, narrow_from, Rules(loss, penalty, gamma))
    return adversarial(network, seed, NAME, pictures("faces", canvas, folder, color=color), game, features=features)
