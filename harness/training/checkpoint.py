"""Keep the state of a long training on disk, so that a killed trial goes on from its last checkpoint.

Files hold tensors and plain values only and are loaded as such: nothing in them can run code.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coordbench.harness.core.errors import describe_error
from coordbench.harness.core.problem import Models, Sample
from coordbench.harness.core.record import CurvePoint, Record


@dataclass
class Checkpoint:
    """A file that is written anew at most every `seconds` and removed when the trial ends."""

    path: Path
    seconds: float = 300.0
    last: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self.last >= self.seconds

    def save(self, models: Models, optimizers: Sequence[Any], record: Record, pending: dict[str, list[Any]]) -> None:
        """Write the state whole or not at all; where that fails the training goes on, and its record says so."""
        try:
            self._write(models, optimizers, record, pending)
        except (OSError, RuntimeError) as error:  # torch raises the latter where the disk is full
            record.notes["checkpoint"] = f"not kept: {describe_error(error)}"
        self.last = time.monotonic()

    def _write(self, models: Models, optimizers: Sequence[Any], record: Record, pending: dict[str, list[Any]]) -> None:
        state = {
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
        part = self.path.with_suffix(f".{os.getpid()}.part")
        try:
            torch.save(state, part)
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)

    def load(self, models: Models, optimizers: Sequence[Any], record: Record, pending: dict[str, list[Any]]) -> None:
        """Take up the state where there is one; a damaged file counts as none, and the trial starts over."""
        if not self.path.is_file():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever the damaged bytes made the reader stumble over
            record.notes["checkpoint"] = f"damaged, started over: {describe_error(error)}"
            return
        for name, values in state["models"].items():
            models[name].load_state_dict(values)
        for optimizer, values in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        torch.set_rng_state(state["random"])
        if state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])
        record.steps, record.seconds = state["steps"], state["seconds"]
        record.curves = [CurvePoint(**point) for point in state["curves"]]
        record.samples = [Sample(**sample | {"array": sample["array"].numpy()}) for sample in state["samples"]]
        record.notes["resumed_at_step"] = record.steps
        pending.update(state["pending"])

    def remove(self) -> None:
        """Delete the file: the trial has ended."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
