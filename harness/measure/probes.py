"""How a layer treats place, before any training: the probes of a job's variant, kept beside its costs."""

from __future__ import annotations

import math
from typing import Any

from coordbench.harness.core.errors import describe_error
from coordbench.harness.core.trial import CostJob
from coordbench.harness.measure import position as probes


def measure_probes(job: CostJob, seconds: float) -> dict[str, Any]:
    """Look at the job's variant alone; a layer that cannot be looked at has the reason instead, and is no failure."""
    try:
        found = probes.probe(job.variant)
    except Exception as error:  # such as a layer that knows no float64
        return {"details": {"reason": describe_error(error)}}
    return {"details": {name: _plain(value) for name, value in found.items()}}


def _plain(value: probes.Curve | float) -> Any:
    """A number or a curve as JSON knows them: null where a layer gave no finite number."""
    if isinstance(value, list):
        return [[x, _plain(y)] for x, y in value]
    return value if math.isfinite(value) else None
