"""The facts of a layer, which are exact, and the turns by which it is timed."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import operator
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TypedDict

from torch import nn

from ...measure.allocations import track
from ...measure.workload import LayerWorkload, Phase, flops_by, hash_of, layer_workload, positive, seed_run, shape_of
from ...process.settings import WORKER
from ...profiling.recorded.fingerprint import fingerprint
from ...profiling.recorded.step import Workload
from .messages import Facts, Layer

_WARM_UP = 5

Formula = Callable[[nn.Module, tuple[int, ...]], int]
_steps: dict[str, Callable[[], object]] = {}


class Turn(TypedDict):
    """One turn: the mean duration of a call [s], and the minor page faults of all calls."""

    seconds: float
    faults: int


def facts(layer: Mapping[str, object], case: Mapping[str, int]) -> Facts:
    """Count and hash what a layer holds, computes and allocates."""
    described = Layer(**layer)  # type: ignore[arg-type]
    work = build(described, case)
    seed_run()
    y = work.forward()
    step = work.phase("forward_backward")
    seed_run()
    step()  # before memory is followed, so that what is made once is there
    gradients = hash_of(work.gradients())
    return Facts(
        parameters=sum(p.numel() for p in work.module.parameters()),
        buffers=sum(b.numel() for b in work.module.buffers()),
        flops=flops_by(_formula(described), work),
        allocated_bytes=_allocated(work),
        output_shape=(*y.shape, str(y.dtype)),
        output_hash=hash_of([y]),
        gradient_hash=gradients,
    )


def step(layer: Mapping[str, object], case: Mapping[str, int]) -> list[dict[str, object]]:
    """What one training step of a layer did: each entry of its fingerprint, how often, and under which lines."""
    work = build(Layer(**layer), case)  # type: ignore[arg-type]
    seed_run()
    counted = fingerprint(Workload(work.module._get_name(), work.phase("forward_backward"), {"": work.module}))
    return [
        {"entry": asdict(entry), "count": count, "places": counted.places.get(entry, ())}
        for entry, count in counted.counts.items()
    ]


def build(layer: Layer, case: Mapping[str, int]) -> LayerWorkload:
    """The workload of a layer of this tree."""
    WORKER.apply()
    module = sys.modules.get(layer.module) or _imported(layer)
    make: Callable[..., nn.Module] = operator.attrgetter(layer.attribute)(module)
    return layer_workload(make, shape_of(case, layer.dims), **layer.options)


def _imported(layer: Layer) -> ModuleType:
    """The module of a layer; a plug-in's file alone, under its name: that it takes no other's was seen before."""
    if layer.plugin is None:
        return importlib.import_module(layer.module)
    specification = importlib.util.spec_from_file_location(layer.module, layer.file)
    assert specification is not None
    assert specification.loader is not None
    module = sys.modules[layer.module] = importlib.util.module_from_spec(specification)
    sys.path.append(str(Path(layer.file).parent))  # it may import helpers that lie beside it
    specification.loader.exec_module(module)
    return module


def _formula(layer: Layer) -> Formula | None:
    if layer.formula is None:
        return None
    module, name = layer.formula
    if "<" in name:  # a lambda or a local function can be had by the registry only, which imports every file for it
        from .tree import formula

        return formula(layer.name)
    count: Formula = operator.attrgetter(name)(sys.modules[module])
    return count


def _allocated(work: LayerWorkload) -> int:
    """The highest sum of torch's allocations in a forward and backward pass, above its start [bytes]."""
    work.x.grad = None
    work.module.zero_grad(set_to_none=True)
    gc.collect()
    with track() as allocated:
        seed_run()
        work.forward_backward()
    return allocated.peak


def pin(core: int) -> None:
    """Set up torch where there is room, then stay on one core, where the system can do that."""
    WORKER.apply()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def prepare(key: str, layer: Mapping[str, object], case: Mapping[str, int], phase: Phase) -> float:
    """Build a layer for the turns to come under `key`, warm it up, and return its fastest call [s]."""
    _steps[key] = build(Layer(**layer), case).phase(phase)  # type: ignore[arg-type]
    return min(_mean_seconds(_steps[key], 1) for _ in range(_WARM_UP))


def turn(key: str, calls: int) -> Turn:
    """Call a layer that was prepared, after one call more: the other side has had the caches."""
    step = _steps[key]
    step()
    gc.disable()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds = _mean_seconds(step, calls)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    gc.enable()
    return {"seconds": seconds, "faults": faults}


def forget(key: str) -> None:
    """Drop what `prepare` built."""
    _steps.pop(key, None)
    gc.collect()


def _mean_seconds(step: Callable[[], object], calls: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(calls):
        step()
    return positive((time.perf_counter_ns() - start) * 1e-9 / calls)
