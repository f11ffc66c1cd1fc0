"""Keep the state of a long training on disk, so that a killed trial goes on from its last checkpoint.

Files hold tensors and plain values only and are loaded as such: nothing in them can run code.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from coordbench.harness.core.errors import describe_error
from coordbench.harness.core.problem import Models, Sample
from coordbench.harness.core.record import CurvePoint, Record
from coordbench.harness.training.partial import part_of, remove_left

Pending = dict[str, list[Tensor]]
"""Values of a curve's window that is not full yet."""


_MOMENTS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg"}


class Stateful(Protocol):
    """An optimizer or the course of its learning rate."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None: ...


class WrongCheckpointError(Exception):
    """A checkpoint that can be read, but is not that of this trial or makes no sense."""


@dataclass
class Checkpoint:
    """A file that is written anew at most every `seconds` and removed when the trial ends."""

    path: Path
    seconds: float = 300.0
    last: float = field(default_factory=time.monotonic)
    resumed: bool = False
    """Whether its state was taken up, so that an error may come from it."""

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self.last >= self.seconds

    def save(self, models: Models, optimizers: Sequence[Stateful], record: Record, pending: Pending) -> None:
        """Write the state whole or not at all; where that fails the training goes on, and its record says so."""
        try:
            self._write(models, optimizers, record, pending)
        except (OSError, RuntimeError) as error:  # torch raises the latter where the disk is full
            record.notes["checkpoint"] = f"not kept: {describe_error(error)}"
        self.last = time.monotonic()

    def _write(self, models: Models, optimizers: Sequence[Stateful], record: Record, pending: Pending) -> None:
        state = {
            "trial": self.path.stem,
            "models": {name: model.state_dict() for name, model in models.items() if isinstance(model, nn.Module)},
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
            "steps": record.steps,
            "seconds": record.seconds,
            "curves": [asdict(point) for point in record.curves],
            "pending": dict(pending),
            "samples": [vars(sample) | {"array": torch.tensor(sample.array)} for sample in record.samples],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(self.path)
        try:
            torch.save(state, part)
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)

    def load(
        self, models: Models, optimizers: Sequence[Stateful], record: Record, pending: Pending, steps: int
    ) -> None:
        """Take up the state of a training of `steps` where there is one; a damaged file counts as none.

        Raise whatever a file brings about that can be read and yet is wrong; the state is half taken up then.
        """
        remove_left(self.path.parent)
        if not self.path.is_file():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever the damaged bytes made the reader stumble over
            record.notes["checkpoint"] = f"damaged, started over: {describe_error(error)}"
            return
        self.resumed = True
        _check(state, self.path.stem, steps)
        for name, values in state["models"].items():
            models[name].load_state_dict(values)
        for optimizer, values in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
            _check_moments(optimizer)
        torch.set_rng_state(state["random"])
        if state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])
        record.steps, record.seconds = state["steps"], state["seconds"]
        record.curves = [CurvePoint(**point) for point in state["curves"]]
        record.samples = [Sample(**sample | {"array": sample["array"].numpy()}) for sample in state["samples"]]
        record.notes["resumed_at_step"] = record.steps
        pending.update(state["pending"])

    def remove(self) -> None:
        """Delete the file: the trial has ended, or the file is wrong."""
        self.resumed = False
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def _check(state: Mapping[str, Any], trial: str, steps: int) -> None:
    """Refuse a state that is another trial's, of no step of this training, or not finite."""
    if state.get("trial") != trial:
        raise WrongCheckpointError(f"it is that of {state.get('trial')!r}")
    if not isinstance(state["steps"], int) or not 0 <= state["steps"] <= steps:
        raise WrongCheckpointError(f"it is of step {state['steps']!r} of {steps}")
    tensors = (value for values in state["models"].values() for value in values.values())
    if not all(tensor.isfinite().all() for tensor in tensors):
        raise WrongCheckpointError("its weights are not finite")


def _check_moments(optimizer: Stateful) -> None:
    """Refuse moments of other shapes than their parameters: fused kernels read them without a look."""
    if isinstance(optimizer, torch.optim.Optimizer):
        for parameter, moments in optimizer.state.items():
            for name in _MOMENTS & moments.keys():
                if isinstance(moments[name], Tensor) and moments[name].shape != parameter.shape:
                    raise WrongCheckpointError(f"{name} has shape {tuple(moments[name].shape)}")
