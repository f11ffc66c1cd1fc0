"""Losses and penalties of a GAN, by hand: D is linear, D(x) = w . x, so its steepness is |w|^2 wherever it is asked."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks.gan_stability._losses import Loss, Penalty, Rules, steepness

WEIGHTS = (1.0, -2.0)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def linear() -> nn.Module:
    """D(x) = x_1 - 2 x_2 of images of two pixels."""
    head = nn.Linear(2, 1, bias=False)
    head.weight.data = torch.tensor([WEIGHTS])
    return nn.Sequential(nn.Flatten(), head)


@pytest.fixture
def players() -> dict[str, nn.Module]:
    """A generator that gives back its latents as images, and the linear discriminator."""
    return {"generator": nn.Unflatten(1, (1, 1, 2)), "discriminator": linear()}


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """One real image, D = 3, and one generated, D = -1."""
    return {"real": torch.tensor([[[[3.0, 0.0]]]]), "latents": torch.tensor([[1.0, 1.0]])}


@pytest.mark.parametrize(
    ("loss", "judged", "fooled"),
    [
        ("non_saturating", softplus(-3) + softplus(-1), softplus(1)),
        ("saturating", softplus(-3) + softplus(-1), -softplus(-1)),
        ("relativistic", softplus(-1 - 3), softplus(3 + 1)),
    ],
)
def test_losses_by_hand(
    loss: Loss, judged: float, fooled: float, players: dict[str, nn.Module], batch: dict[str, Tensor]
) -> None:
    rules = Rules(loss)
    assert rules.judge(players, batch).item() == pytest.approx(judged)
    assert rules.fool(players, batch).item() == pytest.approx(fooled)


@pytest.mark.parametrize(("penalty", "sides"), [("none", 0), ("r1", 1), ("r2", 1), ("r1_r2", 2)])
def test_penalties_weigh_the_squared_slope(
    penalty: Penalty, sides: int, players: dict[str, nn.Module], batch: dict[str, Tensor]
) -> None:
    """|w|^2 = 5 on each side, times gamma / 2; its gradient by the weights is gamma w."""
    bare, steep = (Rules("relativistic", each, 3.0).judge(players, batch) for each in ("none", penalty))
    assert (steep - bare).item() == pytest.approx(sides * 3 / 2 * 5)
    (steep - bare).backward()
    (weight,) = players["discriminator"].parameters()
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == pytest.approx([sides * 3 * w for w in WEIGHTS])
    assert batch["real"].grad is None


def test_steepness_is_that_of_each_image_alone() -> None:
    images = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 4.0]]]], requires_grad=True)
    assert steepness(images, images.square().sum((1, 2, 3))[:, None]).item() == pytest.approx((4 * 5 + 4 * 25) / 2)


@pytest.mark.parametrize("loss", ["saturating", "relativistic"])
@pytest.mark.parametrize("task", ["hand_gan", "digit_gan", "face_gan", "object_gan", "stacked_digits"])
def test_every_gan_trains_by_every_loss(task: str, loss: str) -> None:
    selector = f"{task}[batch=16, canvas=16, latent=8, loss={loss}, penalty=r1_r2]"
    cell = Cell.of(selector, "dcgan[width=4]", "coordconv", budget=Budget(3))
    record = train.run(Trial(cell, 0, "tune"))
    assert record.status == "ok", record.error


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1001, 1002])
def test_stacked_digits_see_a_collapse_and_its_absence(seed: int) -> None:
    """Without normalization the minimax game loses nearly all of 1,000 modes; the relativistic one keeps most."""

    def modes(rules: str) -> float:
        task = f"stacked_digits[batch=32, latent=32, {rules}]"
        budget = Budget(800, learning_rate=2e-3, evaluations=1)
        record = train.run(Trial(Cell.of(task, "dcgan[norm=none, width=8]", "conv", budget=budget), seed))
        return record.scores["test"]["modes"]

    assert modes("loss=saturating") < 200
    assert modes("loss=relativistic, penalty=r1_r2") > 450
