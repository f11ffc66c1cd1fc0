"""What layers cost: one row per task, backbone and variant, each time beside the plain convolution's."""

from __future__ import annotations

from typing import Any

import pandas as pd

from coordbench.harness.measure.table import flatten
from coordbench.reports.data.stored import Run, given

_CELL = ["task", "backbone", "variant", "device", "dtype", "memory_format", "match"]
COLUMNS = [
    *_CELL,
    *("status", "error", "parameters", "flops", "flops_forward_backward"),
    *("latency_forward_seconds", "ratio_forward", "ratio_forward_low", "ratio_forward_high"),
    *("latency_step_seconds", "ratio_step", "ratio_step_low", "ratio_step_high", "samples_per_second"),
    *("peak_memory_bytes", "activation_bytes", "allocated_bytes", "joules_per_sample", "no_joules"),
    *("noisy", "noisy_phases", "uncounted", "reasons"),
]


def costs(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """Costs of every (task, backbone, variant), cheapest step first; what was not measured is missing.

    `ratio_forward` and `ratio_step` are multiples of the plain convolution's time, with 95 % intervals `_low`, `_high`;
    `noisy` says which of the times are not to be trusted, and why; `no_joules` why there is no energy; `uncounted`
    names the operations that FLOPs leave out; `reasons` says which quantities failed.
    """
    run = given(run, where)
    frame = details(run)
    found = frame["noisy"].map(lambda phases: phases or {})
    told = ["; ".join(f"{phase}: {', '.join(map(str, why))}" for phase, why in phases.items()) for phases in found]
    phases = pd.Series([list(phases) for phases in found], index=frame.index, dtype=object)
    frame = frame.assign(noisy=told, noisy_phases=phases)
    frame["no_joules"] = _no_joules(run)
    place = {variant: i for i, variant in enumerate(run.variants)}
    order = frame["variant"].map(place).fillna(len(place))
    frame = frame.assign(order=order).sort_values(["task", "backbone", "ratio_step", "order"], ignore_index=True)
    return frame[COLUMNS]


def details(run: Run) -> pd.DataFrame:
    """The stored costs with their details spread over columns."""
    stored = run.tables.costs.reset_index(drop=True)
    if stored.empty:
        return pd.DataFrame(columns=[*stored.columns, *COLUMNS, "options"]).loc[:, lambda f: ~f.columns.duplicated()]
    return flatten(stored)


def _no_joules(run: Run) -> list[str]:
    parts = [(found or {}).get("energy", {}) for found in run.tables.costs["details"]]
    return [str(part.get("reason", "")) if part.get("joules_per_sample_step") is None else "" for part in parts]
