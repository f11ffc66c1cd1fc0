"""What an operator does, counted from its shapes: FLOPs of products, bytes read and written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from coordbench.harness.profiling.recorded.operations import Operation


def flops(operations: Sequence[Operation]) -> list[int]:
    """FLOPs of each event [2 per multiply-add], what ran inside it included; products alone count."""
    own = [_product(operation) for operation in operations]
    inside = [0] * len(operations)
    for i in reversed(range(len(operations))):  # a parent comes before its children
        own[i] = own[i] or inside[i]
        parent = operations[i].parent
        if parent is not None:
            inside[parent] += own[i]
    return own


def read_bytes(operation: Operation) -> int:
    """Bytes of all inputs; 0 of an operator that gives a view of one."""
    return 0 if is_view(operation) else sum(layout.nbytes for layout in operation.inputs)


def written_bytes(operation: Operation) -> int:
    """Bytes of all outputs; 0 of an operator that gives a view."""
    return 0 if is_view(operation) else sum(layout.nbytes for layout in operation.outputs)


def is_view(operation: Operation) -> bool:
    """Whether its output lies in the memory of an input, which it did not write to."""
    sources = {layout.storage for layout in operation.inputs}
    aliased = bool(operation.outputs) and all(layout.storage in sources for layout in operation.outputs)
    return aliased and not operation.name.endswith("_") and not _product(operation)


def _product(operation: Operation) -> int:
    count = _PRODUCTS.get(operation.name.removeprefix("aten::"))
    return count(operation) if count and len(operation.inputs) >= 2 and operation.outputs else 0


def _convolution(operation: Operation) -> int:
    x, weight, out = operation.inputs[0], operation.inputs[1], operation.outputs[0]
    transposed = operation.arguments[6:7] == ("true",)
    return 2 * math.prod((x if transposed else out).shape) * math.prod(weight.shape[1:])


def _convolution_backward(operation: Operation) -> int:
    gradient, x, weight = operation.inputs[:3]
    transposed = operation.arguments[7:8] == ("true",)
    once = 2 * math.prod((x if transposed else gradient).shape) * math.prod(weight.shape[1:])
    wanted = [layout for layout in operation.outputs if layout.shape in (x.shape, weight.shape)]
    return once * min(2, len(wanted))


def _matrix_product(operation: Operation) -> int:
    return 2 * math.prod(operation.outputs[0].shape) * operation.inputs[0].shape[-1]  # an `out=` comes last


def _added_matrix_product(operation: Operation) -> int:
    return 2 * math.prod(operation.outputs[0].shape) * operation.inputs[1].shape[-1]


_PRODUCTS: dict[str, Callable[[Operation], int]] = {
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    **dict.fromkeys(("mm", "bmm", "mv", "dot"), _matrix_product),
    **dict.fromkeys(("addmm", "addmm_", "baddbmm", "baddbmm_", "addmv"), _added_matrix_product),
}
