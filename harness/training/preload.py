"""Imported once by the fork server, so that each trial's fresh process starts with everything already there."""

from __future__ import annotations

import contextlib
import linecache
import sys

import torch._dynamo  # the first optimizer step imports it otherwise, a second in every process

from coordbench.harness.core import registry
from coordbench.harness.core.registry.catalog import files
from coordbench.harness.process.settings import WORKER
from coordbench.harness.training import train

__all__ = ["torch", "train"]

WORKER.apply()

with contextlib.suppress(Exception):  # a broken file must not stop the server; the trial that needs it says why
    registry.load()


def _warm() -> None:
    """Do what is slow the first time in a process; no backward: a fork would miss threads that it starts."""
    files()  # each entry keeps its own, with which a plug-in is compared
    for name, module in list(sys.modules.items()):
        if name.startswith("coordbench.") and (file := getattr(module, "__file__", None)):
            linecache.getlines(file)  # torch writes down the stack of each `manual_seed`
    torch.manual_seed(0)
    layer = torch.nn.Conv1d(1, 1, 3)
    with torch.no_grad():
        layer(torch.zeros(1, 1, 8)).square().mean()
    for optimizer in (torch.optim.Adam(layer.parameters()), torch.optim.SGD(layer.parameters())):
        optimizer.zero_grad()
        optimizer.step()


with contextlib.suppress(Exception):
    _warm()
