"""The three fates of a GAN, on courses written by hand; coverage of real images is 1 unless said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.core.problem import Models
from coordbench.harness.core.scores import Fate, State
from coordbench.tasks.gan_stability._measures.collapse import fate

NEVER, COLLAPSED, CENSORED = State


def judge(*coverages: float, real: float = 1.0, died_at: int | None = None) -> Fate:
    return fate([(100 * (i + 1), coverage) for i, coverage in enumerate(coverages)], real, died_at)


@pytest.mark.parametrize(
    ("coverages", "expected"),
    [
        ((0.1, 0.4, 0.5), Fate(NEVER)),  # half of it is not above half
        ((0.0, 0.0, 0.0), Fate(NEVER)),
        ((), Fate(NEVER)),
        ((0.1, 0.6, 0.9), Fate(CENSORED, 200, 100)),
        ((0.6,), Fate(CENSORED, 100, 0)),
        ((0.6, 0.05, 0.05, 0.05), Fate(COLLAPSED, 100, 100)),
        ((0.6, 0.05, 0.05, 0.5, 0.05, 0.05, 0.6), Fate(CENSORED, 100, 600)),  # two in a row are a dip
        ((0.6, 0.05, 0.05), Fate(CENSORED, 100, 200)),
        ((0.6, 0.1, 0.1, 0.1), Fate(CENSORED, 100, 300)),  # a tenth is not under a tenth
        ((0.0, 0.0, 0.0, 0.7, 0.6, 0.0, 0.0, 0.0, 0.9), Fate(COLLAPSED, 400, 200)),  # a return comes too late
    ],
)
def test_fates(coverages: tuple[float, ...], expected: Fate) -> None:
    assert judge(*coverages) == expected


def test_thresholds_are_shares_of_real_coverage() -> None:
    assert judge(0.3, 0.04, 0.04, 0.04, real=0.5) == Fate(COLLAPSED, 100, 100)
    assert judge(0.3, 0.04, 0.04, 0.04, real=0.35) == Fate(CENSORED, 100, 300)


def test_a_loss_that_is_not_finite_ends_what_had_started_and_nothing_else() -> None:
    assert judge(0.6, 0.7, died_at=250) == Fate(COLLAPSED, 100, 150)
    assert judge(0.1, 0.2, died_at=250) == Fate(NEVER)
    assert judge(0.6, 0.0, 0.0, 0.0, died_at=450) == Fate(COLLAPSED, 100, 100)


HANDS = "hand_gan[batch=32, canvas=16, images=512, latent=16]"
ALL = range(512)


def course(*shown: Sequence[int]) -> list[tuple[float, float]]:
    """The coverage, epoch by epoch, of a generator that knows only the training images that are shown to it."""
    problem = registry.problem(HANDS, lambda before, after: nn.Identity(), 0)

    def copies(chosen: Sequence[int]) -> Models:
        images = problem.data.take(torch.tensor(chosen))
        return {"generator": lambda z: images[((z[:, 0] + 1) / 2 * len(images)).long().clamp(0, len(images) - 1)]}

    return [(i + 1.0, problem.evaluate(copies(each), "validation")["coverage"]) for i, each in enumerate(shown)]


def five(start: int) -> Sequence[int]:
    return range(start, start + 5)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ((ALL, ALL, ALL, ALL), Fate(CENSORED, 1, 3)),
        ((ALL, five(0), five(0), five(0)), Fate(COLLAPSED, 1, 1)),  # it has memorized five images
        ((ALL, five(0), five(100), five(200)), Fate(COLLAPSED, 1, 1)),  # it wanders between modes, few at a time
        ((ALL, five(0), ALL, five(100), ALL), Fate(CENSORED, 1, 4)),  # it comes back each time
        ((five(0), five(0), five(0)), Fate(NEVER)),
    ],
)
def test_generators_that_lose_modes_on_purpose(shown: Sequence[Sequence[int]], expected: Fate) -> None:
    assert fate(course(*shown), course(ALL)[0][1]) == expected
