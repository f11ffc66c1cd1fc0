"""How much of a step the profiler places, for every layer at two shapes and for five whole tasks.

`python -m tests.benchmarks.profiles [SECONDS]` prints a table: the share of the step that lies at a known place, what
the profiler adds, FLOPs of the forward pass by the trace over those of the formula, the size of the page, and the time
that the profile took.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.profiling.profile import StepProfile, profile_steps
from coordbench.harness.profiling.recorded.step import Workload
from coordbench.harness.profiling.shape import LayerShape
from coordbench.harness.profiling.workload import layer_workload, task_workload
from coordbench.reports.profiles.page import write_profile

SHAPES = {"large": LayerShape((32, 32, 64, 64)), "small": LayerShape((32, 16, 32, 32))}
TASKS = (
    ("coordinate_classification", "pixelwise"),
    ("center_of_mass", "strided"),
    ("hand_gan", "dcgan"),
    ("photo_deblurring", "unet"),
    ("unseen_places", "classifier"),
)


def main() -> None:
    """Profile everything and print a row each."""
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print(f"{'step':<58} {'placed':>7} {'added':>7} {'FLOPs':>6} {'page':>7} {'took':>6}")
    for name, workload in _workloads():
        start = time.perf_counter()
        [profile] = profile_steps([workload], seconds)
        took = time.perf_counter() - start
        print(f"{name:<58} {_row(profile)} {took:5.1f}s", flush=True)


def _workloads() -> Iterator[tuple[str, Workload]]:
    for entry in registry.entries("variant"):
        for shape_name, shape in SHAPES.items():
            if entry.name == "relative_attention" and shape_name == "large":
                continue  # gigabytes of attention
            yield f"{entry.name}, {shape_name}", layer_workload(entry.name, shape)
    for task, backbone in TASKS:
        yield f"coordconv in {backbone} on {task}", task_workload(Cell.of(task, backbone, "coordconv"))


def _row(profile: StepProfile) -> str:
    forward = sum(row.flops for row in profile.rows if row.direction == "forward")
    ratio = f"{forward / profile.formula_flops:6.3f}" if profile.formula_flops else f"{'-':>6}"
    with tempfile.TemporaryDirectory() as folder:
        size = write_profile(profile, None, profile.label, Path(folder) / "page.html").stat().st_size
    return f"{profile.attributed:7.1%} {profile.profiler_overhead:7.1%} {ratio} {size / 1024:4.0f}KiB"


if __name__ == "__main__":
    main()
