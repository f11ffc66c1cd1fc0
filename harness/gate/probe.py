"""What runs on each side: answer requests, one JSON object per line, about the layers of the tree it stands in.

The gate hands this file to both sides as it is, so that a base revision needs no gate of its own; it uses nothing of
a tree but `harness.registry`, `harness.plan` and `harness.identity`.
"""

from __future__ import annotations

import ast
import ctypes
import functools
import gc
import hashlib
import importlib
import json
import math
import operator
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Layer = dict[str, Any]
"""What `describe` says of a layer; enough for another process of this side to build it."""

_PACKAGE = "coordbench"
_PR_SET_PDEATHSIG = 1
_WARM_UP = 5


def serve() -> None:
    """Answer requests on standard input until it closes; what layers print goes to standard error."""
    end_with_parent()
    with os.fdopen(os.dup(0)) as requests, os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for line in requests:
            request = json.loads(line)
            try:
                answer = {"ok": HANDLERS[request.pop("do")](**request)}
            except Exception as error:  # a layer may raise anything
                answer = {"error": explain(error)}
            answers.write(json.dumps(answer, default=str) + "\n")


def end_with_parent() -> None:
    """Have the system end this process when the gate ends, however that comes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def explain(error: BaseException) -> str:
    """Type, message and innermost line of an exception, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500] + where


def describe(plugins: list[str], selectors: list[str]) -> dict[str, Any]:
    """The layers of this tree by their labels, and those of `selectors` among them, with the sources they import."""
    from coordbench.harness.core import registry

    registry.load()
    owners: dict[str, str] = {}
    for plugin in plugins:
        if Path(plugin).is_file():
            registry.load_plugin(plugin)
            owners[str(Path(plugin).resolve())] = plugin
    chosen = [registry.select("variant", entry.name) for entry in registry.entries("variant")]
    selected: dict[str, dict[str, str]] = {}
    for selector in selectors:
        try:
            chosen.append(registry.select("variant", selector))
            selected[selector] = {"label": chosen[-1].label}
        except ValueError as error:  # this side may not have it
            selected[selector] = {"error": str(error)}
    layers = {item.label: _describe(item, owners) for item in chosen}
    return {"harness": registry.__file__, "layers": layers, "selected": selected}


def _describe(selected: Any, owners: dict[str, str]) -> Layer:
    entry = selected.entry
    dims, formula = entry.facts["dims"], entry.facts["flops"]
    return {
        "label": selected.label,
        "name": entry.name,
        "module": entry.function.__module__,
        "attribute": entry.function.__qualname__,
        "options": dict(selected.options),
        "dims": 2 if 2 in dims else dims[0],
        "formula": None if formula is None else [formula.__module__, formula.__qualname__],
        "plugin": owners.get(entry.file),
        "file": entry.file,
        "sources": sources(entry.function.__module__),
    }


def sources(module: str) -> dict[str, str]:
    """File -> hash of each source that a loaded module was made of: its own and those of ours that it imports."""
    found: dict[str, str] = {}
    waiting = {module}
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and file.endswith(".py") and _is_ours(name, Path(file)):
            found[_short(Path(file))] = source_digest(Path(file))
            waiting |= set(_imported(name, Path(file))) - seen
    return found


def source_digest(file: Path) -> str:
    """A hash of a file's syntax tree, comments and docstrings aside."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node):  # type: ignore[arg-type]
            node.body = node.body[1:]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_ours(name: str, file: Path) -> bool:
    inside = file.resolve().is_relative_to(Path.cwd()) and "site-packages" not in file.parts
    return inside or name.partition(".")[0] == _PACKAGE


def _short(file: Path) -> str:
    """A path inside this tree, or a full one outside of it."""
    file = file.resolve()
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def _imported(name: str, file: Path) -> Iterator[str]:
    """The names of all modules that a file may import, packages on the way among them."""
    package = getattr(sys.modules[name], "__package__", None) or ""
    for node in ast.walk(ast.parse(file.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            whole = ".".join([*base, *filter(None, [node.module])])
            names = [whole, *(f"{whole}.{alias.name}" for alias in node.names)]
        for found in names:
            parts = found.split(".")
            yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def identities(preset: str, variants: list[str]) -> list[dict[str, Any]]:
    """What the scores of each trial of a preset depend on, as a hash, with these variants instead of its own."""
    from coordbench.harness.plan import planning as plan
    from coordbench.harness.run import identity

    made = plan.make_plan(plan.narrow(plan.read_preset(preset), variants))
    trials = [trial for trial in made.trials if trial.cell.variant]
    return [
        {
            "task": str(t.cell.task),
            "backbone": str(t.cell.backbone),
            "variant": str(t.cell.variant),
            "seed": t.seed,
            "cell": ", ".join(t.cell.conditions.values()),
            "digest": identity.of_trial(t).digest,
        }
        for t in trials
    ]


def prepare_torch() -> Any:
    """Torch as a worker has it: one thread, no denormals."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.set_deterministic_debug_mode("warn")  # as use_deterministic_algorithms, which takes a second to import
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch


def build(layer: Layer, case: dict[str, int]) -> tuple[Any, Any]:
    """A layer with seeded weights, and a seeded input (batch, channels, *size) that takes a gradient."""
    torch = prepare_torch()
    if layer["plugin"]:
        from coordbench.harness.core import registry

        registry.load_plugin(layer["plugin"])
    module = sys.modules.get(layer["module"]) or importlib.import_module(layer["module"])
    make = operator.attrgetter(layer["attribute"])(module)
    torch.manual_seed(0)
    size, channels = (case["size"],) * layer["dims"], case["channels"]
    network = make(channels, channels, case["kernel_size"], size=size, stride=1, bias=True, **layer["options"])
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(case["batch"], channels, *size, generator=generator).requires_grad_()
    return network, x


def facts(layer: Layer, case: dict[str, int]) -> dict[str, Any]:
    """What must be equal on both sides to the last digit, where the code is; the order is that of the report."""
    torch = prepare_torch()
    network, x = build(layer, case)
    with torch.no_grad():
        torch.manual_seed(2)
        y = network.eval()(x)
    network.train()
    backward(network, x)  # before memory is followed, so that what is made once is there
    gradients = [x.grad, *(p.grad for p in network.parameters())]
    hashed = hash_of(gradients)
    del gradients
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "buffers": sum(b.numel() for b in network.buffers()),
        "flops": flops(layer, network, tuple(x.shape)),
        "allocated_bytes": allocated_bytes(network, x),
        "output_shape": [*y.shape, str(y.dtype)],
        "output_hash": hash_of([y]),
        "gradient_hash": hashed,
    }


def flops(layer: Layer, network: Any, shape: tuple[int, ...]) -> int | None:
    """A forward pass by the layer's own formula [FLOPs], or None where it has none."""
    if layer["formula"] is None:
        return None
    module, name = layer["formula"]
    if "<" in name:  # a lambda or a local function can be had by the registry only, which imports every file for it
        from coordbench.harness.core import registry

        return int(registry.entry("variant", layer["name"]).facts["flops"](network, shape))
    return int(operator.attrgetter(name)(sys.modules[module])(network, shape))


def backward(network: Any, x: Any) -> None:
    """Forward and backward of the mean square of the output, gradients made anew."""
    import torch

    torch.manual_seed(2)
    x.grad = None
    network.zero_grad(set_to_none=True)
    network(x).square().mean().backward()


def hash_of(tensors: list[Any]) -> str:
    """A hash of the numbers in tensors, bit by bit."""
    total = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            total.update(tensor.detach().contiguous().double().numpy().tobytes())
    return total.hexdigest()[:16]


def allocated_bytes(network: Any, x: Any) -> int:
    """The highest sum of torch's allocations in a forward and backward pass, above its start [bytes]."""
    import torch

    x.grad = None
    network.zero_grad(set_to_none=True)
    gc.collect()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as profiler:
        backward(network, x)
    results: Any = profiler.profiler.kineto_results
    events = sorted((e for e in results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns())
    held = peak = 0
    for event in events:
        held += event.nbytes()
        peak = max(peak, held)
    return peak


_steps: dict[str, Callable[[], object]] = {}


def prepare(key: str, layer: Layer, case: dict[str, int], phase: str) -> float:
    """Build a layer for the turns to come under `key`, warm it up, and return its fastest call [s]."""
    torch = prepare_torch()
    network, x = build(layer, case)
    _steps[key] = functools.partial(_forward, torch, network.eval(), x)
    if phase == "forward_backward":
        gradient = torch.ones_like(network.train()(x))
        _steps[key] = functools.partial(_forward_backward, network, x, gradient)
    return min(clock(_steps[key], 1) for _ in range(_WARM_UP))


def _forward(torch: Any, network: Any, x: Any) -> None:
    with torch.no_grad():
        network(x)


def _forward_backward(network: Any, x: Any, gradient: Any) -> None:
    x.grad = None
    network.zero_grad(set_to_none=True)
    network(x).backward(gradient)


def turn(key: str, calls: int) -> list[float]:
    """One turn: mean duration of a call [s], and the minor page faults of all."""
    step = _steps[key]
    step()  # the other side has had the caches
    gc.disable()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds = clock(step, calls)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    gc.enable()
    return [seconds, faults]


def forget(key: str) -> None:
    """Drop what `prepare` built."""
    _steps.pop(key, None)
    gc.collect()


def clock(step: Callable[[], object], calls: int) -> float:
    """The mean duration of `calls` calls in a row [s]."""
    start = time.perf_counter_ns()
    for _ in range(calls):
        step()
    return max((time.perf_counter_ns() - start) * 1e-9 / calls, math.ulp(0.0))


def pin(core: int) -> None:
    """Import torch where there is room, then stay on one core, where the system can do that."""
    prepare_torch()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


HANDLERS: dict[str, Callable[..., Any]] = {
    "describe": describe, "identities": identities, "facts": facts,
    "prepare": prepare, "turn": turn, "forget": forget, "pin": pin,
}  # fmt: skip

if __name__ == "__main__":
    serve()
