"""How long each layer takes beside a plain convolution: `nox -s layers`, or pytest with this file's name.

One group per shape, one benchmark per variant and memory layout, on one thread, float32. The benchmark itself times
forward + backward; `extra_info` holds what a reader compares: parameters, FLOPs, and the ratios of forward + backward,
of evaluation and of peak memory to the plain convolution in the same layout, each from one interleaved run with random
order in each pair; for layers that their paper writes in another form also the ratio to that textbook form. The table
of ratios is printed at the end.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.measure.allocations import track
from coordbench.harness.measure.timing.paired import Ratio, paired_ratio
from coordbench.harness.process import environment

SHAPES = {"large": (32, 32, 64, 64, 32), "wide": (8, 64, 128, 128, 64), "small": (32, 16, 32, 32, 16)}
"""Name -> (N, in_channels, H, W, out_channels); all kernels are 3x3."""
SPINE = ("coordconv", "geoconv", "geoconv[per=batch]", "coordgate")
MEASURED_TWICE = (*SPINE, "locally_connected", "pixel_adaptive")  # in both memory layouts
QUADRATIC = ("relative_attention", "relative_attention[circular=true]")  # gigabytes of attention at 64 x 64
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SECONDS = 1.5
"""Time for each ratio, of the processor: six pairs or more."""


def _cases() -> Iterator[Any]:
    names = [entry.name for entry in registry.entries("variant") if entry.name not in SPINE]
    for shape in SHAPES:
        family = SPINE if shape == "wide" else (*SPINE, *names)
        for variant in family:
            if shape != "small" and variant in QUADRATIC:
                continue
            for layout in LAYOUTS if variant in MEASURED_TWICE else ("contiguous",):
                yield pytest.param(shape, variant, layout, id=f"{variant}-{shape}-{layout}")


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[dict[str, Any]]]:
    """Rows of the table that is printed after the last benchmark, with the machine that it holds for."""
    _steady_allocator()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    yield rows
    torch.set_num_threads(threads)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n".join(["", *_lines(rows)]))


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    facts = environment.machine()
    yield f"{facts['processor']}, {facts['platform']}, torch {torch.__version__}, one thread, float32"
    yield f"{'layer':34}{'shape':6} {'layout':14}{'fwd+bwd':>22}{'evaluation':>22}{'memory':>8}{'textbook':>10}"
    for row in rows:
        ratios = "".join(
            f"{row[f'{part}_ratio']:8.3f} [{row[f'{part}_low']:.2f}, {row[f'{part}_high']:.2f}]"
            for part in ("step", "evaluation")
        )
        told = "" if row["textbook_ratio"] is None else f"{row['textbook_ratio']:10.2f}"
        yield f"{row['variant']:34}{row['shape']:6} {row['layout']:14}{ratios}{row['memory_ratio']:8.3f}{told}"


@pytest.mark.parametrize(("shape", "variant", "layout"), list(_cases()))
def test_layer(benchmark: Any, table: list[dict[str, Any]], shape: str, variant: str, layout: str) -> None:
    subject, plain = Subject(variant, shape, layout), Subject("conv", shape, layout)
    steps, evaluations = _ratio(subject.step, plain.step), _ratio(subject.evaluate, plain.evaluate)
    form = _textbook().get(variant)
    textbook = (
        _ratio(subject.step, lambda: subject.step(form)).ratio if form is not None and variant != "conv" else None
    )
    facts = subject.module.coordbench_layer.selected.entry.facts  # type: ignore[union-attr]
    row = {
        "variant": variant,
        "shape": shape,
        "layout": layout,
        "input": SHAPES[shape],
        "parameters": sum(p.numel() for p in subject.module.parameters()),
        "flops": facts["flops"](subject.module.eval(), tuple(subject.x.shape)),
        "memory_ratio": _peak(subject.step) / _peak(plain.step),
        "textbook_ratio": textbook,
        **{f"step_{key}": value for key, value in _summary(steps).items()},
        **{f"evaluation_{key}": value for key, value in _summary(evaluations).items()},
    }
    table.append(row)
    benchmark.group = f"{shape}: {' x '.join(map(str, SHAPES[shape][:4]))} -> {SHAPES[shape][4]}, 3x3"
    benchmark.extra_info.update(row | {"machine": environment.machine()})
    benchmark.pedantic(subject.step, rounds=5, warmup_rounds=1)


class Subject:
    """A layer with an input and an output gradient in one layout."""

    def __init__(self, variant: str, shape: str, layout: str) -> None:
        images, channels, height, width, out = SHAPES[shape]
        torch.manual_seed(0)
        self.module: nn.Module = registry.layer(variant)(channels, out, 3, size=(height, width))
        self.module.to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]
        self.x = torch.randn(images, channels, height, width).to(memory_format=LAYOUTS[layout]).requires_grad_()
        self.grad = torch.randn(images, out, height, width).to(memory_format=LAYOUTS[layout])

    def step(self, form: Callable[[nn.Module, Tensor], Tensor] | None = None) -> None:
        """Forward and backward, for the input and all parameters."""
        self.module.train()
        y = self.module(self.x) if form is None else form(self.module, self.x)
        torch.autograd.grad(y, [self.x, *self.module.parameters()], self.grad)

    def evaluate(self) -> None:
        """Forward, without gradients."""
        self.module.eval()
        with torch.no_grad():
            self.module(self.x)


def _ratio(candidate: Callable[[], object], baseline: Callable[[], object]) -> Ratio:
    return paired_ratio(candidate, baseline, seconds=SECONDS, generator=np.random.default_rng(0))


def _summary(ratio: Ratio) -> dict[str, Any]:
    return {
        "ratio": ratio.ratio, "low": ratio.low, "high": ratio.high, "noisy": list(ratio.noisy),
        "seconds": list(ratio.candidate), "baseline_seconds": list(ratio.baseline),
    }  # fmt: skip


def _peak(function: Callable[[], object]) -> int:
    with track() as allocated:
        function()
    return allocated.peak


def _textbook() -> dict[str, Callable[[nn.Module, Tensor], Tensor]]:
    """The forms of the papers, which the tests hold the layers to."""
    entries = {entry.name: entry.facts["textbook"] for entry in registry.entries("variant")}
    forms = {name: form for name, form in entries.items() if name not in QUADRATIC}  # one query at a time
    return forms | {"geoconv[per=batch]": forms["geoconv"]}


def _steady_allocator() -> None:
    """Keep freed memory, as the workers of the harness do: else each call faults its pages in anew."""
    with contextlib.suppress(AttributeError, OSError):  # only the GNU C library has it
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((-1, 2**31 - 1), (-2, 2**28), (-3, 2**30)):  # trim threshold, top pad, mmap threshold
            mallopt(option, value)
