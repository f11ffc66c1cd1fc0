"""How a layer treats place, before any training: the probes of a job's variant, kept beside its costs."""

from __future__ import annotations

from typing import Any

from harness import probes
from harness.spec import CostJob


def measure_probes(job: CostJob, seconds: float) -> dict[str, Any]:
    """Look at the job's variant alone; a layer that cannot be looked at has the reason instead, and is no failure."""
    try:
        return {"details": probes.probe(job.variant)}
    except Exception as error:  # such as a layer that knows no float64
        return {"details": {"reason": " ".join(f"{type(error).__name__}: {error}".split())}}
