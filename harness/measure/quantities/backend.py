"""Which implementation torch chooses for each convolution: shapes that dispatch differently are not alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from coordbench.harness.measure.subject import Inputs, Subject


class _Listener(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.chosen: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: OpOverload, types: object, args: Inputs = (), kwargs: Mapping[str, object] | None = None
    ) -> object:
        if function.overloadpacket == torch.ops.aten.convolution:
            self.chosen[torch._C._select_conv_backend(*args).name] += 1
        return function(*args, **(kwargs or {}))


def backends(subject: Subject) -> dict[str, int]:
    """Name of each convolution backend in a forward pass and how often it is called."""
    listener = _Listener()
    with listener:
        subject.forward()
    return dict(listener.chosen)
