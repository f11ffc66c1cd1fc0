"""What a measurement ran on: machine, versions, revision, and the settings of the worker process."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from coordbench.harness.core.sources import digest
from coordbench.harness.process.settings import WORKER

_PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "scikit-learn", "pandas", "fvcore", "torchmetrics")


def describe(device: str = "cpu") -> dict[str, Any]:
    """Describe machine, versions, revision and settings, as plain values."""
    return machine(device) | {
        "python": platform.python_version(),
        "versions": versions(),
        "revision": revision(),
        "settings": WORKER.parts(),
    }


def machine(device: str = "cpu") -> dict[str, Any]:
    """Describe the hardware that a cost depends on."""
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "device": device,
    }
    if device.startswith("cuda"):
        import torch

        properties = torch.cuda.get_device_properties(device)
        facts |= {"gpu": properties.name, "gpu_memory_bytes": properties.total_memory, "cuda": torch.version.cuda}
    return facts


def fingerprint(device: str = "cpu") -> str:
    """A short hash of the hardware: costs are never reused from another."""
    return digest(machine(device))[:16]


@functools.cache
def versions() -> dict[str, str]:
    """The installed versions of the libraries that scores depend on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def revision(folder: str | Path | None = None) -> dict[str, Any]:
    """Commit and dirty flag of the source tree, or nulls where it is no git checkout."""
    root = Path(folder or Path(__file__).parent)

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit, status = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def device(wanted: str) -> str:
    """Turn `auto` into `cuda` where a device is at hand, else `cpu`."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
