"""What layers cost: one row per task, backbone and variant, each time beside the plain convolution's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from coordbench.harness.measure import BASELINE
from coordbench.harness.measure.table import flatten
from coordbench.reports.data.stored import Stored

PLACE = ["task", "backbone", "device", "dtype", "memory_format", "match"]
"""What the layers of one network share."""
COLUMNS = [
    *("task", "backbone", "variant", "device", "dtype", "memory_format", "match"),
    *("status", "error", "parameters", "flops", "flops_forward_backward"),
    *("latency_forward_seconds", "ratio_forward", "ratio_forward_low", "ratio_forward_high"),
    *("latency_step_seconds", "ratio_step", "ratio_step_low", "ratio_step_high", "samples_per_second"),
    *("peak_memory_bytes", "activation_bytes", "allocated_bytes", "joules_per_sample", "no_joules"),
    *("noisy", "noisy_phases", "uncounted", "reasons"),
]


def costs(run: Stored) -> pd.DataFrame:
    """Costs of every (task, backbone, variant), cheapest step first; what was not measured is missing.

    `ratio_forward` and `ratio_step` are multiples of the plain convolution's time, with 95 % intervals `_low`, `_high`;
    `noisy` says which of the times are not to be trusted, and why; `no_joules` why there is no energy; `uncounted`
    names the operations that FLOPs leave out; `reasons` says which quantities failed.
    """
    frame = details(run)
    noise = [phases if isinstance(phases, Mapping) else {} for phases in frame["noisy"]]
    reasons = ["; ".join(f"{phase}: {', '.join(map(str, why))}" for phase, why in each.items()) for each in noise]
    phases = pd.Series([list(each) for each in noise], index=frame.index, dtype=object)
    frame = frame.assign(noisy=reasons, noisy_phases=phases, no_joules=_no_joules(run))
    place = {variant: i for i, variant in enumerate(run.variants)}
    order = frame["variant"].map(place).fillna(len(place))
    frame = frame.assign(order=order).sort_values(["task", "backbone", "ratio_step", "order"], ignore_index=True)
    return frame[COLUMNS]


def details(run: Stored) -> pd.DataFrame:
    """The stored costs with their details spread over columns."""
    stored = run.tables.costs.reset_index(drop=True)
    if stored.empty:
        return pd.DataFrame(columns=[*stored.columns, *COLUMNS, "options"]).loc[:, lambda f: ~f.columns.duplicated()]
    return flatten(stored)


def step_ratios(run: Stored) -> dict[tuple[int, str], float]:
    """(contest, variant) -> its training step as a multiple of the baseline's.

    Multiples are the ratios measured in turns in one process: times of two processes differ by the machine's mood.
    """
    measured = details(run).drop_duplicates([*PLACE, "variant"]).set_index([*PLACE, "variant"])["ratio_step"]
    against_conv = {key: float(ratio) for key, ratio in measured.dropna().astype(float).items()}
    ratios = {}
    for contest in run.contests.values():
        plain = 1.0 if run.baseline == BASELINE else against_conv.get((*contest.place, run.baseline), np.nan)
        for variant in run.variants:
            ratio = against_conv.get((*contest.place, variant), np.nan) / plain
            if np.isfinite(ratio):
                ratios[contest.number, variant] = ratio
    return ratios


def _no_joules(run: Stored) -> list[str]:
    parts = [detail.get("energy") if isinstance(detail, dict) else None for detail in run.tables.costs["details"]]
    known = [part if isinstance(part, dict) else {} for part in parts]
    return [str(part.get("reason") or "") if part.get("joules_per_sample_step") is None else "" for part in known]
