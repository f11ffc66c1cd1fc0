"""What every deblurring task of images shares: a camera, held-out pairs, the loss, the scores and the gallery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core.problem import Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import reference
from coordbench.harness.core.seeds import seed_of
from coordbench.tasks._backbones.multiwiener import MultiWiener
from coordbench.tasks._data.optics.blur import Operator
from coordbench.tasks._data.optics.psf import PointSpread, field_positions
from coordbench.tasks._predict import predict
from coordbench.tasks.deblurring._gallery import crops, gates

Pair = tuple[Tensor, Tensor]
"""What the camera observed and the truth, (N, C, H, W) each."""

TASKS = ("photo_deblurring", "field_deblurring")
LENSES = "lens_deblurring"


@dataclass(frozen=True)
class Camera:
    """A blur and its noise: scenes (N, C, H + 2r, W + 2r) -> observed and true images of the field."""

    blur: Operator
    noise: Callable[[Tensor, torch.Generator], Tensor]

    def observe(self, scenes: Tensor, generator: torch.Generator) -> Pair:
        """Return what the camera sees of `scenes`, and what it should have seen."""
        radius = self.blur.optic.radius
        return self.noise(self.blur.forward(scenes), generator), scenes[..., radius:-radius, radius:-radius]


@dataclass(frozen=True)
class Held:
    """Held-out images and their names, equal for neighbors in kind: the photograph that each was cut from."""

    pair: Pair
    names: Sequence[str]


class Validated(Protocol):
    """What holds images on which a classical method may choose its free number."""

    @property
    def validation(self) -> Pair: ...


@dataclass(frozen=True)
class Restoration:
    """What the references need: the blur, validation images, and whatever a task's own references ask for."""

    blur: Operator
    validation: Pair
    extra: object = None


def restoration_problem(
    network: Network, batches: Callable[[int], Pair], held: dict[str, Held], data: Validated,
    score: Callable[[Tensor, Tensor, Sequence[str]], dict[str, float]],
) -> Problem:  # fmt: skip
    """Assemble the problem of restoring images; `score` compares restored and true images of the given names."""

    def evaluate(models: Models, split: str) -> dict[str, float]:
        observed, truth = held[split].pair
        return score(predict(models["restorer"], observed, batch=32), truth, held[split].names)

    def samples(models: Models) -> Sequence[Sample]:
        (observed, truth), names = held["test"].pair, held["test"].names
        chosen = [names.index(name) for name in list(dict.fromkeys(names))[:2]]
        restored = predict(models["restorer"], observed[chosen])
        shown = zip(
            observed[chosen, : truth.shape[1]], truth[chosen], restored, [names[i] for i in chosen], strict=True
        )
        return [sample for row in shown for sample in crops(*row)] + gates(models["restorer"])

    shapes = [tuple(images.shape[1:]) for images in data.validation]
    return Problem(
        models={"restorer": network(shapes[0], shapes[1])},
        phases=(Phase(("restorer",), _squared_error, Optimizer("Adam", 5e-3, schedule="one_cycle")),),
        batches=batches,
        evaluate=evaluate,
        samples=samples,
        data=data,
    )


def started(network: Network, optic: PointSpread) -> Network:
    """Return networks that start from the optic's kernels, where they hold some."""

    def build(input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> nn.Module:
        restorer = network(input_shape, output_shape)
        if isinstance(restorer, MultiWiener):
            restorer.start_from(kernel_grid(optic, restorer.grid, restorer.radius))
        return restorer

    return build


def kernel_grid(optic: PointSpread, grid: int, radius: int) -> Tensor:
    """Return the kernels (grid^2, k, k) at the centers of `grid` x `grid` equal parts of the field."""
    return optic.kernels(field_positions(grid), radius=radius)


def stream(*key: object) -> torch.Generator:
    """Return a generator that depends on `key` alone."""
    return torch.Generator().manual_seed(seed_of(*key))


@reference(task=(*TASKS, LENSES), kind="floor")
def identity(problem: Problem) -> Models:
    """Leave the image as the camera gave it."""
    channels = problem.data.validation[1].shape[1]
    return {"restorer": lambda observed: observed[:, :channels]}


def _squared_error(models: Models, batch: Pair) -> Tensor:
    observed, truth = batch
    return functional.mse_loss(models["restorer"](observed), truth)
