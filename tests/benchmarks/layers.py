"""Each layer's forward and backward pass, and its textbook form: `pytest tests/benchmarks/layers.py`, one thread.

The workload is that of `coordbench costs`, which prints ratios with intervals; here pytest-benchmark compares, saves
and plots single times: one group per layer and shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.measure.workload import LayerShape, LayerWorkload, layer_workload, upstream
from coordbench.harness.process.settings import WORKER

SHAPES = {"small": LayerShape(32, 16, (32, 32)), "large": LayerShape(32, 32, (64, 64))}
QUADRATIC = ("relative_attention",)  # gigabytes of attention at 64 x 64
Form = Callable[[nn.Module, Tensor], Tensor]


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
