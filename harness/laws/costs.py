"""What a layer costs: its counts are those of the hand formulas of its file."""

from __future__ import annotations

import itertools

import torch

from coordbench.harness.core.entries import Layer
from coordbench.harness.laws.law import law
from coordbench.harness.laws.specimens import CHANNELS, SIZES, count_flops, module_of, require


@law(mend="correct `parameters`, or drop a module that is never used")
def parameter_count(layer: Layer) -> str:
    """The number of trained parameters is that of the hand formula."""
    formula, counts = layer.selected.entry.parameters, []
    for dims in layer.selected.entry.dims:
        for kernel_size, stride, bias in itertools.product((1, 2, 3), (1, 2), (True, False)):
            size, options = SIZES[dims], layer.selected.options
            module = layer(*CHANNELS, kernel_size, size=size, stride=stride, bias=bias)
            counts.append(sum(p.numel() for p in module.parameters()))
            if formula is not None:
                expected = formula(*CHANNELS, kernel_size, size=size, stride=stride, bias=bias, **options)
                what = f"kernel {kernel_size}, size {size}, stride {stride}, bias={bias}"
                require(counts[-1] == expected, f"{what}: {counts[-1]}, formula {expected}")
    return f"{min(counts)} to {max(counts)}" + ("" if formula else "; no formula is given")


@law(mend="correct `flops`: 2 per multiply-add of convolutions and products, 1 per product of two tensors")
def flop_count(layer: Layer) -> str:
    """The FLOPs of a forward pass are those of the hand formula: 2 per multiply-add, 1 per product of two tensors."""
    formula = layer.selected.entry.flops
    if formula is None:
        return "no formula is given"
    counts = []
    for dims in layer.selected.entry.dims:
        for kernel_size, stride, training in itertools.product((1, 2, 3), (1, 2), (True, False)):
            module = module_of(layer, dims, kernel_size, stride).train(training)
            shape = (3, CHANNELS[0], *SIZES[dims])
            counts.append(count_flops(module, torch.randn(shape)))
            expected = formula(module, shape)
            what = f"{dims}-D, kernel {kernel_size}, stride {stride}, training={training}"
            require(counts[-1] == expected, f"{what}: {counts[-1]} counted, formula {expected}")
    return f"{min(counts)} to {max(counts)}"
