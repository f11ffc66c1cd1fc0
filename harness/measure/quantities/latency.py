"""How long a forward pass and the parts of a training step take, beside the plain convolution in the same process.

The figure to quote is the ratio to the plain convolution. On a GPU each phase is timed twice, with a hot and with a
cold cache, which are different metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.seeds import seed_of
from coordbench.harness.core.selector import Selector
from coordbench.harness.measure import BASELINE, SECONDS
from coordbench.harness.measure.nvml import open_gpu
from coordbench.harness.measure.part import Part
from coordbench.harness.measure.quantities.backend import backends
from coordbench.harness.measure.subject import PHASES, Subject, build_subject
from coordbench.harness.measure.timing import noise
from coordbench.harness.measure.timing.clock import clocks_of
from coordbench.harness.measure.timing.exclusive import alone_on
from coordbench.harness.measure.timing.modes import Mode, Unavailable, compile_models, step_of
from coordbench.harness.measure.timing.paired import Pairs, Ratio

OCCASIONS = 3
"""How often all phases are gone through: what slows the machine lasts for tenths of a second."""
SHARES = {"forward": 0.75, "optimizer": 0.2}
"""The part of the seconds that a phase is timed: quick calls give many turns, and the optimizer tells little."""


def measure_latency(cell: Cell, seconds: float = SECONDS, mode: Mode = "eager") -> Part:
    """Time each phase of a cell against the same cell with the plain convolution, up to `seconds` per phase and clock.

    The plain convolution itself is timed against itself: its interval shows what this machine can tell apart now.
    """
    subject = build_subject(cell)
    plain = replace(cell, variant=Selector.parse(BASELINE))
    sides = (subject, subject if cell == plain else build_subject(plain))
    if mode == "compiled":
        for side in sides:
            compile_models(side)
    generator, clocks = np.random.default_rng(seed_of(cell, "latency")), clocks_of(cell.device)
    planned: dict[str, dict[str, Pairs]] = {}
    outcomes: dict[str, Ratio | str] = {}
    for phase in PHASES:
        try:
            candidate, baseline = (step_of(side, phase, mode) for side in sides)
        except Unavailable as reason:
            outcomes[phase] = str(reason)
        else:
            planned[phase] = {name: Pairs(candidate, baseline, generator, clock) for name, clock in clocks.items()}
    with alone_on(cell.device):
        for occasion in range(OCCASIONS):
            for phase, pairs in planned.items():
                for side in sides:
                    side.phase(phase)  # the models in the mode that it needs
                for pair in pairs.values():
                    pair.take(seconds=seconds * SHARES.get(phase, 1.0), share=(occasion + 1) / OCCASIONS)
        gpu = open_gpu(cell.device).state() if cell.device.startswith("cuda") else {}
    outcomes |= {phase + name: pair.ratio() for phase, pairs in planned.items() for name, pair in pairs.items()}
    return _part(subject, outcomes, mode, gpu)


def _part(subject: Subject, outcomes: Mapping[str, Ratio | str], mode: Mode, gpu: Mapping[str, object]) -> Part:
    """What the store keeps: raw samples of both sides, medians, ratios with intervals, and how they came about."""
    ratios = {name: ratio for name, ratio in outcomes.items() if isinstance(ratio, Ratio)}
    medians = {name: float(np.median(ratio.candidate)) for name, ratio in ratios.items()}
    samples = {name: list(ratio.candidate) for name, ratio in ratios.items()}
    samples |= {f"{name}/{BASELINE}": list(ratio.baseline) for name, ratio in ratios.items()}
    details = {
        "mode": mode,
        "batch_size": subject.batch_size,
        "samples_per_second": {name: subject.batch_size / median for name, median in medians.items()},
        "ratios": {name: r.summary if isinstance(r, Ratio) else {"reason": r} for name, r in outcomes.items()},
        "noisy": {name: list(ratio.noisy) for name, ratio in ratios.items() if ratio.noisy} | noise.of_gpu(gpu),
        "backends": backends(subject) if mode == "eager" else {},
        "settings": noise.settings() | {"gpu": gpu},
    }
    return Part(
        details,
        latency_forward_seconds=medians.get("forward"),
        latency_step_seconds=medians.get("step"),
        latencies=samples,
    )
