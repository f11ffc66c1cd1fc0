"""How long a forward pass and the parts of a training step take, beside the plain convolution in the same process.

The figure to quote is the ratio to the plain convolution. On a GPU each phase is timed twice, with a hot and with a
cold cache, which are different metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.measure import SECONDS, noise
from harness.measure.backend import backends
from harness.measure.clock import Clock, clocks_of
from harness.measure.exclusive import alone_on
from harness.measure.modes import Mode, Unavailable, compile_models, step_of
from harness.measure.nvml import open_gpu
from harness.measure.paired import Ratio, paired_ratio
from harness.measure.subject import PHASES, Subject, subject
from harness.spec import CostJob, seed_of

__all__ = ["BASELINE", "measure_latency", "paired_ratio"]

BASELINE = "conv"


def measure_latency(job: CostJob, seconds: float = SECONDS, mode: Mode = "eager") -> dict[str, Any]:
    """Time each phase of a job against the same job with the plain convolution, `seconds` per phase and clock.

    The plain convolution itself is timed against itself: its interval shows what this machine can tell apart now.
    """
    made = subject(job)
    sides = (made, made if job.variant == BASELINE else subject(replace(job, variant=BASELINE)))
    if mode == "compiled":
        for side in sides:
            compile_models(side)
    generator = np.random.default_rng(seed_of(job, "latency"))
    clocks = clocks_of(job.device)
    found: dict[str, Ratio | str] = {}
    with alone_on(job.device):
        for phase in PHASES:
            found |= _time(sides, phase, mode, seconds, generator, clocks)
        gpu = open_gpu(job.device).state() if job.device.startswith("cuda") else {}
    return _part(made, found, mode, gpu)


def _time(
    sides: tuple[Subject, Subject], phase: str, mode: Mode, seconds: float, generator: np.random.Generator,
    clocks: Mapping[str, Clock],
) -> dict[str, Ratio | str]:  # fmt: skip
    """The ratio of a phase by each clock, or the reason why there is none."""
    try:
        candidate, baseline = (step_of(side, phase, mode) for side in sides)
    except Unavailable as reason:
        return {phase: str(reason)}
    return {
        phase + suffix: paired_ratio(candidate, baseline, seconds=seconds, generator=generator, clock=clock)
        for suffix, clock in clocks.items()
    }


def _part(made: Subject, found: Mapping[str, Ratio | str], mode: Mode, gpu: dict[str, Any]) -> dict[str, Any]:
    """What the store keeps: raw samples of both sides, medians, ratios with intervals, and how they came about."""
    ratios = {name: ratio for name, ratio in found.items() if isinstance(ratio, Ratio)}
    medians = {name: float(np.median(ratio.candidate)) for name, ratio in ratios.items()}
    samples = {name: list(ratio.candidate) for name, ratio in ratios.items()}
    samples |= {f"{name}/{BASELINE}": list(ratio.baseline) for name, ratio in ratios.items()}
    details = {
        "mode": mode,
        "batch_size": made.batch_size,
        "samples_per_second": {name: made.batch_size / median for name, median in medians.items()},
        "ratios": {name: r.summary if isinstance(r, Ratio) else {"reason": r} for name, r in found.items()},
        "noisy": {name: list(ratio.noisy) for name, ratio in ratios.items() if ratio.noisy} | noise.of_gpu(gpu),
        "backends": backends(made) if mode == "eager" else {},
        "settings": noise.settings() | {"gpu": gpu},
    }
    return {
        "latency_forward_seconds": medians.get("forward"),
        "latency_step_seconds": medians.get("step"),
        "latencies": samples,
        "details": details,
    }
