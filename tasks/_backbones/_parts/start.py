"""How the weights of a backbone start."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def scaled_start(module: M, factor: float) -> M:
    """Scale the first weights of all kernels and return the module; no layer loses the law it draws them from."""
    for part in module.modules():
        _scale(part, factor)
    return module


def _scale(part: nn.Module, factor: float) -> None:
    weight = getattr(part, "weight", None)
    if isinstance(weight, nn.Parameter) and weight.dim() > 2:
        with torch.no_grad():
            weight.mul_(factor)


def he_start(module: M) -> M:
    """Widen kernels from PyTorch's law, of variance 1 / (3 fan_in), to He's, 2 / fan_in; start their biases at zero.

    Kernels are scaled, not drawn again, so that a layer which starts some at zero keeps its start; a module that says
    `starts_wide` has drawn its own by He's law already.
    He et al., "Delving deep into rectifiers", 2015, arXiv 1502.01852.
    """
    for part in module.modules():
        weight, bias = getattr(part, "weight", None), getattr(part, "bias", None)
        if isinstance(weight, nn.Parameter) and weight.dim() > 2 and isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)
        if not getattr(part, "starts_wide", False):
            _scale(part, 6**0.5)
    return module
