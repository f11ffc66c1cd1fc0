"""What gains speed by looking behind torch's public surface: all of it here, behind one switch.

`COORDBENCH_TRICKS=off` in the environment turns it off, or `-hand_written` in its list. Layers then run
the formulas of their files; results are equal to rounding, which `tests/variants/test_tricks.py` holds.

Time without over time with them, forward + backward of (32, 32, 64, 64) -> 32, 3x3, one thread of a shared 2-core CPU,
pairs taken in turns, with 95 % intervals: coordconv 1.15 [1.11, 1.18], geoconv 1.20 [1.07, 1.23], coordgate 1.06 [1.02,
1.10] (1.10 at evaluation, where the gate is remembered), locally_connected 2.6 [2.5, 2.9], pixel_adaptive 10.3 [9.2,
11.0]; geoconv[per=batch] gains nothing: 0.95 [0.90, 1.04].
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable

import torch
from torch import Tensor, nn

ON = not {"off", "-hand_written"} & {name.strip() for name in os.environ.get("COORDBENCH_TRICKS", "").split(",")}
"""Read once, when the process starts: a compiler that traces a layer takes it for a constant."""


def eager() -> bool:
    """Whether plain eager code runs: no compiler or export, no functorch transform, no dispatch mode.

    Hand-written passes may be taken only then. torch has no public way to ask for the last two.
    """
    return ON and not (
        torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
    )


def blockwise(x: Tensor) -> bool:
    """Whether to go through a batch block by block: it keeps a processor's cache, but starves an accelerator."""
    return eager() and x.device.type == "cpu" and x.numel() > 0


class Memory:
    """Remember what depends on a module's parameters alone, for as long as their values stay the same.

    The values are compared, not their version counters, which updates by `.data` do not move. Only for evaluation in
    plain eager code on the CPU: on an accelerator the comparison would wait for the device.
    """

    def __init__(self) -> None:
        self.key: Hashable = None
        self.state: list[Tensor] = []
        self.value = torch.empty(0)

    def recall(self, module: nn.Module, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The value of `compute()`, which is a function of the module's state and of `key`."""
        if torch.is_grad_enabled() or not eager():
            return compute()
        state = [*module.parameters(), *module.buffers()]
        if any(t.device.type != "cpu" for t in state):
            return compute()
        if self.key != key or not _equal(self.state, state):
            self.key, self.state, self.value = key, [t.detach().clone() for t in state], compute()
        return self.value


def _equal(before: list[Tensor], now: list[Tensor]) -> bool:
    return len(before) == len(now) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(before, now, strict=True)
    )
