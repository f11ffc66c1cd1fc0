"""Build a trial and train it: the only room where a variant meets a task."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import describe_error
from coordbench.harness.core.problem import Models, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.core.seeds import seed_of
from coordbench.harness.core.trial import Trial
from coordbench.harness.training.checkpoint import Checkpoint
from coordbench.harness.training.convergence import still_falling

POINTS = 100
"""Points kept of each training curve: the mean of a window of steps each, so that no step is dropped."""


AT_ONCE = frozenset({"cpu"})
"""Devices on which reading a loss waits for nothing; elsewhere the losses of many steps are read together."""


class Diverged(Exception):
    """A loss, a weight or a score is no longer finite; the message says which and when."""


def build(cell: Cell, seed: int = 0) -> Problem:
    """Make the task of a cell concrete, with its network built out of its variant, on its device.

    The global generator is seeded by the seed first, so that equal trials start from equal weights.
    """
    torch.manual_seed(seed_of(seed))
    if cell.variant is None or cell.backbone is None:
        return registry.problem(cell.task, lambda input_shape, output_shape: nn.Identity(), seed)
    network = registry.network(cell.backbone, registry.layer(cell.variant), cell.width)
    problem = registry.problem(cell.task, network, seed)
    layout = torch.channels_last if cell.memory_format == "channels_last" else torch.contiguous_format
    for name, model in problem.models.items():
        model = model.to(cell.device, getattr(torch, cell.dtype))
        planar = all(p.dim() <= 4 for p in model.parameters())  # channels_last exists for 4-D tensors only
        problem.models[name] = model.to(memory_format=layout) if planar else model  # type: ignore[call-overload]
    return problem


def run(trial: Trial, checkpoint: Checkpoint | None = None) -> Record:
    """Train and evaluate a trial, or evaluate a reference; a divergence is a record, other errors are raised.

    A trial that was killed goes on from its last checkpoint and ends with the scores it would have had. Where it fails
    after that, the checkpoint may be what is wrong: it is thrown away and the trial begins anew.
    """
    try:
        return _run(trial, checkpoint)
    except Exception as error:
        if checkpoint is None or not checkpoint.resumed:
            raise
        checkpoint.remove()
        record = _run(trial, checkpoint)
        record.notes["checkpoint"] = f"thrown away, started over: {describe_error(error)}"
        return record


def _run(trial: Trial, checkpoint: Checkpoint | None) -> Record:
    problem = build(trial.cell, trial.seed)
    trained = trial.cell.reference is None
    record = Record("ok")
    models: Models = problem.models if trained else registry.solve(str(trial.cell.reference), problem)
    try:
        if trained:
            torch.manual_seed(seed_of(trial.seed, "train"))
            train(problem, trial, record, checkpoint)
        _finish(problem, models, trial, record)
    except Diverged as reason:
        record.status, record.error = "diverged", str(reason)
    record.epoch_steps = problem.epoch_steps
    record.fate = problem.fate(record) if trained else None
    if checkpoint is not None:
        checkpoint.remove()
    return record


def train(problem: Problem, trial: Trial, record: Record, checkpoint: Checkpoint | None = None) -> None:
    """Run the training loop and append curves to `record`; raise Diverged at the first loss that is not finite."""
    budget = trial.cell.budget
    updates = [Update(phase, problem.models, budget) for phase in problem.phases]
    curves, losses = _Curves(record, window=max(1, budget.steps // POINTS)), Losses(record)
    looks = {round(budget.steps * (i + 1) / budget.evaluations) for i in range(budget.evaluations)}
    if budget.evaluations > 1:
        looks.add(halfway(budget))
    looks -= {0, budget.steps}
    stateful = [part for update in updates for part in (update.optimizer, update.scheduler) if part is not None]
    if checkpoint is not None:
        checkpoint.load(problem.models, stateful, record, curves.pending, budget.steps)
    for step in range(record.steps, budget.steps):
        start = time.perf_counter()
        batch = to_device(problem.batches(step), trial.cell)
        for update in updates:
            values = update(problem.models, batch, step, losses, ratio=curves.closes(step + 1, budget.steps))
            curves.add(update.phase.name, values)
        record.steps = step + 1
        saves = checkpoint is not None and checkpoint.due()
        if saves or step + 1 in looks or curves.closes(step + 1, budget.steps):
            losses.read()
        record.seconds += time.perf_counter() - start
        curves.close(step + 1, budget.steps)
        if step + 1 in looks:
            _look(problem, trial, record)
        if checkpoint is not None and saves:
            checkpoint.save(problem.models, stateful, record, curves.pending)


def to_device(batch: Any, cell: Cell) -> Any:
    """Move a nest of tensors to the cell's device; floating ones to its dtype and, where 4-D, its memory format."""
    if isinstance(batch, Tensor):
        dtype = getattr(torch, cell.dtype) if batch.is_floating_point() else None
        moved = batch.to(cell.device, dtype)
        wants = cell.memory_format == "channels_last" and moved.dim() == 4
        return moved.contiguous(memory_format=torch.channels_last) if wants else moved
    if isinstance(batch, Mapping):
        return {key: to_device(value, cell) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(to_device(value, cell) for value in batch)
    return batch


class Update:
    """One phase with its optimizer: call it to take the phase's steps on a batch.

    Returns loss and gradient norm, and, where asked for, the norm of the last update over that of the weights.
    """

    def __init__(self, phase: Phase, models: Models, budget: Budget) -> None:
        self.phase = phase
        self.parameters = [p for name in phase.trains for p in models[name].parameters()]
        self.frozen = [p for name in models if name not in phase.trains for p in models[name].parameters()]
        self.optimizer, self.scheduler = make_optimizer(self.parameters, phase.optimizer, budget, phase.steps)

    def __call__(
        self, models: Models, batch: Any, step: int, losses: Losses, *, ratio: bool = False
    ) -> dict[str, Tensor]:
        with without_gradients(self.frozen):
            for _ in range(self.phase.steps):
                self.optimizer.zero_grad(set_to_none=True)
                loss = self.phase.loss(models, batch)
                losses.add(self.phase.name, step, loss)
                loss.backward()
                norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
                before = [p.detach().clone() for p in self.parameters] if ratio else []
                self.optimizer.step()
                if self.scheduler is not None:
                    self.scheduler.step()
        values = {"": loss.detach(), "gradient_norm": norm.detach()}
        if ratio:
            moved = nn.utils.get_total_norm([p.detach() - old for p, old in zip(self.parameters, before, strict=True)])
            values["update_ratio"] = moved / nn.utils.get_total_norm(before).clamp_min(1e-12)
        return values


def make_optimizer(
    parameters: list[nn.Parameter], choice: Optimizer, budget: Budget, repeats: int = 1
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
    """Make the optimizer of a phase and the course of its learning rate over `budget.steps * repeats` updates."""
    rate = choice.learning_rate if budget.learning_rate is None else budget.learning_rate
    kind = getattr(torch.optim, choice.name)
    options = {**_fused(kind, parameters, choice.options), **choice.options}
    optimizer: torch.optim.Optimizer = kind(parameters, lr=rate, **options)
    total = max(1, budget.steps * repeats)
    match budget.schedule or choice.schedule:
        case "one_cycle":
            return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=total)
        case "cosine":
            return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
        case "step":
            return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, max(1, total // 5), 0.1)
        case _:
            return optimizer, None


def _fused(
    kind: type[torch.optim.Optimizer], parameters: list[nn.Parameter], options: Mapping[str, Any]
) -> dict[str, bool]:
    """Let one kernel of Adam update all weights, unless the task chose another way; it knows no complex ones."""
    chosen = {"foreach", "differentiable"} & options.keys()
    known = kind in (torch.optim.Adam, torch.optim.AdamW) and all(p.is_floating_point() for p in parameters)
    return {"fused": True} if known and not chosen else {}


class Losses:
    """Sees to it that losses are finite: each at once, or those of many steps where reading one waits for a GPU."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.unread: list[tuple[str, int, Tensor]] = []

    def add(self, phase: str, step: int, loss: Tensor) -> None:
        self.unread.append((phase, step, loss.detach()))
        if loss.device.type in AT_ONCE:
            self.read()

    def read(self) -> None:
        """Raise Diverged at the first loss that is not finite, in the order of training."""
        unread, self.unread = self.unread, []
        values = torch.stack([loss.reshape(()) for *_, loss in unread]).tolist() if unread else []
        for (phase, step, _), value in zip(unread, values, strict=True):
            if not math.isfinite(value):
                self.record.steps = step
                raise Diverged(f"{phase} is {value} at step {step + 1}")


class _Curves:
    """Training curves as means over windows of steps."""

    def __init__(self, record: Record, window: int) -> None:
        self.record, self.window = record, window
        self.pending: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, phase: str, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self.pending["/".join(filter(None, ("train", phase, name)))].append(value)

    def closes(self, step: int, steps: int) -> bool:
        return step % self.window == 0 or step == steps

    def close(self, step: int, steps: int) -> None:
        if not self.closes(step, steps):
            return
        for metric, values in self.pending.items():
            mean = torch.stack([value.float() for value in values]).mean().item()
            self.record.curves.append(CurvePoint(step, self.record.seconds, metric, mean))
        self.pending.clear()


def _note(scores: Mapping[str, float], record: Record) -> None:
    points = (CurvePoint(record.steps, record.seconds, f"validation/{name}", value) for name, value in scores.items())
    record.curves.extend(points)


def _look(problem: Problem, trial: Trial, record: Record) -> None:
    """Score the models on validation data and note it in the curves."""
    _note(_evaluate(problem, problem.models, "validation"), record)
    if trial.purpose == "test":
        with torch.no_grad(), evaluating(problem.models):
            taken = problem.snapshots(problem.models)
        record.samples += [replace(kept(s), step=record.steps) for s in taken]


def _finish(problem: Problem, models: Models, trial: Trial, record: Record) -> None:
    for split in _splits(trial):
        record.scores[split] = _evaluate(problem, models, split)
    if trial.cell.reference is None:
        _note(record.scores.get("validation", {}), record)
        record.scores |= _at_half(trial, record)
        record.converged = _converged(problem, record)
    with torch.no_grad(), evaluating(problem.models):
        record.samples += map(kept, problem.samples(models)) if trial.purpose == "test" else []


def kept(sample: Sample) -> Sample:
    """A sample as the store keeps it, its array in numpy; raise TypeError, naming it, where that cannot be."""
    array: Any = sample.array
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        array = array.float() if array.dtype == torch.bfloat16 else array
    array = np.asarray(array)
    if array.dtype.hasobject:
        raise TypeError(f"sample {sample.role!r} of {sample.group!r} is no array of numbers")
    return replace(sample, array=array)


def _splits(trial: Trial) -> tuple[str, ...]:
    """What a trial is scored on; one that chooses a learning rate never sees the test data."""
    splits: tuple[str, ...] = registry.select("task", trial.cell.task).entry.splits
    return splits if trial.purpose == "test" else ("validation",)


def _evaluate(problem: Problem, models: Models, split: str) -> dict[str, float]:
    with torch.no_grad(), evaluating(problem.models):
        scores = _numbers(problem.evaluate(models, split))
    for name, value in scores.items():
        if math.isinf(value) or math.isnan(value):
            raise Diverged(f"{split} {name} is {value}")
    return scores


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in scores.items()}


def halfway(budget: Budget) -> int:
    """The step at which half of the training is over."""
    return budget.steps // 2


def _at_half(trial: Trial, record: Record) -> dict[str, dict[str, float]]:
    """The primary metric on validation data at half of the steps, under the split "half".

    A verdict that is another one there than at the end has not settled, whatever the losses do.
    """
    primary = str(registry.select("task", trial.cell.task).entry.metrics[0].name)
    half = halfway(trial.cell.budget)
    values = [p.value for p in record.curves if (p.step, p.metric) == (half, f"validation/{primary}")]
    return {"half": {primary: values[0]}} if values and trial.purpose == "test" else {}


def _converged(problem: Problem, record: Record) -> bool | None:
    """Whether the loss no longer falls at the end; yes where nothing trains, None where two play."""
    if not problem.phases:
        return True
    if len(problem.phases) > 1:
        return None
    losses = [point.value for point in record.curves if point.metric == f"train/{problem.phases[0].name}"]
    return not still_falling(losses)


@contextmanager
def evaluating(models: Models) -> Iterator[None]:
    """Put the modules among `models` in evaluation mode and back."""
    modules = [model for model in models.values() if isinstance(model, nn.Module)]
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for module, mode in zip(modules, before, strict=True):
            module.train(mode)


@contextmanager
def without_gradients(parameters: list[nn.Parameter]) -> Iterator[None]:
    wanted = [p for p in parameters if p.requires_grad]
    try:
        for p in wanted:
            p.requires_grad_(False)
        yield
    finally:
        for p in wanted:
            p.requires_grad_(True)
