"""Choose the free number of a classical method on validation images, never on those that score it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Restorer = Callable[[Tensor], Tensor]


def best(make: Callable[[float], Restorer], candidates: Sequence[float], pairs: tuple[Tensor, Tensor]) -> Restorer:
    """Return `make(candidate)` of the least mean squared error on `pairs` of (observed, truth), (N, C, H, W) each."""
    observed, truth = pairs

    def error(candidate: float) -> float:
        return (make(candidate)(observed) - truth).square().mean().item()

    return make(min(candidates, key=error))
