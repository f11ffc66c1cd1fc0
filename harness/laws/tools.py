"""How a layer lives with torch's tools: copies, caches, the compiler, export, functional transforms."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from coordbench.harness.core.entries import Layer
from coordbench.harness.laws.law import law
from coordbench.harness.laws.specimens import (
    CHANNELS,
    SEED,
    SIZES,
    bare,
    close,
    close_all,
    dims_of,
    loaded,
    module_of,
    run,
    with_gradients,
)


@law(mend="hold state in parameters and buffers, not in plain attributes")
def copies(layer: Layer) -> str:
    """A state_dict, a deepcopy, a pickle and every device at hand carry the whole layer."""
    module, x = module_of(layer), torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    with torch.no_grad():
        y = run(module, x)
        twins = {
            "state_dict": loaded(layer, module),
            "deepcopy": copy.deepcopy(module),
            "pickle": pickle.loads(pickle.dumps(bare(module))),
        }
        for name, twin in twins.items():
            close(run(twin, x), y, name, 0.0)
        devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
        for device in devices:
            close(run(copy.deepcopy(module).to(device), x.to(device)).cpu(), y, device, 1e-3)
    return ", ".join([*twins, *devices])


@law(mend="compare the values a cached result came from, not their version counters, and the shape of x")
def no_stale_results(layer: Layer) -> str:
    """After any kind of update the next evaluation is that of a fresh layer with the same state."""
    module, x = module_of(layer), torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    other = module_of(layer).state_dict()

    def replace_data() -> None:
        for p in module.parameters():
            p.data = p.data * 0.7

    updates: dict[str, Callable[[], object]] = {
        "in place": lambda: [p.add_(0.1) for p in module.parameters()],
        ".data in place": lambda: [p.data.mul_(1.5) for p in module.parameters()],
        ".data replaced": replace_data,
        "load_state_dict": lambda: module.load_state_dict(other),
    }
    with torch.no_grad():
        for name, update in updates.items():
            module(x)
            update()
            close(run(module, x), run(loaded(layer, module), x), f"after an update {name}", 0.0)
            module(x[:, :, ..., :1].expand_as(x))  # anything cached for the last call must not leak into the next
            close(run(module, x), run(loaded(layer, module), x), f"after another call ({name})", 0.0)
    return ", ".join(updates)


@law(mend="let no Python value depend on the numbers in a tensor: no item(), no numpy()")
def compiles(layer: Layer) -> str:
    """torch.compile(fullgraph=True) gives the same result and gradients, in training and at evaluation."""
    module, x = module_of(layer), torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    for training in (True, False):
        module.train(training)
        torch._dynamo.reset()
        fast = cast("nn.Module", torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=False))
        close_all(with_gradients(fast, x), with_gradients(module, x), f"training={training}", 1e-4)
    torch._dynamo.reset()
    return "fullgraph, aot_eager"


@law(mend="let the way through forward depend on shapes alone, not on values")
def exports(layer: Layer) -> str:
    """torch.export captures the layer at evaluation."""
    module, x = module_of(layer), torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    with torch.no_grad():
        close(run(torch.export.export(bare(module), (x,)).module(), x), run(module, x), "exported", 1e-5)
    return "torch.export"


@law(mend="use torch operations that vmap knows: no numpy(), no in-place writes into new tensors")
def stacks(layer: Layer) -> str:
    """torch.func.vmap runs several models with stacked parameters at once, with their gradients."""
    modules, x = [module_of(layer) for _ in range(2)], torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    parameters, buffers = stack_module_state(modules)

    def loss(p: dict[str, Tensor], b: dict[str, Tensor]) -> Tensor:
        result: Tensor = functional_call(modules[0], (p, b), (x,))
        return result.square().mean()

    torch.manual_seed(SEED)
    losses = vmap(loss, randomness="same")(parameters, buffers)
    torch.manual_seed(SEED)
    slopes = vmap(grad(loss), randomness="same")(parameters, buffers)
    for i, module in enumerate(modules):
        apart = run(module, x).square().mean()
        close(losses[i], apart, f"model {i}", 1e-4)
        expected = torch.autograd.grad(apart, list(module.parameters()), allow_unused=True)
        for name, value in zip(dict(module.named_parameters()), expected, strict=True):
            close(slopes[name][i], torch.zeros_like(slopes[name][i]) if value is None else value, name, 1e-4)
    return "2 models"
