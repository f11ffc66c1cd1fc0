"""Which implementation torch chooses for each convolution: shapes that dispatch differently are not alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from coordbench.harness.measure.subject import Subject


class _Listener(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.chosen: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, object] | None = None
    ) -> Any:
        if function.overloadpacket == torch.ops.aten.convolution:
            self.chosen[torch._C._select_conv_backend(*args).name] += 1
        return function(*args, **(kwargs or {}))


def backends(subject: Subject) -> dict[str, int]:
    """Name of each convolution backend in a forward pass and how often it is called."""
    listener = _Listener()
    with listener:
        subject.forward()
    return dict(listener.chosen)
