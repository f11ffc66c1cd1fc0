"""The operators of one step exactly as they ran: names, shapes, layouts, dtypes, and what each ran under.

Recorded by torch's execution trace, which sees the inside of autograd.Functions, forward and backward. Nothing here is
timed, so that it is equal on every machine of one build of torch.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, cast

import torch
from torch.profiler import ExecutionTraceObserver

from .markers import LINE, MODULE, marking
from .recording import without_gc
from .step import MARK, Workload

Direction = Literal["data", "forward", "backward", "optimizer"]
_STEP = "coordbench:step"
_ENGINE = "autograd::engine::evaluate_function"
_USER_SCOPE, _BACKWARD_SCOPE = 7, 1


@dataclass(frozen=True)
class TensorLayout:
    """A tensor as an operator took or gave it; `strides` tell its memory format, `storage` names its memory."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    nbytes: int
    storage: int = field(compare=False)

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


@dataclass
class Operation:
    """One event of the trace; `parent` is the index of the one that it ran under."""

    name: str
    parent: int | None
    inputs: tuple[TensorLayout, ...]
    outputs: tuple[TensorLayout, ...]
    arguments: tuple[object, ...]
    sequence: int
    """The number by which autograd links a forward operator and its gradient, -1 without one."""
    is_operator: bool
    """False for what only wraps operators: the engine of autograd, Python functions with gradients, our markers."""
    is_marker: bool
    is_gradient: bool = False
    direction: Direction = "forward"
    stack: tuple[str, ...] = ()
    """The lines of source that it ran under, outermost first; of a gradient those of its forward operator."""
    module: str = ""

    @property
    def place(self) -> str:
        """The innermost line of source, such as `variants/coordconv.py:61 forward`."""
        return self.stack[-1] if self.stack else ""


class _Node(TypedDict):
    id: int
    name: str
    ctrl_deps: int
    inputs: Mapping[str, list[object]]
    outputs: Mapping[str, list[object]]
    attrs: list[Mapping[str, object]]


def record_operations(workload: Workload) -> list[Operation]:
    """Run a workload once and return its events in the order in which they began."""
    handle, name = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    observer = ExecutionTraceObserver().register_callback(name)
    try:
        observer.start()
        with without_gc():  # the trace has a hundred thousand parts, among which it would look for garbage
            with marking(workload.modules), torch.profiler.record_function(_STEP):
                workload.run()
            observer.stop()
            observer.unregister_callback()
            nodes = json.loads(Path(name).read_text())["nodes"]
    finally:
        Path(name).unlink(missing_ok=True)
    return _operations(cast("list[_Node]", nodes))


def outermost(operations: Sequence[Operation]) -> list[int]:
    """The operators that ran under no other: what the source, or autograd, asked for."""
    inside = [False] * len(operations)
    chosen = []
    for i, operation in enumerate(operations):
        inside[i] = operation.parent is not None and (
            inside[operation.parent] or operations[operation.parent].is_operator
        )
        if operation.is_operator and not inside[i]:
            chosen.append(i)
    return chosen


def _operations(nodes: list[_Node]) -> list[Operation]:
    ordered = sorted(nodes, key=lambda node: node["id"])
    start = next(node["id"] for node in ordered if node["name"] == _STEP)
    places: dict[int, int] = {}
    operations: list[Operation] = []
    for node in ordered:
        if node["ctrl_deps"] in places or node["ctrl_deps"] == start:
            places[node["id"]] = len(operations)
            operations.append(_operation(node, places.get(node["ctrl_deps"])))
    _place(operations)
    return operations


def _operation(node: _Node, parent: int | None) -> Operation:
    attributes = {str(item["name"]): item["value"] for item in node["attrs"]}
    name, scope = node["name"], attributes.get("scope", 0)
    return Operation(
        name=name,
        parent=parent,
        inputs=_layouts(node["inputs"]),
        outputs=_layouts(node["outputs"]),
        arguments=tuple(_plain(value) for value in node["inputs"]["values"]),
        sequence=int(cast(int, attributes.get("seq_id", -1))),
        is_operator="::" in name and not name.startswith(("autograd::", "torch::autograd")) and scope != _USER_SCOPE,
        is_marker=scope == _USER_SCOPE,
        is_gradient=scope == _BACKWARD_SCOPE,
    )


def _plain(value: object) -> object:
    """An argument that is no tensor; what names memory differs from run to run and is left out."""
    is_tensor = isinstance(value, list) and len(value) == 6 and isinstance(value[5], str)
    return "tensor" if is_tensor else json.dumps(value)


def _layouts(given: Mapping[str, list[object]]) -> tuple[TensorLayout, ...]:
    """The tensors among values, those in lists too."""
    layouts: list[TensorLayout] = []

    def collect(value: object, shape: object, strides: object, kind: str) -> None:
        if kind.startswith("GenericList[") and isinstance(value, list) and isinstance(shape, list):
            kinds = kind.removeprefix("GenericList[").removesuffix("]").split(",")
            for item in zip(value, shape, cast("list[object]", strides), kinds, strict=False):
                collect(*item)
        elif kind.startswith("Tensor(") and isinstance(value, list):
            _, storage, _, count, size, _ = cast("list[int]", value)
            dtype = kind.removeprefix("Tensor(").removesuffix(")")
            sizes, steps = cast("list[int]", shape), cast("list[int]", strides)
            layouts.append(TensorLayout(tuple(sizes), tuple(steps), dtype, count * size, storage))

    for item in zip(given["values"], given["shapes"], given["strides"], given["types"], strict=True):
        collect(*item[:3], str(item[3]))
    return tuple(layouts)


def _place(operations: list[Operation]) -> None:
    """Say of each event under which lines and module it ran, forward, backward or in the optimizer."""
    forward: dict[int, Operation] = {}  # the last operator that began under a number is the one with the gradient
    for operation in operations:
        parent = None if operation.parent is None else operations[operation.parent]
        if parent is not None:
            operation.direction, operation.module, operation.stack = parent.direction, parent.module, parent.stack
        if operation.name.startswith(_ENGINE):
            operation.direction, operation.stack, operation.module = "backward", (), ""
        if operation.is_gradient and operation.sequence in forward:
            origin = forward[operation.sequence]
            operation.stack, operation.module = origin.stack, origin.module
            if parent is not None and parent.name.startswith(_ENGINE):  # what the engine does itself comes after
                parent.stack, parent.module = origin.stack, origin.module
        if operation.is_marker:
            _mark(operation)
        elif operation.direction == "forward" and operation.sequence >= 0:
            forward[operation.sequence] = operation


def _mark(operation: Operation) -> None:
    if operation.name.startswith(LINE):
        operation.stack = (*operation.stack, operation.name.removeprefix(LINE))
    elif operation.name.startswith(MODULE):
        operation.module = operation.name.removeprefix(MODULE)
    elif operation.name.startswith("Optimizer."):
        operation.direction = "optimizer"
    elif operation.name == f"{MARK}data":
        operation.direction = "data"
