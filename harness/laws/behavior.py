"""What a layer does with its input: shapes, sizes, gradients, randomness, layouts, precisions, wrong arguments."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from functools import partial

import torch

from coordbench.harness.core import registry
from coordbench.harness.core.entries import Layer
from coordbench.harness.laws.law import law
from coordbench.harness.laws.specimens import (
    CHANNELS,
    SIZES,
    SMALL_SIZES,
    close,
    close_all,
    dims_of,
    error_of,
    module_of,
    pure,
    require,
    run,
    with_gradients,
)

ODD_SIZES: dict[int, tuple[tuple[int, ...], ...]] = {1: ((1,), (8,)), 2: ((7, 4), (1, 5)), 3: ((4, 1, 3),)}


@law(mend="take (in_channels, out_channels, kernel_size, *, size, stride=1, bias=True), and forward(x) alone")
def builds(layer: Layer) -> str:
    """A layer is built from the arguments of a layer factory and called with one input."""
    for dims in layer.selected.entry.dims:
        module = layer(*CHANNELS, 3, size=SIZES[dims], stride=1, bias=True)
        y = module(torch.randn(2, CHANNELS[0], *SIZES[dims]))
        require(isinstance(y, torch.Tensor), f"a call gave {type(y).__name__}, not a tensor")
    return f"{len(layer.selected.entry.dims)} layers"


@law(mend="pad (k - 1) // 2 pixels before and k // 2 after each axis, whatever the kernel, and pass the stride on")
def shapes(layer: Layer) -> str:
    """(N, C, *size) becomes (N, C', *ceil(size / stride)), for odd, even, uneven and one-pixel axes and no image."""
    seen = 0
    for dims in layer.selected.entry.dims:
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


@law(mend="compute from the size of x; or register with fixed_size=True and raise ValueError naming both sizes")
def other_sizes(layer: Layer) -> str:
    """A layer takes any size at call time, unless it says that its size is fixed; then it names both sizes."""
    for dims in layer.selected.entry.dims:
        module, size = module_of(layer, dims), tuple(n + 2 for n in SIZES[dims])
        x = torch.randn(2, CHANNELS[0], *size)
        if not layer.selected.entry.fixed_size:
            require(module(x).shape[2:] == size, f"built for {SIZES[dims]}, wrong shape at {size}")
            continue
        message = error_of(partial(module, x))
        named = all(str(s) in message for s in (SIZES[dims], size))
        require(named, f"a fixed size must be refused by a ValueError naming {SIZES[dims]} and {size}: {message!r}")
    return "fixed and refused" if layer.selected.entry.fixed_size else "accepted"


@law(mend="differentiate what you compute: no detach, no in-place change of what backward needs")
def gradients(layer: Layer) -> str:
    """The gradients of input and parameters equal finite differences, in float64, while training."""
    for dims in layer.selected.entry.dims:
        for kernel_size, stride in ((3, 1), (2, 2)):
            module = module_of(layer, dims, kernel_size, stride, SMALL_SIZES[dims]).double().train()
            names, values = zip(*((n, p.detach().requires_grad_()) for n, p in module.named_parameters()), strict=True)
            x = torch.randn(2, CHANNELS[0], *SMALL_SIZES[dims], dtype=torch.float64, requires_grad=True)
            torch.autograd.gradcheck(pure(module, names), (x, *values), fast_mode=True)
    return "input and parameters"


@law(mend="use no statistics over the batch at evaluation, draw no numbers there, and leave x as it is")
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


@law(mend="draw from torch's global generator alone, not from random or numpy")
def reproducible(layer: Layer) -> str:
    """Equal states of torch's global generator give equal layers and equal training outputs."""
    x = torch.randn(2, CHANNELS[0], *SIZES[dims_of(layer)])
    outputs = []
    for _ in range(2):
        torch.manual_seed(1)
        outputs.append(layer(*CHANNELS, 3, size=SIZES[dims_of(layer)])(x))
    close(outputs[1], outputs[0], "the same seed", 0.0)
    return "same seed, same output"


@law(mend="index x by its axes; never assume that it is contiguous")
def layouts(layer: Layer) -> str:
    """The memory layout of the input changes neither the result nor the gradients."""
    for dims in layer.selected.entry.dims:
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


@law(mend="create tensors in the dtype of x, and return that dtype")
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


@law(mend="raise ValueError with name and value, and take no **options that swallow typing errors")
def wrong_input(layer: Layer) -> str:
    """A wrong argument is refused by a ValueError that names it and its value; an unknown option by its name."""
    size = SIZES[dims_of(layer)]
    wrong: dict[str, Callable[[], object]] = {
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
