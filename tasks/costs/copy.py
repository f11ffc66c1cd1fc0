"""Copy: give back the input, white noise of any batch, channels and size.

Any layer can learn it, so its scores tell little; its costs are those of a layer of exactly this shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count
from coordbench.harness.core.problem import Metric, Models, Network, Phase, Problem
from coordbench.harness.core.registry import reference, task
from coordbench.tasks._data.draws import generator
from coordbench.tasks._predict import predict

NAME = "copy"
_EVALUATED = 32


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return About(
        f"Given white noise of {options['channels']} channels, a layer gives it back: there is nothing to learn and no "
        "split, only costs to measure.",
        "No picture is drawn.",
    )


@task(NAME, suite="costs", metrics=(Metric("mse", "", "lower", least=0),), backbones=("stack",), about=about)
def copy(
    network: Network, seed: int, *, size: Count = 32, channels: Count = 32, batch: Count = 16,
    dims: Literal[1, 2, 3] = 2,
) -> Problem:  # fmt: skip
    """Return the input (N, channels, *size) by mean squared error; `size` [px] is that of each of `dims` axes."""
    shape = (channels, *(size for _ in range(dims)))

    def draw(count: int, *key: object) -> Tensor:
        return torch.randn(count, *shape, generator=generator(NAME, seed, *key))

    def loss(models: Models, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, targets = batch
        return functional.mse_loss(models["model"](inputs), targets)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        inputs = draw(batch, "train", step)
        return inputs, inputs

    def evaluate(models: Models, split: str) -> dict[str, float]:
        inputs = draw(_EVALUATED, split)
        return {"mse": functional.mse_loss(predict(models["model"], inputs), inputs).item()}

    return Problem({"model": network(shape, shape)}, (Phase(("model",), loss),), batches, evaluate)


@reference(task=NAME, kind="floor", name="zeros")
def zeros(problem: Problem) -> Models:
    """Answer with the mean of all inputs, which is 0."""
    return {"model": torch.zeros_like}


@reference(task=NAME, kind="ceiling", name="input")
def unchanged(problem: Problem) -> Models:
    """Answer with the input itself."""
    return {"model": torch.Tensor.clone}
