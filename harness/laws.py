"""The laws of a layer: what anything that stands where a convolution would stand must obey.

Each law is a function of a layer factory that returns what it looked at and raises where the law is broken. The tests
run them over everything registered, `coordbench probe FILE` over a plug-in.
"""

from __future__ import annotations

import copy
import itertools
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from harness import registry
from harness.registry import Layer
from harness.specimens import (
    CHANNELS,
    SEED,
    SIZES,
    SMALL_SIZES,
    bare,
    close,
    close_all,
    count_flops,
    dims_of,
    error_of,
    loaded,
    module_of,
    pure,
    require,
    run,
    with_gradients,
)  # fmt: skip

Law = Callable[[Layer], str]

ODD_SIZES: dict[int, tuple[tuple[int, ...], ...]] = {1: ((1,), (8,)), 2: ((7, 4), (1, 5)), 3: ((4, 1, 3),)}

LAWS: dict[str, Law] = {}


@dataclass(frozen=True)
class Verdict:
    """Whether a layer obeys a law, with what was looked at or the reason why not."""

    law: str
    passed: bool
    detail: str


def check(selector: str) -> list[Verdict]:
    """Try every law on a layer; raise UsageError only where the selector itself is wrong."""
    layer = registry.layer(selector)
    return [verdict(name, layer) for name in LAWS]


def verdict(name: str, layer: Layer) -> Verdict:
    """Try one law on a layer, with a state of the global generator of its own."""
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Verdict(name, True, LAWS[name](layer))
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__} at {where.name}: "
        return Verdict(name, False, f"{kind}{' '.join(' '.join(lines).split())}"[:500])


def law(function: Law) -> Law:
    """Register a law under the name of its function."""
    LAWS[function.__name__] = function
    return function


@law
def shapes(layer: Layer) -> str:
    """(N, C, *size) becomes (N, C', *ceil(size / stride)), for odd, even, uneven and one-pixel axes and no image."""
    seen = 0
    for dims in layer.selected.entry.facts["dims"]:
        for size in (SIZES[dims], *ODD_SIZES[dims]):
            for kernel_size, stride in itertools.product((1, 2, 3, 5), (1, 2)):
                module = layer(*CHANNELS, kernel_size, size=size, stride=stride, bias=stride == 1).eval()
                expected = tuple(-(-n // stride) for n in size)
                for images in (0, 1, 3):
                    y = module(torch.randn(images, CHANNELS[0], *size))
                    require(
                        y.shape == (images, CHANNELS[1], *expected),
                        f"{images} images of {size}, kernel {kernel_size}, stride {stride} gave {tuple(y.shape)}, "
                        f"expected {(images, CHANNELS[1], *expected)}",
                    )
                    require(bool(y.isfinite().all()), f"not finite at size {size}, kernel {kernel_size}")
                    seen += 1
    return f"{seen} shapes"


@law
def other_sizes(layer: Layer) -> str:
    """A layer takes any size at call time, unless it says that its size is fixed; then it names both sizes."""
    for dims in layer.selected.entry.facts["dims"]:
        module, size = module_of(layer, dims), tuple(n + 2 for n in SIZES[dims])
        x = torch.randn(2, CHANNELS[0], *size)
        if not layer.selected.entry.facts["fixed_size"]:
            require(module(x).shape[2:] == size, f"built for {SIZES[dims]}, wrong shape at {size}")
            continue
        message = error_of(partial(module, x))
        named = all(str(s) in message for s in (SIZES[dims], size))
        require(named, f"a fixed size must be refused by a ValueError naming {SIZES[dims]} and {size}: {message!r}")
    return "fixed and refused" if layer.selected.entry.facts["fixed_size"] else "accepted"


@law
def gradients(layer: Layer) -> str:
    """The gradients of input and parameters equal finite differences, in float64, while training."""
    for dims in layer.selected.entry.facts["dims"]:
        for kernel_size, stride in ((3, 1), (2, 2)):
            module = module_of(layer, dims, kernel_size, stride, SMALL_SIZES[dims]).double().train()
            names, values = zip(*((n, p.detach().requires_grad_()) for n, p in module.named_parameters()), strict=True)
            x = torch.randn(2, CHANNELS[0], *SMALL_SIZES[dims], dtype=torch.float64, requires_grad=True)
            torch.autograd.gradcheck(pure(module, names), (x, *values), fast_mode=True)
    return "input and parameters"


@law
def images_apart(layer: Layer) -> str:
    """At evaluation an image's result is the same every time and does not depend on the rest of the batch."""
    module = module_of(layer)
    x = torch.randn(3, CHANNELS[0], *SIZES[dims_of(layer)])
    before = x.clone()
    with torch.no_grad():
        together, again, apart = module(x), module(x), torch.cat([module(image[None]) for image in x])
    close(again, together, "a second call", 0.0)
    close(apart, together, "one image at a time", 1e-4)
    require(torch.equal(x, before), "the input was changed in place")
    return "3 images"


@law
def reproducible(layer: Layer) -> str:
    """Equal states of torch's global generator give equal layers and equal training outputs."""
    x = torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    outputs = []
    for _ in range(2):
        torch.manual_seed(1)
        outputs.append(layer(*CHANNELS, 3, size=SIZES[dims_of(layer)])(x))
    close(outputs[1], outputs[0], "the same seed", 0.0)
    return "same seed, same output"


@law
def layouts(layer: Layer) -> str:
    """The memory layout of the input changes neither the result nor the gradients."""
    for dims in layer.selected.entry.facts["dims"]:
        module, x = module_of(layer, dims).train(), torch.randn(2, CHANNELS[0], *SIZES[dims])
        plain = with_gradients(module, x)
        last = x.movedim(1, -1).contiguous().movedim(-1, 1)
        close_all(with_gradients(module, last), plain, f"{dims}-D channels last", 1e-4)
        spread = x.repeat_interleave(2, -1)[..., ::2]
        close_all(with_gradients(module, spread), plain, f"{dims}-D strided input", 1e-4)
        if dims == 2 and all(p.dim() <= 4 for p in module.parameters()):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            close_all(with_gradients(module, last), plain, "all in channels last", 1e-4)
    return "contiguous, channels last, strided"


@law
def precisions(layer: Layer) -> str:
    """float32 and bfloat16 come near float64 and keep their dtype; autocast really lowers the precision."""
    module = module_of(layer).double()
    x = torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)], dtype=torch.float64)
    with torch.no_grad():
        exact = run(module, x)
        for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.2)):
            y = run(copy.deepcopy(module).to(dtype), x.to(dtype))
            require(y.dtype == dtype, f"{dtype} became {y.dtype}")
            close(y.double(), exact, str(dtype), tolerance)
        single = module.float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lowered = run(single, x.float())
    close(lowered.double(), exact, "autocast", 0.2)
    changed = not torch.equal(lowered.float(), run(single, x.float()))
    require(
        lowered.dtype == torch.bfloat16 and changed, f"autocast left the result in {lowered.dtype}, changed: {changed}"
    )
    return "float64, float32, bfloat16, autocast"


@law
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


@law
def no_stale_results(layer: Layer) -> str:
    """After any kind of update the next evaluation is that of a fresh layer with the same state."""
    module, x = module_of(layer), torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    other = module_of(layer).state_dict()

    def replace_data() -> None:
        for p in module.parameters():
            p.data = p.data * 0.7

    updates: dict[str, Callable[[], Any]] = {
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


@law
def compiles(layer: Layer) -> str:
    """torch.compile(fullgraph=True) gives the same result and gradients, in training and at evaluation."""
    module, x = module_of(layer), torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    for training in (True, False):
        module.train(training)
        torch._dynamo.reset()
        fast = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=False)
        close_all(with_gradients(fast, x), with_gradients(module, x), f"training={training}", 1e-4)
    torch._dynamo.reset()
    return "fullgraph, aot_eager"


@law
def exports(layer: Layer) -> str:
    """torch.export captures the layer at evaluation."""
    module, x = module_of(layer), torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    with torch.no_grad():
        close(run(torch.export.export(bare(module), (x,)).module(), x), run(module, x), "exported", 1e-5)
    return "torch.export"


@law
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


@law
def parameter_count(layer: Layer) -> str:
    """The number of trained parameters is that of the hand formula."""
    formula, counts = layer.selected.entry.facts["parameters"], []
    for dims in layer.selected.entry.facts["dims"]:
        for kernel_size, stride, bias in itertools.product((1, 2, 3), (1, 2), (True, False)):
            arguments: Any = {"size": SIZES[dims], "stride": stride, "bias": bias}
            counts.append(sum(p.numel() for p in layer(*CHANNELS, kernel_size, **arguments).parameters()))
            if formula is not None:
                told = formula(*CHANNELS, kernel_size, **arguments, **layer.selected.options)
                require(counts[-1] == told, f"kernel {kernel_size}, {arguments}: {counts[-1]}, formula {told}")
    return f"{min(counts)} to {max(counts)}" + ("" if formula else "; no formula is given")


@law
def flop_count(layer: Layer) -> str:
    """The FLOPs of a forward pass are those of the hand formula: 2 per multiply-add, 1 per product of two tensors."""
    formula = layer.selected.entry.facts["flops"]
    if formula is None:
        return "no formula is given"
    counts = []
    for dims in layer.selected.entry.facts["dims"]:
        for kernel_size, stride, training in itertools.product((1, 2, 3), (1, 2), (True, False)):
            module = module_of(layer, dims, kernel_size, stride).train(training)
            shape = (3, CHANNELS[0], *SIZES[dims])
            counts.append(count_flops(module, torch.randn(shape)))
            told = formula(module, shape)
            what = f"{dims}-D, kernel {kernel_size}, stride {stride}, training={training}"
            require(counts[-1] == told, f"{what}: {counts[-1]} counted, formula {told}")
    return f"{min(counts)} to {max(counts)}"


@law
def wrong_input(layer: Layer) -> str:
    """A wrong argument is refused by a ValueError that names it and its value; an unknown option by its name."""
    size = SIZES[dims_of(layer)]
    wrong: dict[str, Callable[[], Any]] = {
        "kernel_size=0": lambda: layer(*CHANNELS, 0, size=size),
        "stride=-1": lambda: layer(*CHANNELS, 3, size=size, stride=-1),
        "in_channels=0": lambda: layer(0, 8, 3, size=size),
        "size=()": lambda: layer(*CHANNELS, 3, size=()),
        "size=(4, 4, 4, 4)": lambda: layer(*CHANNELS, 3, size=(4, 4, 4, 4)),
        "'no_such_option'": lambda: registry.layer(f"{layer.name}[no_such_option=1]"),
    }
    for named, call in wrong.items():
        message = error_of(call)
        require(named in message, f"{named} gave {message!r}")
    return ", ".join(wrong)
