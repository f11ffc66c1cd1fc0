"""Each layer's forward and backward pass: the table of goals, and single times beside those of its textbook form.

`python -m tests.benchmarks.layers [--seconds S] [--part shapes|limits|doubled|expanded|networks ..]` prints a table of
multiples of the plain convolution's time, each pair timed in turns in random order in one process of one thread.
`pytest tests/benchmarks/layers.py` compares, saves and plots single times: one group per layer and shape.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.core.problem import FusesDoubling
from coordbench.harness.measure.subject import build_subject
from coordbench.harness.measure.timing.clock import Step
from coordbench.harness.measure.timing.paired import paired_ratio
from coordbench.harness.measure.workload import (
    LayerShape,
    LayerWorkload,
    build_layer,
    layer_workload,
    upstream,
    work_on,
)
from coordbench.harness.process.settings import WORKER
from tests.benchmarks.limits import bare

SHAPES = {"small": LayerShape(32, 16, (32, 32)), "large": LayerShape(32, 32, (64, 64))}
QUADRATIC = ("relative_attention",)  # gigabytes of attention at 64 x 64
Form = Callable[[nn.Module, Tensor], Tensor]

QUICK = Path(registry.__file__).parents[2] / "presets" / "quick.toml"
PLACES = (
    LayerShape(32, 32, (64, 64)),
    LayerShape(32, 16, (24, 24)),
    LayerShape(32, 32, (12, 12)),
    LayerShape(8, 32, (24, 24), kernel_size=1),
)
"""Shapes that people train."""
GOALS: dict[str, tuple[float, ...]] = {
    "coordconv": (1.04, 1.10, 1.10, 1.30),
    "geoconv[per=batch]": (1.05, 1.15, 1.15, 1.4),
    "geoconv": (1.08, 1.2, 1.2, 1.5),
    "coordgate": (1.12, 1.25, 1.25, 1.6),
}
"""What each layer should take at them, as a multiple of a plain convolution."""
DOUBLED = dict.fromkeys(("coordconv", "geoconv"), (1.06, 1.15, 1.15))
NETWORKS = {"coordconv": 1.15, "geoconv": 1.25, "coordgate": 1.35}


def cases() -> Iterator[tuple[str, str, str]]:
    """Shape, variant and form; only the small shape for layers that are quadratic in the pixels."""
    for entry in registry.entries("variant"):
        for shape in ("small",) if entry.name in QUADRATIC else SHAPES:
            yield shape, entry.name, "fast"
            if entry.textbook and entry.name not in QUADRATIC:
                yield shape, entry.name, "textbook"


def step(work: LayerWorkload, form: Form) -> None:
    """Forward by a form of the layer, and backward for the input and all parameters."""
    work.x.grad = None
    work.module.zero_grad(set_to_none=True)
    upstream(form(work.module, work.x), work.gradient).backward()


@pytest.mark.parametrize(("shape", "variant", "form"), list(cases()))
def test_layer(benchmark: Any, shape: str, variant: str, form: str) -> None:
    WORKER.apply()
    work = layer_workload(registry.layer(variant), SHAPES[shape])
    textbook: Form | None = registry.entry("variant", variant).textbook
    run = work.phase("forward_backward")
    benchmark.group = f"{variant}, {shape}"
    benchmark.extra_info["parameters"] = sum(p.numel() for p in work.module.parameters())
    if form == "textbook" and textbook is not None:
        benchmark.pedantic(lambda: step(work, textbook), rounds=5, warmup_rounds=1)
    else:
        benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    assert torch.isfinite(torch.cat([g.flatten() for g in work.gradients() if g is not None])).all()


@dataclass(frozen=True)
class Clocked:
    """A line of the table: what is timed against a plain convolution, and the goal."""

    part: str
    name: str
    goal: float | None
    candidate: Callable[[], Step]
    baseline: Callable[[], Step]

    def line(self, seconds: float) -> str:
        """Time both in turns."""
        ratio = paired_ratio(
            self.candidate(), self.baseline(), seconds=seconds, generator=np.random.default_rng(0)
        ).ratio
        goal = "–" if self.goal is None else f"{self.goal:.2f}"
        return f"| {self.part} | {self.name} | {goal} | {ratio:.2f} |"


def clocked(parts: list[str]) -> Iterator[Clocked]:
    """Every line of the parts of the table that are asked for."""
    for layout in (False, True):
        for number, place in enumerate(PLACES):
            shape = LayerShape(place.batch, place.channels, place.size, place.kernel_size, channels_last=layout)
            title = f"{shape.input_shape}, k {shape.kernel_size}, {'channels last' if layout else 'contiguous'}"
            if "shapes" in parts:
                yield from _lines(title, shape, {name: goals[number] for name, goals in GOALS.items()}, _step)
            if "limits" in parts:
                yield from _lines(f"{title}, bare", shape, {name: goals[number] for name, goals in GOALS.items()}, bare)
            if "expanded" in parts:
                yield from _lines(f"{title}, expanded gradient", shape, {"coordconv": GOALS["coordconv"][number]}, _sum)
            if "doubled" in parts and number < 3:
                yield from _lines(f"{title}, doubled", shape, {n: goals[number] for n, goals in DOUBLED.items()}, _up)
    if "networks" in parts:
        yield from _networks()


def _lines(
    title: str, shape: LayerShape, goals: Mapping[str, float | None], make: Callable[..., Step]
) -> Iterator[Clocked]:
    for name, goal in goals.items():
        yield Clocked(title, name, goal, *(lambda n=n: make(n, shape) for n in (name, "conv")))  # type: ignore[misc]


def _step(name: str, shape: LayerShape) -> Step:
    return layer_workload(registry.layer(name), shape).phase("forward_backward")


def _laid_out(module: nn.Module, shape: LayerShape) -> Step:
    """A step of a module in the layout of the shape."""
    form = torch.channels_last if shape.channels_last else torch.contiguous_format
    return work_on(module.to(memory_format=form), shape).phase("forward_backward")  # type: ignore[call-overload]


def _sum(name: str, shape: LayerShape) -> Step:
    """What people type to time a layer: its backward pass is given an expanded gradient."""
    work = layer_workload(registry.layer(name), shape)

    def run() -> None:
        work.x.grad = None
        work.module.zero_grad(set_to_none=True)
        work.module(work.x).sum().backward()

    work.module.train()
    return run


def _up(name: str, shape: LayerShape) -> Step:
    """A layer that reads maps as if a zero stood beside each pixel."""
    doubled = LayerShape(shape.batch, shape.channels, tuple(2 * n for n in shape.size), shape.kernel_size)
    module = build_layer(registry.layer(name), doubled)
    assert isinstance(module, FusesDoubling)
    assert module.fuse_doubling()
    return _laid_out(module, shape)


def _networks() -> Iterator[Clocked]:
    """A training step in each network of the preset `quick`."""
    for sweep in tomllib.loads(QUICK.read_text())["sweep"]:
        for name, goal in NETWORKS.items():
            if name in sweep["variants"]:
                cells = [Cell.of(sweep["tasks"][0], sweep["backbones"][0], variant) for variant in (name, "conv")]
                steps = [lambda cell=cell: build_subject(cell).phase("step") for cell in cells]
                yield Clocked(f"{cells[0].task}, {cells[0].backbone}", name, goal, *steps)


def main() -> None:
    """Print the table, with the load of the machine before and after."""
    parts = ["shapes", "limits", "doubled", "expanded", "networks"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts)
    options = parser.parse_args()
    variables = WORKER.variables()
    if any(os.environ.get(name) != value for name, value in variables.items()):  # read when a process starts
        command = [sys.executable, "-m", "tests.benchmarks.layers", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env=os.environ | variables, check=False).returncode)
    WORKER.apply()
    print(
        f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, torch {torch.__version__}, {time.strftime('%F')}\n"
    )
    print("| where | layer | goal | time / convolution's |\n|---|---|---:|---:|")
    for line in clocked(options.part):
        print(line.line(options.seconds), flush=True)
    print(f"\nLoad at the end {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
