"""Imported once by the fork server, so that each trial's fresh process starts with everything already there."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import pickle
import socket
import sys
from pathlib import Path
from types import TracebackType

import torch._dynamo  # the first optimizer step imports it otherwise, a second in every process

from coordbench.harness.core import registry
from coordbench.harness.process import hugepages, isolate
from coordbench.harness.training import train

__all__ = ["isolate", "torch", "train"]

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


def _listener() -> Path | None:
    """The socket at which this server is asked for processes."""
    for name in os.listdir("/proc/self/fd") if sys.platform == "linux" else ():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as found:
            path = str(found.getsockname()) if found.family == socket.AF_UNIX else ""
            if Path(path).parent.name.startswith("pymp-"):
                return Path(path)
    return None


def _leave(listener: Path | None) -> None:
    """End when the driver is gone: remove the socket and its folder, as a killed driver could not, and be quick."""
    with contextlib.suppress(OSError):
        if listener is not None:
            listener.unlink()
            listener.parent.rmdir()
    os._exit(0)  # taking all these modules down in order would take seconds


def _tell(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Tell an error, except that the driver was killed within a request: the half that has come is no news."""
    if not issubclass(kind, EOFError | ConnectionError | pickle.UnpicklingError):
        sys.__excepthook__(kind, error, where)


atexit.register(_leave, _listener())
sys.excepthook = _tell
hugepages.collapse()  # halves what a fork and its end take
gc.freeze()  # a collection in a trial's process would otherwise touch, and so copy, most of the memory it shares
