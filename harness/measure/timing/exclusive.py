"""One measurement at a time on a GPU, among all processes of this machine."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone_on(device: str, folder: Path | None = None) -> Iterator[None]:
    """Wait until no other worker measures on this GPU, and keep it from starting; on the processor do nothing."""
    if not device.startswith("cuda"):
        yield
        return
    name = device.replace(":", "") if ":" in device else f"{device}0"
    with (Path(folder or tempfile.gettempdir()) / f"coordbench-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by a process that dies
        yield
