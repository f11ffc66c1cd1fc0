"""What a cost is measured on: the models of a cell, example inputs, and the phases of a training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.record import Record
from coordbench.harness.measure.timing.clock import Step
from coordbench.harness.measure.workload import upstream
from coordbench.harness.training import train

PHASES = ("forward", "forward_backward", "optimizer", "step")
"""What is timed: a forward pass without gradients, loss and gradients, the optimizer alone, a step as training does."""

LAYER_TASK = "copy"
"""The task that is there for its costs: in the backbone `stack` they are those of one layer of its shape."""

Inputs = tuple[Any, ...]
"""The arguments of one call of a model."""


@dataclass
class Subject:
    """Models, their inputs and a training batch, with all updates at learning rate 0, so that weights stay as built."""

    cell: Cell
    problem: Problem
    inputs: dict[str, Inputs]
    batch: Any
    updates: list[train.Update] = field(default_factory=list)

    @property
    def models(self) -> dict[str, nn.Module]:
        """Name -> model."""
        return self.problem.models

    @property
    def batch_size(self) -> int:
        """Samples in a training batch [samples]."""
        return len(next(leaf for leaf in tree_leaves(list(self.inputs.values())) if isinstance(leaf, Tensor)))

    def start(self) -> None:
        """Make the optimizers afresh: no gradients, not of the batch either, no optimizer state."""
        for model in self.models.values():
            model.zero_grad(set_to_none=True)
        for leaf in tree_leaves(self.batch):
            if isinstance(leaf, Tensor):
                leaf.grad = None
        idle = Budget(steps=1, learning_rate=0.0, schedule="constant")
        self.updates = [train.Update(phase, self.models, idle) for phase in self.problem.phases]

    def phase(self, name: str) -> Step:
        """One of PHASES as a function to be called again and again; puts the models in the mode that it needs."""
        for model in self.models.values():
            model.train(name != "forward")
        if name == "optimizer":
            self.forward_backward()  # gradients to step by
        return {
            "forward": self.forward,
            "forward_backward": self.forward_backward,
            "optimizer": self.optimizer,
            "step": self.step,
        }[name]

    def forward(self) -> list[object]:
        """Call each model once on its example inputs, without gradients."""
        with torch.no_grad():
            return [model(*self.inputs[name]) for name, model in self.models.items()]

    def forward_backward(self) -> None:
        """Compute the losses of all phases and their gradients."""
        for update in self.updates:
            with train.without_gradients(update.frozen):
                for _ in range(update.phase.steps):
                    update.optimizer.zero_grad(set_to_none=True)
                    update.phase.loss(self.models, self.batch).backward()

    def optimizer(self) -> None:
        """Update the weights by the gradients at hand."""
        for update in self.updates:
            for _ in range(update.phase.steps):
                update.optimizer.step()

    def step(self) -> None:
        """Take one whole training step, exactly as a trial does."""
        losses = train.Losses(Record("ok"))  # a GPU's stay unread, as those of most steps
        for update in self.updates:
            update(self.models, self.batch, 0, losses)


def build_subject(cell: Cell) -> Subject:
    """Build the models of a cell by the room that trials use, and put a batch and the inputs on its device."""
    if cell.device.startswith("cuda"):
        torch.cuda.set_device(cell.device)
    problem = train.build(cell)
    batch = train.to_device(problem.batches(0), cell)
    if cell.task.name == LAYER_TASK:
        problem = _without_loss(problem, batch)
    given = train.to_device(dict(problem.inputs()), cell) if problem.inputs else _first(batch, problem)
    missing = sorted(set(problem.models) - set(given))
    if missing:
        raise ValueError(f"task {cell.task!r} gives no example inputs for its models {', '.join(missing)}")
    subject = Subject(cell, problem, {name: tuple(given[name]) for name in problem.models}, batch)
    subject.start()
    return subject


def _without_loss(problem: Problem, batch: tuple[Tensor, Tensor]) -> Problem:
    """A layer's own workload (see `workload`): what arrives behind it in training is a gradient, what it passes on too.

    The input's gradient is made anew each time, as those of the parameters are.
    """
    ((name, model),), (x, _) = problem.models.items(), batch
    with torch.no_grad():
        y = model(x)
    gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y)
    x.requires_grad_()

    def loss(models: Models, batch: tuple[Tensor, Tensor]) -> Tensor:
        batch[0].grad = None
        return upstream(models[name](batch[0]), gradient)

    return replace(problem, phases=tuple(replace(phase, loss=loss) for phase in problem.phases))


def _first(batch: Any, problem: Problem) -> dict[str, Inputs]:
    """The first item of a batch as the input of a task's only model."""
    if isinstance(batch, Mapping):
        batch = tuple(batch.values())
    item = batch if isinstance(batch, Tensor) else batch[0]
    return dict.fromkeys(list(problem.models)[:1], (item,))
