"""Layers that fail in every way a layer can."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from torch import Tensor, nn

from coordbench import variant


class Broken(nn.Module):
    """A convolution of which each heir breaks the forward pass."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: Any, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias)


@variant("raises", source="none", dims=(2,))
class Raises(Broken):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("this layer <b>always</b> raises & fails")


@variant("not_a_number", source="none", dims=(2,))
class NotANumber(Broken):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) / 0


@variant("hangs", source="none", dims=(2,))
class Hangs(Broken):
    def forward(self, x: Tensor) -> Tensor:
        time.sleep(1000)
        return self.conv(x)


@variant("kills", source="none", dims=(2,))
class Kills(Broken):
    def forward(self, x: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return self.conv(x)
