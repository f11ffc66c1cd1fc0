"""Files that are being written: named by the process that writes them, so that what a killed one left can be told."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def part_of(path: Path) -> Path:
    """Where this process writes a file before it takes the place of `path`."""
    return path.with_name(f"{path.name}.{os.getpid()}.part")


def remove_left(folder: Path) -> None:
    """Remove the parts of files whose processes are gone."""
    for part in folder.glob("*.part"):
        writer = part.name.split(".")[-2]
        if not writer.isdecimal() or not Path("/proc", writer).exists():
            with contextlib.suppress(OSError):
                part.unlink()
