"""Blur a signal by a kernel that widens and drifts along it, or undo that blur.

    position      0 ................................ 255
    kernel        |          /\\          __--__             sigma .5 -> 4 px, center -3 -> +3 px
    forward       x  ->  y(p) = sum_d k_p(d) x(p + d)
    inverse       y + noise  ->  x

Loss and scores count every position, to the very edge, where padding tells. With `scored=inside` they count those whose
kernel lies inside the signal: there a linear layer of rank R has a floor that is known (the singular values beyond R),
whatever the padding does outside. The task is our reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from coordbench.harness.core.contest import Contest
from coordbench.harness.core.description import About, Axes
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.options import Count, NotNegative, Range
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import reference, task
from coordbench.harness.core.scores import At
from coordbench.harness.core.seeds import seed_of
from coordbench.tasks._data.signals import Signals, apply_kernels, as_matrix, best_of_rank, drifting_gaussians
from coordbench.tasks._predict import predict

NAME = "varying_blur_1d"
_ZONES = 8
"""Parts of equal length in which the error is scored apart, from left to right."""
_LEAST_REACHED = 0.02
"""Least share of the scored positions that padding must reach, where paddings are compared."""


@dataclass(frozen=True)
class Line:
    """What the references need: the kernels (length, taps), the positions that count, and the laws of the data."""

    kernels: Tensor
    inside: slice
    signals: Signals
    noise: float
    rank: int


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    forward = options["direction"] == "forward"
    given, target = ("a signal", "its blur") if forward else ("a blurred, noisy signal", "the signal")
    return About(
        f"Given {given} of {options['length']} positions, a network gives {target}, by a kernel that widens from "
        "left to right; signals of the test are drawn apart.",
        "One signal, the truth and what the network gives; then the root of the mean squared error by position.",
    )


def refuse(contest: Contest) -> str:
    """Refuse to compare paddings where the scored positions that they reach are next to none."""
    if contest.backbone != "cnn" or not contest.differ_by("padding"):
        return ""
    length, taps = _whole(contest.task, "length"), _whole(contest.task, "taps")
    edge = taps // 2 if contest.task["scored"] == "inside" else 0
    reach = _whole(contest.network, "depth") * (_whole(contest.network, "kernel_size") // 2)
    scored = length - 2 * edge
    reached = min(scored, 2 * max(0, reach - edge))
    if reached >= _LEAST_REACHED * scored:
        return ""
    return (
        f"its arms differ in padding, which reaches {reached} of {scored} scored positions; score all, or take more or "
        "wider layers"
    )


def _whole(options: Mapping[str, object], name: str) -> int:
    return int(str(options[name]))


@task(
    NAME,
    suite="deblurring",
    metrics=(Metric("nmse", better="lower", least=0),),
    backbones=("cnn", "unet"),
    source="After the 1-D experiment of Howard, Norreys, Doepp, CoordGate, arXiv 2401.04680",
    about=about,
    axes={
        "zone": Axes("part of the signal, from left to right", "error over variance"),
        "error": Axes("position [px]", "root mean squared error"),
        "output": Axes("position [px]", "signal"),
    },
    refuse=refuse,
)
def varying_blur_1d(
    network: Network, seed: int, *, direction: Literal["forward", "inverse"] = "forward",
    scored: Literal["all", "inside"] = "all", correlation: NotNegative = 0.0, length: Annotated[int, Range(8)] = 256,
    taps: Annotated[int, Range(3)] = 31, noise: NotNegative = 0.05, rank: Count = 4, batch: Count = 32,
) -> Problem:  # fmt: skip
    """Learn a convolution whose kernel varies along a signal, or its inverse; the score is MSE over signal variance.

    `correlation` [px] is that of the signals; `noise` is added to the blurred signal of the inverse task; `rank` is
    that of the reference `rank_floor`, which is known where only positions inside are scored.
    """
    if taps % 2 == 0 or taps >= length / 2:
        raise UsageError(f"{NAME}: taps={taps}, length={length}; expected odd taps below half of the length")
    signals = Signals(length, correlation)
    kernels = drifting_gaussians(length, taps, (0.5, 4.0), drift=3.0)
    edge = taps // 2 if scored == "inside" else 0
    inside = slice(edge, length - edge)

    def draw(count: int, *key: object) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed_of(NAME, *key))
        sharp = signals.draw(count, generator)
        blurred = apply_kernels(kernels, sharp)
        if direction == "forward":
            return sharp, blurred
        return blurred + noise * torch.randn(blurred.shape, generator=generator), sharp

    splits = {split: draw(256, split) for split in ("validation", "test")}

    def loss(models: Models, pair: tuple[Tensor, Tensor]) -> Tensor:
        given, wanted = pair
        error: Tensor = (models["restorer"](given) - wanted)[..., inside]
        return error.square().mean()

    def evaluate(models: Models, split: str) -> dict[str, float]:
        given, wanted = splits[split]
        return _scores(predict(models["restorer"], given)[..., inside], wanted[..., inside])

    def samples(models: Models) -> Sequence[Sample]:
        given, wanted = splits["test"]
        return _samples(given, wanted, predict(models["restorer"], given), inside)

    return Problem(
        models={"restorer": network((1, length), (1, length))},
        phases=(Phase(("restorer",), loss, Optimizer("Adam", 5e-3, schedule="one_cycle")),),
        batches=lambda step: draw(batch, seed, "train", step),
        evaluate=evaluate,
        samples=samples,
        data=Line(kernels, inside, signals, noise, rank),
    )


@reference(task=NAME, kind="floor")
def zero(problem: Problem) -> Models:
    """Say zero, the mean of all signals."""
    return {"restorer": torch.zeros_like}


@reference(task=NAME, kind="ceiling", when=lambda options: options["direction"] == "forward")
def exact_kernels(problem: Problem) -> Models:
    """Apply the kernels themselves: no error."""
    return {"restorer": _linear(problem.data.kernels)}


@reference(
    task=NAME, kind="anchor", when=lambda options: options["direction"] == "forward" and options["scored"] == "inside"
)
def rank_floor(problem: Problem) -> Models:
    """Apply the best kernels of the task's rank: the bound for any gated layer with so many gates."""
    line: Line = problem.data
    best = torch.zeros_like(line.kernels)  # the best for all positions would not be the best for those that count
    covariance = line.signals.covariance(line.kernels.shape[1])
    best[line.inside] = best_of_rank(line.kernels[line.inside], line.rank, covariance)
    return {"restorer": _linear(best)}


@reference(task=NAME, kind="ceiling", when=lambda options: options["direction"] == "inverse")
def linear_estimator(problem: Problem) -> Models:
    """Return the conditional mean of the Gaussian signal, the least error that any method can have on average."""
    line: Line = problem.data
    blur, covariance = as_matrix(line.kernels), line.signals.covariance()
    cross = covariance @ blur.T
    noise = line.noise**2 * torch.eye(len(blur), dtype=blur.dtype)
    gain = torch.linalg.solve(blur @ cross + noise, cross, left=False)
    return {"restorer": lambda given: given @ gain.T.to(given)}


def _linear(kernels: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda given: apply_kernels(kernels, given)


def _scores(restored: Tensor, wanted: Tensor) -> dict[str, float]:
    """Error over variance, overall and in zones from left to right."""
    errors, power = (restored - wanted).square().mean((0, 1)), wanted.square().mean((0, 1))
    zones = zip(errors.tensor_split(_ZONES), power.tensor_split(_ZONES), strict=True)
    scores = {"nmse": (errors.mean() / power.mean()).item()}
    return scores | {At("nmse", "zone", i): (e.mean() / p.mean()).item() for i, (e, p) in enumerate(zones)}


def _samples(given: Tensor, wanted: Tensor, restored: Tensor, inside: slice) -> Sequence[Sample]:
    """One signal, and the root of the mean squared error against position."""
    lines = {"input": given, "truth": wanted, "output": restored}
    error = (restored - wanted).square().mean((0, 1)).sqrt()[inside]
    position = np.arange(inside.start, inside.stop, dtype=np.float32)
    against = Sample("error against position", "error", "line", np.stack([position, error.numpy()]))
    return [*(Sample("a signal", role, "line", line[0, 0].numpy()) for role, line in lines.items()), against]
