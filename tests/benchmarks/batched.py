"""Would seeds of a small cell train faster as a batch of models? `python -m tests.benchmarks.batched [--seeds N]`.

For cells of `standard` that are bound by dispatch: a step of N models one after the other, as a run takes them, beside
one step of all of them by `torch.func` (`vmap` over gradients of stacked weights, one Adam). Both take turns in one
process of one thread. Printed are the seconds of each, their ratio, and how far the gradients lie apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.utils._pytree import tree_map

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import describe_error
from coordbench.harness.core.problem import Problem
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.process.settings import WORKER
from coordbench.harness.training import train

CELLS = (
    ("center_of_mass[dims=1]", "strided", "conv"),
    ("center_of_mass[canvas=32]", "strided", "conv"),
    ("positional_bias[batch=24, canvas=48]", "strided", "conv"),
    ("varying_blur_1d", "cnn[depth=4, kernel_size=9]", "conv"),
    ("unseen_places[canvas=24]", "classifier", "conv"),
)
"""Cells of one model."""

State = dict[str, Tensor]
Step = Callable[[int], object]


def one_by_one(problems: list[Problem], cell: Cell) -> Step:
    """A step of each problem, exactly as trials take it."""
    updates = [train.Update(p.phases[0], p.models, cell.budget) for p in problems]

    def step(number: int) -> None:
        for problem, update in zip(problems, updates, strict=True):
            update(problem.models, problem.batches(number), number, train.Losses(Record("ok")))

    return step


def together(problems: list[Problem], cell: Cell) -> tuple[Step, Callable[[], State]]:
    """A step of all problems at once, and the gradients of the first of these steps."""
    (name, first), phase = next(iter(problems[0].models.items())), problems[0].phases[0]
    weights, buffers = stack_module_state([problem.models[name] for problem in problems])
    optimizer, scheduler = train.make_optimizer(list(weights.values()), phase.optimizer, cell.budget)  # type: ignore[arg-type]

    def loss(weights: State, buffers: State, batch: object) -> Tensor:
        def called(*inputs: Tensor) -> Tensor:
            result: Tensor = functional_call(first, (weights, buffers), inputs)
            return result

        return phase.loss({name: called}, batch)  # type: ignore[dict-item]

    gradients = vmap(grad(loss), randomness="different")

    def at(number: int) -> State:
        batch = tree_map(lambda *leaves: torch.stack(leaves), *(p.batches(number) for p in problems))
        result: State = gradients(weights, buffers, batch)
        return result

    def step(number: int) -> None:
        for key, value in at(number).items():
            weights[key].grad = value
        nn.utils.get_total_norm(list(weights.values()))
        optimizer.step()
        if scheduler is not None:
            scheduler.step()

    return step, lambda: at(0)


def measure(task: str, backbone: str, variant: str, seeds: int, rounds: int) -> str:
    """One line of the table."""
    cell = Cell.of(task, backbone, variant, budget=Budget(steps=10_000))
    torch.manual_seed(0)
    problems = [train.build(cell, seed) for seed in range(seeds)]
    step, gradients = together(problems, cell)
    batched = gradients()
    gap = _gap(problems, batched)
    ways = {"one by one": one_by_one(problems, cell), "together": step}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way(number)
            seconds[name].append(time.perf_counter() - start)
    middle = {name: statistics.median(values[2:]) for name, values in seconds.items()}
    ratio = middle["one by one"] / middle["together"]
    shown = "  ".join(f"{name} {1000 * value:7.2f} ms" for name, value in middle.items())
    return f"{Trial(cell, 0).cell.task!s:42} {shown}  {ratio:.2f} times as fast  gradients apart {gap:.1e}"


def _gap(problems: list[Problem], batched: State) -> float:
    """The largest difference of gradients, over the largest of them."""
    worst = 0.0
    for index, problem in enumerate(problems):
        (model,) = problem.models.values()
        model.zero_grad()
        problem.phases[0].loss(problem.models, problem.batches(0)).backward()
        for key, weight in model.named_parameters():
            if weight.grad is not None:
                apart = (weight.grad - batched[key][index].detach()).abs().max() / weight.grad.abs().max()
                worst = max(worst, float(apart))
        model.zero_grad()
    return worst


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=40)
    chosen = parser.parse_args()
    WORKER.apply()
    registry.load()
    print(f"load average {os.getloadavg()[0]:.1f}, {chosen.seeds} models")
    for task, backbone, variant in CELLS:
        try:
            print(measure(task, backbone, variant, chosen.seeds, chosen.rounds), flush=True)
        except Exception as error:  # a task that draws or branches by numbers cannot be batched: a line, not an end
            print(f"{task:42} cannot be batched: {describe_error(error)}", flush=True)


if __name__ == "__main__":
    main()
