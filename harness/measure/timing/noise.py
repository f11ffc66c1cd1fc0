"""What else went on while a clock ran, and why a measurement is not to be trusted."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch

STOLEN, SPREAD, DRIFT, FAULTS = 0.02, 0.10, 0.05, 0.02
"""Tolerated: share of stolen time, interquartile range and drift of the pair ratios, share of time in page faults."""

_FAULT_SECONDS = 5e-7  # one minor fault: the kernel clears a page of 4 KiB and maps it


@dataclass(frozen=True)
class Snapshot:
    """Counters of this process and of the machine since they started."""

    minor_faults: int
    involuntary_switches: int
    stolen: int
    jiffies: int


@dataclass(frozen=True)
class Disturbance:
    """What happened between two snapshots; `stolen` is the share of the machine's time that its host took away."""

    minor_faults: int
    involuntary_switches: int
    stolen: float


def snapshot() -> Snapshot:
    """Read the counters."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    stolen, jiffies = cpu_times()
    return Snapshot(usage.ru_minflt, usage.ru_nivcsw, stolen, jiffies)


def add(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Add the counters of several snapshots."""
    return Snapshot(*map(sum, zip(*map(astuple, snapshots), strict=True)))


def between(before: Snapshot, after: Snapshot) -> Disturbance:
    """Subtract two snapshots."""
    passed = after.jiffies - before.jiffies
    return Disturbance(
        after.minor_faults - before.minor_faults,
        after.involuntary_switches - before.involuntary_switches,
        (after.stolen - before.stolen) / passed if passed > 0 else 0.0,
    )


def reasons(ratios: Sequence[float], disturbance: Disturbance, faults_share: float, *, stable: bool) -> tuple[str, ...]:
    """Say in one line each why a paired measurement is noisy; empty where it is not."""
    values = np.asarray(ratios)
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    first, second = (float(np.median(half)) for half in np.array_split(values, 2))
    checks = {
        "warm-up did not become stable": not stable,
        f"pair ratios spread by {(high - low) / middle:.0%}": (high - low) / middle > SPREAD,
        f"ratio drifted by {abs(second / first - 1):.0%}": abs(second / first - 1) > DRIFT,
        f"{disturbance.stolen:.0%} of the time was stolen": disturbance.stolen > STOLEN,
        f"page faults took {faults_share:.0%} of the time": faults_share > FAULTS,
    }
    return tuple(reason for reason, holds in checks.items() if holds)


def of_gpu(state: Mapping[str, object]) -> dict[str, list[str]]:
    """The same for a GPU, out of the state that NVML told after the runs; empty where nothing is known or amiss."""
    held, others = state.get("slowdowns"), state.get("other_processes")
    reasons = [f"clocks held down by {name}" for name in held] if isinstance(held, list) else []
    if isinstance(others, int) and others > 0:
        reasons.append(f"{others} other processes on this GPU")
    return {"gpu": reasons} if reasons else {}


def faults_share(disturbance: Disturbance, seconds: float) -> float:
    """The share of `seconds` that the kernel spent on minor faults, estimated."""
    return disturbance.minor_faults * _FAULT_SECONDS / seconds if seconds > 0 else 0.0


def settings() -> dict[str, object]:
    """How the processor is set up: threads, vector units, libraries, frequency governor (None where it is hidden)."""
    return {
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "mkldnn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
        "governor": governor(),
        "load": os.getloadavg()[0],
    }


def governor(root: Path = Path("/sys/devices/system/cpu")) -> str | None:
    """The frequency governor of the first processor, or None where the system does not tell."""
    try:
        return (root / "cpu0/cpufreq/scaling_governor").read_text().strip()
    except OSError:
        return None


def cpu_times(path: Path = Path("/proc/stat")) -> tuple[int, int]:
    """Stolen and total time over all processors [jiffies]; zeros where the system does not tell."""
    try:
        times = [int(field) for field in path.read_text().partition("\n")[0].split()[1:9]]
    except (OSError, ValueError):
        return 0, 0
    return (times[7] if len(times) > 7 else 0), sum(times)
