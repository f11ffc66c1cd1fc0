"""FLOPs of a forward pass and of forward + backward, 2 per multiply-add, for one training batch.

The hand formula of a layer is the authority for that layer. Whatever runs outside such layers is counted at torch's
dispatcher: convolutions and matrix products by their shapes, everything else by name only. Backward costs as much as
forward again for each operand that takes a gradient. fvcore and torch's FlopCounterMode are cross-checks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torch.utils.hooks import RemovableHandle

from coordbench.harness.core.cell import Cell
from coordbench.harness.measure.part import Part
from coordbench.harness.measure.quantities import crosscheck
from coordbench.harness.measure.subject import Inputs, build_subject

_ALLOCATE = ("empty", "new_empty", "lift_fresh", "alias", "detach", "_unsafe_view", "_reshape_alias")


@dataclass
class LayerCount:
    """One call of a layer that has a formula: `operands` of input and weights take a gradient.

    `counted` and `counted_backward` are what its operations would have counted by themselves.
    """

    layer: str
    shape: tuple[int, ...]
    formula: int
    operands: int
    counted: int = 0
    counted_backward: int = 0

    @property
    def backward(self) -> int:
        """The formula once per operand, or more often where products of inner results need it, as in a gate's encoder.

        Inside an autograd.Function no result shows that it takes a gradient, so its operations can only add.
        """
        inner = self.counted_backward / self.counted if self.counted else 0.0
        return round(self.formula * max(self.operands, inner))


@dataclass
class Count:
    """FLOPs of one call: what is billed, the layers among it, and the operations that nobody counted, with calls."""

    forward: int = 0
    backward: int = 0
    layers: list[LayerCount] = field(default_factory=list)
    uncounted: dict[str, int] = field(default_factory=Counter)


def measure_flops(cell: Cell, seconds: float = 0.0) -> Part:
    """Count FLOPs over all models of a cell; `seconds` is not needed, since nothing is timed."""
    subject = build_subject(cell)
    subject.phase("forward")
    models, inputs = subject.models, subject.inputs
    counts = {name: count(model, inputs[name]) for name, model in models.items()}
    forward = sum(counted.forward for counted in counts.values())
    details = {
        "forward": forward,
        "forward_backward": forward + sum(counted.backward for counted in counts.values()),
        "batch_size": subject.batch_size,
        "models": {
            name: _describe(counts[name], model, subject.inputs[name]) for name, model in subject.models.items()
        },
        "step_by_torch": crosscheck.step_by_torch(subject),
    }
    return Part(details, flops=forward)


def count(model: nn.Module, inputs: Inputs) -> Count:
    """Count one forward pass of a model on `inputs`, and what its backward pass will cost."""
    counter = _Counter()
    handles = [handle for module in model.modules() for handle in counter.attach(module)]
    try:
        with sdpa_kernel(SDPBackend.MATH), counter:  # the fused attention of the CPU has no formula, its parts have
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return counter.count


def formula_of(module: nn.Module) -> Any:
    """The hand formula (module, shape) -> FLOPs of a layer that was built out of a registered variant, or None."""
    layer = getattr(module, "coordbench_layer", None)
    return layer.selected.entry.flops if layer is not None else None


class _Counter(TorchDispatchMode):
    """Sees every operation below autograd; knows by the hooks of `attach` whether a layer's formula covers it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = Count()
        self.inside: list[LayerCount] = []

    def attach(self, module: nn.Module) -> list[RemovableHandle]:
        """Bill a layer by its formula wherever it is called, unless it is part of another such layer."""
        formula = formula_of(module)
        if formula is None:
            return []

        def enter(module: nn.Module, args: Inputs) -> None:
            label, shape = str(getattr(module.coordbench_layer, "label", "")), tuple(args[0].shape)
            flops = int(formula(module, shape))
            operands = args[0].requires_grad + any(p.requires_grad for p in module.parameters())
            self.inside.append(LayerCount(label, shape, flops, operands))

        def leave(module: nn.Module, args: Inputs, output: object) -> None:
            call = self.inside.pop()
            if self.inside:
                self.inside[-1].counted += call.counted
                self.inside[-1].counted_backward += call.counted_backward
                return
            self.count.layers.append(call)
            self.count.forward += call.formula
            self.count.backward += call.backward

        return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def __torch_dispatch__(
        self, function: OpOverload, types: object, args: Inputs = (), kwargs: Mapping[str, object] | None = None
    ) -> object:
        output = function(*args, **(kwargs or {}))
        flops = flops_of(function, args, kwargs or {}, output)
        backward = flops * _operands(function, args) if flops else 0
        if self.inside:
            self.inside[-1].counted += flops or 0
            self.inside[-1].counted_backward += backward
        elif flops is not None:
            self.count.forward += flops
            self.count.backward += backward
        elif not _is_free(function):
            self.count.uncounted[str(function.overloadpacket)] += 1
        return output


def flops_of(function: OpOverload, args: Inputs, kwargs: Mapping[str, object], output: object) -> int | None:
    """FLOPs of one operation by its shapes, or None where no formula is known."""
    packet = function.overloadpacket
    if packet in (torch.ops.aten.mv, torch.ops.aten.dot):
        return 2 * int(args[0].numel())
    if packet == torch.ops.aten.addmv:
        return 2 * int(args[1].numel())
    if packet not in flop_registry:
        return None
    return int(flop_registry[packet](*args, **kwargs, out_val=output))


def _operands(function: OpOverload, args: Inputs) -> int:
    """How many of the two factors of a product take a gradient; an addend, which stands before them, is no factor."""
    first = function.overloadpacket.__name__.startswith(("add", "badd"))
    return sum(isinstance(arg, Tensor) and arg.requires_grad for arg in args[first : first + 2])


def _is_free(function: OpOverload) -> bool:
    """Whether an operation only names memory: a view or an allocation."""
    return bool(function.is_view) or function.overloadpacket.__name__ in _ALLOCATE


def _describe(counted: Count, model: nn.Module, inputs: Inputs) -> dict[str, object]:
    """The figures of one model beside those of the cross-checks, as plain values."""
    return {
        "forward": counted.forward,
        "forward_backward": counted.forward + counted.backward,
        "layers": [asdict(layer) | {"backward": layer.backward} for layer in counted.layers],
        "uncounted": dict(counted.uncounted),
        "torch": crosscheck.by_torch(model, inputs),
        "fvcore": crosscheck.by_fvcore(model, inputs),
    }
