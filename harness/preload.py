"""Imported once by the fork server, so that each trial's fresh process starts with everything already there."""

from __future__ import annotations

import atexit
import contextlib
import os

import torch._dynamo  # the first optimizer step imports it otherwise, a second in every process

import harness.isolate
import harness.train
from harness import registry

__all__ = ["harness", "torch"]

with contextlib.suppress(Exception):  # a broken file must not stop the server; the trial that needs it says why
    registry.load()


def _warm() -> None:
    """Do what torch does slowly the first time in a process; no backward: a fork would miss threads that it starts."""
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(1, 1, 3)
    for optimizer in (torch.optim.Adam(layer.parameters()), torch.optim.SGD(layer.parameters())):
        optimizer.zero_grad()
        optimizer.step()


with contextlib.suppress(Exception):
    _warm()

atexit.register(os._exit, 0)  # when the driver is gone: taking all these modules down in order would take seconds
